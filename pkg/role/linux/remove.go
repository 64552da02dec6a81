package linux

import (
	"slices"
	"strings"
)

// removal is the operations that undo a State.
func removal(want State, have Facts) []Op {
	ops := stops(want, have)
	daemon := false
	rm := func(path string) {
		if have.Paths[path].Kind != "" && have.Paths[path].Kind != "dir" {
			ops = append(ops, Op{"rm", path})
			daemon = daemon || strings.HasPrefix(path, unitDir)
		}
	}
	var follow []string
	for _, f := range files(want) {
		if !f.Absent && have.Paths[f.Path].Kind != "" {
			follow = appendSet(follow, append(slices.Clone(f.Restart), f.Reload...)...)
		}
		if !f.Absent {
			rm(f.Path)
		}
	}
	for _, l := range want.Links {
		if have.Paths[l.Path].To == l.To {
			rm(l.Path)
		}
	}
	for _, b := range want.Binaries {
		rm(b.Path)
		ops = append(ops, Op{"rm", stampFile(StateDir, b.Path)}, Op{"rm", keptFile(b.Path)}, Op{"rm", keptFile(b.Path) + ".stamp"})
	}
	for _, d := range slices.Backward(want.Dirs) {
		if have.Paths[d.Path].Kind == "dir" {
			ops = append(ops, Op{"rmdir", d.Path})
		}
	}
	if have.Systemd && daemon {
		ops = append(ops, Op{"daemon-reload"})
	}
	return append(ops, follows(want, have, follow)...)
}

func stops(want State, have Facts) []Op {
	var ops []Op
	for _, u := range slices.Backward(want.Units) {
		f := have.Units[u.Name]
		if !have.Systemd || !f.Loaded {
			continue
		}
		if f.Enabled == "enabled" {
			ops = append(ops, Op{"disable", u.Name})
		}
		if f.Active != "inactive" {
			ops = append(ops, Op{"stop", u.Name})
		}
		if have.Marks[u.Name] {
			ops = append(ops, Op{"unmark", u.Name})
		}
	}
	return ops
}

// follows restarts the units of others that run and read a file that is gone now.
func follows(want State, have Facts, names []string) []Op {
	var ops []Op
	for _, name := range names {
		own := slices.ContainsFunc(want.Units, func(u Unit) bool { return u.Name == name })
		if !own && running(have.Units[name]) {
			ops = append(ops, Op{"restart", name}, Op{"await", name, wait(0)})
		}
	}
	return ops
}
