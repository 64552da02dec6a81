package attrib

import (
	"cmp"
	"slices"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Tree is what OpenCrowbar's jigs stage of a run's values, one nested map, and the maps by which attribs lie in it. Lowest first:
// what is said of the other roles on the node that this one comes after, and what their last runs gave back; the role's own template
// and what its last run gave back; the attribs that the run is given. Secrets of other roles are left out.
func Tree(s *crowbar.Snapshot, nr *crowbar.NodeRole, given crowbar.Data) (tree crowbar.Data, maps map[string]string) {
	tree, maps = crowbar.Data{}, map[string]string{}
	for _, above := range before(s, nr) {
		stage(s, tree, above)
	}
	stage(s, tree, nr)
	for a := range s.Attribs() {
		v, ok := given[a.Name]
		if !ok {
			continue
		}
		maps[a.Name] = a.Map
		if a.Map != "" && v != nil {
			into(tree, with(crowbar.Data{}, a.Map, v))
		}
	}
	if n := s.Node(nr.Node); n != nil {
		if hints := unsealed(n.Hint); len(hints) > 0 {
			tree["hints"] = hints
		}
		if len(n.Quirks) > 0 {
			tree["quirks"] = n.Quirks
		}
	}
	return tree, maps
}

// stage merges what a node-role says, but its secrets.
func stage(s *crowbar.Snapshot, tree crowbar.Data, nr *crowbar.NodeRole) {
	r := s.Role(nr.Role)
	if r == nil {
		return
	}
	parts := []crowbar.Data{r.Template}
	if dr := s.DeploymentRoleOf(nr.Deployment, nr.Role); dr != nil {
		parts = append(parts, dr.Wall, dr.Committed)
	}
	if r.Jig == "script" { // whose walls are nested; those of others are by attribs' names
		parts = append(parts, nr.Wall)
	}
	for _, d := range append(parts, nr.Sys, nr.Committed) {
		into(tree, unsealed(d))
	}
	for a := range s.Attribs() {
		if a.Role != nr.Role || a.Map == "" || IsSecret(a) || computed(a) {
			continue
		}
		if _, said := crowbar.Dig(tree, a.Map); said || a.Default == nil {
			continue
		}
		into(tree, with(crowbar.Data{}, a.Map, a.Default))
	}
}

// before is the node-roles on the same node that one comes after, those without parents first.
func before(s *crowbar.Snapshot, nr *crowbar.NodeRole) []*crowbar.NodeRole {
	var out []*crowbar.NodeRole
	seen := map[crowbar.ID]bool{nr.ID: true}
	for todo := []*crowbar.NodeRole{nr}; len(todo) > 0; todo = todo[1:] {
		for _, l := range todo[0].Parents {
			p := s.NodeRole(l.ID)
			if p == nil || seen[p.ID] {
				continue
			}
			seen[p.ID] = true
			todo = append(todo, p)
			if p.Node == nr.Node {
				out = append(out, p)
			}
		}
	}
	slices.SortFunc(out, func(a, b *crowbar.NodeRole) int {
		return cmp.Or(cmp.Compare(a.Cohort, b.Cohort), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// into merges a map into another one; what is put there is shared with nothing.
func into(d, over crowbar.Data) {
	for key, v := range over {
		above, isMap := v.(crowbar.Data)
		if !isMap {
			d[key] = v
			continue
		}
		below, both := d[key].(crowbar.Data)
		if !both {
			below = crowbar.Data{}
			d[key] = below
		}
		into(below, above)
	}
}

// unsealed is a map without what is sealed in it.
func unsealed(d crowbar.Data) crowbar.Data {
	out := crowbar.Data{}
	for key, v := range d {
		switch below := v.(type) {
		case crowbar.Data:
			out[key] = unsealed(below)
		default:
			if !crowbar.HasSealed(v) {
				out[key] = v
			}
		}
	}
	return out
}
