package roletest

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
)

// answer gives what the read script would print.
func (n *Node) answer(q linux.Query, probes []string) jig.Exit {
	var b strings.Builder
	frame := func(name, body string) { fmt.Fprintf(&b, "%s %d\n%s\n", name, len(body), body) }
	frame("os", strings.TrimRight(n.OS, "\n"))
	init := "systemd"
	if n.NoSystemd {
		init = ""
	}
	if n.Banned {
		init += "\nbanned=1"
	}
	now := time.Now()
	frame("host", fmt.Sprintf("arch=x86_64\nkernel=6.1.0\nhostname=%s\ninit=%s\npackager=%s\ncgroup=%d\nnow=%d.%09d",
		n.hostname(), init, n.Packager, n.Cgroup, now.Unix(), now.Nanosecond()))
	var marks []string
	for _, p := range slices.Sorted(maps.Keys(n.Files)) {
		if path.Dir(p) == q.Dir+"/pending" {
			marks = append(marks, path.Base(p))
		}
	}
	frame("marks", strings.Join(marks, "\n"))
	frame("stat", each(q.Paths, n.stat))
	frame("link", each(q.Paths, func(p string) string {
		if f := n.Files[p]; f != nil && f.Kind == "link" {
			return p + "\n" + f.To
		}
		return ""
	}))
	frame("sha256", each(q.Hashed, func(p string) string {
		if f := n.Files[p]; f != nil && f.Kind == "file" {
			return fmt.Sprintf("%x  %s", sha256.Sum256([]byte(f.Content)), p)
		}
		return ""
	}))
	var stamps []string
	for _, p := range q.Stamps {
		line := ""
		if f := n.Files[p]; f != nil {
			line = strings.TrimRight(f.Content, "\n")
		}
		stamps = append(stamps, line)
	}
	frame("stamp", strings.TrimRight(strings.Join(stamps, "\n"), "\n"))
	n.answerRest(q, frame)
	for i, p := range q.Probes {
		frame("probe:"+p.Name, probes[i])
	}
	frame("end", "")
	return jig.Exit{Stdout: []byte(b.String())}
}

func (n *Node) answerRest(q linux.Query, frame func(name, body string)) {
	var units []string
	if !n.NoSystemd {
		for _, u := range q.Units {
			units = append(units, n.show(u))
		}
	}
	frame("unit", strings.Join(units, "\n\n"))
	names := q.Debs
	if n.Packager != "apt" {
		names = q.RPMs
	}
	frame("package", each(names, func(p string) string {
		if n.Packages[p] {
			return p + " ii 1.0"
		}
		return ""
	}))
	frame("sysctl", each(q.Sysctls, func(k string) string {
		v, ok := n.Sysctls[k]
		if !ok {
			return ""
		}
		w := "w"
		if n.ReadOnly[k] {
			w = "r"
		}
		return k + " " + w + " " + v
	}))
	frame("module", each(q.Modules, in(n.Modules, "")))
	frame("user", each(q.Users, in(n.Users, ":x:100:100::/:/usr/sbin/nologin")))
	frame("group", each(q.Groups, in(n.Groups, ":x:100:")))
}

// probes runs outside the lock, so that a ProbeFunc may call the Node's methods.
func (n *Node) probes(q linux.Query) []string {
	var all []string
	for _, p := range q.Probes {
		out, code := n.Probe[p.Name], 0
		if n.ProbeFunc != nil {
			if o, c, ok := n.ProbeFunc(n, p); ok {
				out, code = o, c
			}
		}
		all = append(all, fmt.Sprintf("%s %d", out, code))
	}
	return all
}

func in(m map[string]bool, tail string) func(string) string {
	return func(k string) string {
		if m[k] {
			return k + tail
		}
		return ""
	}
}

func each(names []string, line func(string) string) string {
	var out []string
	for _, s := range names {
		if l := line(s); l != "" {
			out = append(out, l)
		}
	}
	return strings.Join(out, "\n")
}

func (n *Node) hostname() string {
	if h, ok := n.Sysctls["kernel.hostname"]; ok {
		return h
	}
	return n.Name
}

var raw = map[string]uint32{"file": 0o100000, "dir": 0o040000, "link": 0o120000}

func (n *Node) stat(p string) string {
	f := n.Files[p]
	if f == nil {
		return ""
	}
	owner, group, ok := strings.Cut(f.Owner, ":")
	if !ok {
		group = "root"
	}
	return fmt.Sprintf("%x %o %s %s %d %s %s", raw[f.Kind]|uint32(f.Mode.Perm()), f.Mode.Perm(), owner, group, len(f.Content), mtime(f), p)
}

func mtime(f *Entry) string { return fmt.Sprintf("1790000000.%09d", f.MTime) }

// source is what systemd would read of a unit now: its file and its drop-ins.
func (n *Node) source(u string) (text string, found bool) {
	if f := n.Files["/etc/systemd/system/"+u]; f != nil {
		text, found = f.Content+f.To, true
	} else if x := n.Units[u]; x != nil && x.Distro {
		text, found = "distribution", true
	}
	for _, p := range slices.Sorted(maps.Keys(n.Files)) {
		if path.Dir(p) == "/etc/systemd/system/"+u+".d" {
			text += n.Files[p].Content
		}
	}
	return text, found
}

func (n *Node) show(u string) string {
	x := n.Units[u]
	if x == nil {
		x = &Unit{Active: "inactive"}
	}
	now, found := n.source(u)
	load, enabled, stale, fragment := "not-found", "", "no", ""
	if found {
		load, enabled, fragment = "loaded", "disabled", "/etc/systemd/system/"+u
		switch f := n.Files[fragment]; {
		case f != nil && f.Kind == "link" && f.To == "/dev/null":
			load, enabled = "masked", "masked"
		case x.Enabled:
			enabled = "enabled"
		case f != nil && !strings.Contains(f.Content, "\n[Install]"):
			enabled = "static"
		}
		if x.Loaded != "" && now != x.Loaded {
			stale = "yes"
		}
	}
	return fmt.Sprintf("LoadState=%s\nActiveState=%s\nSubState=x\nResult=success\nUnitFileState=%s\nNeedDaemonReload=%s\nNRestarts=0\nMainPID=%d\nFragmentPath=%s",
		load, x.Active, enabled, stale, x.Starts+100, fragment)
}
