package plugin

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// What a daemon's user sees of bad plugins is held by the test in test/plugins; here is what it takes to look inside for.

func TestOneThatDoesNotStopIsEndedAfterTheOthersInIt(t *testing.T) {
	h := host(t)
	h.cfg.StopLimit = 200 * time.Millisecond
	other := &fake{entered: make(chan struct{}, 1), left: make(chan error, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { _, err := do(t, ctx, h, other, "hang"); ended <- err }()
	<-other.entered
	old := pid(t, h, "hands")

	bad := &fake{entered: make(chan struct{}, 1), left: make(chan error, 1)}
	short, stop := context.WithCancelCause(t.Context())
	go func() { <-bad.entered; stop(errors.New("it took too long")) }()
	_, err := do(t, short, h, bad, "never stop")
	if err == nil || !strings.Contains(err.Error(), "it took too long, and it did not stop when it was told to") || !strings.Contains(err.Error(), "I do not care") {
		t.Fatalf("error is %v", err)
	}
	if err := <-bad.left; err == nil {
		t.Error("its command on the node was not ended")
	}
	if _, err := do(t, t.Context(), h, &fake{}, "exec echo"); err != nil || pid(t, h, "hands") == old {
		t.Fatalf("the next call, in process %d after %d: %v", pid(t, h, "hands"), old, err)
	}
	select {
	case err := <-ended:
		t.Fatalf("another call in the process was ended with it: %v", err)
	default:
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	err = role.Await(t.Context(), "the process to be ended", 10*time.Second, func(context.Context) (bool, error) {
		return errors.Is(syscall.Kill(old, 0), syscall.ESRCH), nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestOneThatHangsUpIsEnded(t *testing.T) {
	h := host(t, "TEST_LINGER=1")
	get(t, h, "hands")
	old := pid(t, h, "hands")
	_, err := do(t, t.Context(), h, &fake{}, "hang up")
	if !errors.Is(err, role.ErrDied) || !strings.Contains(err.Error(), "it closed its connection in the middle of a run") {
		t.Fatalf("error is %v", err)
	}
	if _, err := do(t, t.Context(), h, &fake{}, "exec echo"); err != nil || pid(t, h, "hands") == old {
		t.Fatalf("the next call: %v", err)
	}
}

func TestAProgramThatChangesWhileItIsStarted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "program")
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Skip(err)
	}
	content, err := os.ReadFile(sleep)
	if err = errors.Join(err, os.WriteFile(path, content, 0o755)); err != nil {
		t.Fatal(err)
	}
	var s sums
	prog, err := s.open("x", path)
	if err != nil {
		t.Fatal(err)
	}
	defer prog.file.Close()
	if err := os.WriteFile(path, content, 0o755); err != nil { // the same file, the same length: only its times tell
		t.Fatal(err)
	}
	th := newThread()
	defer th.end()
	p := newProcess(th, prog, Limits{}.orDefault(), &lines{})
	p.prepare([]string{"sleep", "1000"}, nil)
	err = p.Start(t.Context())
	if crowbar.KindOf(err) != crowbar.Conflict || !strings.Contains(err.Error(), "was changed while it was started") {
		t.Fatalf("error is %v", err)
	}
	<-p.ended
	if p.how != "signal: killed" {
		t.Errorf("it ended with %s", p.how)
	}
}

func TestLimitsWithoutControlGroups(t *testing.T) {
	h := host(t)
	h.groups.remove()
	*h.groups = groups{why: "a test"}
	get(t, h, "hands")
	limits, err := os.ReadFile("/proc/" + (&process{cmd: &exec.Cmd{Process: &os.Process{Pid: pid(t, h, "hands")}}}).ID() + "/limits")
	if err != nil {
		t.Fatal(err)
	}
	for what, most := range map[string]string{"Max data size": "1073741824", "Max core file size": "0", "Max processes": "512"} {
		for line := range strings.Lines(string(limits)) {
			if rest, ok := strings.CutPrefix(line, what); ok && strings.Fields(rest)[0] != most {
				t.Errorf("%s", line)
			}
		}
	}
	if _, err := do(t, t.Context(), h, &fake{}, "exec echo"); err != nil {
		t.Fatal(err)
	}
}

// TestStraysAreOneFoldersAlone: without control groups the end of one role's process is not the end of another's whose folder
// is named alike.
func TestStraysAreOneFoldersAlone(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "plugin-dir1")
	sleepers := map[string]*exec.Cmd{}
	for _, name := range []string{folder, folder + "2"} {
		c := exec.Command("sleep", "1000")
		c.Env = []string{"PLUGIN_UNIX_SOCKET_DIR=" + name, "LC_ALL=C"}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
		sleepers[name] = c
	}
	strays(folder + "\x00")
	if err := sleepers[folder].Wait(); err == nil || err.Error() != "signal: killed" {
		t.Errorf("its own ended with %v", err)
	}
	if err := syscall.Kill(sleepers[folder+"2"].Process.Pid, 0); err != nil {
		t.Errorf("the other one's: %v", err)
	}
	state, err := os.ReadFile("/proc/" + strconv.Itoa(sleepers[folder+"2"].Process.Pid) + "/stat")
	if err != nil || strings.Contains(string(state), ") Z ") {
		t.Errorf("the other one's was ended: %v %s", err, state)
	}
}

func TestAStartThatIsCalledOffIsNoCrash(t *testing.T) {
	h := host(t, "TEST_SILENT=1")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { _, err := h.Role(ctx, "mirror"); ended <- err }()
	err := role.Await(t.Context(), "the process to run", 20*time.Second, func(context.Context) (bool, error) {
		all, err := filepath.Glob(h.sockets + "/plugin-dir*")
		return len(all) > 0, err
	})
	cancel()
	if err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil {
		t.Fatal("it was started")
	}
	h.mu.Lock()
	k := h.roles["mirror"]
	h.mu.Unlock()
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.crashes) != 0 {
		t.Errorf("it counts %d crashes", len(k.crashes))
	}
}

// TestStraysOfADeadHost: what the roles of a killed daemon started goes when the next one starts, by group or by environment.
func TestStraysOfADeadHost(t *testing.T) {
	dir, err := os.MkdirTemp("", "kc")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	dead := filepath.Join(dir, "d1")
	if err := errors.Join(os.Mkdir(dead, 0o700), os.WriteFile(filepath.Join(dead, "lock"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	stray := exec.Command("sleep", "1000")
	stray.Env = []string{"PLUGIN_UNIX_SOCKET_DIR=" + dead + "/plugin-dir1"}
	stray.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	other := exec.Command("sleep", "1000")
	other.Env = []string{"PLUGIN_UNIX_SOCKET_DIR=" + dead + "2/plugin-dir1"}
	if err := errors.Join(stray.Start(), other.Start()); err != nil {
		t.Fatal(err)
	}
	h := NewHost(Config{SocketDir: dir})
	defer h.Close()
	if err := stray.Wait(); err == nil || err.Error() != "signal: killed" {
		t.Errorf("the stray ended with %v", err)
	}
	if err := errors.Join(syscall.Kill(other.Process.Pid, 0), other.Process.Kill()); err != nil {
		t.Errorf("another daemon's process: %v", err)
	}
	_ = other.Wait()
}
