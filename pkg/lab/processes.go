package lab

import (
	"bufio"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// pids lists the processes in a group and below.
func pids(dir string) []int {
	var out []int
	filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() != "cgroup.procs" {
			return nil
		}
		f, err := os.Open(p)
		if err != nil {
			return nil
		}
		defer f.Close()
		for s := bufio.NewScanner(f); s.Scan(); {
			if pid, err := strconv.Atoi(s.Text()); err == nil && pid > 0 {
				out = append(out, pid)
			}
		}
		return nil
	})
	return out
}

// killGroups ends every process in the groups and waits until they are gone.
func killGroups(ctx context.Context, dirs []string) error {
	self := os.Getpid()
	return await(ctx, 15*time.Second, "end of the processes in "+strings.Join(dirs, " "), func() bool {
		left := 0
		for _, d := range dirs {
			freeze(d, false) // a frozen process does not die
			for _, pid := range pids(d) {
				if pid != self {
					left++
					syscall.Kill(pid, syscall.SIGKILL)
				}
			}
		}
		return left == 0
	})
}

// freeze stops or continues a node; false where the group cannot.
func freeze(dir string, on bool) bool {
	v1, v2 := "THAWED", "0"
	if on {
		v1, v2 = "FROZEN", "1"
	}
	if p := filepath.Join(dir, "freezer.state"); fileExists(p) {
		return os.WriteFile(p, []byte(v1), 0) == nil
	}
	if p := filepath.Join(dir, "cgroup.freeze"); fileExists(p) {
		return os.WriteFile(p, []byte(v2), 0) == nil
	}
	return false
}

// frozen says that all processes of a group have stopped; while they are being stopped it is not.
func frozen(dir string) bool {
	if b, err := os.ReadFile(filepath.Join(dir, "freezer.state")); err == nil {
		return strings.TrimSpace(string(b)) == "FROZEN"
	}
	b, err := os.ReadFile(filepath.Join(dir, "cgroup.events"))
	return err == nil && strings.Contains(string(b), "frozen 1")
}

// removeGroups removes empty groups, deepest first.
func removeGroups(ctx context.Context, dirs []string) error {
	var last error
	err := await(ctx, 5*time.Second, "removal of cgroups", func() bool {
		last = nil
		for _, dir := range dirs {
			var below []string
			filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
				if err == nil && d.IsDir() {
					below = append(below, p)
				}
				return nil
			})
			for i := len(below) - 1; i >= 0; i-- {
				if err := os.Remove(below[i]); err != nil && !os.IsNotExist(err) {
					last = err
				}
			}
		}
		return last == nil
	})
	if err != nil && last != nil {
		return fmt.Errorf("%w: %w", err, last)
	}
	return err
}

// process names one process for good: a pid alone may be somebody else's by now.
type process struct {
	PID   int    `json:"pid"`
	Start string `json:"start"` // ticks since the machine started
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
