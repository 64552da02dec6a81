package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/kubeclamp/kubeclamp/test/beside/work"
)

// Limits of the comparison.
const (
	rerunLimit = 2 * time.Second
	rerunTimes = 30 // as fast as Ansible's second run, at least
)

func find(runs []run, tool, what string) *run {
	for i := range runs {
		if runs[i].tool == tool && runs[i].what == what {
			return &runs[i]
		}
	}
	return nil
}

func table(c config, runs []run) {
	resources := 0
	for n := 1; n <= work.Roles; n++ {
		resources += work.Of("x", n).Resources()
	}
	fmt.Printf("%d nodes, %d roles with %d resources each node\n\n", c.nodes, work.Roles, resources)
	fmt.Printf("%-10s %-20s %9s %9s %10s %10s %13s %13s\n", "", "", "wall s", "CPU s", "CPU s", "commands", "roles", "Ansible's")
	fmt.Printf("%-10s %-20s %9s %9s %10s %10s %13s %13s\n", "tool", "run", "", "here", "on nodes", "a node", "called", "wall / this")
	for _, r := range runs {
		commands, calls, ratio := "", "", ""
		if r.tool == "kubeclamp" {
			commands, calls = fmt.Sprintf("%.1f", float64(r.commands)/float64(c.nodes)), fmt.Sprintf("%d of %d", r.calls, c.nodes*work.Roles)
			if other := against(runs, r); other != nil {
				ratio = fmt.Sprintf("%.1f", other.wall.Seconds()/r.wall.Seconds())
			}
		}
		fmt.Printf("%-10s %-20s %9.2f %9.2f %10.2f %10s %13s %13s\n", r.tool, r.what, r.wall.Seconds(), r.here.Seconds(), r.nodes.Seconds(), commands, calls, ratio)
	}
}

// against is the run of Ansible that one of ours is measured by.
func against(runs []run, r run) *run {
	if r.what == firstRun {
		return find(runs, "Ansible", firstRun)
	}
	return find(runs, "Ansible", secondRun)
}

// judge says which limits do not hold.
func judge(c config, runs []run) error {
	var bad []error
	first, again := find(runs, "kubeclamp", firstRun), find(runs, "kubeclamp", rerun)
	if again.wall > rerunLimit {
		bad = append(bad, fmt.Errorf("the converged rerun took %.2f s, and %s is the limit", again.wall.Seconds(), rerunLimit))
	}
	if again.commands != c.nodes || again.calls != 0 {
		bad = append(bad, fmt.Errorf("the converged rerun gave %d nodes %d commands and called %d roles: want one command a node and no call", c.nodes, again.commands, again.calls))
	}
	if other := find(runs, "Ansible", secondRun); other == nil {
		bad = append(bad, errors.New("no run of Ansible was measured"))
	} else if other.wall < rerunTimes*again.wall {
		bad = append(bad, fmt.Errorf("the converged rerun is %.1f times as fast as Ansible's second run, and %d times is the limit", other.wall.Seconds()/again.wall.Seconds(), rerunTimes))
	}
	if other := find(runs, "Ansible", firstRun); other != nil && other.wall < first.wall {
		bad = append(bad, fmt.Errorf("the first run took %.1f s, and Ansible's %.1f s", first.wall.Seconds(), other.wall.Seconds()))
	}
	return errors.Join(bad...)
}
