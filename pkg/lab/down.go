package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Down ends the lab and removes its nodes with their disks; keys and images stay for the next one, unless purge (images only where they are the lab's own). It goes
// by what is on the machine, not by what the lab remembers, so it also clears up after a kill -9 or half an Up. Doing it
// again does nothing.
func (l *Lab) Down(ctx context.Context, purge bool) error {
	unlock, err := l.lock()
	if err != nil {
		return err
	}
	defer unlock()
	rec, err := l.load()
	if err != nil {
		return err
	}
	if err := l.Sweep(ctx); err != nil {
		return err
	}
	if err := errors.Join(restoreSysctls(rec, "/proc/sys"), l.unclaim()); err != nil {
		return err
	}
	var errs []error
	gone := []string{"nodes", "bin", "known_hosts", "lab.json"}
	if purge {
		gone = append(gone, "key", "key.pub")
	}
	for _, p := range gone {
		errs = append(errs, os.RemoveAll(l.path(p)))
	}
	if purge {
		if l.cfg.Images == l.path("images") {
			errs = append(errs, os.RemoveAll(l.cfg.Images))
		}
		errs = append(errs, os.RemoveAll(l.path("lock")))
		if err := os.Remove(l.cfg.Dir); err != nil && !os.IsNotExist(err) && !strings.Contains(err.Error(), "not empty") {
			errs = append(errs, err)
		}
	}
	return joinErrs("lab down", errs)
}

// Sweep ends every process and removes every group, link, namespace and route of this lab's name, without touching files.
func (l *Lab) Sweep(ctx context.Context) error {
	all := l.groups("")
	// Supervisors first, or they would boot nodes again; the kernel kills each node with its supervisor.
	var first []string
	for _, g := range all {
		if d := filepath.Join(g, supervisors); dirExists(d) {
			first = append(first, d)
		}
	}
	l.tell("lab", "switching off")
	if err := killGroups(ctx, first); err != nil {
		return fmt.Errorf("end supervisors: %w", err)
	}
	if err := l.killRecorded(ctx); err != nil {
		return err
	}
	if err := killGroups(ctx, withBelow(all)); err != nil {
		return fmt.Errorf("end nodes: %w", err)
	}
	return errors.Join(l.networkDown(ctx), removeGroups(ctx, all))
}

// withBelow adds each node's group, so that each is thawed.
func withBelow(groups []string) []string {
	out := append([]string(nil), groups...)
	for _, g := range groups {
		entries, err := os.ReadDir(g)
		if err != nil {
			continue
		}
		for _, e := range entries {
			if e.IsDir() {
				out = append(out, filepath.Join(g, e.Name()))
			}
		}
	}
	return out
}

// killRecorded ends supervisors that were recorded but had not yet joined their group.
func (l *Lab) killRecorded(ctx context.Context) error {
	entries, err := os.ReadDir(l.path("nodes"))
	if os.IsNotExist(err) {
		return nil
	} else if err != nil {
		return err
	}
	for _, e := range entries {
		st, err := l.nodeState(e.Name())
		if err != nil || !st.Supervisor.alive() {
			continue // a half-written record names nobody
		}
		if err := st.Supervisor.kill(9); err != nil {
			return err
		}
		if err := await(ctx, 10*time.Second, "end of the supervisor of "+e.Name(), func() bool { return !st.Supervisor.alive() }); err != nil {
			return err
		}
	}
	return nil
}
