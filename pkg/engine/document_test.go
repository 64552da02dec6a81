package engine

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kubeclamp/kubeclamp/pkg/barclamp"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/graph"
)

// site has what small has not: secrets of nodes, a service that nobody asks for, one role in another's place.
const site = `
barclamp: { name: site }
attribs:
  - { name: site-password, map: site/password, secret: true, schema: { type: str } }
  - { name: site-notes, map: site/notes, schema: { type: map, mapping: { "=": { type: str } } } }
roles:
  - { name: watcher, jig: noop, flags: [service], requires: [config], attribs: [{ name: watcher-every, map: watcher/every, default: 5, schema: { type: int } }] }
  - { name: otherbase, jig: ssh, provides: [base] }
`

func siteWorld(t *testing.T) *world {
	w := build(t)
	c, err := barclamp.Parse(barclamp.File{Path: "site.yml", Data: []byte(site)})
	if err == nil {
		err = w.Import(t.Context(), c)
	}
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) document(deployment string) crowbar.Exported {
	w.t.Helper()
	out, err := w.Document(w.View().DeploymentNamed(deployment).ID)
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

func text(t *testing.T, v any) string {
	t.Helper()
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// grown draws a deployment that was made in steps: nodes, roles, values and networks, some of it committed and run.
func grown(t *testing.T, r *rapid.T) *world {
	w := siteWorld(t)
	c := crowbar.Cluster{Deployment: "k", Nodes: []crowbar.ClusterNode{}}
	said := rapid.SampledFrom([]string{"", "a", "two words: # x", "ö"})
	c.Description = said.Draw(r, "of the deployment")
	if rapid.Bool().Draw(r, "below another") {
		if err := w.Apply(t.Context(), crowbar.Cluster{Deployment: "above", Description: "x"}, false); err != nil {
			r.Fatal(err)
		}
		c.Parent = "above"
	}
	words := rapid.SampledFrom([]string{"a", "z1", "yes", "1e3", "", " x ", "a: b # c", "two\nlines\n", "ö", "null", "~"})
	for i := range rapid.IntRange(0, 3).Draw(r, "networks") {
		n := crowbar.ClusterNetwork{Name: fmt.Sprintf("net%d", i), Conduit: "1g0", VLAN: 10 + i, UseVLAN: rapid.Bool().Draw(r, "use_vlan"), Description: words.Draw(r, "description")}
		if rapid.Bool().Draw(r, "six") {
			n.V6Prefix = fmt.Sprintf("fd00:0:0:%d", i+1)
		}
		for j := range rapid.IntRange(0, 2).Draw(r, "ranges") {
			n.Ranges = append(n.Ranges, crowbar.ClusterRange{Name: []string{"host", "spare"}[j], First: fmt.Sprintf("10.%d.%d.10/24", i, j), Last: fmt.Sprintf("10.%d.%d.90/24", i, j)})
		}
		if len(n.Ranges) > 0 && rapid.Bool().Draw(r, "router") {
			n.Routers = []crowbar.ClusterRouter{{Address: fmt.Sprintf("10.%d.0.1/24", i), Pref: rapid.IntRange(0, 3).Draw(r, "pref")}}
		}
		c.Networks = append(c.Networks, n)
	}
	roles := []string{"base", "db", "app", "watcher", "config", "otherbase"}
	for _, n := range c.Networks {
		roles = append(roles, "network-"+n.Name)
	}
	names := rapid.Permutation([]string{"n1.a.b", "n2", "n10.a.b", "m"}).Draw(r, "names")
	for i, name := range names[:rapid.IntRange(0, 4).Draw(r, "nodes")] {
		n := crowbar.ClusterNode{Name: name, Description: said.Draw(r, "of the node"), Address: fmt.Sprintf("10.9.0.%d", i+1), Roles: rapid.SliceOfDistinct(rapid.SampledFrom(roles), func(s string) string { return s }).Draw(r, "roles")}
		if rapid.Bool().Draw(r, "ssh") {
			n.SSH = crowbar.ClusterSSH{Port: 2222, User: "admin", HostKey: rapid.SampledFrom([]string{"", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBbC3Jz0lGUoS7ysfRpHZoHFqzqyPkVdpjYzJ0g1lQmh"}).Draw(r, "key")}
		}
		c.Nodes = append(c.Nodes, n)
	}
	if err := w.Apply(t.Context(), c, false); err != nil {
		r.Skip(err.Error()) // roles that cannot be beside each other
	}
	id := w.View().DeploymentNamed("k").ID
	for range rapid.IntRange(0, 8).Draw(r, "values") {
		w.sayOne(t, r, id, words)
	}
	if rapid.Bool().Draw(r, "commit") {
		if err := w.Commit(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	if rapid.Bool().Draw(r, "run") {
		w.drain(func(*crowbar.Work) crowbar.Outcome { return crowbar.Outcome{} })
	}
	return w
}

// sayOne sets one attrib, or unbinds one role; what is refused is refused.
func (w *world) sayOne(t *testing.T, r *rapid.T, deployment crowbar.ID, words *rapid.Generator[string]) {
	of := map[string]any{"zone": words.Draw(r, "zone"), "site-password": "hunter22", "site-notes": map[string]any{"a": words.Draw(r, "note"), "b c": "x"},
		"db-port": rapid.SampledFrom([]int{5432, 7, 1 << 40}).Draw(r, "port"), "db-password": "hunter22", "domain": words.Draw(r, "domain"), "watcher-every": 6}
	names := make([]string, 0, len(of))
	for name := range of {
		names = append(names, name)
	}
	slices.Sort(names)
	name := rapid.SampledFrom(names).Draw(r, "attrib")
	s := w.View()
	carriers := []crowbar.Object{s.Deployment(deployment)}
	for n := range s.Nodes() {
		if n.Deployment == deployment && !n.System {
			carriers = append(carriers, n)
		}
	}
	for nr := range s.NodeRoles() {
		carriers = append(carriers, nr)
	}
	at := carriers[rapid.IntRange(0, len(carriers)-1).Draw(r, "carrier")]
	if nr, ok := at.(*crowbar.NodeRole); ok && rapid.IntRange(0, 4).Draw(r, "unbind") == 0 {
		_ = w.Unbind(t.Context(), nr.ID)
		return
	}
	if nr, ok := at.(*crowbar.NodeRole); ok && s.Node(nr.Node).System {
		return // a document has no place for it: it says it of the deployment
	}
	_ = w.Set(t.Context(), at.Kind(), at.Key(), name, of[name])
}

// TestDocumentComesBack: what is written down of a deployment, applied where there is nothing, is written down the same.
// Once the secrets that it names are given, they are named the same as well.
func TestDocumentComesBack(t *testing.T) {
	full := 0
	rapid.Check(t, func(r *rapid.T) {
		w := grown(t, r)
		before := w.document("k")
		var c crowbar.Cluster
		if err := json.Unmarshal([]byte(text(t, before.Cluster)), &c); err != nil {
			t.Fatal(err)
		}
		other := siteWorld(t)
		if c.Parent != "" {
			if err := other.Apply(t.Context(), crowbar.Cluster{Deployment: c.Parent}, false); err != nil {
				r.Fatal(err)
			}
		}
		if err := other.Apply(t.Context(), c, false); err != nil {
			r.Fatalf("%v\n%s", err, text(t, c))
		}
		for _, left := range before.Secrets {
			if err := other.Set(t.Context(), left.Kind, other.find(r, left.Kind, left.On), left.Attrib, "hunter22"); err != nil {
				r.Fatal(err)
			}
		}
		if d := cmp.Diff(text(t, before), text(t, other.document("k"))); d != "" {
			r.Fatal(d)
		}
		if a, b := bound(w, "k"), bound(other, "k"); a != b {
			r.Fatalf("bound were %s\nnow there are %s\nby %s", a, b, text(t, c))
		}
		if len(c.Nodes) > 1 && len(c.Networks) > 0 && len(before.Secrets) > 0 {
			full++
		}
	})
	if full == 0 {
		t.Error("no deployment had all that there can be")
	}
}

func (w *world) find(r *rapid.T, k crowbar.Kind, key string) crowbar.ID {
	s := w.View()
	switch k {
	case crowbar.KindDeployment:
		return s.DeploymentNamed(key).ID
	case crowbar.KindNode:
		return s.NodeNamed(key).ID
	}
	node, role, _ := strings.Cut(key, "/")
	nr := s.NodeRoleOn(s.NodeNamed(node).ID, s.RoleNamed(role).ID)
	if nr == nil {
		r.Fatalf("there is no %s", key)
	}
	return nr.ID
}

// bound is which roles are where.
func bound(w *world, deployment string) string {
	var out []string
	s := w.View()
	for nr := range s.NodeRoles() {
		if nr.Deployment == s.DeploymentNamed(deployment).ID && !nr.Removing {
			out = append(out, s.Node(nr.Node).Short()+"/"+s.Role(nr.Role).Name)
		}
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func TestDocumentOfTheRoot(t *testing.T) {
	w := build(t)
	if _, err := w.Document(w.View().DeploymentNamed(System).ID); crowbar.KindOf(err) != crowbar.Invalid || !strings.Contains(err.Error(), "state export") {
		t.Error(err)
	}
}

// TestApplyPinsWhatItSays: a value that is the default today is set all the same, once.
func TestApplyPinsWhatItSays(t *testing.T) {
	w := build(t)
	c := two()
	c.Attribs["db-port"] = 5432
	c.Nodes[1].Attribs["db-port"] = 5432
	w.apply(c)
	if got := w.document("k").Cluster; text(t, got.Attribs) != "{\n \"db-port\": 5432\n}" || got.Nodes[1].Attribs["db-port"] == nil {
		t.Error(text(t, got))
	}
	rev := w.View().Rev()
	w.apply(c)
	if now := w.View().Rev(); now != rev {
		t.Errorf("the same document again made revision %d of %d", now, rev)
	}
}

func TestDismantle(t *testing.T) {
	w := build(t)
	w.apply(two())
	id := w.View().DeploymentNamed("k").ID
	w.drain(func(*crowbar.Work) crowbar.Outcome { return crowbar.Outcome{} })
	if err := w.Dismantle(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	var gone []string
	for next := graph.Runnable(w.View()); len(next) > 0; next = graph.Runnable(w.View()) {
		if err := w.Dismantle(t.Context(), id); err != nil { // said again, it goes on
			t.Fatal(err)
		}
		work, err := w.Begin(t.Context(), next[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		if !work.Remove {
			t.Errorf("%s runs on %s, not its removal", work.Role.Name, work.Node.Name)
		}
		if err := w.Finish(t.Context(), next[0].ID, work.Attempt, crowbar.Outcome{}); err != nil {
			t.Fatal(err)
		}
		gone = append(gone, work.Role.Name)
	}
	if got := strings.Join(gone, " "); got != "app db db base base" {
		t.Errorf("gone: %s", got)
	}
	if got := bound(w, "k"); got != "k-phantom/config" {
		t.Errorf("still bound: %s", got)
	}
	if err := w.DeleteDeployment(t.Context(), id); err != nil {
		t.Error(err)
	}
	if err := w.Dismantle(t.Context(), w.View().DeploymentNamed(System).ID); crowbar.KindOf(err) != crowbar.Conflict {
		t.Error(err)
	}
}
