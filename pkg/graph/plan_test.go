package graph

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// performed is what runs, in order, when everything that may begin begins and ends well, round by round.
func performed(t *rapid.T, s *crowbar.Snapshot, deployment crowbar.ID) []string {
	must := func(c []crowbar.Change, err error) {
		if err != nil {
			t.Fatal(err)
		}
		s = s.Apply(s.Rev()+1, c...)
	}
	must(Commit(s, deployment))
	must(Release(s, deployment, true))
	listed := chain(s, deployment)
	var ran []string
	for next := naive(s); len(next) > 0; next = naive(s) {
		d := drafted(s)
		for _, id := range next {
			nr := d.s.NodeRole(id)
			if nr == nil || nr.State != crowbar.Todo {
				continue
			}
			if slices.ContainsFunc(listed, func(dep *crowbar.Deployment) bool { return dep.ID == nr.Deployment }) {
				ran = append(ran, place(s, nr))
			}
			d.start(nr, "d1")
			if err := d.finish(id, nr.Attempt+1, crowbar.Outcome{Wall: nr.Wall}); err != nil {
				t.Fatal(err)
			}
		}
		must(d.changes(), nil)
	}
	return ran
}

// TestPlanIsWhatRunsAfterAnyHistory holds plans, whose runs are only pretended, against runs, whatever came before: nodes in error and
// dark ones, what is being removed, what runs.
func TestPlanIsWhatRunsAfterAnyHistory(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		w := newWorld(t, tenacious(cluster())...)
		w.bind("etcd@n0 master@n0")
		h := &past{world: w, running: map[crowbar.ID]bool{}}
		for range rapid.IntRange(1, 80).Draw(r, "steps") {
			h.step(r)
		}
		before := slices.Collect(w.s.NodeRoles())
		steps, err := Plan(w.s, w.dep.ID)
		if err != nil {
			r.Fatal(err)
		}
		if now := slices.Collect(w.s.NodeRoles()); !slices.EqualFunc(before, now, func(a, b *crowbar.NodeRole) bool { return a == b && same(a, b) }) {
			r.Fatal("planning has changed the state")
		}
		var planned []string
		for _, st := range steps {
			planned = append(planned, st.Role+" on "+st.Node)
		}
		if ran := performed(r, w.s, w.dep.ID); !slices.Equal(planned, ran) {
			r.Fatalf("planned %v\nran %v\nof %s", planned, ran, w.states())
		}
	})
}
