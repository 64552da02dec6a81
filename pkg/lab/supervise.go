package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// States of a node.
const (
	StateOff     = "off"
	StateRunning = "running" // its init runs; ssh may answer a little later
	StateFrozen  = "frozen"
	StateFailed  = "failed" // it did not start
)

// process names one process for good: a pid alone may be somebody else's by now.
type process struct {
	PID   int    `json:"pid"`
	Start string `json:"start"` // ticks since the machine started
}

// nodeState is Dir/nodes/NAME/state.json; the node's supervisor writes it.
type nodeState struct {
	State      string    `json:"state"`
	Supervisor process   `json:"supervisor"`
	Boots      int       `json:"boots"`
	Ended      string    `json:"ended,omitempty"` // how init ended the last time
	Since      time.Time `json:"since"`
}

func findProcess(pid int) (process, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return process{}, err
	}
	_, rest, ok := strings.Cut(string(b[strings.LastIndexByte(string(b), ')'):]), " ")
	f := strings.Fields(rest)
	if !ok || len(f) < 20 || f[0] == "Z" {
		return process{}, fmt.Errorf("process %d: ended", pid)
	}
	return process{PID: pid, Start: f[19]}, nil
}

func (p process) alive() bool {
	q, err := findProcess(p.PID)
	return p.PID > 0 && err == nil && q == p
}

func (p process) kill(sig syscall.Signal) error {
	if !p.alive() {
		return nil
	}
	return syscall.Kill(p.PID, sig)
}

// powerOn starts the node's supervisor, which lives on when this process ends.
func (l *Lab) powerOn(ctx context.Context, n nodeRecord) error {
	st, err := l.nodeState(n.Name)
	if err != nil {
		return err
	}
	if st.Supervisor.alive() {
		return nil
	}
	if err := killGroups(ctx, l.groups(n.Name)); err != nil { // left by a supervisor that was killed
		return err
	}
	dir := l.nodeDir(n.Name)
	out, err := os.OpenFile(filepath.Join(dir, "console.log"), os.O_CREATE|os.O_WRONLY|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	argv := append(l.cfg.Self[1:len(l.cfg.Self):len(l.cfg.Self)], stageSupervise, l.cfg.Dir, n.Name)
	cmd := exec.Command(l.cfg.Self[0], argv...)
	cmd.Dir, cmd.Env = "/", []string{"PATH=" + os.Getenv("PATH")}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start supervisor of %s: %w", n.Name, err)
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	err = await(ctx, 20*time.Second, "start of node "+n.Name, func() bool {
		select {
		case <-ended:
			return true
		default:
		}
		st, err = l.nodeState(n.Name)
		return err == nil && st.Supervisor.PID == cmd.Process.Pid && st.State != StateOff
	})
	if err != nil {
		return err
	}
	return l.failure(n.Name, st)
}

// failure is the error of a node that could not boot, with what it said.
func (l *Lab) failure(name string, st nodeState) error {
	if st.State != StateFailed && st.State != StateOff {
		return nil
	}
	b, err := os.ReadFile(filepath.Join(l.nodeDir(name), "console.log"))
	if err != nil {
		b = []byte(err.Error())
	}
	return crowbar.Errorf(crowbar.Unavailable, "node %s is %s: %s: %s", name, st.State, st.Ended, strings.TrimSpace(tail(string(b), 10)))
}

func tail(s string, n int) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

func (l *Lab) nodeState(name string) (nodeState, error) {
	var st nodeState
	err := readJSON(filepath.Join(l.nodeDir(name), "state.json"), &st)
	if os.IsNotExist(err) {
		return nodeState{State: StateOff}, nil
	}
	return st, err
}

// supervise is the life of a node's supervisor: it boots the node, again after each reboot, and records how it ended.
func (l *Lab) supervise(n nodeRecord) error {
	// The node must not outlive its supervisor: the kernel kills it when this thread ends.
	runtime.LockOSThread()
	unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
	me, err := findProcess(os.Getpid())
	if err != nil {
		return err
	}
	if err := l.joinSupervisors(); err != nil {
		return err
	}
	ctx := context.Background()
	st := nodeState{Supervisor: me, Since: time.Now()}
	for quick := 0; ; {
		start := time.Now()
		st.Boots++
		again, err := l.bootOnce(ctx, n, &st)
		if time.Since(start) < time.Second {
			quick++
		} else {
			quick = 0
		}
		if err == nil && again && quick < 5 {
			continue
		}
		st.State, st.Since = StateOff, time.Now()
		if err != nil {
			st.State, st.Ended = StateFailed, err.Error()
		}
		return errors.Join(l.cleanNode(ctx, n), l.saveState(n.Name, st))
	}
}

func (l *Lab) saveState(name string, st nodeState) error {
	return writeJSON(filepath.Join(l.nodeDir(name), "state.json"), st)
}

// joinSupervisors moves this process to where Down finds it, should every record be lost.
func (l *Lab) joinSupervisors() error {
	all, err := findHierarchies()
	if err != nil {
		return err
	}
	for _, h := range all {
		if !h.has("pids") && !(h.ctl == "" && alone(all)) {
			continue
		}
		dir := filepath.Join(h.base(l.cfg.Name, alone(all)), supervisors)
		if err := h.make(dir, alone(all)); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(os.Getpid())), 0)
	}
	return crowbar.Errorf(crowbar.Unavailable, "no pids controller: the lab cannot keep track of its processes")
}

// bootOnce boots the node and waits for its end.
func (l *Lab) bootOnce(ctx context.Context, n nodeRecord, st *nodeState) (again bool, err error) {
	if err := l.cleanNode(ctx, n); err != nil {
		return false, err
	}
	if err := l.nodeNetUp(ctx, n); err != nil {
		return false, err
	}
	if err := l.applyLink(ctx, n); err != nil {
		return false, err
	}
	if _, err := l.makeGroups(n); err != nil {
		return false, err
	}
	argv := append(l.cfg.Self[1:len(l.cfg.Self):len(l.cfg.Self)], stageEnter, l.cfg.Dir, n.Name)
	cmd := exec.Command(l.cfg.Self[0], argv...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return false, err
	}
	st.State, st.Since = StateRunning, time.Now()
	if err := l.saveState(n.Name, *st); err != nil {
		return false, errors.Join(err, cmd.Process.Kill())
	}
	cmd.Wait()
	st.Ended, again, err = ending(cmd.ProcessState.Sys().(syscall.WaitStatus))
	return again, err
}

// ending reads how a node's init ended: the kernel kills the first process of a namespace with SIGHUP on reboot and
// SIGINT on power-off; a shell would call these 129 and 130.
func ending(ws syscall.WaitStatus) (text string, again bool, err error) {
	code := ws.ExitStatus()
	if ws.Signaled() {
		code = 128 + int(ws.Signal())
	}
	switch code {
	case 128 + int(syscall.SIGHUP):
		return "rebooted", true, nil
	case 128 + int(syscall.SIGINT):
		return "powered off from inside", false, nil
	case 128 + int(syscall.SIGKILL):
		return "killed", false, nil
	}
	return "", false, fmt.Errorf("init ended with status %d", code)
}

// cleanNode removes what a boot made outside of the node's own namespaces.
func (l *Lab) cleanNode(ctx context.Context, n nodeRecord) error {
	groups := l.groups(n.Name)
	if err := killGroups(ctx, groups); err != nil {
		return err
	}
	return errors.Join(removeGroups(ctx, groups), l.nodeNetDown(ctx, n))
}
