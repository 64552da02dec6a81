package nodeprep

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
	"github.com/kubeclamp/kubeclamp/pkg/role/roletest"
)

const interfaces = "1: lo    inet 127.0.0.1/8 scope host lo\n2: eth0    inet 198.18.0.11/16 brd 198.18.255.255 scope global eth0\n2: eth0    inet6 fe80::1/64 scope link\n"

func attribs(more crowbar.Data) crowbar.Data {
	d := crowbar.Data{"node-network": "", "node-prep-min-disk": 4, "node-prep-max-clock-offset": 2, "node-prep-free-ports": []any{}, "node-prep-hostname": true}
	for k, v := range more {
		d[k] = v
	}
	return d
}

// raw sets up a machine as an installer leaves it: swap on, another name, its name on loopback.
func raw(n *roletest.Node) role.Target {
	n.Probe["disk"] = "/dev/vda 100 1 8388608 10% /\n"
	n.Probe["addresses"] = interfaces
	n.Probe["machine-id"] = "aaaa\n"
	n.Probe["swaps"] = "/dev/sda2 partition 1 0 -2\n"
	n.Sysctls["kernel.hostname"] = "debian"
	n.Sysctls["net.ipv4.ip_forward"] = "0"
	n.Sysctls["fs.inotify.max_user_watches"] = "999999"
	n.Write("/etc/hosts", "127.0.0.1\tlocalhost\n127.0.1.1\tn1.example.com n1 other\n", 0o644)
	n.Write("/etc/fstab", "UUID=1 / ext4 defaults 0 1\nUUID=2 none swap sw 0 0\n", 0o644)
	n.ProbeFunc = func(n *roletest.Node, p linux.Probe) (string, int, bool) {
		switch p.Name {
		case "hosts", "fstab":
			return n.Files["/etc/"+p.Name].Content, 0, true
		}
		return "", 0, false
	}
	n.Handle = func(n *roletest.Node, c jig.Cmd) jig.Exit {
		if c.Argv[3] == "off" {
			n.Probe["swaps"] = ""
		}
		if c.Argv[4] != "" {
			n.Sysctls["kernel.hostname"] = c.Argv[4]
		}
		return jig.Exit{}
	}
	return n.Target(attribs(nil))
}

func TestSuite(t *testing.T) { roletest.Suite(t, raw, New()) }

func TestMends(t *testing.T) {
	n := roletest.NewNode()
	res := roletest.Apply(t, New(), raw(n))
	for path, want := range map[string]string{
		"/etc/hosts":    "127.0.0.1\tlocalhost\n127.0.1.1\tother\n198.18.0.11\tn1\n",
		"/etc/fstab":    "UUID=1 / ext4 defaults 0 1\n# swap is off for the kubelet: UUID=2 none swap sw 0 0\n",
		"/etc/hostname": "n1\n",
		"/etc/sysctl.d/zz-kubeclamp-fs.inotify.max_user_watches.conf": "fs.inotify.max_user_watches = 999999\n",
	} {
		if got := n.Content(path); got != want {
			t.Errorf("%s is %q, want %q", path, got, want)
		}
	}
	if n.Sysctls["net.ipv4.ip_forward"] != "1" || n.Sysctls["kernel.hostname"] != "n1" || n.Probe["swaps"] != "" {
		t.Errorf("sysctls %v, swaps %q", n.Sysctls, n.Probe["swaps"])
	}
	if res.Wall["node-prep-interface"] != "eth0" || res.Wall["node-prep-network"] != "198.18.0.0/16" {
		t.Errorf("wall %v", res.Wall)
	}
}

func TestProblems(t *testing.T) {
	for name, c := range map[string]struct {
		set  func(n *roletest.Node, on *role.Target)
		says string
	}{
		"disk":              {func(n *roletest.Node, _ *role.Target) { n.Probe["disk"] = "/dev/vda 100 1 1048576 10% /" }, "1.0 GiB are free"},
		"address":           {func(_ *roletest.Node, on *role.Target) { on.Address = "198.18.0.99" }, "no interface has its address"},
		"network":           {func(_ *roletest.Node, on *role.Target) { on.Attribs["node-network"] = "10.0.0.0/8" }, "outside node-network"},
		"capitals":          {func(_ *roletest.Node, on *role.Target) { on.Node = "N1" }, "capital letters"},
		"no systemd":        {func(n *roletest.Node, _ *role.Target) { n.NoSystemd = true }, "systemd is not PID 1"},
		"read-only setting": {func(n *roletest.Node, _ *role.Target) { n.ReadOnly["net.ipv4.ip_forward"] = true }, "net.ipv4.ip_forward is 0"},
		"port": {func(n *roletest.Node, on *role.Target) {
			on.Attribs["node-prep-free-ports"] = []any{2379}
			n.Probe["listeners"] = "LISTEN 0 4096 127.0.0.1:2379 0.0.0.0:* users:((\"etcd\",pid=812,fd=3))\n"
		}, "port 2379 is in use by etcd (pid 812)"},
	} {
		t.Run(name, func(t *testing.T) {
			n := roletest.NewNode()
			on := raw(n)
			c.set(n, &on)
			_, err := New().Apply(context.Background(), on)
			if err == nil || !strings.Contains(err.Error(), c.says) || crowbar.KindOf(err) != crowbar.Invalid {
				t.Fatalf("error %v, want one that says %q", err, c.says)
			}
			if n.Content("/etc/fstab") == "" || strings.Contains(n.Content("/etc/fstab"), "\nUUID=2") {
				t.Errorf("what can be mended was not: fstab %q", n.Content("/etc/fstab"))
			}
		})
	}
}

func TestAllProblemsAtOnce(t *testing.T) {
	n := roletest.NewNode()
	on := raw(n)
	on.Address, on.Attribs["node-prep-min-disk"] = "10.1.1.1", 100
	_, err := New().Apply(context.Background(), on)
	if err == nil || !strings.Contains(err.Error(), "1. ") || !strings.Contains(err.Error(), "2. ") {
		t.Fatalf("error %v, want two numbered problems", err)
	}
}

func TestClock(t *testing.T) {
	asked := time.Unix(1_800_000_000, 0)
	for name, c := range map[string]struct {
		ahead, trip time.Duration
		bad         bool
	}{
		"right":                            {0, time.Second, false},
		"a little":                         {1900 * time.Millisecond, 0, false},
		"ahead":                            {3 * time.Second, 100 * time.Millisecond, true},
		"behind":                           {-time.Hour, 100 * time.Millisecond, true},
		"a slow link is not a wrong clock": {2500 * time.Millisecond, 2 * time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := facts{Facts: linux.Facts{Asked: asked, Trip: c.trip, Now: asked.Add(c.trip/2 + c.ahead)}}
			var v verdict
			v.clock(config{MaxOffset: 2}, f)
			if (len(v.problems) > 0) != c.bad {
				t.Fatalf("problems %v, want some: %v", v.problems, c.bad)
			}
		})
	}
}

func TestHosts(t *testing.T) {
	for name, c := range map[string]struct{ have, want string }{
		"right already": {"127.0.0.1 localhost\n10.0.0.1 n1\n", "127.0.0.1 localhost\n10.0.0.1 n1\n"},
		"with a domain": {"10.0.0.1 n1.example.com n1\n", "10.0.0.1 n1.example.com n1\n"},
		"on loopback":   {"127.0.0.1 localhost n1\n", "127.0.0.1\tlocalhost\n10.0.0.1\tn1\n"},
		"other address": {"10.0.0.9 n1 # old\n", "10.0.0.1\tn1\n"},
		"comment stays": {"# n1\n127.0.0.1 localhost # n1\n", "# n1\n127.0.0.1 localhost # n1\n10.0.0.1\tn1\n"},
		"another n":     {"10.0.0.2 n10 n1x\n", "10.0.0.2 n10 n1x\n10.0.0.1\tn1\n"},
		"empty":         {"", "10.0.0.1\tn1\n"},
	} {
		t.Run(name, func(t *testing.T) {
			got := hosts(c.have, "n1", "10.0.0.1")
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if again := hosts(got, "n1", "10.0.0.1"); again != got {
				t.Errorf("a second time it gives %q", again)
			}
		})
	}
}
