package flannel

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/roletest"
)

func TestSuite(t *testing.T) {
	for _, be := range []string{"vxlan", "udp", "host-gw", "wireguard"} {
		t.Run(be, func(t *testing.T) {
			roletest.Suite(t, func(n *roletest.Node) role.Target {
				w := newWorld(t, n)
				w.kernel += "wireguard\n"
				return w.target(crowbar.Data{"flannel-backend": be})
			}, New())
		})
	}
}

func TestNetworkConfig(t *testing.T) {
	tests := map[string]struct {
		more crowbar.Data
		want string
	}{
		"vxlan":     {nil, `{"Backend":{"Port":8472,"Type":"vxlan","VNI":1},"Network":"10.244.0.0/16","SubnetLen":24}`},
		"udp":       {crowbar.Data{"flannel-backend": "udp"}, `{"Backend":{"Port":8285,"Type":"udp"},"Network":"10.244.0.0/16","SubnetLen":24}`},
		"host-gw":   {crowbar.Data{"flannel-backend": "host-gw", "flannel-port": 9}, `{"Backend":{"Type":"host-gw"},"Network":"10.244.0.0/16","SubnetLen":24}`},
		"wireguard": {crowbar.Data{"flannel-backend": "wireguard"}, `{"Backend":{"ListenPort":51820,"Type":"wireguard"},"Network":"10.244.0.0/16","SubnetLen":24}`},
		"own port":  {crowbar.Data{"flannel-port": 4789, "flannel-subnet-length": 25}, `{"Backend":{"Port":4789,"Type":"vxlan","VNI":1},"Network":"10.244.0.0/16","SubnetLen":25}`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, roletest.NewNode())
			w.kernel += "wireguard\n"
			roletest.Apply(t, New(), w.target(tt.more))
			if got := w.keys["/kubeclamp/network/config"]; got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	tests := map[string]struct {
		more  crowbar.Data
		spoil func(w *world, on *role.Target)
		kind  crowbar.ErrorKind
		says  string
	}{
		"other config": {spoil: func(w *world, _ *role.Target) {
			w.keys["/kubeclamp/network/config"] = `{"Network":"10.1.0.0/16","Backend":{"Type":"udp"}}`
		}, kind: crowbar.Conflict, says: "unbind flannel from all nodes"},
		"no wireguard":        {more: crowbar.Data{"flannel-backend": "wireguard"}, kind: crowbar.Invalid, says: "has no wireguard: install a kernel that has it, or choose vxlan"},
		"etcd down":           {spoil: func(w *world, _ *role.Target) { w.down = true }, kind: crowbar.Unavailable, says: "connection refused"},
		"no etcd":             {spoil: func(_ *world, on *role.Target) { on.Peers = nil }, kind: crowbar.Invalid, says: "bind etcd"},
		"host bits":           {more: crowbar.Data{"kubernetes-pod-cidr": "10.244.1.0/16"}, kind: crowbar.Invalid, says: "without host bits"},
		"subnets too long":    {more: crowbar.Data{"flannel-subnet-length": 16}, kind: crowbar.Invalid, says: "more than the 16"},
		"backend":             {more: crowbar.Data{"flannel-backend": "ipip"}, kind: crowbar.Invalid, says: "want udp"},
		"not in node-network": {more: crowbar.Data{"node-network": "203.0.113.0/24"}, kind: crowbar.Invalid, says: "an address in node-network 203.0.113.0/24; it has eth0 198.18.0.11/16"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			n := roletest.NewNode()
			w := newWorld(t, n)
			on := w.target(tt.more)
			if tt.spoil != nil {
				tt.spoil(w, &on)
			}
			n.Reset()
			res, err := New().Apply(context.Background(), on)
			if err == nil || crowbar.KindOf(err) != tt.kind || !strings.Contains(err.Error(), tt.says) {
				t.Fatalf("error %v, want kind %d and %q", err, tt.kind, tt.says)
			}
			if n.Puts != 0 || len(res.Changes) != 0 {
				t.Errorf("%d files were written, changes %v", n.Puts, res.Changes)
			}
		})
	}
}

func TestUnderlay(t *testing.T) {
	for network, want := range map[string]string{"": "--iface=198.18.0.11 ", "192.0.2.0/24": "--iface=192.0.2.11 ", "198.18.0.0/15": "--iface=198.18.0.11 "} {
		n := roletest.NewNode()
		res := roletest.Apply(t, New(), newWorld(t, n).target(crowbar.Data{"node-network": network}))
		if text := n.Files["/etc/systemd/system/"+unit].Content; !strings.Contains(text, want) {
			t.Errorf("node-network %q: %s, want %s", network, text, want)
		}
		if res.Wall["flannel-interface"] != "flannel.1" || res.Wall["flannel-subnet"] != subnet {
			t.Errorf("wall %v", res.Wall)
		}
	}
}

// The order in which peers are told, and that one of them is being applied again, must not restart flanneld.
func TestPeersInAnyOrder(t *testing.T) {
	n := roletest.NewNode()
	w := newWorld(t, n)
	on := w.target(nil)
	roletest.Apply(t, New(), on)
	slices.Reverse(on.Peers)
	roletest.NothingToDo(t, New(), n, on)
	on.Peers[0].Settled, on.Peers[0].Wall = false, crowbar.Data{"etcd-member-id": "1"}
	roletest.NothingToDo(t, New(), n, on)
	on.Peers = append(on.Peers, role.Peer{Role: "etcd", Node: "n4", Address: "198.18.0.14"})
	roletest.NothingToDo(t, New(), n, on)
	on.Peers[2].Settled = true
	starts := n.Units[unit].Starts
	roletest.Apply(t, New(), on)
	if n.Units[unit].Starts != starts+1 {
		t.Error("a new member that serves is not told to flanneld")
	}
}

func TestRemove(t *testing.T) {
	w := newWorld(t, roletest.NewNode())
	on := w.target(nil)
	roletest.Apply(t, New(), on)
	if err := New().(role.Remover).Remove(context.Background(), on); err != nil {
		t.Fatal(err)
	}
	if len(w.keys) != 1 || w.keys["/kubeclamp/network/config"] == "" {
		t.Errorf("the lease should be gone and the config stay for n2; etcd has %v", w.keys)
	}
	roletest.Apply(t, New(), on)
	on.Last = true
	if err := New().(role.Remover).Remove(context.Background(), on); err != nil || len(w.keys) != 0 {
		t.Errorf("the last node should take the config with it; etcd has %v, %v", w.keys, err)
	}
}

func TestLeaseScript(t *testing.T) {
	tests := map[string]struct{ subnet, pods, bip string }{
		"24":        {"10.244.5.1/24", "10.244.5.0/25", "10.244.5.129/25"},
		"20":        {"10.244.16.1/20", "10.244.16.0/21", "10.244.24.1/21"},
		"26 middle": {"10.244.5.65/26", "10.244.5.64/27", "10.244.5.97/27"},
		"high":      {"240.0.255.1/24", "240.0.255.0/25", "240.0.255.129/25"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			run, dir := shell(t, "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET="+tt.subnet+"\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n")
			if out := run("check"); strings.Count(out, "\n") != 2 {
				t.Errorf("before: %q is stale, want both files", out)
			}
			run("apply")
			conf, env := read(t, dir, "conflist"), read(t, dir, "docker.env")
			if !strings.Contains(conf, `"subnet": "`+tt.pods+`"`) || !strings.Contains(conf, `"mtu": 1450`) || !strings.Contains(env, "--bip="+tt.bip+" --mtu=1450 --ip-masq=false") {
				t.Errorf("want pods %s and bip %s:\n%s%s", tt.pods, tt.bip, conf, env)
			}
			if out := run("check"); out != "" {
				t.Errorf("after: %q is stale", out)
			}
		})
	}
}

func TestLeaseScriptFollows(t *testing.T) {
	run, dir := shell(t, "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.5.1/24\nFLANNEL_MTU=1450\n")
	run("apply")
	if err := os.WriteFile(filepath.Join(dir, "lease"), []byte("FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.9.1/24\nFLANNEL_MTU=1400\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run("apply")
	if c := read(t, dir, "conflist"); !strings.Contains(c, "10.244.9.0/25") || !strings.Contains(c, `"mtu": 1400`) {
		t.Errorf("another lease is not followed:\n%s", c)
	}
}

// shell runs the script with its files in a folder of the test.
func shell(t *testing.T, lease string) (run func(string) string, dir string) {
	dir = t.TempDir()
	for name, text := range map[string]string{"lease.sh": leaseScript, "lease": lease} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return func(do string) string {
		c := exec.Command("/bin/sh", filepath.Join(dir, "lease.sh"), do)
		c.Env = []string{"FLANNEL_LEASE_FILE=" + dir + "/lease", "FLANNEL_CONFLIST=" + dir + "/conflist", "FLANNEL_DOCKER_ENV=" + dir + "/docker.env", "FLANNEL_TOUCH_NOTHING=1"}
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("lease.sh %s: %v: %s", do, err, out)
		}
		return string(out)
	}, dir
}

func read(t *testing.T, dir, name string) string {
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
