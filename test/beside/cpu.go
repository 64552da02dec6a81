package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is what /proc counts processor time in: 1/100 s on every Linux that Go runs on.
const tick = 10 * time.Millisecond

// treeCPU is what a process and all that it has started have used.
func treeCPU(root int) time.Duration {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	parent, used := map[int]int{}, map[int]time.Duration{}
	for _, f := range stats {
		b, err := os.ReadFile(f)
		if err != nil {
			continue // it has ended
		}
		_, rest, ok := strings.Cut(string(b), ") ")
		w := strings.Fields(rest)
		if !ok || len(w) < 15 {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(f)))
		parent[pid], _ = strconv.Atoi(w[1])
		for _, at := range w[11:15] { // utime, stime, and those of children that were waited for
			n, _ := strconv.ParseInt(at, 10, 64)
			used[pid] += time.Duration(n) * tick
		}
	}
	var sum time.Duration
	for pid, t := range used {
		for up := pid; up > 1; up = parent[up] {
			if up == root {
				sum += t
				break
			}
		}
	}
	return sum
}

// nodesCPU is what all nodes of a lab have used since it is up.
func nodesCPU(name string) (time.Duration, error) {
	var dirs []string
	for _, at := range []string{"/sys/fs/cgroup/cpuacct", "/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup"} {
		out, _ := exec.Command("find", at, "-maxdepth", "6", "-type", "d", "-name", name).Output()
		if dirs = strings.Fields(string(out)); len(dirs) > 0 {
			break
		}
	}
	for _, d := range dirs {
		if b, err := os.ReadFile(filepath.Join(d, "cpuacct.usage")); err == nil {
			n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
			return time.Duration(n), err
		}
		if b, err := os.ReadFile(filepath.Join(d, "cpu.stat")); err == nil {
			for line := range strings.Lines(string(b)) {
				if v, ok := strings.CutPrefix(line, "usage_usec "); ok {
					n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64)
					return time.Duration(n) * time.Microsecond, err
				}
			}
		}
	}
	return 0, fmt.Errorf("no control group of lab %s counts processor time", name)
}
