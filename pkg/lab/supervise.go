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

// nodeState is Dir/nodes/NAME/state.json; the node's supervisor writes it.
type nodeState struct {
	State      string    `json:"state"`
	Supervisor process   `json:"supervisor"`
	Boots      int       `json:"boots"`
	Ended      string    `json:"ended,omitempty"` // how init ended the last time
	Since      time.Time `json:"since"`
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
	ctx := context.Background()
	// One that a killed command has started may have the node still; while it has, this one waits for its end.
	var alone *os.File
	if err := await(ctx, 15*time.Second, "the node's other supervisor to end", func() bool { alone, err = flock(l.supervisorLock(n.Name)); return err == nil }); err != nil {
		return err
	}
	defer alone.Close()
	if err := l.joinSupervisors(); err != nil {
		return err
	}
	st, err := l.nodeState(n.Name)
	if err != nil {
		return err
	}
	st.Supervisor, st.Since = me, time.Now()
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

// supervisorLock is held by the process that supervises the node, and freed by the kernel when that ends.
func (l *Lab) supervisorLock(name string) string {
	return filepath.Join(l.nodeDir(name), "supervisor.lock")
}

// supervised says that some process has the node.
func (l *Lab) supervised(name string) bool {
	f, err := flock(l.supervisorLock(name))
	if err == nil {
		f.Close()
	}
	return err != nil
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
	if err := os.RemoveAll(filepath.Join(l.nodeDir(n.Name), bootError)); err != nil {
		return false, err
	}
	argv := append(l.self[1:len(l.self):len(l.self)], stageEnter, l.cfg.Dir, n.Name)
	cmd := exec.Command(l.self[0], argv...)
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
	if b, err := os.ReadFile(filepath.Join(l.nodeDir(n.Name), bootError)); err == nil && len(b) > 0 {
		return false, errors.New(string(b))
	}
	st.Ended, again, err = ending(cmd.ProcessState.Sys().(syscall.WaitStatus))
	return again, err
}

// ending reads how a node's init ended: the kernel kills the first process of a namespace with SIGHUP on reboot and
// SIGINT on power-off; a shell would call these 129 and 130. Some versions of unshare say 1 where the first process was
// killed with SIGKILL; a boot that went wrong says so in a file.
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
	case 128 + int(syscall.SIGKILL), 1:
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
