package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// The ways to switch a node.
const (
	PowerOn    = "on"
	PowerOff   = "off"   // at once, as by the button held
	PowerCycle = "cycle" // off and on
	PowerSoft  = "soft"  // asks the node to shut down
	PowerReset = "reset" // asks the node to reboot
)

// Power switches nodes.
func (l *Lab) Power(ctx context.Context, verb string, names ...string) error {
	unlock, err := l.lock()
	if err != nil {
		return err
	}
	defer unlock()
	rec, err := l.load()
	if err != nil {
		return err
	}
	if err := l.installSelf(); err != nil {
		return err
	}
	if verb == PowerOff { // all at once, as by a power cut
		for _, name := range names {
			if pid, err := l.initOf(name); err == nil {
				_ = kill(pid, syscall.SIGKILL) // what is left of one is seen to below
			}
		}
	}
	for _, name := range names {
		n, err := rec.node(name)
		if err != nil {
			return err
		}
		if err := l.power(ctx, verb, n); err != nil {
			return fmt.Errorf("power %s %s: %w", verb, name, err)
		}
	}
	return nil
}

func (l *Lab) power(ctx context.Context, verb string, n nodeRecord) error {
	switch verb {
	case PowerOn:
		return l.powerOn(ctx, n)
	case PowerOff:
		return l.powerOff(ctx, n)
	case PowerCycle:
		if err := l.powerOff(ctx, n); err != nil {
			return err
		}
		return l.powerOn(ctx, n)
	case PowerSoft, PowerReset:
		return l.ask(ctx, verb, n)
	}
	return crowbar.Errorf(crowbar.Invalid, "no such verb; there are on off cycle soft reset")
}

// powerOff kills the node's init and waits for the supervisor to clear up; without a supervisor it clears up itself.
func (l *Lab) powerOff(ctx context.Context, n nodeRecord) error {
	pid, err := l.initOf(n.Name)
	if err != nil {
		return err
	}
	if err := kill(pid, syscall.SIGKILL); err != nil {
		return err
	}
	if err := l.freezeNode(ctx, n, false); err != nil { // a frozen node dies when it thaws
		return err
	}
	st, err := l.nodeState(n.Name)
	if err != nil {
		return err
	}
	if !st.Supervisor.alive() {
		return l.cleanNode(ctx, n)
	}
	return await(ctx, 15*time.Second, "power-off", func() bool { return !st.Supervisor.alive() })
}

// ask sends systemd the real-time signals that mean power-off and reboot.
func (l *Lab) ask(ctx context.Context, verb string, n nodeRecord) error {
	const rtmin = 34
	pid, err := l.initOf(n.Name)
	if err != nil {
		return err
	}
	st, err := l.nodeState(n.Name)
	if err != nil {
		return err
	}
	if pid == 0 || !st.Supervisor.alive() {
		return crowbar.Errorf(crowbar.Conflict, "it is off already")
	}
	if verb == PowerReset {
		if err := kill(pid, rtmin+5); err != nil {
			return err
		}
		return await(ctx, 2*time.Minute, "reboot", func() bool {
			now, err := l.nodeState(n.Name)
			return err == nil && now.Boots > st.Boots
		})
	}
	if err := kill(pid, rtmin+4); err != nil {
		return err
	}
	return await(ctx, 2*time.Minute, "shutdown", func() bool { return !st.Supervisor.alive() })
}

// kill signals a process that may have ended already; 0 is none.
func kill(pid int, sig syscall.Signal) error {
	if pid == 0 {
		return nil
	}
	if err := syscall.Kill(pid, sig); err != nil && err != syscall.ESRCH {
		return err
	}
	return nil
}

// powerOn starts the node's supervisor, which lives on when this process ends.
func (l *Lab) powerOn(ctx context.Context, n nodeRecord) error {
	st, on, err := l.clearForBoot(ctx, n)
	if err != nil || on {
		return err
	}
	dir := l.nodeDir(n.Name)
	out, err := os.OpenFile(filepath.Join(dir, "console.log"), os.O_CREATE|os.O_WRONLY|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	argv := append(l.self[1:len(l.self):len(l.self)], stageSupervise, l.cfg.Dir, n.Name)
	cmd := exec.Command(l.self[0], argv...)
	cmd.Dir, cmd.Env = "/", []string{"PATH=" + os.Getenv("PATH")}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start supervisor of %s: %w", n.Name, err)
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	err = await(ctx, 20*time.Second, "start of node "+n.Name, func() bool {
		st, err = l.nodeState(n.Name)
		if err == nil && st.Supervisor.alive() && st.State != StateOff {
			return true
		}
		select {
		case <-ended:
			return !l.supervised(n.Name)
		default:
			return false
		}
	})
	if err != nil {
		return err
	}
	return l.failure(n.Name, st)
}

// clearForBoot ends what a supervisor that was killed has left of a node, or says that the node is on. One that a killed
// command has started may not have said yet that it has the node: ending what that one boots would look like a node that died.
func (l *Lab) clearForBoot(ctx context.Context, n nodeRecord) (st nodeState, on bool, err error) {
	var alone *os.File
	waited := await(ctx, 20*time.Second, "the supervisor of node "+n.Name+" to say that it runs, or to end", func() bool {
		st, err = l.nodeState(n.Name)
		if err != nil || st.Supervisor.alive() && st.State != StateOff && st.State != StateFailed { // else it is about to end
			return true
		}
		var busy error
		alone, busy = flock(l.supervisorLock(n.Name))
		return busy == nil
	})
	if alone == nil {
		return st, err == nil && waited == nil, errors.Join(err, waited)
	}
	defer alone.Close() // the next supervisor waits for it
	return st, false, killGroups(ctx, l.groups(n.Name))
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
