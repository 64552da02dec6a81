package plugin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-plugin/runner"
	"golang.org/x/sys/unix"
)

// process is go-plugin's runner: a child with an empty stdin that cannot outlive us, that takes what it started along, and
// whose end is known at once.
type process struct {
	cmd     *exec.Cmd
	threads *thread
	program *program
	group   *group // nil: there are no control groups
	limits  Limits
	sockets string // its socket is below it, and every process that it starts has that in its environment

	out, bad *os.File // our ends of its outputs
	said     io.Writer
	launched chan struct{} // closed when it runs
	ended    chan struct{}
	how      string // set before ended is closed
}

func newProcess(t *thread, p *program, l Limits, said io.Writer) *process {
	return &process{threads: t, program: p, limits: l, said: said, launched: make(chan struct{}), ended: make(chan struct{})}
}

func (p *process) prepare(args, env []string) {
	p.cmd = &exec.Cmd{
		Path:        fmt.Sprintf("/proc/self/fd/%d", p.program.file.Fd()), // the very bytes that were hashed
		Args:        args,
		Env:         env,
		Dir:         "/",
		SysProcAttr: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true},
	}
}

// busyTries is how often a start is tried again where the program is being written, each a little later.
const busyTries = 5

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
	err = p.threads.do(func() error { return p.group.start(p.cmd.SysProcAttr, p.launch) })
	outW.Close()
	badW.Close()
	if err != nil {
		outR.Close()
		badR.Close()
		return err
	}
	close(p.launched)
	go p.reap()
	if err := p.confine(); err != nil {
		_ = p.Kill(context.Background())
		return err
	}
	return nil
}

// launch tries again while somebody holds the program open for writing, be it a child that was just forked off us.
func (p *process) launch() error {
	for try := 1; ; try++ {
		err := p.cmd.Start()
		if !errors.Is(err, syscall.ETXTBSY) || try == busyTries {
			return err
		}
		time.Sleep(time.Duration(try) * 10 * time.Millisecond)
		again := *p.cmd
		p.cmd = &exec.Cmd{Path: again.Path, Args: again.Args, Env: again.Env, Dir: again.Dir, Stdout: again.Stdout, Stderr: again.Stderr, SysProcAttr: again.SysProcAttr}
	}
}

// confine is what is done to a child that was just started, before it is given anything.
func (p *process) confine() error {
	err := noCore(p.cmd.Process.Pid)
	if err == nil && p.group == nil {
		err = p.limits.byProcess(p.cmd.Process.Pid)
	}
	if err != nil && !errors.Is(err, syscall.ESRCH) { // gone already: its end says why
		return err
	}
	return p.program.unchanged()
}

// reap waits for the end, and ends what the child left behind before its number can be another's.
func (p *process) reap() {
	pid := p.cmd.Process.Pid
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	_ = syscall.Kill(-pid, syscall.SIGKILL)
	p.group.kill()
	if p.group == nil && p.sockets != "" {
		strays(p.sockets + "\x00")
	}
	_ = p.cmd.Wait()
	p.how = p.cmd.ProcessState.String()
	if why, _ := p.group.reached(); why != "" {
		p.how = why
	}
	p.group.close()
	close(p.ended)
	// What it said is in the pipes and is read to their end. Should somebody hold them open yet, go-plugin is not to wait.
	time.AfterFunc(time.Second, func() { p.out.Close(); p.bad.Close() })
}

// runs says that it was started, and may have ended since.
func (p *process) runs() bool {
	select {
	case <-p.launched:
		return true
	default:
		return false
	}
}

// cleared says how a process ended that was killed, and takes away what it had; "" if it never ran.
func (p *process) cleared() string {
	if p.runs() {
		<-p.ended
	} else {
		p.group.close()
	}
	if p.sockets != "" {
		_ = os.RemoveAll(p.sockets)
	}
	return p.how
}

// strays ends the processes that were started, at whatever remove, by one whose folder for sockets begins so; with a zero byte
// at its end it is that folder alone.
func strays(sockets string) {
	mark := []byte("PLUGIN_UNIX_SOCKET_DIR=" + sockets)
	for range 3 { // one may have been starting another
		found := false
		all, _ := filepath.Glob("/proc/[0-9]*/environ")
		for _, file := range all {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			if env, _ := os.ReadFile(file); err != nil || pid == os.Getpid() || !bytes.Contains(env, mark) {
				continue
			}
			found = true
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		if !found {
			return
		}
	}
}

// Wait waits for its end.
func (p *process) Wait(context.Context) error { <-p.ended; return nil }

// Kill ends it and what it started.
func (p *process) Kill(context.Context) error {
	if !p.runs() {
		return nil
	}
	select {
	case <-p.ended:
	default:
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	}
	return nil
}

// Stdout gives go-plugin its handshake, which is the first line; the rest, from a program that does not go by the SDK, is kept
// with what it says on stderr.
func (p *process) Stdout() io.ReadCloser { return &firstLine{File: p.out, rest: p.said} }

type firstLine struct {
	*os.File
	rest   io.Writer
	passed bool
}

func (f *firstLine) Read(b []byte) (int, error) {
	for {
		n, err := f.File.Read(b)
		if f.passed {
			_, _ = f.rest.Write(b[:n])
			if err != nil {
				return 0, err
			}
			continue
		}
		if i := bytes.IndexByte(b[:n], '\n'); i >= 0 {
			f.passed = true
			_, _ = f.rest.Write(b[i+1 : n])
			n = i + 1
		}
		return n, err
	}
}

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
	quit chan struct{}
	once sync.Once
}

func newThread() *thread {
	t := &thread{jobs: make(chan func()), quit: make(chan struct{})}
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		for {
			select {
			case f := <-t.jobs:
				f()
			case <-t.quit:
				return
			}
		}
	}()
	return t
}

func (t *thread) do(f func() error) error {
	done := make(chan error, 1)
	select {
	case t.jobs <- func() { done <- f() }:
		return <-done
	case <-t.quit:
		return errors.New("the plugin host is closed")
	}
}

func (t *thread) end() { t.once.Do(func() { close(t.quit) }) }
