package plugin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// The test binary is the role's program as well: testRoles says what it serves.
func TestMain(m *testing.M) {
	if Started() {
		for _, line := range strings.Split(os.Getenv("TEST_NOISE"), "\n") {
			fmt.Fprintln(os.Stderr, line)
		}
		make, ok := testRoles[os.Args[len(os.Args)-1]]
		if !ok {
			fmt.Fprintln(os.Stderr, "no such role")
			os.Exit(3)
		}
		if os.Getenv("TEST_SILENT") != "" {
			select {}
		}
		if os.Getenv("TEST_LINGER") != "" {
			serve(make())
			select {}
		}
		Serve(make())
	}
	if os.Getenv("TEST_HOST") != "" {
		hostAndHang()
	}
	os.Exit(m.Run())
}

func host(t *testing.T, env ...string) *Host {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "kc")
	if err != nil {
		t.Fatal(err)
	}
	h := NewHost(Config{Shipped: self, SocketDir: dir, Env: env})
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("sockets left behind: %v", left)
		}
		os.RemoveAll(dir)
	})
	return h
}

func get(t *testing.T, h *Host, name string) role.Role {
	t.Helper()
	r, err := h.Role(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func pid(t *testing.T, h *Host, name string) int {
	t.Helper()
	h.mu.Lock()
	k := h.roles[name]
	h.mu.Unlock()
	k.mu.Lock()
	defer k.mu.Unlock()
	n, err := strconv.Atoi(k.now.child.ID())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestTargetCrossesWhole(t *testing.T) {
	r := get(t, host(t), "mirror")
	var logged []string
	on := role.Target{Node: "n1", Address: "10.0.0.1", Deployment: "k8s", Arch: "arm64", First: true, Again: true, Last: true, DryRun: true, Conn: &fake{},
		Attribs: crowbar.Data{"a": "x", "n": 1.5, "l": []any{"y", nil, true}, "m": map[string]any{"k": "\u2603"}},
		Peers:   []role.Peer{{Role: "etcd", Node: "n2", Address: "10.0.0.2", State: crowbar.Error, Settled: true, First: true, Alive: true, Wall: crowbar.Data{"w": "v"}}},
		Log:     func(f string, a ...any) { logged = append(logged, fmt.Sprintf(f, a...)) }}
	res, err := r.Apply(t.Context(), on)
	if err != nil {
		t.Fatal(err)
	}
	want, _ := dataOut(crowbar.Data{"target": fmt.Sprintf("%+v", plainTarget(on))})
	got, _ := dataOut(res.Wall)
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]role.Change{{What: "file", Name: "/x", Do: "create", Diff: "d"}}, res.Changes); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"a line with 100%", "second"}, logged); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(role.Info{Name: "mirror", Version: "v7", Wants: []string{"a", "b"}}, r.Describe()); diff != "" {
		t.Error(diff)
	}
}

func TestAbilitiesAreTheRoles(t *testing.T) {
	h := host(t)
	for name, want := range map[string][2]bool{"mirror": {}, "checks": {true, false}, "removes": {false, true}, "all": {true, true}} {
		r := get(t, h, name)
		c, checks := r.(role.Checker)
		m, removes := r.(role.Remover)
		if checks != want[0] || removes != want[1] {
			t.Errorf("%s: checks %v, removes %v", name, checks, removes)
		}
		on := role.Target{Node: "n1", Conn: &fake{}}
		if checks {
			if d, err := c.Check(t.Context(), on); err != nil || len(d.Changes) != 1 || d.Changes[0].Name != "drift on n1" {
				t.Errorf("%s: %v %v", name, d, err)
			}
		}
		if removes {
			if err := m.Remove(t.Context(), on); err == nil || err.Error() != "cannot remove from n1" || crowbar.KindOf(err) != crowbar.Conflict {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// do runs role "hands", which does the one thing that attrib "do" says.
func do(t *testing.T, ctx context.Context, h *Host, conn jig.Conn, what string, more ...string) (role.Result, error) {
	t.Helper()
	attribs := crowbar.Data{"do": what}
	for i := 0; i+1 < len(more); i += 2 {
		attribs[more[i]] = more[i+1]
	}
	return get(t, h, "hands").Apply(ctx, role.Target{Node: "n1", Conn: conn, Artifacts: artifactsOf{}, Attribs: attribs})
}

func TestErrorsKeepTheirKind(t *testing.T) {
	h := host(t)
	for name, c := range map[string]struct {
		kind crowbar.ErrorKind
		is   error
	}{"invalid": {crowbar.Invalid, nil}, "conflict": {crowbar.Conflict, nil}, "unavailable": {crowbar.Unavailable, nil}, "plain": {crowbar.Internal, nil},
		"get missing": {crowbar.NotFound, fs.ErrNotExist}, "no artifact": {crowbar.NotFound, nil}, "dead node": {crowbar.Unavailable, nil}, "daemon panics": {crowbar.Internal, nil}} {
		_, err := do(t, t.Context(), h, &fake{}, name)
		if err == nil || crowbar.KindOf(err) != c.kind || c.is != nil && !errors.Is(err, c.is) || errors.Is(err, role.ErrDied) {
			t.Errorf("%s: kind %v: %v", name, crowbar.KindOf(err), err)
		}
	}
	_, err := do(t, t.Context(), h, &fake{}, "exit error")
	e, ok := errors.AsType[*jig.ExitError](err)
	if !ok || e.Exit.Code != 3 || string(e.Exit.Stderr) != "bad" || strings.Join(e.Argv, " ") != "false --really" {
		t.Errorf("exit error: %#v", err)
	}
	if res, err := do(t, t.Context(), h, &fake{}, "half done"); err == nil || len(res.Changes) != 1 {
		t.Errorf("what was done before the failure is lost: %v %v", res, err)
	}
}

func TestHands(t *testing.T) {
	h := host(t)
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<18) // 4 MiB
	f := &fake{files: map[string][]byte{"/big": big}}
	for _, what := range []string{"exec echo", "exec writers", "exec big", "put big", "put broken", "get big", "get part", "dial", "dial refused", "artifact", "stdin broken", "env"} {
		if _, err := do(t, t.Context(), h, f, what); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	if got := f.file("/put"); !bytes.Equal(got, big) {
		t.Errorf("put big: %d bytes arrived", len(got))
	}
	if f.file("/broken") != nil {
		t.Error("a file that was cut short was written")
	}
	if f.modes["/put"] != 0o640|fs.ModeSetgid {
		t.Errorf("mode %v", f.modes["/put"])
	}
}

func TestCancelTravels(t *testing.T) {
	h := host(t)
	f := &fake{entered: make(chan struct{}, 9), left: make(chan error, 9)}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-f.entered; cancel() }()
	start := time.Now()
	_, err := do(t, ctx, h, f, "hang")
	if !errors.Is(err, context.Canceled) || time.Since(start) > 5*time.Second {
		t.Fatalf("after %s: %v", time.Since(start), err)
	}
	if err := <-f.left; !errors.Is(err, context.Canceled) {
		t.Fatalf("the command on the node saw %v", err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := do(t, ctx, h, f, "hang"); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("error is %v", err)
	}
	if _, err := do(t, t.Context(), h, &fake{}, "own timeout"); err != nil {
		t.Fatal(err)
	}
	if _, err := do(t, t.Context(), h, &fake{}, "exec echo"); err != nil {
		t.Fatalf("after cancels: %v", err)
	}
}

func TestManyAtOnce(t *testing.T) {
	h := host(t)
	first := get(t, h, "hands")
	before := pid(t, h, "hands")
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			f := &fake{}
			what := []string{"exec echo", "put big", "exec big"}[i%3]
			on := role.Target{Node: fmt.Sprint("n", i), Conn: f, Artifacts: artifactsOf{}, Attribs: crowbar.Data{"do": what}}
			res, err := first.Apply(t.Context(), on)
			if err != nil || res.Wall["node"] != on.Node {
				t.Errorf("%d %s: %v %v", i, what, res.Wall, err)
			}
		})
	}
	all.Wait()
	if pid(t, h, "hands") != before {
		t.Error("more than one process")
	}
}

func TestKilledInTheMiddle(t *testing.T) {
	h := host(t)
	f := &fake{entered: make(chan struct{}, 9), left: make(chan error, 9)}
	go func() { <-f.entered; syscall.Kill(pid(t, h, "hands"), syscall.SIGKILL) }()
	_, err := do(t, t.Context(), h, f, "hang")
	if crowbar.KindOf(err) != crowbar.Unavailable || !errors.Is(err, role.ErrDied) || !strings.Contains(err.Error(), "signal: killed") {
		t.Fatalf("error is %v", err)
	}
	<-f.left // its command on the node was ended too
	if _, err := do(t, t.Context(), h, &fake{}, "exec echo"); err != nil {
		t.Fatalf("the next call: %v", err)
	}
}

func TestPanicIsShown(t *testing.T) {
	h := host(t)
	_, err := do(t, t.Context(), h, &fake{}, "panic")
	if !errors.Is(err, role.ErrDied) || !strings.Contains(err.Error(), "a role that panics") {
		t.Fatalf("error is %v", err)
	}
	if _, err := do(t, t.Context(), h, &fake{}, "exec echo"); err != nil {
		t.Fatal(err)
	}
}

func TestFiveCrashesBreakIt(t *testing.T) {
	h := host(t)
	h.roles["hands"] = newKeeper(h, "hands")
	for range crashLimit - 1 { // without the pauses between them
		h.roles["hands"].crashed("the last words")
	}
	h.roles["hands"].crashes[3] = time.Now().Add(-10 * time.Second)
	_, err := do(t, t.Context(), h, &fake{}, "panic")
	if !errors.Is(err, role.ErrDied) {
		t.Fatal(err)
	}
	err = role.Await(t.Context(), "it to be broken", 10*time.Second, func(ctx context.Context) (bool, error) {
		_, err := h.Role(ctx, "hands")
		return err != nil, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.Role(t.Context(), "hands")
	if crowbar.KindOf(err) != crowbar.Unavailable || !strings.Contains(err.Error(), "is broken") || !strings.Contains(err.Error(), "a role that panics") {
		t.Fatalf("error is %v", err)
	}
}

func TestNoiseDoesNotHurt(t *testing.T) {
	noise := []string{`{"@message":5}`, `{"@level":7,"@timestamp":false}`, `{`, `[]`, "\xff\xfe", "1|2|tcp|evil|grpc", strings.Repeat("x", 100_000), "panic: not really"}
	h := host(t, "TEST_NOISE="+strings.Join(noise, "\n"))
	if _, err := do(t, t.Context(), h, &fake{}, "noise"); err != nil {
		t.Fatal(err)
	}
	k := h.roles["hands"]
	err := role.Await(t.Context(), "the lines", 10*time.Second, func(context.Context) (bool, error) {
		words := k.now.said.tail()
		return strings.Contains(words, `{"@message":5}`) && strings.Contains(words, "on stdout") && strings.Contains(words, "on stderr"), errors.New(words)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestStartErrors(t *testing.T) {
	dir := t.TempDir()
	script := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, "kubeclamp-role-"+name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	script("garbage", "not a program")
	self, _ := os.ReadFile("/proc/self/exe")
	script("liar", string(self))
	_ = os.Chmod(filepath.Join(dir, "kubeclamp-role-liar"), 0o757)
	h := host(t)
	h.cfg.Dir = dir
	for name, says := range map[string]string{"unknown": "no such role", "garbage": "exec format error", "misnamed": `says that it is role "mirror"`, "../x": "no name of a role", "liar": "chmod o-w"} {
		_, err := h.Role(t.Context(), name)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	h.cfg.Shipped = ""
	if _, err := h.Role(t.Context(), "nobody"); crowbar.KindOf(err) != crowbar.NotFound {
		t.Errorf("error is %v", err)
	}
	if diff := cmp.Diff([]string{"garbage", "liar"}, h.Found()); diff != "" {
		t.Error(diff)
	}
}

func TestChangedProgramIsRefused(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "kubeclamp-role-hands")
	self, _ := os.ReadFile("/proc/self/exe")
	if err := os.WriteFile(path, self, 0o755); err != nil {
		t.Fatal(err)
	}
	h := host(t)
	h.cfg.Dir = dir
	if _, err := h.Role(t.Context(), "hands"); err == nil || !strings.Contains(err.Error(), "no such role") {
		t.Fatal(err) // its argument is its file name, which the test binary does not serve; but it was hashed
	}
	if err := errors.Join(os.Remove(path), os.WriteFile(path, append(self, 0), 0o755)); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Role(t.Context(), "hands"); crowbar.KindOf(err) != crowbar.Conflict || !strings.Contains(err.Error(), "restart kubeclampd") {
		t.Fatalf("error is %v", err)
	}
}

// hostAndHang is another process that hosts a role and is then killed.
func hostAndHang() {
	self, _ := os.Executable()
	h := NewHost(Config{Shipped: self, SocketDir: os.Getenv("TEST_HOST")})
	if _, err := h.Role(context.Background(), "mirror"); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(h.roles["mirror"].now.child.ID())
	select {}
}

func TestHostKilledTakesItsRolesAlong(t *testing.T) {
	dir, err := os.MkdirTemp("", "kc")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	self, _ := os.Executable()
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), "TEST_HOST="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var child int
	if _, err := fmt.Fscan(out, &child); err != nil {
		t.Fatal(err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	err = role.Await(t.Context(), "the role to go", 10*time.Second, func(context.Context) (bool, error) {
		state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", child))
		return err != nil || bytes.Contains(state, []byte(") Z")), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Fatalf("expected the dead host's sockets: %v", left)
	}
	h := NewHost(Config{Shipped: self, SocketDir: dir})
	defer h.Close()
	if left, _ := os.ReadDir(dir); len(left) != 1 || left[0].Name() != filepath.Base(h.sockets) {
		t.Fatalf("not swept: %v", left)
	}
}

func TestEnvironmentIsBare(t *testing.T) {
	t.Setenv("SECRET_OF_THE_DAEMON", "x")
	h := host(t)
	get(t, h, "hands")
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid(t, h, "hands")))
	if err != nil || bytes.Contains(env, []byte("SECRET_OF_THE_DAEMON")) {
		t.Fatalf("%v %s", err, env)
	}
	if to, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/0", pid(t, h, "hands"))); to != "/dev/null" {
		t.Errorf("stdin is %s", to)
	}
}

func TestByHandItIsRefusedKindly(t *testing.T) {
	if os.Getenv("TEST_BY_HAND") != "" {
		Serve(mirror{})
	}
	self, _ := os.Executable()
	cmd := exec.Command(self, "-test.run=TestByHandItIsRefusedKindly")
	cmd.Env = append(os.Environ(), "TEST_BY_HAND=1")
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != 2 || !strings.Contains(string(out), `the role "mirror" of kubeclamp`) {
		t.Fatalf("%v: %s", err, out)
	}
}

type limited struct {
	bytes.Buffer
	most int
}

func (l *limited) Write(p []byte) (int, error) {
	if l.most > 0 && l.Len()+len(p) > l.most {
		return 0, errBroken
	}
	return l.Buffer.Write(p)
}

func TestActions(t *testing.T) {
	const many = 9 << 20 // more than one message may have
	a, ok := get(t, host(t), "acts").(role.Actor)
	if !ok {
		t.Fatal("a role with actions is no role.Actor")
	}
	tests := map[string]struct {
		do   string
		most int // that the taker takes
		got  int
		want string // in the error
	}{
		"done":       {do: "copy", got: many},
		"fails":      {do: "break", got: many, want: "broken on n1"},
		"unknown":    {do: "nothing", want: "no action"},
		"taker ends": {do: "copy", most: 1 << 20, want: errBroken.Error()},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			out := &limited{most: tt.most}
			d, err := a.Act(t.Context(), role.Target{Node: "n1"}, role.Action{Name: tt.do, Args: crowbar.Data{"bytes": many}, Out: out})
			if tt.want != "" {
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("error %v, want one with %q", err, tt.want)
				}
			} else if err != nil || d["node"] != "n1" {
				t.Errorf("gave back %v, %v", d, err)
			}
			if tt.got > 0 && out.Len() != tt.got {
				t.Errorf("%d bytes came, want %d", out.Len(), tt.got)
			}
		})
	}
	if _, err := get(t, host(t), "mirror").(role.Actor).Act(t.Context(), role.Target{Node: "n1"}, role.Action{Name: "copy", Out: &limited{}}); crowbar.KindOf(err) != crowbar.Invalid {
		t.Errorf("an action of a role that has none: %v", err)
	}
}

// What a role does while others are held up is done whether they wait or not, and they are released after it.
func TestHold(t *testing.T) {
	for name, tt := range map[string]struct {
		fails error
		none  bool
		want  string
		log   string
	}{
		"all wait":     {want: "hold release"},
		"one does not": {fails: errors.New("app on n2 does not answer"), want: "hold release", log: "app on n2 does not answer"},
		"nobody can":   {none: true},
	} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			var seen []string
			see := func(what string) {
				mu.Lock()
				defer mu.Unlock()
				seen = append(seen, what)
			}
			log := ""
			on := role.Target{Node: "n1", Conn: &fake{}, Artifacts: artifactsOf{}, Attribs: crowbar.Data{"do": "held"},
				Log: func(format string, a ...any) { log += fmt.Sprintf(format, a...) },
				Hold: func(context.Context) (func(), error) {
					see("hold")
					return func() { see("release") }, tt.fails
				}}
			if tt.none {
				on.Hold = nil
			}
			if _, err := get(t, host(t), "hands").Apply(t.Context(), on); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(seen, " "); got != tt.want || !strings.Contains(log, tt.log) {
				t.Errorf("%q, log %q", got, log)
			}
		})
	}
}
