package etcd

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/roletest"
)

const a2, a3 = "198.18.0.12", "198.18.0.13"

// The suite kills the role at every change, as the founder and as one that joins.
func TestSuite(t *testing.T) {
	for name, others := range map[string][]string{"founder": nil, "third": {a2, a3}, "fifth": {a2, a3, "198.18.0.14", "198.18.0.15"}} {
		t.Run(name, func(t *testing.T) {
			roletest.Suite(t, func(n *roletest.Node) role.Target {
				w := newWorld(t, n, others...)
				w.steady = true
				return w.target(len(others) == 0, others...)
			}, New())
		})
	}
}

func TestMembership(t *testing.T) {
	tests := map[string]struct {
		spoil  func(w *world, on *role.Target)
		want   string // members afterwards
		change string // one that has to be among the changes
	}{
		"joins": {want: "n2 a1 voter, n3 a2 voter, n1 a3 voter", change: "join member n1 (https://198.18.0.11:2380)"},
		"lags":  {spoil: func(w *world, _ *role.Target) { w.lags = 2 }, want: "n2 a1 voter, n3 a2 voter, n1 a3 voter"},
		"founder comes back while others serve": {spoil: func(_ *world, on *role.Target) { on.First = true },
			want: "n2 a1 voter, n3 a2 voter, n1 a3 voter", change: "join member n1 (https://198.18.0.11:2380)"},
		"added but never started": {spoil: func(w *world, _ *role.Target) { w.members = append(w.members, w.member("", nodeAddress, true)) },
			want: "n2 a1 voter, n3 a2 voter, n1 a4 voter", change: "remove member n1 (a3: its data is gone)"},
		"data lost": {spoil: func(w *world, _ *role.Target) { w.members = append(w.members, w.member("n1", nodeAddress, false)) },
			want: "n2 a1 voter, n3 a2 voter, n1 a4 voter", change: "remove member n1 (a3: its data is gone)"},
		"data of a removed member": {spoil: func(w *world, _ *role.Target) { w.data = 0x77 },
			want: "n2 a1 voter, n3 a2 voter, n1 a3 voter", change: "move data /var/lib/etcd/member (it belongs to no member of this cluster)"},
		"learner of a dead run": {spoil: func(w *world, on *role.Target) {
			w.members = append(w.members, w.member("", "198.18.0.14", true))
			on.Peers = append(on.Peers, role.Peer{Role: "etcd", Node: "n4", Address: "198.18.0.14"})
		}, want: "n2 a1 voter, n3 a2 voter, n1 a4 voter"},
		"ghost": {spoil: func(w *world, _ *role.Target) { w.members = append(w.members, w.member("gone", "198.18.0.15", false)) },
			want: "n2 a1 voter, n3 a2 voter, n1 a4 voter", change: "remove member gone (of no node of the deployment)"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			n := roletest.NewNode()
			w := newWorld(t, n, a2, a3)
			on := w.target(false, a2, a3)
			if tt.spoil != nil {
				tt.spoil(w, &on)
			}
			res := roletest.Apply(t, New(), on)
			if got := w.list(); got != tt.want {
				t.Errorf("members %q, want %q", got, tt.want)
			}
			if has := slices.ContainsFunc(res.Changes, func(c role.Change) bool { return c.String() == tt.change }); tt.change != "" && !has {
				t.Errorf("changes %v, want %q among them", res.Changes, tt.change)
			}
			if res.Wall["etcd-endpoint"] != "https://198.18.0.11:2379" || res.Wall["etcd-server-version"] != "3.7.3" || n.Files[firstFile] != nil {
				t.Errorf("wall %v, bootstrap file %v", res.Wall, n.Files[firstFile])
			}
			roletest.NothingToDo(t, New(), n, on)
		})
	}
}

func TestRefusals(t *testing.T) {
	tests := map[string]struct {
		spoil func(w *world, on *role.Target)
		kind  crowbar.ErrorKind
		says  string
	}{
		"nobody answers": {func(w *world, _ *role.Target) { w.running = nil }, crowbar.Unavailable, "connection refused"},
		"one is sick":    {func(w *world, _ *role.Target) { w.running[clientAt(a3)] = false }, crowbar.Unavailable, "not every member of etcd is healthy, so its membership stays as it is: n3: connection refused"},
		"foreign learner": {func(w *world, _ *role.Target) {
			m := w.member("", "198.18.0.16", true)
			m.ClientURLs = []string{clientAt("198.18.0.16")}
			w.running[clientAt("198.18.0.16")] = true
			w.members = append(w.members, m)
		}, crowbar.Conflict, "promote or remove it first"},
		"all data lost": {func(w *world, on *role.Target) {
			w.running, on.Peers, on.First, on.Again = nil, on.Peers[:1], true, true
		}, crowbar.Conflict, "put the data back, or unbind etcd from n1"},
		"bad data dir": {func(_ *world, on *role.Target) { on.Attribs["etcd-data-dir"] = "/var/lib/etcd; rm -rf /" }, crowbar.Invalid, "clean absolute path"},
		"one port":     {func(_ *world, on *role.Target) { on.Attribs["etcd-peer-port"] = 2379 }, crowbar.Invalid, "two different ports"},
		"no address":   {func(_ *world, on *role.Target) { on.Address = "" }, crowbar.Invalid, "set the node's address"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			n := roletest.NewNode()
			w := newWorld(t, n, a2, a3)
			on := w.target(false, a2, a3)
			tt.spoil(w, &on)
			before := w.list()
			_, err := New().Apply(context.Background(), on)
			if err == nil || crowbar.KindOf(err) != tt.kind || !strings.Contains(err.Error(), tt.says) {
				t.Fatalf("error %v of kind %d, want kind %d and %q", err, crowbar.KindOf(err), tt.kind, tt.says)
			}
			if w.list() != before {
				t.Errorf("members changed to %s", w.list())
			}
		})
	}
}

func TestRestartNeedsTheOthers(t *testing.T) {
	n := roletest.NewNode()
	w := newWorld(t, n, a2, a3)
	on := w.target(false, a2, a3)
	roletest.Apply(t, New(), on)
	starts := n.Units[unit].Starts
	w.running[clientAt(a2)] = false
	n.Write(envFile, "ETCD_NAME=x\n", 0o644)
	if _, err := New().Apply(context.Background(), on); err == nil || n.Units[unit].Starts != starts {
		t.Fatalf("restarted although n2 is down: %v", err)
	}
	w.running[clientAt(a2)] = true
	roletest.Apply(t, New(), on)
	if n.Units[unit].Starts != starts+1 {
		t.Fatal("not restarted although all others are healthy")
	}
}

func TestUpgrade(t *testing.T) {
	for name, fails := range map[string]bool{"to one that serves": false, "to one that does not": true} {
		t.Run(name, func(t *testing.T) {
			n := roletest.NewNode()
			w := newWorld(t, n, a2, a3)
			on := w.target(false, a2, a3)
			roletest.Apply(t, New(), on)
			n.Units[reader] = &roletest.Unit{Distro: true, Active: "active"}
			was, first := n.Content(server), on.Artifacts
			on.Artifacts = &roletest.Artifacts{Node: n, Version: "2"}
			n.FailsWith = map[string]string{}
			if fails {
				n.FailsWith[unit] = "etcd/etcd 2"
			}
			_, err := New().Apply(t.Context(), on)
			if n.Files[before] == nil {
				t.Error("there is no snapshot of before")
			}
			if n.Units[reader].Active != "active" || n.Units[unit].Active != "active" {
				t.Errorf("etcd is %s, the API server %s", n.Units[unit].Active, n.Units[reader].Active)
			}
			if !fails {
				if err != nil || n.Content(server) == was {
					t.Errorf("it has %s: %v", n.Content(server), err)
				}
				return
			}
			if err == nil || crowbar.KindOf(err) != crowbar.Invalid || !strings.Contains(err.Error(), "was put back there and serves") {
				t.Errorf("error %v", err)
			}
			if n.Content(server) != was {
				t.Errorf("it has %s", n.Content(server))
			}
			on.Artifacts = first
			roletest.NothingToDo(t, New(), n, on)
		})
	}
}

func TestRemove(t *testing.T) {
	n := roletest.NewNode()
	w := newWorld(t, n, a2, a3)
	on := w.target(false, a2, a3)
	roletest.Apply(t, New(), on)
	w.running[clientAt(a3)] = false
	if err := New().(role.Remover).Remove(context.Background(), on); err == nil || !strings.Contains(err.Error(), "n3") {
		t.Fatalf("removed although n3 is down: %v", err)
	}
	w.running[clientAt(a3)] = true
	if err := New().(role.Remover).Remove(context.Background(), on); err != nil {
		t.Fatal(err)
	}
	if got := w.list(); got != "n2 a1 voter, n3 a2 voter" || n.Files[envFile] != nil || w.data != 0 {
		t.Errorf("after the removal: members %s, data %x", got, w.data)
	}
}

// What a joining member is told must not depend on the order in which etcd lists members.
func TestInitialCluster(t *testing.T) {
	c := config{Name: "n1", Address: nodeAddress, PeerPort: 2380}
	list := []member{{ID: 3, PeerURLs: []string{peerAt(nodeAddress)}}, {ID: 0x2b, PeerURLs: []string{peerAt(a3)}}, {ID: 1, Name: "n2", PeerURLs: []string{peerAt(a2)}}}
	want := "2b=https://198.18.0.13:2380,n1=https://198.18.0.11:2380,n2=https://198.18.0.12:2380"
	if got := c.initialCluster(list); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	slices.Reverse(list)
	if got := c.initialCluster(list); got != want {
		t.Errorf("reversed: got %s, want %s", got, want)
	}
}
