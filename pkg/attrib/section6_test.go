package attrib

import (
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// section6 is a state with one attrib of a role, one of nodes, and one that another role wants, and nothing set.
func section6() *crowbar.Snapshot {
	type o = crowbar.Object
	var changes []crowbar.Change
	for _, put := range []o{
		&crowbar.Deployment{ID: 1, Name: "system", System: true}, &crowbar.Deployment{ID: 2, Name: "k", Parent: 1},
		&crowbar.Role{ID: 3, Name: "db"}, &crowbar.Role{ID: 4, Name: "app", Wants: []string{"port", "zone"}},
		&crowbar.Attrib{ID: 5, Name: "port", Role: 3, Map: "db/port", Default: 1.0, Writable: true, Source: "b.yml:7"},
		&crowbar.Attrib{ID: 6, Name: "zone", Map: "site/zone", Default: "d", Writable: true},
		&crowbar.Node{ID: 7, Name: "n1.x"}, &crowbar.Node{ID: 8, Name: "n2.x"},
		&crowbar.DeploymentRole{ID: 9, Deployment: 2, Role: 3}, &crowbar.DeploymentRole{ID: 10, Deployment: 2, Role: 4},
		&crowbar.NodeRole{ID: 11, Deployment: 2, Node: 7, Role: 3}, &crowbar.NodeRole{ID: 12, Deployment: 2, Node: 8, Role: 4, Parents: []crowbar.Link{{ID: 11}}},
		&crowbar.NodeRole{ID: 13, Deployment: 2, Node: 7, Role: 4, Parents: []crowbar.Link{{ID: 11}}},
	} {
		changes = append(changes, crowbar.Change{Put: put})
	}
	return crowbar.NewSnapshot().Apply(1, changes...)
}

// at puts a value at a map into a part of an object.
func at(s *crowbar.Snapshot, k crowbar.Kind, id crowbar.ID, part int, path string, v any) *crowbar.Snapshot {
	o := copied(s.Get(k, id))
	p := crowbar.Parts(withRoom(o))[part]
	*p.Data = with(*p.Data, path, v)
	return s.Apply(s.Rev()+1, crowbar.Change{Put: o})
}

// withRoom gives an empty node-role notes, so that it has parts.
func withRoom(o crowbar.Object) crowbar.Object {
	if nr, ok := o.(*crowbar.NodeRole); ok && nr.Notes == nil {
		nr.Notes = crowbar.Data{"seen": true}
	}
	return o
}

// TestWhereAValueComesFrom has a row for each layer of OPENCROWBAR's section 6 as it is kept here (docs/compatibility.md says
// where that differs): the role that has the attrib, one that wants it on the same node, and one on another node.
func TestWhereAValueComesFrom(t *testing.T) {
	const own, beside, away = 11, 13, 12
	dep, node, nr, role := crowbar.KindDeploymentRole, crowbar.KindNode, crowbar.KindNodeRole, crowbar.KindRole
	for _, row := range []struct {
		name                string
		kind                crowbar.Kind
		id                  crowbar.ID
		part                int
		attrib, path        string
		own, beside, away   any
		ownLayer, awayLayer string
	}{
		{"the default", "", 0, 0, "port", "", 1.0, 1.0, 1.0, LayerDefault, LayerDefault},
		{"a role's template", role, 3, 0, "port", "db/port", "v", "v", "v", LayerTemplate, LayerTemplate},
		{"a deployment-role's wall", dep, 9, 2, "port", "db/port", "v", "v", "v", LayerDeploymentWall, LayerDeploymentWall},
		{"what is committed for the deployment", dep, 9, 0, "port", "db/port", "v", "v", "v", LayerDeployment, LayerDeployment},
		{"what is proposed for the deployment does not count", dep, 9, 1, "port", "db/port", 1.0, 1.0, 1.0, LayerDefault, LayerDefault},
		{"another role's deployment-role has no say", dep, 10, 0, "port", "db/port", 1.0, 1.0, 1.0, LayerDefault, LayerDefault},
		{"a node's facts have no say in a role's attrib", node, 7, 0, "port", "db/port", 1.0, 1.0, 1.0, LayerDefault, LayerDefault},
		{"a node's hint", node, 7, 1, "port", "db/port", "v", "v", 1.0, LayerHint, LayerDefault},
		{"a node's notes have no say", node, 7, 2, "port", "db/port", 1.0, 1.0, 1.0, LayerDefault, LayerDefault},
		{"the wall, by name, for others than its own", nr, 11, 3, "port", "port", 1.0, "v", "v", LayerDefault, LayerWall},
		{"sysdata", nr, 11, 2, "port", "db/port", "v", "v", "v", LayerSys, LayerSys},
		{"what is committed for the node-role", nr, 11, 0, "port", "db/port", "v", "v", "v", LayerNodeRole, LayerNodeRole},
		{"what is proposed for the node-role does not count", nr, 11, 1, "port", "db/port", 1.0, 1.0, 1.0, LayerDefault, LayerDefault},
		{"a node-role that only wants it has no say", nr, 13, 0, "port", "db/port", 1.0, 1.0, 1.0, LayerDefault, LayerDefault},
		{"a node's attrib from its facts", node, 7, 0, "zone", "site/zone", nil, "v", "d", "", LayerDefault},
		{"a node's attrib from its hint", node, 8, 1, "zone", "site/zone", nil, "d", "v", "", LayerHint},
		{"a map of one word less is another place", dep, 9, 0, "port", "db", 1.0, 1.0, 1.0, LayerDefault, LayerDefault},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := section6()
			if row.kind != "" {
				s = at(s, row.kind, row.id, row.part, row.path, "v")
			}
			for id, want := range map[crowbar.ID]any{own: row.own, beside: row.beside, away: row.away} {
				in, err := Collect(s, s.NodeRole(id))
				if err != nil || in.Attribs[row.attrib] != want {
					t.Errorf("node-role %d sees %v, want %v (%v)", id, in.Attribs[row.attrib], want, err)
				}
			}
			for id, want := range map[crowbar.ID]string{own: row.ownLayer, away: row.awayLayer} {
				if want == "" {
					continue
				}
				x, err := Explain(s, s.NodeRole(id), s.AttribNamed(row.attrib))
				if err != nil {
					t.Fatal(err)
				}
				for _, l := range x[0].Layers {
					if l.Wins != (l.Name == want) {
						t.Errorf("to node-role %d, layer %q wins: %v, want %q to win", id, l.Name, l.Wins, want)
					}
				}
			}
		})
	}
}

// TestLayersInTheirOrder sets every layer, and takes the highest one away again and again.
func TestLayersInTheirOrder(t *testing.T) {
	places := []struct {
		layer string
		kind  crowbar.Kind
		id    crowbar.ID
		part  int
		path  string
	}{
		{LayerTemplate, crowbar.KindRole, 3, 0, "db/port"}, {LayerDeploymentWall, crowbar.KindDeploymentRole, 9, 2, "db/port"},
		{LayerDeployment, crowbar.KindDeploymentRole, 9, 0, "db/port"}, {LayerHint, crowbar.KindNode, 8, 1, "db/port"},
		{LayerWall, crowbar.KindNodeRole, 11, 3, "port"}, {LayerSys, crowbar.KindNodeRole, 11, 2, "db/port"}, {LayerNodeRole, crowbar.KindNodeRole, 11, 0, "db/port"},
	}
	for n := len(places); n > 0; n-- {
		s := section6()
		for _, p := range places[:n] {
			s = at(s, p.kind, p.id, p.part, p.path, p.layer)
		}
		in, err := Collect(s, s.NodeRole(12))
		if want := places[n-1].layer; err != nil || in.Attribs["port"] != want {
			t.Errorf("of %d layers %v wins, want %q (%v)", n, in.Attribs["port"], want, err)
		}
	}
}

func TestSealedAboveRefuses(t *testing.T) {
	s := at(section6(), crowbar.KindDeploymentRole, 9, 0, "db", crowbar.SealedText([]byte("x")))
	if _, err := Set(s, s.Get(crowbar.KindDeploymentRole, 9), s.AttribNamed("port"), 2.0); crowbar.KindOf(err) != crowbar.Conflict {
		t.Errorf("a sealed value is overwritten by one that lies in it: %v", err)
	}
}
