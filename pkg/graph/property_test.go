package graph

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Whatever order people, nodes and runs come in: one run a node, exclusives kept, parents before children, and an end at
// which everything is active once nothing fails any more.
func TestAnyHistory(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		w := newWorld(t, tenacious(cluster())...)
		w.bind("etcd@n0 master@n0")
		h := &past{world: w, running: map[crowbar.ID]bool{}}
		for range rapid.IntRange(1, 60).Draw(r, "steps") {
			h.step(r)
			h.check(r)
		}
		h.calm()
		for range 2000 {
			next := Runnable(w.s)
			if len(next) == 0 {
				break
			}
			one := next[rapid.IntRange(0, len(next)-1).Draw(r, "last")]
			h.begin(r, one)
			h.finish(r, one.ID, crowbar.Outcome{})
			h.check(r)
		}
		for nr := range w.s.NodeRoles() {
			if nr.State != crowbar.Active {
				r.Fatalf("%s is %s at the end: %s", w.label(nr), nr.State, Why(w.s, nr.ID))
			}
		}
	})
}

// tenacious has some roles tried again by themselves.
func tenacious(roles []crowbar.Role) []crowbar.Role {
	for i := range roles {
		if roles[i].Name == "docker" || roles[i].Name == "etcd" {
			roles[i].Retry = crowbar.Retry{Times: 2, Backoff: 1e9}
		}
	}
	return roles
}

type past struct {
	*world
	running map[crowbar.ID]bool
}

func (h *past) try(c []crowbar.Change, err error) {
	if err == nil {
		h.s = h.s.Apply(h.s.Rev()+1, c...)
	}
}

// step is one thing that may happen.
func (h *past) step(r *rapid.T) {
	node := func() string { return fmt.Sprintf("n%d", rapid.IntRange(0, 4).Draw(r, "node")) }
	switch rapid.SampledFrom([]string{"bind", "commit", "begin", "begin", "begin", "finish", "finish", "fail", "lose", "retry", "again", "cancel", "redeploy", "rerun", "dead", "alive", "unbind"}).Draw(r, "what") {
	case "bind":
		b := h.binding(rapid.SampledFrom([]string{"etcd", "master", "minion", "docker", "proxy-server"}).Draw(r, "role"), node())
		h.try(Bind(h.s, b))
	case "commit":
		h.try(Commit(h.s, h.dep.ID))
	case "begin":
		if next := Runnable(h.s); len(next) > 0 {
			h.begin(r, next[rapid.IntRange(0, len(next)-1).Draw(r, "which")])
		}
	case "finish":
		h.end(r, crowbar.Outcome{Wall: crowbar.Data{"w": float64(rapid.IntRange(0, 1).Draw(r, "wall"))}})
	case "fail":
		h.end(r, crowbar.Outcome{Failure: "no"})
	case "lose":
		h.end(r, crowbar.Outcome{Lost: true})
	case "retry":
		for nr := range h.s.NodeRoles() {
			if nr.State == crowbar.Error {
				h.try(Retry(h.s, nr.ID))
				break
			}
		}
	case "again":
		for nr := range h.s.NodeRoles() {
			if _, is := nr.RetryAt(); is {
				h.try(Again(h.s, nr.ID, nr.Attempt))
				break
			}
		}
	case "cancel":
		for nr := range h.s.NodeRoles() {
			if nr.State == crowbar.Transition || nr.State == crowbar.Error {
				h.try(Cancel(h.s, nr.ID, "ann"))
				break
			}
		}
	case "redeploy":
		h.try(RedeployNode(h.s, h.node(node())))
	case "rerun":
		h.try(Rerun(h.s, h.dep.ID))
	case "dead":
		h.try(Alive(h.s, h.node(node()), false))
	case "alive":
		h.try(Alive(h.s, h.node(node()), true))
	case "unbind":
		all := slices.Collect(h.s.NodeRoles())
		if len(all) == 0 {
			return
		}
		h.try(Unbind(h.s, all[rapid.IntRange(0, len(all)-1).Draw(r, "gone")].ID))
	}
}

func (h *past) begin(r *rapid.T, nr *crowbar.NodeRole) {
	for _, l := range nr.Parents {
		if p := h.s.NodeRole(l.ID); !nr.Removing && p.State != crowbar.Active && !p.Removing && p.State != crowbar.Proposed {
			r.Fatalf("%s runs before its parent %s, which is %s", h.label(nr), h.label(p), p.State)
		}
	}
	h.apply(Begin(h.s, nr.ID, "d1"))
	h.running[nr.ID] = true
}

// end finishes the oldest run.
func (h *past) end(r *rapid.T, o crowbar.Outcome) {
	for nr := range h.s.NodeRoles() {
		if nr.State == crowbar.Transition {
			h.finish(r, nr.ID, o)
			return
		}
	}
}

func (h *past) finish(r *rapid.T, id crowbar.ID, o crowbar.Outcome) {
	cancelled := h.s.NodeRole(id).Cancel
	c, err := Finish(h.s, id, h.s.NodeRole(id).Attempt, o)
	if err != nil {
		r.Fatal(err)
	}
	h.s = h.s.Apply(h.s.Rev()+1, c...)
	if now := h.s.NodeRole(id); cancelled != "" && now != nil && now.State != crowbar.Error {
		r.Fatalf("%s was cancelled, and is %s", h.label(now), now.State)
	}
	delete(h.running, id)
}

// calm ends all trouble: nodes answer, runs end, errors are retried, everything is committed.
func (h *past) calm() {
	for n := range h.s.Nodes() {
		h.try(Alive(h.s, n.ID, true))
	}
	for nr := range h.s.NodeRoles() {
		if nr.State == crowbar.Transition {
			h.apply(Finish(h.s, nr.ID, nr.Attempt, crowbar.Outcome{}))
		}
	}
	for nr := range h.s.NodeRoles() {
		if nr.State == crowbar.Error {
			h.try(Retry(h.s, nr.ID))
		}
	}
	h.apply(Commit(h.s, h.dep.ID))
}

func (h *past) check(r *rapid.T) {
	busy := map[crowbar.ID]string{}
	locks := map[string]string{}
	for nr := range h.s.NodeRoles() {
		for _, l := range nr.Parents {
			p := h.s.NodeRole(l.ID)
			if p == nil {
				r.Fatalf("%s has a parent that is gone", h.label(nr))
			}
			if p.Cohort >= nr.Cohort {
				r.Fatalf("%s has cohort %d, its parent %s %d", h.label(nr), nr.Cohort, h.label(p), p.Cohort)
			}
		}
		if nr.State == crowbar.Todo && !nr.Removing && !ready(h.s, nr) {
			r.Fatalf("%s is todo: %s", h.label(nr), h.states())
		}
		if nr.State == crowbar.Blocked && ready(h.s, nr) {
			r.Fatalf("%s is blocked by nothing: %s", h.label(nr), h.states())
		}
		if nr.Cancel != "" && nr.State != crowbar.Transition || nr.RetryIn != 0 && nr.State != crowbar.Error {
			r.Fatalf("%s is %s: cancel %q, retry in %v", h.label(nr), nr.State, nr.Cancel, nr.RetryIn)
		}
		if nr.State != crowbar.Transition {
			continue
		}
		n := h.s.Node(nr.Node).Name
		if busy[nr.Node] != "" {
			r.Fatalf("%s and %s run on one node", busy[nr.Node], h.label(nr))
		}
		busy[nr.Node] = h.label(nr)
		for _, e := range h.s.Role(nr.Role).Exclusive {
			if locks[e.Name] != "" {
				r.Fatalf("%s and %s hold %s", locks[e.Name], n, e.Name)
			}
			locks[e.Name] = n
		}
	}
}

// Ten thousand nodes with twenty node-roles each, of which one a node may run.
func BenchmarkRunnable(b *testing.B) {
	s := crowbar.NewSnapshot()
	roles := make([]crowbar.Role, 20)
	for i := range roles {
		roles[i] = role(fmt.Sprintf("r%d implicit", i))
		if i > 0 {
			roles[i].Requires = []string{fmt.Sprintf("r%d", i-1)}
		}
	}
	w := &world{t: b, s: s}
	w.dep = &crowbar.Deployment{ID: 1, Name: "d"}
	w.apply([]crowbar.Change{{Put: w.dep}}, nil)
	w.apply(Import(w.s, &crowbar.Catalog{Barclamp: crowbar.Barclamp{Name: "b"}, Jigs: []crowbar.Jig{{Name: "noop", Active: true}}, Roles: roles}))
	for i := range 10000 {
		w.bind(fmt.Sprintf("r19@n%d", i))
	}
	w.commit()
	b.ResetTimer()
	for b.Loop() {
		if got := len(Runnable(w.s)); got != 10000 {
			b.Fatalf("%d are runnable", got)
		}
	}
}
