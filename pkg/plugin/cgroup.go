package plugin

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// groups is where this daemon may make control groups for its roles: one below its own in each tree. Version 2 has one tree,
// version 1 one for memory and one for processes.
type groups struct {
	trees []string // of version 1: memory, pids
	two   string   // of version 2
	why   string   // why there are none; "" if there are
}

// group is the control group of one role's processes.
type group struct {
	limits Limits
	dirs   []string // below groups.trees, or the one below groups.two
	two    bool
}

// newGroups makes this host's groups, named name.
func newGroups(name string) *groups {
	own := ownGroup()
	g := &groups{}
	var err error
	switch {
	case own["memory"] != "" && own["pids"] != "":
		for _, tree := range []string{"memory", "pids"} {
			dir := filepath.Join(own[tree], name)
			if err = os.Mkdir(dir, 0o755); err != nil {
				break
			}
			g.trees = append(g.trees, dir)
		}
	case own[""] != "":
		g.two, err = delegate(own[""], name)
	default:
		err = errors.New("no control groups are mounted")
	}
	if err != nil {
		g.remove()
		g.trees, g.two, g.why = nil, "", err.Error()
	}
	return g
}

// delegate makes a group of version 2 that hands memory and pids down. A group with processes in it cannot: where this one
// process is all that is in it, it moves one down.
func delegate(own, name string) (string, error) {
	const controllers = "+memory +pids"
	down := filepath.Join(own, "cgroup.subtree_control")
	if err := os.WriteFile(down, []byte(controllers), 0); errors.Is(err, syscall.EBUSY) {
		self := strconv.Itoa(os.Getpid())
		if in, err := os.ReadFile(filepath.Join(own, "cgroup.procs")); err != nil || strings.TrimSpace(string(in)) != self {
			return "", fmt.Errorf("%s has more processes than this one: start it in a group of its own (a unit with Delegate=yes)", own)
		}
		leaf := filepath.Join(own, "daemon")
		if err := os.Mkdir(leaf, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(leaf, "cgroup.procs"), []byte(self), 0); err != nil {
			return "", err
		}
		if err := os.WriteFile(down, []byte(controllers), 0); err != nil {
			return "", err
		}
	} else if err != nil {
		return "", err
	}
	dir := filepath.Join(own, name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte(controllers), 0); err != nil {
		_ = os.Remove(dir)
		return "", err
	}
	return dir, nil
}

// ownGroup is the directory of this process's group in each tree that is mounted; "" is version 2.
func ownGroup() map[string]string {
	type mount struct{ at, root string }
	mounts, own := map[string]mount{}, map[string]string{}
	text, _ := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(text)) {
		before, after, ok := strings.Cut(line, " - ")
		pre, post := strings.Fields(before), strings.Fields(after)
		if !ok || len(pre) < 5 || len(post) < 3 {
			continue
		}
		switch m := (mount{at: pre[4], root: strings.TrimSuffix(pre[3], "/")}); post[0] {
		case "cgroup2":
			mounts[""] = m
		case "cgroup":
			for o := range strings.SplitSeq(post[2], ",") {
				mounts[o] = m
			}
		}
	}
	text, _ = os.ReadFile("/proc/self/cgroup")
	for line := range strings.Lines(string(text)) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 {
			continue
		}
		for c := range strings.SplitSeq(f[1], ",") {
			if m, ok := mounts[c]; ok {
				own[c] = filepath.Join(m.at, strings.TrimPrefix(f[2], m.root)) // a container sees its own part of the tree
			}
		}
	}
	return own
}

// all is the host's own directories.
func (g *groups) all() []string {
	if g.two != "" {
		return []string{g.two}
	}
	return g.trees
}

// remove ends what is in the groups and takes them away.
func (g *groups) remove() {
	for _, dir := range g.all() {
		empty(dir)
	}
}

// open makes the group of one process and what it will start; nil where there are no groups.
func (g *groups) open(name string, l Limits) (*group, error) {
	if g.why != "" {
		return nil, nil
	}
	c := &group{limits: l, two: g.two != ""}
	memory, most := strconv.FormatInt(l.Memory, 10), strconv.Itoa(l.Processes)
	for i, tree := range g.all() {
		dir, err := os.MkdirTemp(tree, name+".")
		if err != nil {
			c.close()
			return nil, err
		}
		c.dirs = append(c.dirs, dir)
		switch {
		case c.two:
			err = errors.Join(write(dir, "memory.max", memory), write(dir, "pids.max", most))
			_ = write(dir, "memory.swap.max", "0")
			_ = write(dir, "memory.oom.group", "1")
		case i == 0:
			err = write(dir, "memory.limit_in_bytes", memory)
			_ = write(dir, "memory.memsw.limit_in_bytes", memory) // only where swap is accounted for
		default:
			err = write(dir, "pids.max", most)
		}
		if err != nil {
			c.close()
			return nil, err
		}
	}
	return c, nil
}

func write(dir, file, text string) error {
	return os.WriteFile(filepath.Join(dir, file), []byte(text), 0)
}

// start runs f, which starts a process, so that the process is in the group before its first instruction. It must be called
// on a thread that no other goroutine uses: in version 1 that thread goes into the group and comes back.
func (c *group) start(attr *syscall.SysProcAttr, f func() error) error {
	if c == nil {
		return f()
	}
	if c.two {
		dir, err := os.Open(c.dirs[0])
		if err != nil {
			return err
		}
		defer dir.Close()
		attr.UseCgroupFD, attr.CgroupFD = true, int(dir.Fd())
		return f()
	}
	const thisThread = "0"
	for _, dir := range c.dirs {
		if err := write(dir, "tasks", thisThread); err != nil {
			return err
		}
		defer func() { _ = write(filepath.Dir(filepath.Dir(dir)), "tasks", thisThread) }()
	}
	return f()
}

// reached says which limit the processes ran into, and how often; "" if none.
func (c *group) reached() (string, int) {
	if c == nil || len(c.dirs) == 0 {
		return "", 0
	}
	first, last := c.dirs[0], c.dirs[len(c.dirs)-1]
	events := "memory.events"
	if !c.two {
		events = "memory.oom_control"
	}
	if killed := count(filepath.Join(first, events), "oom_kill"); killed > 0 {
		return fmt.Sprintf("it was killed because it used more than the %s of memory that it may", size(c.limits.Memory)), killed
	}
	if refused := count(filepath.Join(last, "pids.events"), "max"); refused > 0 {
		return fmt.Sprintf("it tried to start more than the %d processes and threads that it may", c.limits.Processes), refused
	}
	return "", 0
}

// count reads one number of a file of "name number" lines.
func count(file, name string) int {
	f, err := os.Open(file)
	if err != nil {
		return 0
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if text, ok := strings.CutPrefix(s.Text(), name+" "); ok {
			n, _ := strconv.Atoi(text)
			return n
		}
	}
	return 0
}

// kill ends all that is in the group, and waits until it is gone.
func (c *group) kill() {
	if c == nil {
		return
	}
	for _, dir := range slices.Backward(c.dirs) {
		drain(dir)
	}
}

// close kills what is left and removes the group.
func (c *group) close() {
	if c == nil {
		return
	}
	for _, dir := range slices.Backward(c.dirs) {
		empty(dir)
	}
}

const drainLimit = 5 * time.Second

// drain kills until nothing is left: what is being started while the list is read is on the next one.
func drain(dir string) {
	for end := time.Now().Add(drainLimit); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		text, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		pids := strings.Fields(string(text))
		if err != nil || len(pids) == 0 {
			return
		}
		if write(dir, "cgroup.kill", "1") == nil {
			continue
		}
		for _, p := range pids {
			if pid, _ := strconv.Atoi(p); pid > 1 && pid != os.Getpid() {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	}
}

// empty drains a directory of groups, and those below it, and removes them.
func empty(dir string) {
	below, _ := os.ReadDir(dir)
	for _, d := range below {
		if d.IsDir() {
			empty(filepath.Join(dir, d.Name()))
		}
	}
	drain(dir)
	for end := time.Now().Add(drainLimit); ; time.Sleep(2 * time.Millisecond) { // those that were killed go in a moment
		if err := os.Remove(dir); err == nil || !errors.Is(err, syscall.EBUSY) || time.Now().After(end) {
			return
		}
	}
}
