//go:build robustness

// Package three holds three daemons on three etcd members to what is promised of them while they are killed, frozen
// and cut off. It builds a network of its own and needs root; make robustness runs it.
package three

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/plugin"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// TestMain is the test, and every process that it needs but kubeclampd: the network's inside, etcd members, the role.
func TestMain(m *testing.M) {
	switch {
	case len(os.Args) == 2 && os.Args[1] == "--names": // as a daemon asks its role plugin
		fmt.Print("sim-base\nsim-mid\nsim-top\n")
		os.Exit(0)
	case plugin.Started():
		plugin.Serve(stepper{os.Args[len(os.Args)-1]})
	case os.Getenv("ROBUSTNESS_ETCD") != "":
		fmt.Fprintln(os.Stderr, member(os.Getenv("ROBUSTNESS_ETCD")))
		os.Exit(1)
	case os.Getenv("ROBUSTNESS_HOLD") != "":
		select {} // keeps a network namespace alive until its parent ends
	case os.Getenv("ROBUSTNESS_HUB") == "":
		os.Exit(inside())
	}
	os.Exit(m.Run())
}

// inside runs this program again in a network namespace of its own.
func inside() int {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), "ROBUSTNESS_HUB=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if err := cmd.Run(); err != nil {
		if cmd.ProcessState == nil {
			fmt.Fprintln(os.Stderr, "a network namespace, which needs root:", err)
		}
		return 1
	}
	return 0
}

// stepper is a role that brings a node to a generation in two steps.
type stepper struct{ name string }

// Describe names the role.
func (s stepper) Describe() role.Info { return role.Info{Name: s.name, Wants: []string{"generation"}} }

// Apply looks, and steps if the node is of another generation.
func (s stepper) Apply(ctx context.Context, on role.Target) (role.Result, error) {
	want := fmt.Sprint(on.Attribs["generation"])
	have, err := jig.Run(ctx, on.Conn, jig.Cmd{Argv: []string{"/bin/sim", "look", s.name}})
	if err != nil || have == want {
		return role.Result{}, err
	}
	for _, step := range []string{"first", "last"} {
		if _, err := jig.Run(ctx, on.Conn, jig.Cmd{Argv: []string{"/bin/sim", step, s.name, want}}); err != nil {
			return role.Result{}, err
		}
	}
	return role.Result{Changes: []role.Change{{What: "generation", Name: want, Do: "change"}}}, nil
}
