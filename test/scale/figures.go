package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"syscall"
	"text/tabwriter"
	"time"
)

// The limits that --check holds: for the largest fleet, if it is of at least full nodes; for the rerun of a light one; ratio is
// the largest against the smallest that is not light.
const (
	light      = 20
	limitRerun = time.Second
	full       = 10_000
	limitWall  = 60 * time.Second
	limitPlan  = 2 * time.Second
	limitBytes = 2 << 30
	limitRatio = 1.5
)

// figures is what one size took.
type figures struct {
	Nodes     int           `json:"nodes"`
	NodeRoles int           `json:"node_roles"`
	Bind      time.Duration `json:"bind"`
	Commit    time.Duration `json:"commit"`
	Plan      time.Duration `json:"plan"`
	Wall      time.Duration `json:"wall"` // of the annealing
	CPU       time.Duration `json:"cpu"`  // of the annealing, user and system
	Commits   int64         `json:"commits"`
	P50       time.Duration `json:"p50"` // a run ended -> the next one on its node started
	P99       time.Duration `json:"p99"`
	Rerun     time.Duration `json:"rerun"`
	Touched   int           `json:"touched"` // runs on other nodes when a node was added
	MaxRSS    int64         `json:"max_rss"` // bytes
	State     int64         `json:"state"`   // bytes of the state's folder
	Resume    time.Duration `json:"resume"`  // start after kill -9 until the annealer runs something
	Reclaimed int           `json:"reclaimed"`
}

func (f figures) perNodeRole() time.Duration { return f.CPU / time.Duration(max(1, f.NodeRoles)) }

func (f figures) progress() string {
	return fmt.Sprintf("%d nodes: annealed in %s, %s CPU a node-role", f.Nodes, f.Wall.Round(time.Millisecond), f.perNodeRole().Round(time.Microsecond))
}

func print(to io.Writer, rows []figures) {
	fmt.Fprintf(to, "%s %s/%s, %d CPUs\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "nodes\tnode-roles\tbind s\tcommit s\tplan s\tanneal s\tCPU s\tnode-roles/s\tµs CPU each\tcommits\tnext p50 ms\tp99 ms\trerun s\t+1 touches\tmax RSS MiB\tstate MiB\tresume s\treclaimed\t")
	for _, f := range rows {
		fmt.Fprintf(w, "%d\t%d\t%.2f\t%.2f\t%.3f\t%.2f\t%.2f\t%.0f\t%.0f\t%d\t%.2f\t%.2f\t%.2f\t%d\t%d\t%d\t%.2f\t%d\t\n", f.Nodes, f.NodeRoles, f.Bind.Seconds(), f.Commit.Seconds(), f.Plan.Seconds(),
			f.Wall.Seconds(), f.CPU.Seconds(), float64(f.NodeRoles)/f.Wall.Seconds(), float64(f.perNodeRole().Nanoseconds())/1e3, f.Commits,
			millis(f.P50), millis(f.P99), f.Rerun.Seconds(), f.Touched, f.MaxRSS>>20, f.State>>20, f.Resume.Seconds(), f.Reclaimed)
	}
	_ = w.Flush()
	if a, b := base(rows), rows[len(rows)-1]; a.Nodes < b.Nodes {
		fmt.Fprintf(to, "growth from %d to %d node-roles, exponent: CPU %.3f, wall %.3f, plan %.3f, memory %.3f\n", a.NodeRoles, b.NodeRoles,
			exponent(a, b, func(f figures) float64 { return f.CPU.Seconds() }), exponent(a, b, func(f figures) float64 { return f.Wall.Seconds() }),
			exponent(a, b, func(f figures) float64 { return f.Plan.Seconds() }), exponent(a, b, func(f figures) float64 { return float64(f.MaxRSS) }))
	}
}

// base is what the largest fleet is compared with: the smallest that is not light.
func base(rows []figures) figures {
	for _, f := range rows {
		if f.Nodes > light {
			return f
		}
	}
	return rows[0]
}

// exponent is x in cost = size^x: 1 is a cost that does not know the size.
func exponent(a, b figures, of func(figures) float64) float64 {
	return math.Log(of(b)/of(a)) / math.Log(float64(b.NodeRoles)/float64(a.NodeRoles))
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }

// check is everything that is over its limit.
func check(rows []figures) error {
	first, last := base(rows), rows[len(rows)-1]
	var bad []error
	over := func(is bool, format string, a ...any) {
		if is {
			bad = append(bad, fmt.Errorf(format, a...))
		}
	}
	for _, f := range rows {
		over(f.Nodes <= light && f.Rerun > limitRerun, "%d nodes: the rerun took %s, want %s at most", f.Nodes, f.Rerun, limitRerun)
		over(f.Touched != 0, "%d nodes: one node more made %d runs on others, want 0", f.Nodes, f.Touched)
	}
	if last.Nodes >= full {
		over(last.Wall > limitWall, "%d node-roles annealed in %s, want %s at most", last.NodeRoles, last.Wall, limitWall)
		over(last.Plan > limitPlan, "%d node-roles planned in %s, want %s at most", last.NodeRoles, last.Plan, limitPlan)
		over(last.MaxRSS >= limitBytes, "%d node-roles took %d MiB, want less than %d", last.NodeRoles, last.MaxRSS>>20, limitBytes>>20)
	}
	ratio := float64(last.perNodeRole()) / float64(first.perNodeRole())
	over(ratio > limitRatio, "a node-role takes %.2f times the CPU among %d nodes that it takes among %d, want %.1f at most", ratio, last.Nodes, first.Nodes, limitRatio)
	return errors.Join(bad...)
}

// spent is the CPU time and the largest resident memory of this process so far.
func spent() (cpu time.Duration, maxRSS int64) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), u.Maxrss << 10
}
