package graph

import (
	"strings"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// mendables is what may be mended, or why nothing may.
func (w *world) mendables() string {
	w.t.Helper()
	list, held, err := Mendable(w.s, w.dep.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	if held.Why != "" {
		return held.Why
	}
	var out []string
	for _, nr := range list {
		out = append(out, w.label(nr))
	}
	return strings.Join(out, " ")
}

func TestMendable(t *testing.T) {
	all := func(w *world) string {
		var out []string
		for _, nr := range byCohort(in(w.s, w.dep.ID)) {
			out = append(out, w.label(nr))
		}
		return strings.Join(out, " ")
	}
	without := func(w *world, places ...string) string {
		left := " " + all(w) + " "
		for _, p := range places {
			left = strings.Replace(left, " "+p+" ", " ", 1)
		}
		return strings.TrimSpace(left)
	}
	edit := func(w *world, what string, how func(*crowbar.NodeRole)) {
		c := *w.at(what)
		how(&c)
		w.apply([]crowbar.Change{{Put: &c}}, nil)
	}
	node := func(w *world, name string, how func(*crowbar.Node)) {
		c := *w.s.Node(w.node(name))
		how(&c)
		w.apply([]crowbar.Change{{Put: &c}}, nil)
	}
	tests := map[string]struct {
		hold func(w *world)
		want func(w *world) string
	}{
		"nothing is held": {want: all},
		"paused": {hold: func(w *world) {
			c := *w.s.Deployment(w.dep.ID)
			c.Paused = true
			w.apply([]crowbar.Change{{Put: &c}}, nil)
		}, want: func(*world) string { return "it is paused" }},
		"proposed": {hold: func(w *world) { w.apply(Propose(w.s, w.dep.ID)) }, want: func(*world) string { return "it is proposed" }},
		"a plan": {hold: func(w *world) { w.hold("prep@a") }, want: func(*world) string {
			return "it is bound to the plan of 2026-01-02 12:00 UTC: 'kubeclamp deployments release k8s' ends that"
		}},
		"something runs":             {hold: func(w *world) { w.apply(Retry(w.s, w.at("minion@d").ID)) }, want: func(*world) string { return "it is not at rest: minion on d runs or is about to" }},
		"a node-role, by a person":   {hold: func(w *world) { edit(w, "etcd@b", func(nr *crowbar.NodeRole) { nr.Available = false }) }, want: func(w *world) string { return without(w, "etcd@b") }},
		"changed, and not committed": {hold: func(w *world) { edit(w, "etcd@b", func(nr *crowbar.NodeRole) { nr.Stale = true }) }, want: func(w *world) string { return without(w, "etcd@b") }},
		"a node, by a person": {hold: func(w *world) { node(w, "d", func(n *crowbar.Node) { n.Available = false }) },
			want: func(w *world) string {
				return without(w, "prep@d", "proxy@d", "docker@d", "flannel@d", "minion@d")
			}},
		"a node that is dark": {hold: func(w *world) { node(w, "d", func(n *crowbar.Node) { n.Alive = false }) },
			want: func(w *world) string {
				return without(w, "prep@d", "proxy@d", "docker@d", "flannel@d", "minion@d")
			}},
		// It was stopped by a person, say: neither it, nor what would begin it again, nor its node.
		"something in error": {hold: func(w *world) {
			edit(w, "minion@d", func(nr *crowbar.NodeRole) { nr.State = crowbar.Error })
		}, want: func(w *world) string {
			left := without(w, "prep@d", "proxy@d", "docker@d", "flannel@d", "minion@d")
			for _, l := range w.at("minion@d").Parents {
				left = strings.TrimSpace(strings.Replace(" "+left+" ", " "+w.label(w.s.NodeRole(l.ID))+" ", " ", 1))
			}
			return left
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := three(t)
			w.settle()
			if tt.hold != nil {
				tt.hold(w)
			}
			if got, want := w.mendables(), tt.want(w); got != want || got == "" {
				t.Errorf("%s\nwant %s", got, want)
			}
		})
	}
}
