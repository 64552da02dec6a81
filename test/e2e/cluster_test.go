//go:build e2e

// Package e2e runs the whole system on real nodes: what it shows here is what a user gets.
package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// network is the nodes'; another one than the lab's own, so that a lab may be up beside this test.
const network = "10.199.0.0/16"

// site is one lab with its daemon, driven only through the programs that a user has.
type site struct {
	t    *testing.T
	dir  string
	bin  string
	args []string // of lab up

	config string // of the CLI
}

func newSite(t *testing.T, nodes int) *site {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	cache := os.Getenv("KUBECLAMP_CACHE")
	if cache == "" {
		t.Fatal("KUBECLAMP_CACHE is not set: run this test with 'make e2e', which builds the artifacts first")
	}
	s := &site{t: t, dir: filepath.Join(root, ".lab-e2e"), bin: filepath.Join(root, "bin")}
	s.args = []string{"lab", "up", "--dir", s.dir, "--name", "kcclus", "--network", network, "--count", strconv.Itoa(nodes), "--masters", "3", "--artifact-cache", filepath.Join(cache, "artifacts"), "--image-cache", filepath.Join(cache, "images")}
	s.config = filepath.Join(s.dir, "daemon", "admin.json")
	s.must("lab", "down", "--dir", s.dir, "--name", "kcclus", "--network", network)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("daemon's log:\n%s", tail(filepath.Join(s.dir, "daemon.log"), 60))
		}
		if os.Getenv("KUBECLAMP_KEEP") == "" {
			s.must("lab", "down", "--dir", s.dir, "--name", "kcclus", "--network", network)
		}
	})
	return s
}

// cmd is the CLI, pointed at the lab's daemon.
func (s *site) cmd(ctx context.Context, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, filepath.Join(s.bin, "kubeclamp"), args...)
	c.Env = append(os.Environ(), "KUBECLAMP_CONFIG="+s.config, "NO_COLOR=1")
	return c
}

func (s *site) try(args ...string) (out, errs string, code int) {
	s.t.Helper()
	var o, e bytes.Buffer
	c := s.cmd(s.t.Context(), args...)
	if s.t.Context().Err() != nil { // clean-up runs after the test's own context
		c = s.cmd(context.Background(), args...)
	}
	c.Stdout, c.Stderr = &o, &e
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.t.Fatalf("kubeclamp %s: %v", strings.Join(args, " "), err)
	}
	return o.String(), e.String(), c.ProcessState.ExitCode()
}

func (s *site) must(args ...string) string {
	s.t.Helper()
	out, errs, code := s.try(args...)
	if code != 0 {
		s.t.Fatalf("kubeclamp %s ended with %d\n%s\n%s", strings.Join(args, " "), code, out, errs)
	}
	return out
}

// ssh runs a script in the node's shell.
func (s *site) ssh(node, script string) string {
	s.t.Helper()
	return s.must("lab", "ssh", "--dir", s.dir, node, script)
}

func (s *site) status() crowbar.Status {
	s.t.Helper()
	var st crowbar.Status
	if err := json.Unmarshal([]byte(s.must("status", "-o", "json")), &st); err != nil {
		s.t.Fatal(err)
	}
	return st
}

func (s *site) pid() int {
	b, err := os.ReadFile(filepath.Join(s.dir, "daemon.pid"))
	if err != nil {
		return 0
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(string(b)))
	return pid
}

// await polls until done, or fails after a while with what it waited for.
func (s *site) await(what string, limit time.Duration, done func() bool) {
	s.t.Helper()
	for end := time.Now().Add(limit); !done(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("waited %s for %s", limit, what)
		}
	}
}

func tail(file string, n int) string {
	b, _ := os.ReadFile(file)
	lines := strings.Split(string(b), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// pairs is the node/role of each, sorted and once.
func pairs[T any](all []T, name func(T) string) []string {
	var out []string
	for _, x := range all {
		if n := name(x); !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out
}

// TestCluster is the main job, with the daemon killed in the middle of it, and then what has to hold afterwards.
func TestCluster(t *testing.T) {
	s := newSite(t, 3)
	if !t.Run("converges though the daemon is killed, and runs what the plan said", s.converge) {
		return
	}
	t.Run("again: nothing to do, nothing touched", s.again)
	t.Run("wrong input", s.wrongInput)
	t.Run("every role can be taken off and applied again", s.removeEach)
	t.Run("drift is mended", s.drift)
}

func (s *site) converge(t *testing.T) {
	defer s.use(t)()
	start := time.Now().UTC()
	up := s.cmd(t.Context(), s.args...)
	var out bytes.Buffer
	up.Stdout, up.Stderr = &out, &out
	if err := up.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- up.Wait() }()
	s.await("some node-roles active and some running", 10*time.Minute, func() bool {
		select {
		case err := <-done:
			t.Fatalf("lab up ended early: %v\n%s", err, out.String())
		default:
		}
		text, _, code := s.try("status", "-o", "json")
		var st crowbar.Status
		if code != 0 || json.Unmarshal([]byte(text), &st) != nil {
			return false
		}
		active, running := 0, 0
		for _, nr := range st.NodeRoles {
			switch nr.State {
			case crowbar.Active:
				active++
			case crowbar.Transition:
				running++
			}
		}
		return active >= 8 && running >= 1
	})
	killed := s.pid()
	if err := syscall.Kill(killed, syscall.SIGKILL); err != nil {
		t.Fatalf("kill the daemon (pid %d): %v", killed, err)
	}
	s.must("lab", "daemon", "--dir", s.dir)
	if now := s.pid(); now == killed {
		t.Fatalf("the daemon was not started again: still pid %d", now)
	}
	if err := <-done; err != nil {
		t.Fatalf("lab up: %v\n%s", err, out.String())
	}
	t.Log(out.String())
	if !strings.Contains(out.String(), "proved.") {
		t.Error("lab up did not print its proof")
	}
	var rep crowbar.Report
	if err := json.Unmarshal([]byte(s.must("report", "--since", start.Format(time.RFC3339Nano), "-o", "json")), &rep); err != nil {
		t.Fatal(err)
	}
	var planned crowbar.Plan
	b, err := os.ReadFile(filepath.Join(s.dir, "plan.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &planned); err != nil {
		t.Fatal(err)
	}
	want := pairs(planned.Steps, func(x crowbar.Step) string { return x.Node + "/" + x.Role })
	got := pairs(rep.Runs, func(x crowbar.RunReport) string { return x.Node + "/" + x.Role })
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("the plan is not what was run (-plan +run):\n%s", d)
	}
}

// use makes t the test that fails, for the time of a subtest.
func (s *site) use(t *testing.T) func() {
	before := s.t
	s.t = t
	return func() { s.t = before }
}

// touched is a script that prints what a rerun must leave alone: start times of units, times of files.
const touched = `systemctl list-units --type=service --state=running --no-legend --plain | awk '{print $1}' | sort | while read u; do
  case $u in ssh*|user@*|session*|systemd-*|dbus*) continue;; esac
  echo "$u $(systemctl show -p ExecMainStartTimestampMonotonic --value "$u")"; done
find /etc /usr/local /opt/cni /var/lib/kubeclamp -xdev -type f ! -path '*/fence/*' ! -name '*.log' -printf '%p %T@ %C@\n' | sort`

func (s *site) fingerprint() map[string]string {
	s.t.Helper()
	prints := map[string]string{}
	for _, n := range s.labNodes() {
		prints[n] = s.ssh(n, touched)
	}
	return prints
}

func (s *site) labNodes() []string {
	s.t.Helper()
	var names []string
	for _, nr := range s.status().NodeRoles {
		if nr.Role == "k8s-minion" && !slices.Contains(names, nr.Node) {
			names = append(names, nr.Node)
		}
	}
	return names
}

func (s *site) again(t *testing.T) {
	defer s.use(t)()
	before := s.fingerprint()
	start := time.Now()
	out := s.must("converge")
	t.Logf("rerun of the whole lab: %s\n%s", time.Since(start).Round(10*time.Millisecond), out)
	if !strings.Contains(out, "deployment lab: nothing to do") {
		t.Errorf("the rerun did something:\n%s", out)
	}
	if d := cmp.Diff(before, s.fingerprint()); d != "" {
		t.Errorf("the rerun touched nodes:\n%s", d)
	}
	plan, _, code := s.try("plan", "--detailed-exitcode")
	if code != 0 {
		t.Errorf("plan after convergence ends with %d:\n%s", code, plan)
	}
}

func (s *site) removeEach(t *testing.T) {
	defer s.use(t)()
	doc := filepath.Join(s.dir, "cluster.yaml")
	last := s.labNodes()[2]
	for _, nr := range s.status().NodeRoles {
		if nr.Role == "proxy-server" || nr.Role == "k8s-ready" || nr.Role == "k8s-addons" {
			s.must("noderoles", "destroy", nr.Node+"/"+nr.Role)
		}
	}
	s.must("nodes", "destroy", last)
	s.await("all of "+last+" to be taken off", 5*time.Minute, func() bool {
		_, _, code := s.try("nodes", "show", last)
		if code == 0 {
			for _, nr := range s.status().NodeRoles {
				if nr.State == crowbar.Error {
					t.Fatalf("taking off %s/%s: %s", nr.Node, nr.Role, nr.Failure)
				}
			}
		}
		return code != 0
	})
	left := s.ssh(last, `ls /etc/systemd/system/*.service 2>/dev/null | grep -E 'etcd|kube|flannel|docker|containerd' || true; ls -d /etc/etcd /etc/flannel /etc/kubernetes /var/lib/etcd 2>/dev/null || true`)
	if strings.TrimSpace(left) != "" {
		t.Errorf("left on %s:\n%s", last, left)
	}
	s.await("the proxy, the add-ons and the proof to be taken off", 5*time.Minute, func() bool {
		return !slices.ContainsFunc(s.status().NodeRoles, func(nr crowbar.NodeRoleStatus) bool {
			return nr.Role == "proxy-server" || nr.Role == "k8s-ready" || nr.Role == "k8s-addons"
		})
	})
	var back []string
	for _, nr := range s.status().NodeRoles {
		back = append(back, nr.Node+"/"+nr.Role)
	}
	t.Logf("%d node-roles were left", len(back))
	s.must("apply", "-f", doc, "--timeout", "15m")
	var again []string
	for _, nr := range s.status().NodeRoles {
		if !slices.Contains(back, nr.Node+"/"+nr.Role) {
			again = append(again, nr.Role)
		}
	}
	slices.Sort(again)
	want := []string{"dns-client", "dns-pool", "docker", "etcd", "flannel", "k8s-addons", "k8s-master", "k8s-minion", "k8s-ready", "node-prep", "proxy", "proxy-server"}
	if d := cmp.Diff(want, slices.Compact(again)); d != "" {
		t.Errorf("roles that were taken off and applied again (-want +got):\n%s", d)
	}
	t.Log(s.must("lab", "proof", "--dir", s.dir))
}

func (s *site) drift(t *testing.T) {
	defer s.use(t)()
	n := s.labNodes()[0]
	s.ssh(n, "sysctl -qw net.ipv4.ip_forward=0; systemctl stop kube-scheduler.service; echo '{}' > /etc/docker/daemon.json")
	out := s.must("converge")
	if strings.Contains(out, n+": nothing to do") || !strings.Contains(out, "made changes") {
		t.Errorf("the rerun did not mend what was changed by hand:\n%s", out)
	}
	got := s.ssh(n, "cat /proc/sys/net/ipv4/ip_forward; systemctl is-active kube-scheduler.service; grep -c overlay2 /etc/docker/daemon.json")
	if want := "1\nactive\n1\n"; got != want {
		t.Errorf("after the rerun: got %q, want %q", got, want)
	}
}

// wrongInput: each mistake is answered in words that a stranger can act on, and leaves nothing behind.
func (s *site) wrongInput(t *testing.T) {
	defer s.use(t)()
	before := s.must("nodes", "list", "-o", "name")
	doc := func(text string) string {
		f := filepath.Join(t.TempDir(), "cluster.yaml")
		if err := os.WriteFile(f, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return f
	}
	n := s.labNodes()[0]
	for _, c := range []struct {
		name, doc string
		code      int
		say       []string
	}{
		{"unknown role", "deployment: x\nnodes:\n- name: a\n  address: 10.199.0.200\n  roles: [etcdd]\n", 4, []string{"cluster.yaml:5", "etcdd", "etcd"}},
		{"unknown key", "deployment: x\nnodes:\n- name: a\n  addres: 10.199.0.200\n", 3, []string{"cluster.yaml", "line 4", "addres"}},
		{"unknown attrib", "deployment: x\nattribs:\n  etcd-port: 1\nnodes: []\n", 4, []string{"cluster.yaml:3", "etcd-port"}},
		{"wrong value", "deployment: x\nattribs:\n  flannel-backend: carrier-pigeon\nnodes: []\n", 3, []string{"cluster.yaml:3", "flannel-backend", "carrier-pigeon", "vxlan"}},
		{"two nodes of one name", "deployment: x\nnodes:\n- {name: a, address: 10.199.0.200, roles: []}\n- {name: a, address: 10.199.0.201, roles: []}\n", 4, []string{"cluster.yaml:4", `"a"`}},
		{"two nodes of one address", fmt.Sprintf("deployment: x\nnodes:\n- {name: a, address: %s, roles: []}\n", s.address(n)), 4, []string{"cluster.yaml:3", n}},
		{"upper case", "deployment: x\nnodes:\n- {name: Alpha, address: 10.199.0.200, roles: []}\n", 3, []string{"cluster.yaml:3", "Alpha"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, errs, code := s.try("apply", "-f", doc(c.doc))
			if code != c.code {
				t.Errorf("ended with %d, want %d: %s%s", code, c.code, out, errs)
			}
			for _, w := range c.say {
				if !strings.Contains(errs, w) {
					t.Errorf("the message lacks %q: %s", w, errs)
				}
			}
		})
	}
	if after := s.must("nodes", "list", "-o", "name"); after != before {
		t.Errorf("something was left behind: before\n%safter\n%s", before, after)
	}
	t.Run("unreachable host", func(t *testing.T) {
		s.stranger(t, "deployment: far\nnodes:\n- {name: far1, address: 10.199.0.250, roles: [docker]}\n", "far1", "10.199.0.250:22")
	})
	t.Run("changed host key", func(t *testing.T) {
		key := "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDWmZHYKCWuuPXUkLI1bTgl3rJ7nY2eJLbGJmYzVYNq3"
		s.must("nodes", "update", n, "--host-key", key)
		out, errs, code := s.try("converge")
		if code != 6 || !strings.Contains(errs, "SHA256:") || !strings.Contains(errs, n) || !strings.Contains(errs, "--host-key") {
			t.Errorf("ended with %d: %s%s", code, out, errs)
		}
		s.must("nodes", "update", n, "--host-key", "")
		for _, nr := range s.status().NodeRoles {
			if nr.State == crowbar.Error {
				s.must("noderoles", "retry", nr.Node+"/"+nr.Role)
			}
		}
		s.must("converge", "--wait-only")
	})
}

// stranger applies a document whose only node cannot be reached, wants it named, and forgets it again.
func (s *site) stranger(t *testing.T, text, node, say string) {
	f := filepath.Join(t.TempDir(), "cluster.yaml")
	if err := os.WriteFile(f, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, errs, code := s.try("apply", "-f", f, "--timeout", "5m")
	if code != 6 || !strings.Contains(errs, say) {
		t.Errorf("ended with %d, want 6 and %q: %s%s", code, say, out, errs)
	}
	s.must("nodes", "forget", node)
	s.must("deployments", "destroy", "far")
}

func (s *site) address(node string) string {
	s.t.Helper()
	var n crowbar.Node
	if err := json.Unmarshal([]byte(s.must("nodes", "show", node, "-o", "json")), &n); err != nil {
		s.t.Fatal(err)
	}
	return n.Address
}
