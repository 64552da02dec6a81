package lab

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
)

// supervisors is the group, beside the nodes' ones, by which processes of the lab itself are found again.
const supervisors = "supervisors"

// hierarchy is one mounted tree of control groups.
type hierarchy struct {
	mount string // /sys/fs/cgroup/memory
	ctl   string // "memory", "cpu,cpuacct", "name=systemd"; "" = version 2
	own   string // this process' place in it
}

// findHierarchies reads /proc/self/cgroup and /proc/self/mountinfo.
func findHierarchies() ([]hierarchy, error) {
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	return parseHierarchies(string(groups), string(mounts)), nil
}

func parseHierarchies(groups, mountinfo string) []hierarchy {
	at := map[string]string{} // one controller -> mount point
	for line := range strings.Lines(mountinfo) {
		before, after, ok := strings.Cut(line, " - ")
		pre, post := strings.Fields(before), strings.Fields(after)
		if !ok || len(pre) < 5 || len(post) < 3 {
			continue
		}
		switch post[0] {
		case "cgroup2":
			at[""] = pre[4]
		case "cgroup":
			for o := range strings.SplitSeq(post[2], ",") {
				at[o] = pre[4]
			}
		}
	}
	var all []hierarchy
	for line := range strings.Lines(groups) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 {
			continue
		}
		first, _, _ := strings.Cut(f[1], ",")
		if m, ok := at[first]; ok {
			all = append(all, hierarchy{mount: m, ctl: f[1], own: f[2]})
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].mount < all[j].mount })
	return all
}

func (h hierarchy) has(ctl string) bool {
	for c := range strings.SplitSeq(h.ctl, ",") {
		if c == ctl {
			return true
		}
	}
	return false
}

// alone says that version 2 is the machine's only tree.
func alone(all []hierarchy) bool { return len(all) == 1 && all[0].ctl == "" }

// base is the lab's group in a tree: below the caller's own, for its limits to hold; at the top where version 2 is alone,
// because there a group with processes in it cannot hand controllers down.
func (h hierarchy) base(lab string, alone bool) string {
	own, _, _ := strings.Cut(h.own+"/", "/"+lab+"/")
	if alone {
		own = ""
	}
	return filepath.Join(h.mount, own, lab)
}

// makeGroups makes the node's group in every tree and returns them.
func (l *Lab) makeGroups(n nodeRecord) ([]string, error) {
	all, err := findHierarchies()
	if err != nil {
		return nil, err
	}
	var dirs []string
	for _, h := range all {
		dir := filepath.Join(h.base(l.cfg.Name, alone(all)), n.Name)
		if err := h.make(dir, alone(all)); err != nil {
			return nil, fmt.Errorf("make cgroup %s: %w", dir, err)
		}
		dirs = append(dirs, dir)
		if err := h.limit(dir, n.Memory); err != nil {
			return nil, fmt.Errorf("limit cgroup %s: %w", dir, err)
		}
	}
	return dirs, nil
}

func (h hierarchy) make(dir string, alone bool) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if h.has("cpuset") { // a group of version 1 starts with no processor and no memory node
		base := filepath.Dir(dir)
		for _, d := range []string{base, dir} {
			for _, f := range []string{"cpuset.cpus", "cpuset.mems"} {
				if err := copyValue(filepath.Join(filepath.Dir(d), f), filepath.Join(d, f)); err != nil {
					return err
				}
			}
			if err := os.WriteFile(filepath.Join(d, "cgroup.clone_children"), []byte("1"), 0); err != nil {
				return err
			}
		}
	}
	if !alone {
		return nil
	}
	ctls, err := os.ReadFile(filepath.Join(h.mount, "cgroup.controllers"))
	if err != nil {
		return err
	}
	for _, d := range []string{h.mount, filepath.Dir(dir)} {
		for _, c := range strings.Fields(string(ctls)) {
			if err := os.WriteFile(filepath.Join(d, "cgroup.subtree_control"), []byte("+"+c), 0); err != nil {
				return err
			}
		}
	}
	return nil
}

func copyValue(from, to string) error {
	if b, err := os.ReadFile(to); err == nil && strings.TrimSpace(string(b)) != "" {
		return nil
	}
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0)
}

// limit keeps a node off the machine's disks and within its memory.
func (h hierarchy) limit(dir string, memory int64) error {
	if h.has("devices") {
		b, err := os.ReadFile("/proc/partitions")
		if err != nil {
			return err
		}
		for _, major := range diskMajors(string(b)) {
			if err := os.WriteFile(filepath.Join(dir, "devices.deny"), fmt.Appendf(nil, "b %d:* rw", major), 0); err != nil {
				return err
			}
		}
	}
	if memory <= 0 {
		return nil
	}
	for _, f := range []string{"memory.limit_in_bytes", "memory.max"} {
		if _, err := os.Stat(filepath.Join(dir, f)); err == nil {
			return os.WriteFile(filepath.Join(dir, f), []byte(strconv.FormatInt(memory, 10)), 0)
		}
	}
	return nil
}

// diskMajors are the device numbers of the machine's own disks; loop devices are nobody's.
func diskMajors(partitions string) []int {
	seen := map[int]bool{7: true}
	var out []int
	for line := range strings.Lines(partitions) {
		f := strings.Fields(line)
		if len(f) != 4 {
			continue
		}
		if n, err := strconv.Atoi(f[0]); err == nil && !seen[n] {
			seen[n] = true
			out = append(out, n)
		}
	}
	return out
}

// groups finds the lab's groups of one node ("" = of all) wherever an earlier command has made them.
func (l *Lab) groups(node string) []string {
	all, err := findHierarchies()
	if err != nil {
		return nil
	}
	var out []string
	for _, h := range all {
		filepath.WalkDir(h.mount, func(p string, d fs.DirEntry, err error) error {
			if err != nil || !d.IsDir() {
				return nil // a group that ended meanwhile
			}
			if d.Name() != l.cfg.Name {
				if strings.Count(strings.TrimPrefix(p, h.mount), "/") > 6 {
					return fs.SkipDir
				}
				return nil
			}
			if p = filepath.Join(p, node); dirExists(p) {
				out = append(out, p)
			}
			return fs.SkipDir
		})
	}
	return out
}

func dirExists(p string) bool {
	st, err := os.Stat(p)
	return err == nil && st.IsDir()
}

// groupOf is the node's group that has a file of that name.
func (l *Lab) groupOf(node string, files ...string) (string, bool) {
	for _, g := range l.groups(node) {
		for _, f := range files {
			if p := filepath.Join(g, f); fileExists(p) {
				return p, true
			}
		}
	}
	return "", false
}

func fileExists(p string) bool {
	_, err := os.Stat(p)
	return err == nil
}
