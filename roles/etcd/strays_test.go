package etcd

import (
	"strings"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/roletest"
)

// straysOf is "name mend, ..." of what the role finds.
func straysOf(t *testing.T, on role.Target) string {
	t.Helper()
	on.DryRun = true
	list, err := roletest.Strays(t, New(), on)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, x := range list {
		out = append(out, strings.TrimSpace(x.Name+" "+string(x.Mend)))
		if x.Says == "" || (x.Mend == crowbar.MendByHand) != (x.Remedy != "") {
			t.Errorf("%+v", x)
		}
	}
	return strings.Join(out, ", ")
}

func TestStrays(t *testing.T) {
	const ghost = "198.18.0.14"
	tests := map[string]struct {
		spoil func(w *world, on *role.Target)
		want  string
		left  string // after what a peer takes out was taken out
	}{
		"none":                {want: ""},
		"a stale learner":     {spoil: func(w *world, _ *role.Target) { w.members = append(w.members, w.member("", ghost, true)) }, want: peerAt(ghost) + " forget"},
		"a voter that is off": {spoil: func(w *world, _ *role.Target) { w.members = append(w.members, w.member("old", ghost, false)) }, want: "old forget"},
		"one that answers": {spoil: func(w *world, _ *role.Target) {
			w.members = append(w.members, w.member("old", ghost, false))
			w.running[clientAt(ghost)] = true
		}, want: "old", left: "old"},
		"one at a port of its own": {spoil: func(w *world, _ *role.Target) {
			m := w.member("", ghost, true)
			m.PeerURLs = []string{"https://" + ghost + ":9999"}
			w.members = append(w.members, m)
		}, want: "https://" + ghost + ":9999", left: "https://" + ghost + ":9999"},
		"a node without a member": {spoil: func(w *world, on *role.Target) {
			on.Peers = append(on.Peers, role.Peer{Role: "etcd", Node: "n9", Address: ghost, Settled: true, Alive: true})
		}, want: "n9 rerun", left: "n9 rerun"},
		"a node that is still on its way": {spoil: func(w *world, on *role.Target) {
			on.Peers = append(on.Peers, role.Peer{Role: "etcd", Node: "n9", Address: ghost, Settled: true, State: crowbar.Todo})
			on.Peers = append(on.Peers, role.Peer{Role: "etcd", Node: "n8", Address: "198.18.0.98", State: crowbar.Todo})
			w.members = append(w.members, w.member("", "198.18.0.98", true))
		}, want: ""},
		"a node whose member has no vote": {spoil: func(w *world, _ *role.Target) { w.find(peerAt(a3)).IsLearner = true }, want: "n3 rerun", left: "n3 rerun"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			n := roletest.NewNode()
			w := newWorld(t, n, a2, a3)
			on := w.target(false, a2, a3)
			if _, err := New().Apply(t.Context(), on); err != nil {
				t.Fatal(err)
			}
			if tt.spoil != nil {
				tt.spoil(w, &on)
			}
			if got := straysOf(t, on); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
			if strings.HasSuffix(tt.want, " forget") {
				gone := role.Action{Name: role.Forget, Args: crowbar.Data{"node": "old", "address": ghost}}
				if _, err := New().(role.Actor).Act(t.Context(), on, gone); err != nil {
					t.Fatal(err)
				}
			}
			if got := straysOf(t, on); got != tt.left {
				t.Errorf("afterwards %q, want %q", got, tt.left)
			}
		})
	}
}

// The node that is asked need not be a member itself any more: another one answers for it.
func TestStraysWhereOneMemberIsOut(t *testing.T) {
	n := roletest.NewNode()
	w := newWorld(t, n, a2, a3)
	on := w.target(false, a2, a3)
	if _, err := New().Apply(t.Context(), on); err != nil {
		t.Fatal(err)
	}
	on.Peers[0].Settled = true
	w.members = w.members[:2]
	if got := straysOf(t, on); got != "n1 rerun" {
		t.Errorf("%q", got)
	}
	w.alone = true
	if _, err := roletest.Strays(t, New(), on); crowbar.KindOf(err) != crowbar.Unavailable {
		t.Errorf("without a quorum: %v", err)
	}
}
