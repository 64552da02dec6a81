package graph

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// naive is what may begin, found by looking at everything in order.
func naive(s *crowbar.Snapshot) []crowbar.ID {
	var waiting []*crowbar.NodeRole
	for nr := range s.NodeRoles() {
		if nr.State == crowbar.Todo {
			waiting = append(waiting, nr)
		}
	}
	slices.SortFunc(waiting, soonest)
	var out []crowbar.ID
	v := viewOf(s)
	for _, nr := range waiting {
		if v.hindrance(nr).what != free {
			continue
		}
		v.use(nr.Node)
		v.nodes[nr.Node] = use{running: nr, failed: v.nodes[nr.Node].failed}
		v.hold(nr, s.Role(nr.Role))
		out = append(out, nr.ID)
	}
	return out
}

func listed(f *Frontier) []crowbar.ID {
	var out []crowbar.ID
	for nr := range f.Runnable() {
		out = append(out, nr.ID)
	}
	return out
}

// TestFrontierKeepsStep: after any history one that moved along knows what a look at everything finds, however many states it
// has skipped, and one that looks only now as well.
func TestFrontierKeepsStep(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		w := newWorld(t, cluster()...)
		w.bind("etcd@n0 master@n0")
		h := &past{world: w, running: map[crowbar.ID]bool{}}
		var f Frontier
		for i := range rapid.IntRange(1, 60).Draw(r, "steps") {
			h.step(r)
			if rapid.IntRange(0, 9).Draw(r, "pause") == 0 {
				c := *w.s.Deployment(w.dep.ID)
				c.Paused = !c.Paused
				w.s = w.s.Apply(w.s.Rev()+1, crowbar.Change{Put: &c})
			}
			if rapid.IntRange(0, 2).Draw(r, "look") == 0 {
				continue
			}
			f.Move(w.s)
			var fresh Frontier
			fresh.Move(w.s)
			want := naive(w.s)
			if got := listed(&f); !slices.Equal(got, want) {
				r.Fatalf("after step %d it knows %v, want %v", i, got, want)
			}
			if got := listed(&fresh); !slices.Equal(got, want) {
				r.Fatalf("after step %d a fresh one knows %v, want %v", i, got, want)
			}
		}
	})
}

// TestFrontierOfManyNodes: a change of many nodes at once is taken in another way than that of a few.
func TestFrontierOfManyNodes(t *testing.T) {
	w := newWorld(t, cluster()...)
	w.bind("etcd@n0 master@n0")
	for i := range 100 {
		w.bind(fmt.Sprintf("minion@n%d", i))
	}
	w.commit()
	var f Frontier
	f.Move(w.s)
	for round := 0; len(naive(w.s)) > 0; round++ {
		for i, id := range naive(w.s) {
			begun, err := Begin(w.s, id, "d1")
			if err != nil {
				continue // what ran before it in this round keeps it
			}
			w.apply(begun, nil)
			w.apply(Finish(w.s, id, w.s.NodeRole(id).Attempt, crowbar.Outcome{}))
			if round%2 == 0 && i < 20 { // one node at a time; else all at once
				f.Move(w.s)
				if got, want := listed(&f), naive(w.s); !slices.Equal(got, want) {
					t.Fatalf("round %d: it knows %v, want %v", round, got, want)
				}
			}
		}
		f.Move(w.s)
		if got, want := listed(&f), naive(w.s); !slices.Equal(got, want) {
			t.Fatalf("after round %d it knows %v, want %v", round, got, want)
		}
	}
	for nr := range w.s.NodeRoles() {
		if nr.State != crowbar.Active {
			t.Fatalf("%s is %s at the end", w.label(nr), nr.State)
		}
	}
}
