package plugin

import (
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"
)

// Limits is what the processes of one role may use, all together where the daemon may make control groups, else each of them.
type Limits struct {
	Memory    int64 // bytes; 0 = 1 GiB
	Processes int   // processes and threads; 0 = 512
}

const (
	memoryLimit    = 1 << 30
	processesLimit = 512
)

func (l Limits) orDefault() Limits {
	if l.Memory == 0 {
		l.Memory = memoryLimit
	}
	if l.Processes == 0 {
		l.Processes = processesLimit
	}
	return l
}

// environ has a Go program collect garbage before it is killed for it.
func (l Limits) environ() []string {
	return []string{"GOMEMLIMIT=" + strconv.FormatInt(l.Memory/10*9, 10)}
}

// byProcess sets what the kernel holds process by process. It is the second best: what a process starts is counted for
// itself, and the number of processes is held for a user that is not root alone, over all that the user runs.
func (l Limits) byProcess(pid int) error {
	for what, most := range map[int]uint64{unix.RLIMIT_DATA: uint64(l.Memory), unix.RLIMIT_NPROC: uint64(l.Processes)} {
		if err := limit(pid, what, most); err != nil {
			return err
		}
	}
	return nil
}

// noCore keeps a crash from leaving a file, with secrets in it.
func noCore(pid int) error { return limit(pid, unix.RLIMIT_CORE, 0) }

func limit(pid, what int, most uint64) error {
	var had unix.Rlimit
	if err := unix.Prlimit(pid, what, nil, &had); err != nil {
		return fmt.Errorf("limits of process %d: %w", pid, err)
	}
	most = min(most, had.Max)
	if err := unix.Prlimit(pid, what, &unix.Rlimit{Cur: most, Max: most}, nil); err != nil {
		return fmt.Errorf("limit process %d: %w", pid, err)
	}
	return nil
}

// size is bytes for people.
func size(n int64) string {
	for _, u := range []struct {
		name string
		unit int64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n >= u.unit && n%u.unit == 0 {
			return fmt.Sprintf("%d %s", n/u.unit, u.name)
		}
	}
	return fmt.Sprintf("%d bytes", n)
}
