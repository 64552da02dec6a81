package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/lab"
)

// What the runs are called.
const (
	firstRun  = "first run"
	secondRun = "second run"
	rerun     = "converged rerun"
	lateRerun = "rerun after a pause"
)

// run is one run of one tool.
type run struct {
	what, tool        string
	wall, here, nodes time.Duration
	commands, calls   int // of kubeclamp: commands that the nodes were given, roles that were called
}

// compare has both tools do their work, and prints and judges what it took.
func compare(ctx context.Context, c config, inv lab.Inventory, known string) error {
	k, err := newKubeclamp(ctx, filepath.Join(c.dir, "kubeclamp"), inv)
	if k != nil {
		defer k.close()
	}
	if err != nil {
		return err
	}
	var runs []run
	ours := func(what string, words ...string) error {
		r, err := timed("kubeclamp", what, k.daemon.Process.Pid, func() (*exec.Cmd, error) { return k.cli(ctx, words...) })
		if err != nil {
			return err
		}
		r.commands, r.calls, err = k.steps()
		runs = append(runs, r)
		return err
	}
	if err := ours(firstRun, "apply", "-f", filepath.Join(k.dir, "cluster.yaml")); err != nil {
		return err
	}
	for _, what := range []string{secondRun, rerun} {
		if err := ours(what, "converge", deployment); err != nil {
			return err
		}
	}
	if !c.noAnsible {
		more, err := ansibles(ctx, c, inv, known)
		if err != nil {
			return err
		}
		runs = append(runs, more...)
		if err := alike(ctx, inv, known); err != nil {
			return err
		}
	}
	// Once more, now that others have been busy on the nodes for minutes: connections may have to be made anew.
	if err := ours(lateRerun, "converge", deployment); err != nil {
		return err
	}
	table(c, runs)
	if c.check {
		return judge(c, runs)
	}
	return nil
}

// ansibles is Ansible's two runs. The second one has to find nothing to do, or it would not be compared with a rerun.
func ansibles(ctx context.Context, c config, inv lab.Inventory, known string) (runs []run, err error) {
	a, err := newAnsible(ctx, filepath.Join(c.dir, "a"), c.strategy, inv, known)
	if err != nil {
		return nil, err
	}
	defer a.close()
	for _, what := range []string{firstRun, secondRun} {
		changed := false
		r, err := timed("Ansible", what, 0, func() (cmd *exec.Cmd, err error) {
			changed, cmd, err = a.run(ctx)
			return cmd, err
		})
		if err == nil && changed != (what == firstRun) {
			err = fmt.Errorf("%s of Ansible: changes made: %t", what, changed)
		}
		if err != nil {
			return nil, err
		}
		runs = append(runs, r)
	}
	return runs, nil
}

// timed measures a command; daemon is a process that works for it, 0 = none.
func timed(tool, what string, daemon int, do func() (*exec.Cmd, error)) (run, error) {
	r := run{tool: tool, what: what}
	before, err := nodesCPU(labName)
	if err != nil {
		return r, err
	}
	var served time.Duration
	if daemon != 0 {
		served = treeCPU(daemon)
	}
	began := time.Now()
	cmd, err := do()
	r.wall = time.Since(began)
	if err != nil {
		return r, err
	}
	r.here = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if daemon != 0 {
		r.here += treeCPU(daemon) - served
	}
	after, err := nodesCPU(labName)
	r.nodes = after - before
	fmt.Fprintf(os.Stderr, "%s, %s: %.2f s\n", tool, what, r.wall.Seconds())
	return r, err
}
