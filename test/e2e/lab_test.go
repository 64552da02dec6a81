//go:build e2e

package e2e

import (
	"context"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/lab"
)

// machine is all that a lab could leave behind on the machine.
type machine struct {
	Netns, Links, Routes, Mounts, Groups, Processes []string
	Inotify, Rules                                  string
}

const (
	labName    = "kce2e"
	labNetwork = "198.51.100.0/24" // RFC 5737, for documents: no other lab and no site has it
)

// look reads what is there under the lab's name or in its folder.
func look(t *testing.T, dir string) machine {
	t.Helper()
	var m machine
	m.Netns = grep(command(t, "ip", "netns", "list"), labName)
	m.Links = grep(command(t, "ip", "-o", "link"), labName)
	m.Routes = grep(command(t, "ip", "route", "show", "table", "all"), "198.51.100.")
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	m.Mounts = append(grep(string(mounts), labName), grep(string(mounts), dir)...)
	m.Groups = grep(command(t, "find", "/sys/fs/cgroup", "-type", "d", "-name", labName), labName)
	procs, err := filepath.Glob("/proc/[0-9]*/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range procs {
		b, _ := os.ReadFile(p) // it may have ended
		if stat, _ := os.ReadFile(filepath.Join(filepath.Dir(p), "stat")); strings.Contains(string(stat), ") Z ") {
			continue // it waits for the machine's init to hear of its end
		}
		if strings.Contains(string(b), "/"+labName) {
			m.Processes = append(m.Processes, p)
		}
	}
	b, err := os.ReadFile("/proc/sys/fs/inotify/max_user_instances")
	if err != nil {
		t.Fatal(err)
	}
	m.Inotify = string(b)
	m.Rules = command(t, "nft", "list", "ruleset")
	return m
}

func grep(text, word string) (out []string) {
	for line := range strings.Lines(text) {
		if strings.Contains(line, word) {
			out = append(out, strings.TrimSpace(line))
		}
	}
	return out
}

func command(t *testing.T, argv ...string) string {
	t.Helper()
	out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", strings.Join(argv, " "), err, out)
	}
	return string(out)
}

// labSite is a lab of this test's own, beside any other.
func labSite(t *testing.T) *lab.Lab {
	cache := os.Getenv("KUBECLAMP_CACHE")
	if cache == "" {
		t.Fatal("KUBECLAMP_CACHE is not set: run this test with 'make e2e'")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	l, err := lab.Open(lab.Config{Dir: filepath.Join(root, ".cache", "lab-nodes"), Images: filepath.Join(cache, "images"), Name: labName, Network: netip.MustParsePrefix(labNetwork),
		Self: []string{filepath.Join(root, "bin", "kubeclamp"), "lab", "inside"}, Progress: func(p lab.Progress) {
			if p.Done < 0 {
				t.Logf("%s: %s", p.Subject, p.Text)
			}
		}})
	if err != nil {
		t.Fatal(err)
	}
	down(t, l)
	t.Cleanup(func() { down(t, l) })
	return l
}

func down(t *testing.T, l *lab.Lab) {
	t.Helper()
	if err := l.Down(context.Background(), true); err != nil {
		t.Fatal(err)
	}
}

// on runs a command on a node; ok is false when the node did not answer in time.
func on(t *testing.T, l *lab.Lab, limit time.Duration, node string, words ...string) (string, bool) {
	t.Helper()
	argv, err := l.SSH(node, words...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput()
	return strings.TrimSpace(string(out)), err == nil
}

func mustOn(t *testing.T, l *lab.Lab, node string, words ...string) string {
	t.Helper()
	out, ok := on(t, l, 20*time.Second, node, words...)
	if !ok {
		t.Fatalf("on %s: %s: %s", node, strings.Join(words, " "), out)
	}
	return out
}

func awaitNode(t *testing.T, l *lab.Lab, node string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; {
		if _, ok := on(t, l, 5*time.Second, node, "true"); ok {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s does not answer ssh", node)
		}
	}
}

func labStatus(t *testing.T, l *lab.Lab, node string) lab.NodeStatus {
	t.Helper()
	all, err := l.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range all {
		if n.Name == node {
			return n
		}
	}
	t.Fatalf("no node %s", node)
	return lab.NodeStatus{}
}

func twoNodes() []lab.NodeSpec {
	return []lab.NodeSpec{{Name: "a", Suite: "bookworm", Disk: 1 << 30}, {Name: "b", Suite: "trixie"}}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestLabNodes walks two nodes of two distributions through their life, and looks at the machine before and after.
func TestLabNodes(t *testing.T) {
	l := labSite(t)
	before := look(t, l.Dir())
	must(t, l.Up(t.Context(), twoNodes()...))

	t.Run("a server like any other", func(t *testing.T) {
		for node, release := range map[string]string{"a": "12", "b": "13"} {
			if got := mustOn(t, l, node, "hostname; . /etc/os-release; echo $VERSION_ID; systemctl is-system-running --wait"); got != node+"\n"+release+"\nrunning" {
				t.Errorf("%s: %q", node, got)
			}
			mustOn(t, l, node, "modprobe br_netfilter && sysctl -qw net.ipv4.ip_forward=1 vm.overcommit_memory=1 kernel.panic=10 && test -c /dev/net/tun && if [ -d /sys/fs/cgroup/memory ]; then mkdir /sys/fs/cgroup/memory/x; else mkdir /sys/fs/cgroup/x; fi")
			if out, ok := on(t, l, 10*time.Second, node, "ip route get 1.1.1.1"); ok {
				t.Errorf("%s has a way out: %s", node, out)
			}
		}
	})
	t.Run("up again changes nothing", func(t *testing.T) {
		was := labStatus(t, l, "a").PID
		must(t, l.Up(t.Context(), twoNodes()...))
		if now := labStatus(t, l, "a").PID; now != was {
			t.Errorf("init of a: pid %d, now %d", was, now)
		}
	})
	t.Run("power", func(t *testing.T) { power(t, l) })
	t.Run("faults", func(t *testing.T) { breakNodes(t, l) })
	t.Run("the machine is as before", func(t *testing.T) {
		down(t, l)
		down(t, l)
		if diff := cmp.Diff(before, look(t, l.Dir())); diff != "" {
			t.Errorf("left over (+) or lost (-):\n%s", diff)
		}
	})
}

func power(t *testing.T, l *lab.Lab) {
	boot := func() string { return mustOn(t, l, "a", "cat /proc/sys/kernel/random/boot_id") }
	mustOn(t, l, "a", "echo kept > /root/file")
	for _, verb := range []string{lab.PowerCycle, lab.PowerReset} {
		was := boot()
		must(t, l.Power(t.Context(), verb, "a"))
		awaitNode(t, l, "a")
		if boot() == was {
			t.Errorf("%s: the boot id is the same", verb)
		}
	}
	if got := mustOn(t, l, "a", "cat /root/file; cut -d. -f1 /proc/uptime"); !strings.HasPrefix(got, "kept\n") || len(got) > len("kept\n")+3 {
		t.Errorf("after two boots: file and uptime are %q", got)
	}
	must(t, l.Power(t.Context(), lab.PowerSoft, "b"))
	if s := labStatus(t, l, "b"); s.State != lab.StateOff || s.Ended != "powered off from inside" {
		t.Errorf("soft: %+v", s)
	}
	must(t, l.Up(t.Context()))
	must(t, l.Fault(t.Context(), lab.Fault{Kind: lab.FaultKill, Node: "b"}))
	if s := labStatus(t, l, "b"); s.State != lab.StateOff || s.Ended != "killed" {
		t.Errorf("kill: %+v", s)
	}
	must(t, l.Up(t.Context()))
}

func breakNodes(t *testing.T, l *lab.Lab) {
	for _, c := range []struct {
		name  string
		fault lab.Fault
		state string
		broke func() bool
	}{
		{"freeze", lab.Fault{Kind: lab.FaultFreeze, Node: "a"}, lab.StateFrozen, func() bool { _, ok := on(t, l, 2*time.Second, "a", "true"); return !ok }},
		{"link down", lab.Fault{Kind: lab.FaultLinkDown, Node: "a"}, lab.StateRunning, func() bool { _, ok := on(t, l, 2*time.Second, "a", "true"); return !ok }},
		{"partition", lab.Fault{Kind: lab.FaultDrop, Node: "a", Peer: "b"}, lab.StateRunning, func() bool {
			_, ok := on(t, l, 10*time.Second, "b", "ping -c1 -W1 198.51.100.11")
			mustOn(t, l, "a", "true")
			return !ok
		}},
		{"alone", lab.Fault{Kind: lab.FaultDrop, Node: "a"}, lab.StateRunning, func() bool { _, ok := on(t, l, 2*time.Second, "a", "true"); return !ok }},
		{"disk full", lab.Fault{Kind: lab.FaultDiskFull, Node: "a"}, lab.StateRunning, func() bool {
			_, ok := on(t, l, 10*time.Second, "a", "head -c 100000 /dev/zero > /root/new")
			return !ok
		}},
		{"slow", lab.Fault{Kind: lab.FaultSlow, Node: "a", Rate: "8mbit"}, lab.StateRunning, func() bool {
			start := time.Now()
			mustOn(t, l, "a", "head -c 2000000 /dev/zero")
			return time.Since(start) > 1500*time.Millisecond
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			must(t, l.Fault(t.Context(), c.fault))
			if s := labStatus(t, l, "a"); s.State != c.state {
				t.Errorf("status: %+v", s)
			}
			if !c.broke() {
				t.Errorf("%s does not show", c.name)
			}
			must(t, l.Fault(t.Context(), lab.Fault{Kind: lab.FaultHeal, Node: "a"}))
			awaitNode(t, l, "a")
			mustOn(t, l, "a", "echo x > /root/more && head -c 2000000 /dev/zero")
			mustOn(t, l, "b", "ping -c1 -W2 198.51.100.11")
		})
	}
	if err := l.Fault(t.Context(), lab.Fault{Kind: lab.FaultDiskFull, Node: "b"}); crowbar.KindOf(err) != crowbar.Conflict {
		t.Errorf("a node without a disk of its own: %v", err)
	}
}

// TestLabCrash kills everything of a lab that can be killed, loses its records, and wants a clean machine all the same.
func TestLabCrash(t *testing.T) {
	l := labSite(t)
	before := look(t, l.Dir())
	must(t, l.Up(t.Context(), twoNodes()...))
	t.Run("a node does not outlive its supervisor, and comes back", func(t *testing.T) {
		for _, pid := range supervisorsOf(t) {
			command(t, "kill", "-9", pid)
		}
		for end := time.Now().Add(10 * time.Second); labStatus(t, l, "a").PID != 0 || labStatus(t, l, "b").PID != 0; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("the nodes still run")
			}
		}
		must(t, l.Up(t.Context()))
		mustOn(t, l, "b", "true")
	})
	t.Run("an up that is killed half-way is no obstacle", func(t *testing.T) {
		bin := filepath.Join(l.Dir(), "..", "..", "bin", "kubeclamp")
		for _, after := range []time.Duration{20 * time.Millisecond, 100 * time.Millisecond, 300 * time.Millisecond} {
			down(t, l)
			cmd := exec.Command(bin, "lab", "up", "--nodes-only", "--dir", l.Dir(), "--name", labName, "--network", labNetwork, "--image-cache", filepath.Join(os.Getenv("KUBECLAMP_CACHE"), "images"), "a", "b:trixie")
			must(t, cmd.Start())
			time.Sleep(after) // the moment of the crash is the subject
			must(t, cmd.Process.Kill())
			cmd.Wait()
			must(t, l.Up(t.Context(), lab.NodeSpec{Name: "a"}, lab.NodeSpec{Name: "b", Suite: "trixie"}))
			mustOn(t, l, "a", "true")
		}
	})
	t.Run("records lost", func(t *testing.T) {
		inotify := look(t, l.Dir()).Inotify
		must(t, os.RemoveAll(l.Dir()))
		down(t, l)
		after := look(t, l.Dir())
		before.Inotify = inotify // its old value was in the records
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("left over (+) or lost (-):\n%s", diff)
		}
	})
}

func supervisorsOf(t *testing.T) []string {
	t.Helper()
	found := command(t, "find", "/sys/fs/cgroup", "-path", "*/"+labName+"/supervisors/cgroup.procs")
	var out []string
	for _, f := range strings.Fields(found) {
		b, err := os.ReadFile(f)
		must(t, err)
		out = append(out, strings.Fields(string(b))...)
	}
	if len(out) != 2 {
		t.Fatalf("%s supervisors for two nodes", strconv.Itoa(len(out)))
	}
	return out
}
