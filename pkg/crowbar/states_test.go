package crowbar

import (
	"testing"

	"pgregory.net/rapid"
)

// Whatever comes, goes, changes its state or moves: the counts are those that a look at everything gives.
func TestStatesAreCounted(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		s := NewSnapshot()
		for range rapid.IntRange(1, 60).Draw(r, "steps") {
			id := ID(rapid.IntRange(1, 12).Draw(r, "id"))
			nr := &NodeRole{ID: id, Node: 1, Role: id, Deployment: ID(rapid.IntRange(20, 21).Draw(r, "deployment")), State: State(rapid.IntRange(-1, 4).Draw(r, "state"))}
			c := Change{Put: nr}
			if rapid.IntRange(0, 3).Draw(r, "drop") == 0 {
				c = Change{Drop: nr}
			}
			s = s.Apply(s.Rev()+1, c)
			want := map[ID]States{}
			var all States
			for nr := range s.NodeRoles() {
				n := want[nr.Deployment]
				*n.of(nr.State)++
				*all.of(nr.State)++
				want[nr.Deployment] = n
			}
			if s.States(20) != want[20] || s.States(21) != want[21] || s.AllStates() != all || all.Total() != s.Count(KindNodeRole) {
				r.Fatalf("counted %v and %v, there are %v", s.States(20), s.States(21), want)
			}
		}
	})
}
