package crowbar

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestTableIsAMap: a table does what a map does, and no table changes when another one made from it does, also in place.
func TestTableIsAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type version struct {
			t    table[int]
			want map[uint64]int
		}
		versions := []version{{want: map[uint64]int{}}}
		key := rapid.OneOf(rapid.Uint64Range(0, 40), rapid.Uint64Range(0, 5000), rapid.Uint64())
		for i := range rapid.IntRange(1, 60).Draw(t, "steps") {
			from := versions[rapid.IntRange(0, len(versions)-1).Draw(t, "from")]
			next := version{from.t, maps.Clone(from.want)}
			var by *owner
			if rapid.Bool().Draw(t, "in place") {
				by = &owner{}
			}
			for range rapid.IntRange(1, 8).Draw(t, "changes") {
				k := key.Draw(t, "key")
				if rapid.IntRange(0, 2).Draw(t, "delete") == 0 {
					next.t = next.t.del(by, k)
					delete(next.want, k)
				} else {
					next.t = next.t.set(by, k, i)
					next.want[k] = i
				}
			}
			versions = append(versions, next)
		}
		for i, v := range versions {
			got := maps.Collect(v.t.all())
			if !maps.Equal(got, v.want) || v.t.size != len(v.want) {
				t.Fatalf("version %d is %v, want %v", i, got, v.want)
			}
			keys := []uint64{}
			for k := range v.t.all() {
				keys = append(keys, k)
			}
			if !slices.IsSorted(keys) {
				t.Fatalf("out of order: %v", keys)
			}
			for k, want := range v.want {
				if got, ok := v.t.get(k); !ok || got != want {
					t.Fatalf("%d is %d, %v; want %d", k, got, ok, want)
				}
			}
		}
		a, b := versions[rapid.IntRange(0, len(versions)-1).Draw(t, "a")], versions[rapid.IntRange(0, len(versions)-1).Draw(t, "b")]
		want := map[uint64]bool{}
		for _, m := range []map[uint64]int{a.want, b.want} {
			for k := range m {
				x, in := a.want[k]
				y, too := b.want[k]
				if in != too || x != y {
					want[k] = true
				}
			}
		}
		got := map[uint64]bool{}
		for k := range differing(a.t, b.t) {
			got[k] = true
		}
		if !maps.Equal(got, want) {
			t.Fatalf("differing: %v, want %v", got, want)
		}
	})
}

func TestIdsAreASet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var l, old ids
		want, was := map[ID]bool{}, map[ID]bool{}
		for i := range rapid.IntRange(1, 200).Draw(t, "steps") {
			id := ID(rapid.IntRange(1, 150).Draw(t, "id"))
			if rapid.IntRange(0, 3).Draw(t, "out") == 0 {
				l = l.without(nil, id)
				delete(want, id)
			} else {
				l = l.with(nil, id)
				want[id] = true
			}
			if i == 80 {
				old, was = l, maps.Clone(want)
			}
		}
		for _, c := range []struct {
			l    ids
			want map[ID]bool
		}{{l, want}, {old, was}} {
			if got := slices.Collect(c.l.all()); !slices.Equal(got, slices.Sorted(maps.Keys(c.want))) || c.l.len() != len(c.want) || c.l.empty() != (len(c.want) == 0) {
				t.Fatalf("%v, want %v", got, c.want)
			}
		}
	})
}

// TestIndexes: what is found by node, role, parent, run, name and address is what a look at every object finds.
func TestIndexes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := NewSnapshot()
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			var c []Change
			for range rapid.IntRange(1, 5).Draw(t, "changes") {
				c = append(c, drawn(t))
			}
			before := s
			s = s.Apply(s.Rev()+1, c...)
			for _, k := range []Kind{KindNode, KindNodeRole, KindRun} {
				found := map[ID]bool{}
				for id := range s.Changed(before, k) {
					found[id] = true
				}
				for id := range ID(60) {
					if (before.Get(k, id) != s.Get(k, id)) != found[id] {
						t.Fatalf("%s %d has changed %v", k, id, !found[id])
					}
				}
			}
		}
		look(t, s)
	})
}

func drawn(t *rapid.T) Change {
	n := func(what string, most int) ID { return ID(rapid.IntRange(1, most).Draw(t, what)) }
	var o Object
	switch n("kind", 3) {
	case 1:
		o = &Node{ID: n("id", 12), Name: fmt.Sprintf("n%d.%s", n("short", 4), rapid.SampledFrom([]string{"a", "b"}).Draw(t, "domain")), Address: rapid.SampledFrom([]string{"", "10.0.0.1", "10.0.0.2"}).Draw(t, "address")}
	case 2:
		nr := &NodeRole{ID: 20 + n("id", 20), Node: n("node", 3), Role: n("role", 3), Deployment: n("deployment", 2)}
		for p := range ID(20) {
			if rapid.IntRange(0, 5).Draw(t, "parent") == 0 {
				nr.Parents = append(nr.Parents, Link{ID: 21 + p})
			}
		}
		o = nr
	default:
		o = &Run{ID: 40 + n("id", 20), NodeRole: 20 + n("of", 4)}
	}
	if n("drop", 4) == 1 {
		return Change{Drop: o}
	}
	return Change{Put: o}
}

func look(t *rapid.T, s *Snapshot) {
	for id := range ID(60) {
		var on, of, kids []ID
		for nr := range s.NodeRoles() {
			if nr.Node == id {
				on = append(on, nr.ID)
			}
			if nr.Role == id && nr.Deployment == 1 {
				of = append(of, nr.ID)
			}
			if slices.ContainsFunc(nr.Parents, func(l Link) bool { return l.ID == id }) {
				kids = append(kids, nr.ID)
			}
		}
		var each []*NodeRole
		for nr := range s.EachOf(1, id) {
			each = append(each, nr)
		}
		for what, c := range map[string][2][]ID{"on node": {on, named(s.NodeRolesOn(id))}, "of role": {of, named(s.NodeRolesOf(1, id))}, "each of role": {of, named(each)}, "children": {kids, named(s.Children(id))}} {
			if !slices.Equal(c[0], c[1]) {
				t.Fatalf("%s %d: %v, want %v", what, id, c[1], c[0])
			}
		}
		var runs []*Run
		for r := range s.Runs() {
			if r.NodeRole == id {
				runs = append(runs, r)
			}
		}
		if !slices.Equal(runs, s.RunsOf(id)) {
			t.Fatalf("runs of %d: %v, want %v", id, s.RunsOf(id), runs)
		}
	}
	for n := range s.Nodes() {
		var like []*Node
		for o := range s.Nodes() {
			if o.Short() == n.Short() || n.Address != "" && o.Address == n.Address {
				like = append(like, o)
			}
		}
		got := s.NodesLike(n.Short(), n.Address)
		slices.SortFunc(got, func(a, b *Node) int { return int(a.ID) - int(b.ID) })
		if !slices.Equal(got, like) {
			t.Fatalf("nodes like %s: %v, want %v", n.Name, got, like)
		}
		if found := s.NodeNamed(n.Name); found == nil || found.Name != n.Name {
			t.Fatalf("node named %s: %v", n.Name, found)
		}
	}
}

func named(list []*NodeRole) []ID {
	var out []ID
	for _, nr := range list {
		out = append(out, nr.ID)
	}
	return out
}
