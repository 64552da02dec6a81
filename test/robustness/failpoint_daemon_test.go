package robustness

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
)

// jailKey names the folder that a jailed daemon has for /var/lib: its nodes are this machine, and their fences lie there.
const jailKey = "KUBECLAMP_TEST_JAIL"

// enterJail turns this process into the one of its arguments, with a /var/lib of its own. It returns only an error.
func enterJail() error {
	lib := os.Getenv(jailKey)
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("jail: %w", err)
	}
	if err := syscall.Mount(lib, "/var/lib", "", syscall.MS_BIND, ""); err != nil {
		return fmt.Errorf("jail: %w", err)
	}
	return syscall.Exec(os.Args[1], os.Args[1:], os.Environ())
}

// daemon is one life of a real kubeclampd.
type daemon struct {
	cmd    *exec.Cmd
	began  time.Time
	client *client.Client

	said  output
	ready chan struct{} // it says that it is
	ended chan struct{}
}

// output keeps what a daemon says, and notices that it is ready.
type output struct {
	mu    sync.Mutex
	b     bytes.Buffer
	ready func()
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.b.Write(p)
	if bytes.Contains(p, []byte("msg=ready")) {
		o.ready()
	}
	return len(p), nil
}

// String is the end of what it said.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	lines := strings.SplitAfter(o.b.String(), "\n")
	return strings.Join(lines[max(0, len(lines)-40):], "")
}

// start starts a daemon on a folder; env is what its failpoints are told.
func start(t *testing.T, b build, dir string, env ...string) *daemon {
	t.Helper()
	d := &daemon{ready: make(chan struct{}), ended: make(chan struct{}), began: time.Now()}
	d.said.ready = sync.OnceFunc(func() { close(d.ready) })
	d.cmd = exec.Command(b.roles, b.daemon, "--data-dir", filepath.Join(dir, "d"), "--listen", "127.0.0.1:0", "--role-plugin", b.roles, "--plugin-dir", "",
		"--barclamp", filepath.Join(dir, "barclamp.yaml"), "--artifact-cache", filepath.Join(dir, "cache"))
	d.cmd.Env = append(append(os.Environ(), jailKey+"="+filepath.Join(dir, "lib")), env...)
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	d.cmd.Stderr = &d.said
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = d.cmd.Wait(); close(d.ended) }()
	return d
}

func (d *daemon) dead() bool {
	select {
	case <-d.ended:
		return true
	default:
		return false
	}
}

// answers waits until the API does, and says how long after the start that was; an error if the daemon ended before.
func (d *daemon) answers(ctx context.Context, dir string) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	select {
	case <-d.ready:
	case <-d.ended:
		return 0, errors.New("it ended before it was ready")
	case <-ctx.Done():
		return 0, fmt.Errorf("not ready: %w", ctx.Err())
	}
	var c client.Config
	b, err := os.ReadFile(filepath.Join(dir, "d", "admin.json"))
	if err = errors.Join(err, json.Unmarshal(b, &c)); err != nil {
		return 0, err
	}
	if d.client, err = client.New(c); err != nil {
		return 0, err
	}
	var nodes []crowbar.Node
	if err := d.client.List(ctx, crowbar.KindNode, &nodes); err != nil {
		return 0, err
	}
	return time.Since(d.began), nil
}

// end has the daemon end by a signal, and waits for it.
func (d *daemon) end(t *testing.T, by syscall.Signal) {
	t.Helper()
	_ = d.cmd.Process.Signal(by)
	select {
	case <-d.ended:
	case <-time.After(time.Minute):
		_ = d.cmd.Process.Kill()
		<-d.ended
		t.Errorf("the daemon did not end after %s:\n%s", by, d.said.String())
	}
}
