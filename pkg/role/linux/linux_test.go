package linux_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
	"github.com/kubeclamp/kubeclamp/pkg/role/roletest"
)

// demo is a role that uses all of State.
type demo struct{ want linux.State }

func (demo) Describe() role.Info { return role.Info{Name: "demo"} }
func (d demo) Apply(ctx context.Context, on role.Target) (role.Result, error) {
	_, ch, err := linux.Converge(ctx, on, d.want)
	return role.Result{Changes: ch}, err
}
func (d demo) Check(ctx context.Context, on role.Target) (role.Drift, error) {
	return linux.Check(ctx, on, d.want)
}
func (d demo) Remove(ctx context.Context, on role.Target) error {
	return linux.Remove(ctx, on, d.want)
}

func full() linux.State {
	return linux.State{
		Packages: []linux.Package{{Deb: "iptables", RPM: "iptables-nft"}},
		Groups:   []string{"docker"},
		Users:    []linux.User{{Name: "etcd", Home: "/var/lib/etcd"}},
		Dirs:     []linux.Dir{{Path: "/var/lib/etcd", Mode: 0o700, Owner: "etcd:etcd"}},
		Files: []linux.File{
			{Path: "/etc/etcd/etcd.env", Content: "A=1\n", Restart: []string{"etcd.service"}},
			{Path: "/etc/etcd/key.pem", Content: "key", Mode: 0o600, Owner: "etcd", Secret: true, Restart: []string{"etcd.service"}},
			{Path: "/etc/systemd/system/docker.service.d/20-x.conf", Content: "[Service]\n", Restart: []string{"docker.service"}},
			{Path: "/etc/etcd/old", Absent: true},
		},
		Binaries: []linux.Binary{{Artifact: "etcd/etcd", Path: "/usr/local/bin/etcd", Restart: []string{"etcd.service"}}},
		Links:    []linux.Link{{Path: "/usr/local/bin/e", To: "etcd"}},
		Units:    []linux.Unit{{Name: "etcd.service", Content: "[Service]\nExecStart=/usr/local/bin/etcd\n\n[Install]\nWantedBy=multi-user.target\n"}},
		Sysctls:  []linux.Sysctl{{Key: "net.ipv4.ip_forward", Value: "1"}},
		Modules:  []string{"overlay"},
	}
}

func TestSuite(t *testing.T) {
	roletest.Suite(t, func(n *roletest.Node) role.Target {
		n.Units["docker.service"] = &roletest.Unit{Distro: true, Active: "active", Enabled: true, Loaded: "distribution"}
		n.Sysctls["net.ipv4.ip_forward"] = "0"
		n.Write("/etc/etcd/old", "x", 0o644)
		return n.Target(nil)
	}, demo{full()})
}

func TestRestartsOnlyWhatChanged(t *testing.T) {
	n := roletest.NewNode()
	n.Units["docker.service"] = &roletest.Unit{Distro: true, Active: "active", Enabled: true, Loaded: "distribution"}
	on := n.Target(nil)
	want := full()
	roletest.Apply(t, demo{want}, on)
	if etcd, docker := n.Units["etcd.service"].Starts, n.Units["docker.service"].Starts; etcd != 1 || docker != 1 {
		t.Fatalf("starts: etcd %d, docker %d; want 1 and 1", etcd, docker)
	}
	want.Files[0].Content = "A=2\n"
	roletest.Apply(t, demo{want}, on)
	if etcd, docker := n.Units["etcd.service"].Starts, n.Units["docker.service"].Starts; etcd != 2 || docker != 1 {
		t.Fatalf("starts after a change of etcd.env: etcd %d, docker %d; want 2 and 1", etcd, docker)
	}
	on.Artifacts = &roletest.Artifacts{Node: n, Version: "2"}
	roletest.Apply(t, demo{want}, on)
	if got := n.Content("/usr/local/bin/etcd"); got != "etcd/etcd 2" || n.Units["etcd.service"].Starts != 3 {
		t.Fatalf("after an upgrade: %q, %d starts", got, n.Units["etcd.service"].Starts)
	}
}

func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		set  func(n *roletest.Node)
		want linux.State
		says string
	}{
		"no package manager":  {func(n *roletest.Node) { n.Packager = "" }, linux.State{Packages: []linux.Package{{Deb: "a", RPM: "a"}}}, "none of apt, dnf, yum"},
		"no systemd":          {func(n *roletest.Node) { n.NoSystemd = true }, linux.State{Units: []linux.Unit{{Name: "a.service", Content: "x"}}}, "systemd is not PID 1"},
		"read-only sysctl":    {func(n *roletest.Node) { n.Sysctls["a.b"], n.ReadOnly["a.b"] = "0", true }, linux.State{Sysctls: []linux.Sysctl{{Key: "a.b", Value: "1"}}}, "read-only"},
		"a folder in the way": {func(n *roletest.Node) { n.Write("/etc/a/b", "", 0o644) }, linux.State{Files: []linux.File{{Path: "/etc/a"}}}, "is a folder"},
		"a path too short":    {func(*roletest.Node) {}, linux.State{Absent: []string{"/etc"}}, "two deep"},
		"a path upwards":      {func(*roletest.Node) {}, linux.State{Absent: []string{"/etc/../usr"}}, "clean path"},
		"a line break":        {func(*roletest.Node) {}, linux.State{Absent: []string{"/etc/a\n/usr"}}, "line break"},
		"masked": {func(n *roletest.Node) {
			n.Files["/etc/systemd/system/a.service"] = &roletest.Entry{Kind: "link", To: "/dev/null"}
		}, linux.State{Units: []linux.Unit{{Name: "a.service"}}}, "is masked"},
		"a unit that fails": {func(n *roletest.Node) { n.Fails["a.service"] = true }, linux.State{Units: []linux.Unit{{Name: "a.service", Content: "x"}}}, "has failed"},
	} {
		t.Run(name, func(t *testing.T) {
			n := roletest.NewNode()
			c.set(n)
			_, err := demo{c.want}.Apply(context.Background(), n.Target(nil))
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("error %v, want one that says %q", err, c.says)
			}
		})
	}
}

func TestBanIsLifted(t *testing.T) {
	n := roletest.NewNode()
	n.Banned = true
	on := n.Target(nil)
	want := demo{linux.State{Dirs: []linux.Dir{{Path: "/etc/a"}}}}
	roletest.Apply(t, want, on)
	if n.Banned {
		t.Fatal("services of the node still may not start")
	}
	roletest.NothingToDo(t, want, n, on)
}

func TestBlock(t *testing.T) {
	const b = "# BEGIN kubeclamp p\nx=1\n# END kubeclamp p\n"
	for name, c := range map[string]struct{ have, body, want string }{
		"into nothing":         {"", "x=1", b},
		"at the end":           {"a=1", "x=1\n", "a=1\n" + b},
		"the same":             {"a=1\n" + b + "c=1\n", "x=1", "a=1\n" + b + "c=1\n"},
		"out":                  {"a=1\n" + b + "c=1\n", "", "a=1\nc=1\n"},
		"out of nothing":       {"a=1", "", "a=1"},
		"the end mark is gone": {"# BEGIN kubeclamp p\nc=1\n", "x=1", b + "c=1\n"},
	} {
		if got := linux.Block(c.have, "p", c.body); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestAnswerThatIsCutOff(t *testing.T) {
	n := roletest.NewNode()
	q, err := linux.Ask(full(), linux.Probe{Name: "p", Script: "x"})
	if err != nil {
		t.Fatal(err)
	}
	exit, _ := n.Exec(context.Background(), q.Cmd())
	for i := range exit.Stdout {
		if _, err := linux.ParseFacts(q, exit.Stdout[:i]); err == nil {
			t.Fatalf("an answer cut off after %d of %d bytes is taken for whole", i, len(exit.Stdout))
		}
	}
}

// shell runs package linux's scripts on this machine, with the folder of its state moved below a temporary one.
type shell struct {
	dir, sh string
	calls   int
}

func (s *shell) move(p string) string { return strings.ReplaceAll(p, linux.StateDir, s.dir+"/state") }

func (s *shell) Exec(ctx context.Context, c jig.Cmd) (jig.Exit, error) {
	s.calls++
	args := append([]string{s.sh}, c.Argv[1:]...)
	for i := range args {
		args[i] = s.move(args[i])
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.Stdin, &out, &errs
	err := cmd.Run()
	var e *exec.ExitError
	if err != nil && !errors.As(err, &e) {
		return jig.Exit{}, err
	}
	return jig.Exit{Code: cmd.ProcessState.ExitCode(), Stdout: bytes.ReplaceAll(out.Bytes(), []byte(s.dir+"/state"), []byte(linux.StateDir)), Stderr: errs.Bytes()}, nil
}

func (s *shell) Put(_ context.Context, p string, mode fs.FileMode, r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	return os.WriteFile(s.move(p), b, mode)
}
func (s *shell) Get(context.Context, string) (io.ReadCloser, error) { return nil, fs.ErrNotExist }
func (s *shell) Dial(context.Context, string, string) (net.Conn, error) {
	return nil, fs.ErrInvalid
}
func (s *shell) Close() error { return nil }

type catalogue struct{ s *shell }

func (c catalogue) Stat(ctx context.Context, name string) (role.Artifact, error) {
	return (&roletest.Artifacts{Version: "1"}).Stat(ctx, name)
}
func (c catalogue) Put(ctx context.Context, name, p string, mode fs.FileMode) error {
	return c.s.Put(ctx, p, mode, strings.NewReader(name+" 1"))
}

func TestScripts(t *testing.T) {
	for _, sh := range []string{"dash", "bash"} {
		path, err := exec.LookPath(sh)
		if err != nil {
			t.Logf("no %s here", sh)
			continue
		}
		t.Run(sh, func(t *testing.T) { scripts(t, path) })
	}
}

func scripts(t *testing.T, sh string) {
	s := &shell{dir: t.TempDir(), sh: sh}
	odd := s.dir + "/a b'c\"d$(e)*ä"
	want := linux.State{
		Dirs:     []linux.Dir{{Path: odd + "/dir", Mode: 0o750}},
		Files:    []linux.File{{Path: odd + "/dir/f", Content: "x\n", Mode: 0o600}, {Path: s.dir + "/gone", Absent: true}},
		Binaries: []linux.Binary{{Artifact: "a/b", Path: odd + "/bin"}},
		Links:    []linux.Link{{Path: s.dir + "/link", To: odd}},
	}
	probes := []linux.Probe{
		{Name: "args", Script: `for a; do printf '<%s>' "$a"; done; cat`, Args: []string{"a b", "$(c)", ""}},
		{Name: "bad", Script: "echo no\nexit 3"},
	}
	on := role.Target{Node: "here", Conn: s, Artifacts: catalogue{s}}
	if err := os.WriteFile(s.dir+"/gone", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	have, ch, err := linux.Converge(context.Background(), on, want, probes...)
	if err != nil || len(ch) != 5 {
		t.Fatalf("changes %v, error %v", ch, err)
	}
	if have.Probe["args"] != "<a b><$(c)><>" || have.Probe["bad"] != "no\n" || have.ProbeCode["bad"] != 3 || have.ProbeCode["args"] != 0 {
		t.Fatalf("probes: %q %v", have.Probe, have.ProbeCode)
	}
	if have.Arch == "" || have.Kernel == "" || have.Hostname == "" || have.OS.ID == "" || have.Skew().Abs() > have.Trip {
		t.Fatalf("facts: %+v", have)
	}
	s.calls = 0
	if _, ch, err = linux.Converge(context.Background(), on, want); err != nil || len(ch) != 0 || s.calls != 1 {
		t.Fatalf("second run: changes %v, error %v, %d calls", ch, err, s.calls)
	}
	if err := os.WriteFile(odd+"/bin", []byte("a/b 2"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(odd+"/dir/f", 0o644); err != nil {
		t.Fatal(err)
	}
	if d, err := linux.Check(context.Background(), on, want); err != nil || len(d.Changes) != 2 {
		t.Fatalf("drift %v, error %v; want the binary and the mode", d, err)
	}
	if err := linux.Remove(context.Background(), on, want); err != nil {
		t.Fatal(err)
	}
	left, _ := filepath.Glob(s.dir + "/*")
	for _, p := range left {
		if base := filepath.Base(p); base != "state" && base != filepath.Base(odd) {
			t.Errorf("left behind: %s", p)
		}
	}
}

func TestKinds(t *testing.T) {
	_, err := linux.Ask(linux.State{Absent: []string{"relative"}})
	if crowbar.KindOf(err) != crowbar.Invalid {
		t.Fatalf("kind of %v is %v", err, crowbar.KindOf(err))
	}
}
