package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/client"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/plugin"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// The test binary is the daemon. Its roles are served by the real program, which is built once.
func TestMain(m *testing.M) {
	if plugin.Started() {
		plugin.Serve(blab{})
		return
	}
	if os.Getenv("TEST_DAEMON") != "" {
		os.Args[0] = "kubeclampd"
		main()
		return
	}
	dir, err := os.MkdirTemp("", "kcd")
	if err == nil {
		rolePlugin = filepath.Join(dir, "kubeclamp-role")
		var out []byte
		if out, err = exec.Command("go", "build", "-o", rolePlugin, "../kubeclamp-role").CombinedOutput(); err != nil {
			err = fmt.Errorf("%w: %s", err, out)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "build kubeclamp-role:", err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

var rolePlugin string

// process is a kubeclampd that a test started.
type process struct {
	cmd  *exec.Cmd
	dir  string
	said output
}

type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) { o.mu.Lock(); defer o.mu.Unlock(); return o.b.Write(p) }
func (o *output) String() string              { o.mu.Lock(); defer o.mu.Unlock(); return o.b.String() }

func start(t *testing.T, dir string, flags ...string) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{dir: dir}
	p.cmd = exec.Command(self, append([]string{"--data-dir", dir, "--listen", "127.0.0.1:0", "--role-plugin", rolePlugin, "--plugin-dir", "",
		"--barclamp", "../../barclamp.yaml", "--artifact-cache", filepath.Join(dir, "cache")}, flags...)...)
	p.cmd.Env = append(os.Environ(), "TEST_DAEMON=1")
	p.cmd.Stderr = &p.said
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.cmd.Process.Kill(); p.cmd.Wait() })
	return p
}

// ready waits until the daemon says so.
func (p *process) ready(t *testing.T) *client.Client {
	t.Helper()
	err := role.Await(t.Context(), "the daemon to be ready", time.Minute, func(context.Context) (bool, error) {
		return strings.Contains(p.said.String(), "msg=ready"), errors.New(p.said.String())
	})
	if err != nil {
		t.Fatal(err)
	}
	var c client.Config
	b, err := os.ReadFile(filepath.Join(p.dir, "admin.json"))
	if err = errors.Join(err, json.Unmarshal(b, &c)); err != nil {
		t.Fatal(err)
	}
	cl, err := client.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return cl
}

func (p *process) wait(t *testing.T, limit time.Duration) int {
	t.Helper()
	ended := make(chan struct{})
	go func() { p.cmd.Wait(); close(ended) }()
	select {
	case <-ended:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(limit):
		t.Fatalf("it did not end within %s:\n%s", limit, p.said.String())
		return 0
	}
}

func (p *process) children(t *testing.T) []string {
	t.Helper()
	var out []string
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, f := range stats {
		b, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		if _, after, ok := bytes.Cut(b, []byte(") ")); ok && strings.HasPrefix(string(after[1:]), fmt.Sprintf(" %d ", p.cmd.Process.Pid)) {
			out = append(out, filepath.Dir(f))
		}
	}
	return out
}

func dataDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "kcd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func TestStartAnswerStop(t *testing.T) {
	p := start(t, dataDir(t))
	c := p.ready(t)
	var roles []crowbar.Role
	if err := c.List(t.Context(), crowbar.KindRole, &roles); err != nil || len(roles) < 14 {
		t.Fatalf("%d roles: %v", len(roles), err)
	}
	for _, name := range []string{"admin.json", "key"} {
		if info, err := os.Stat(filepath.Join(p.dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, info.Mode(), err)
		}
	}
	kids := p.children(t)
	if len(kids) < len(roles) {
		t.Errorf("%d processes for %d roles", len(kids), len(roles))
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := p.wait(t, 15*time.Second); code != 0 {
		t.Errorf("it ended with %d:\n%s", code, p.said.String())
	}
	for _, k := range kids {
		if _, err := os.Stat(k); err == nil {
			t.Errorf("a role's process is still there: %s", k)
		}
	}
	if left, _ := os.ReadDir(filepath.Join(p.dir, "sockets")); len(left) > 0 {
		t.Errorf("sockets left behind: %v", left)
	}
}

func TestKilledAndStartedAgain(t *testing.T) {
	dir := dataDir(t)
	p := start(t, dir)
	c := p.ready(t)
	if err := c.Create(t.Context(), crowbar.KindNode, map[string]any{"name": "n1", "address": "192.0.2.9"}, nil); err != nil {
		t.Fatal(err)
	}
	token, err := os.ReadFile(filepath.Join(dir, "admin.json"))
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Process.Kill()
	p.cmd.Wait()
	p = start(t, dir)
	c = p.ready(t)
	var n crowbar.Node
	if err := c.Show(t.Context(), crowbar.KindNode, "n1", &n); err != nil || n.Address != "192.0.2.9" {
		t.Fatalf("the node: %+v %v", n, err)
	}
	var before, after client.Config
	again, _ := os.ReadFile(filepath.Join(dir, "admin.json"))
	if err := errors.Join(json.Unmarshal(token, &before), json.Unmarshal(again, &after)); err != nil || before.Token != after.Token {
		t.Error("the administrator's token has changed")
	}
}

func TestTwoOnOneFolder(t *testing.T) {
	dir := dataDir(t)
	start(t, dir).ready(t)
	second := start(t, dir)
	if code := second.wait(t, time.Minute); code != 1 || second.said.String() == "" {
		t.Fatalf("it ended with %d: %s", code, second.said.String())
	}
}

// Code and file disagree in three ways: the start is refused and all three are named.
func TestMismatchStopsTheStart(t *testing.T) {
	dir := dataDir(t)
	text, err := os.ReadFile("../../barclamp.yaml")
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.NewReplacer("name: flannel-backend,", "name: flannel-backends,", "  - name: node-prep\n", "  - name: node-prepare\n", "[node-prep, ", "[node-prepare, ", "[flannel-backend", "[flannel-backends",
		", flannel-backend", "", "kubernetes-pool-name, flannel-backend, proxy-url", "kubernetes-pool-name, proxy-url").Replace(string(text))
	file := filepath.Join(dir, "barclamp.yaml")
	if err := os.WriteFile(file, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, dir, "--barclamp", file)
	if code := p.wait(t, time.Minute); code != 1 {
		t.Fatalf("it ended with %d", code)
	}
	for _, part := range []string{`role "node-prepare"`, "no role \"node-prepare\"", `role "flannel": its plugin reads attrib "flannel-backend"`} {
		if !strings.Contains(p.said.String(), part) {
			t.Errorf("it does not say %q", part)
		}
	}
	if t.Failed() {
		t.Log(p.said.String())
	}
}

func TestWrongFlagsAreNamed(t *testing.T) {
	for flag, says := range map[string]string{"--listen=x": "ADDRESS:PORT", "--log-level=loud": "debug, info, warn", "--parallel=0": "at least 1", "--barclamp=/no/such": "no such file"} {
		p := start(t, dataDir(t), flag)
		if code := p.wait(t, time.Minute); code != 1 || !strings.Contains(p.said.String(), says) {
			t.Errorf("%s: ended with %d: %s", flag, code, p.said.String())
		}
	}
}

// A cycle among the roles stops the start, edge by edge, and leaves the state as it was.
func TestCycleStopsTheStart(t *testing.T) {
	dir := dataDir(t)
	text, err := os.ReadFile("../../barclamp.yaml")
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(text), "    wants-attribs: [node-network]\n    attribs:\n      - { name: node-prep-min-disk", "    requires: [k8s-ready]\n    wants-attribs: [node-network]\n    attribs:\n      - { name: node-prep-min-disk", 1)
	if changed == string(text) {
		t.Fatal("the shipped file has another form now: mend this test")
	}
	file := filepath.Join(dir, "barclamp.yaml")
	if err := os.WriteFile(file, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, dir, "--barclamp", file)
	if code := p.wait(t, time.Minute); code != 1 {
		t.Fatalf("it ended with %d", code)
	}
	for _, part := range []string{"node-prep requires k8s-ready", "requires node-prep", "circle", file + ":"} {
		if !strings.Contains(p.said.String(), part) {
			t.Errorf("it does not say %q: %s", part, p.said.String())
		}
	}
	var all []crowbar.Role
	if err := start(t, dir).ready(t).List(t.Context(), crowbar.KindRole, &all); err != nil || len(all) == 0 {
		t.Errorf("after the file was mended: %d roles, %v", len(all), err)
	}
}

// A foreign barclamp comes in beside the shipped one: what nobody understood is said, and its roles wait for a jig.
func TestForeignBarclamp(t *testing.T) {
	dir := dataDir(t)
	root := filepath.Join(dir, "workload")
	if err := os.MkdirAll(filepath.Join(root, "barclamps"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"crowbar.yml":         "barclamp: { name: workload, version: 1.0, surprise: 7 }\njigs: [{ name: chef, class: ChefJig }]\nroles: [{ name: workload-base, jig: chef }]\n",
		"barclamps/child.yml": "barclamp: { name: child, parent: workload }\nroles: [{ name: workload-app, jig: chef, requires: [workload-base] }]\n",
	} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := start(t, dir, "--barclamp", "../../barclamp.yaml", "--barclamp", root)
	var r crowbar.Role
	c := p.ready(t)
	if err := c.Show(t.Context(), crowbar.KindRole, "workload-app", &r); err != nil || len(r.Requires) != 1 {
		t.Errorf("%+v %v", r, err)
	}
	if !strings.Contains(p.said.String(), "crowbar.yml:1") || !strings.Contains(p.said.String(), "surprise") {
		t.Errorf("the unknown key is not named: %s", p.said.String())
	}
	if err := c.Create(t.Context(), crowbar.KindNode, map[string]any{"name": "n1", "address": "192.0.2.9"}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Bind(t.Context(), "workload-app", "n1", ""); err == nil || !strings.Contains(err.Error(), "chef") {
		t.Errorf("bound without its jig: %v", err)
	}
}
