package roletest

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
)

// ops does operations as the make script would; it stops where the run is to be killed.
func (n *Node) ops(ops []linux.Op) (jig.Exit, error) {
	for _, op := range ops {
		if op[0] != "await" && op[0] != "steady" {
			if err := n.step("%s", strings.Join(op, " ")); err != nil {
				return jig.Exit{}, err
			}
		}
		if err := n.op(op); err != nil {
			return jig.Exit{Code: 1, Stderr: []byte(err.Error())}, nil
		}
	}
	return jig.Exit{}, nil
}

func (n *Node) op(op linux.Op) error {
	switch op[0] {
	case "dir", "own", "parent", "link", "rm", "rmdir":
		return n.pathOp(op)
	case "user":
		n.Users[op[1]], n.Groups[op[1]] = true, true
	case "group":
		n.Groups[op[1]] = true
	case "mark":
		n.write(linux.StateDir+"/pending/"+op[1], "", 0o644)
	case "unmark":
		delete(n.Files, linux.StateDir+"/pending/"+op[1])
	case "stamp":
		f := n.Files[op[3]]
		if f == nil {
			return fmt.Errorf("stamp: no %s", op[3])
		}
		n.write(op[1], fmt.Sprintf("%s %d %s\n", op[2], len(f.Content), mtime(f)), 0o644)
		if sum := fmt.Sprintf("%x", sha256.Sum256([]byte(f.Content))); sum != op[2] {
			return fmt.Errorf("stamp: %s has %s, not %s", op[3], sum, op[2])
		}
	case "keep":
		f, s := n.Files[op[1]], n.Files[op[2]]
		if f == nil || s == nil || s.Content == fmt.Sprintf("%s %d %s\n", op[4], len(f.Content), mtime(f)) {
			return nil
		}
		c, d := *f, *s
		n.mkdir(linux.StateDir + "/previous")
		n.Files[op[3]], n.Files[op[3]+".stamp"] = &c, &d
	case "back":
		f, s := n.Files[op[3]], n.Files[op[3]+".stamp"]
		if f == nil || s == nil {
			return fmt.Errorf("back %s: nothing was kept", op[1])
		}
		c, d := *f, *s
		n.Files[op[1]], n.Files[op[2]] = &c, &d
	case "unban":
		n.Banned = false
	case "module":
		n.Modules[op[1]] = true
	case "sysctl":
		if n.ReadOnly[op[1]] {
			return fmt.Errorf("sysctl %s is read-only", op[1])
		}
		n.Sysctls[op[1]] = op[2]
	default:
		return n.unitOp(op)
	}
	return nil
}

func (n *Node) pathOp(op linux.Op) error {
	p := op[1]
	switch op[0] {
	case "parent":
		n.mkdir(p)
	case "dir":
		n.mkdir(p)
		n.Files[p].Mode, n.Files[p].Owner = mode(op[2]), op[3]
		return n.known(op[3])
	case "own":
		f := n.Files[p]
		if f == nil {
			return fmt.Errorf("own: no %s", p)
		}
		f.Mode, f.Owner = mode(op[2]), op[3]
		return n.known(op[3])
	case "link":
		n.Files[p] = &Entry{Kind: "link", Mode: 0o777, Owner: "root", To: op[2]}
	case "rm":
		for f := range n.Files {
			if f == p || strings.HasPrefix(f, p+"/") {
				delete(n.Files, f)
			}
		}
	case "rmdir":
		for f := range n.Files {
			if strings.HasPrefix(f, p+"/") {
				return nil
			}
		}
		delete(n.Files, p)
	}
	return nil
}

func (n *Node) known(owner string) error {
	user, group, _ := strings.Cut(owner, ":")
	if !n.Users[user] || group != "" && !n.Groups[group] {
		return fmt.Errorf("chown: no user or group %s", owner)
	}
	return nil
}

func mode(s string) fs.FileMode {
	m, err := strconv.ParseUint(s, 8, 32)
	if err != nil {
		panic(err)
	}
	return fs.FileMode(m)
}

func (n *Node) unitOp(op linux.Op) error {
	if op[0] == "daemon-reload" {
		for name, u := range n.Units {
			u.Loaded, _ = n.source(name)
		}
		return nil
	}
	name := op[1]
	text, found := n.source(name)
	if !found && op[0] != "stop" && op[0] != "disable" {
		return fmt.Errorf("%s: unit %s not found", op[0], name)
	}
	u := n.Units[name]
	if u == nil {
		u = &Unit{Active: "inactive", Loaded: text}
		n.Units[name] = u
	}
	switch op[0] {
	case "enable":
		u.Enabled = true
	case "disable":
		u.Enabled = false
	case "stop":
		u.Active = "inactive"
	case "start", "restart", "reload":
		if u.Loaded != "" && u.Loaded != text {
			return fmt.Errorf("%s %s: its file changed and systemd was not told: daemon-reload is missing", op[0], name)
		}
		u.Starts++
		if u.Active = "active"; n.Fails[name] || n.spoilt(name) {
			u.Active = "failed"
		}
	case "await", "steady":
		if u.Active != "active" {
			return fmt.Errorf("unit %s has failed; its last lines are above", name)
		}
	default:
		return fmt.Errorf("roletest: operation %s is not known here", op[0])
	}
	return nil
}

// spoilt says that the unit's program is of the content with which it fails.
func (n *Node) spoilt(name string) bool {
	with := n.FailsWith[name]
	for _, f := range n.Files {
		if with != "" && f.Content == with {
			return true
		}
	}
	return false
}

func (n *Node) install(pkgs []string, quiet bool) (jig.Exit, error) {
	for _, p := range pkgs {
		n.Banned = quiet
		if err := n.step("install %s", p); err != nil {
			return jig.Exit{}, err
		}
		n.Packages[p] = true
		for _, name := range n.Brings[p] {
			u := n.Units[name]
			if u == nil {
				u = &Unit{Active: "inactive"}
				n.Units[name] = u
			}
			u.Distro, u.Enabled = true, true
			if !quiet && u.Active != "active" {
				u.Active, u.Starts = "active", u.Starts+1
			}
			u.Loaded, _ = n.source(name)
		}
	}
	n.Banned = false
	return jig.Exit{}, nil
}
