package plugin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-plugin/runner"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// process is go-plugin's runner: a child with an empty stdin that cannot outlive us, and whose end is known at once.
type process struct {
	cmd      *exec.Cmd
	threads  *thread
	out, bad *os.File // our ends of its outputs
	ended    chan struct{}
	how      string // set before ended is closed
}

// newProcess prepares the child; spec is go-plugin's wish, of which the environment is taken. file is the program, open.
func newProcess(t *thread, file *os.File, args []string, spec *exec.Cmd) *process {
	p := &process{threads: t, ended: make(chan struct{})}
	p.cmd = &exec.Cmd{
		Path:        fmt.Sprintf("/proc/self/fd/%d", file.Fd()), // the very bytes that were hashed
		Args:        args,
		Env:         spec.Env,
		Dir:         "/",
		SysProcAttr: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true},
	}
	return p
}

// Start starts it from the thread that never ends: the kernel's death signal goes by thread.
func (p *process) Start(context.Context) error {
	outR, outW, err := os.Pipe()
	if err != nil {
		return err
	}
	badR, badW, err := os.Pipe()
	if err != nil {
		return err
	}
	p.out, p.bad = outR, badR
	p.cmd.Stdout, p.cmd.Stderr = outW, badW
	err = p.threads.do(p.cmd.Start)
	outW.Close()
	badW.Close()
	if err != nil {
		outR.Close()
		badR.Close()
		return err
	}
	go func() {
		_ = p.cmd.Wait()
		p.how = p.cmd.ProcessState.String()
		close(p.ended)
		// What it started may still hold its outputs; go-plugin would wait for that.
		time.AfterFunc(time.Second, func() { outR.Close(); badR.Close() })
	}()
	return nil
}

// Wait waits for its end.
func (p *process) Wait(context.Context) error { <-p.ended; return nil }

// Kill ends it and what it started.
func (p *process) Kill(context.Context) error {
	if p.cmd.Process != nil {
		select {
		case <-p.ended:
		default:
			_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		}
	}
	return nil
}

func (p *process) Stdout() io.ReadCloser { return p.out }
func (p *process) Stderr() io.ReadCloser { return p.bad }
func (p *process) Name() string          { return p.cmd.Args[0] }

// ID is the process id.
func (p *process) ID() string {
	if p.cmd.Process == nil {
		return ""
	}
	return fmt.Sprint(p.cmd.Process.Pid)
}

// Diagnose adds nothing: its stderr is kept anyway.
func (p *process) Diagnose(context.Context) string { return "" }

// PluginToHost and HostToPlugin: both are on one machine.
func (p *process) PluginToHost(network, addr string) (string, string, error) {
	return network, addr, nil
}
func (p *process) HostToPlugin(network, addr string) (string, string, error) {
	return network, addr, nil
}

var _ runner.Runner = (*process)(nil)

// thread is one OS thread that starts every child, and lives as long as the host.
type thread struct {
	jobs chan func()
	once sync.Once
}

func newThread() *thread {
	t := &thread{jobs: make(chan func())}
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		for f := range t.jobs {
			f()
		}
	}()
	return t
}

func (t *thread) do(f func() error) error {
	done := make(chan error, 1)
	t.jobs <- func() { done <- f() }
	return <-done
}

func (t *thread) end() { t.once.Do(func() { close(t.jobs) }) }

// sums remembers what the programs were when they were first started: one that is changed under a running daemon is
// refused, so that a run's two halves are never done by two versions.
type sums struct {
	mu    sync.Mutex
	files map[string]string // device, inode, size, times -> sha256
	roles map[string]string // role -> sha256
}

// open opens a program, hashes what it opened, and compares.
func (s *sums) open(role, path string) (*os.File, string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, "", crowbar.Errorf(crowbar.NotFound, "program of role %s: %w", role, err)
	}
	sum, err := s.sum(role, path, f)
	if err != nil {
		f.Close()
		return nil, "", err
	}
	return f, sum, nil
}

func (s *sums) sum(role, path string, f *os.File) (string, error) {
	var st syscall.Stat_t
	if err := syscall.Fstat(int(f.Fd()), &st); err != nil {
		return "", err
	}
	if st.Mode&0o002 != 0 {
		return "", crowbar.Errorf(crowbar.Invalid, "program of role %s: everybody may write %s: run chmod o-w on it", role, path)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.files == nil {
		s.files, s.roles = map[string]string{}, map[string]string{}
	}
	key := fmt.Sprint(st.Dev, st.Ino, st.Size, st.Mtim, st.Ctim)
	sum, ok := s.files[key]
	if !ok {
		h := sha256.New()
		if _, err := io.Copy(h, f); err != nil {
			return "", err
		}
		sum = hex.EncodeToString(h.Sum(nil))
		s.files[key] = sum
	}
	if before, ok := s.roles[role]; ok && before != sum {
		return "", crowbar.Errorf(crowbar.Conflict, "program of role %s: %s was changed (sha256 %s, now %s): restart kubeclampd to use it", role, path, before, sum)
	}
	s.roles[role] = sum
	return sum, nil
}
