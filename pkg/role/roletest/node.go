// Package roletest is for the tests of roles: a node in memory, and a suite that every role has to pass on it. It does not
// know any role, and runs no command.
//
//	func TestRole(t *testing.T) {
//		roletest.Suite(t, func(n *roletest.Node) role.Target {
//			n.Probe["ports"] = ""                                       // what a probe of the role prints
//			return n.Target(crowbar.Data{"etcd-client-port": 2379})
//		}, etcd.New())
//	}
//
// The node answers package linux: it reads the structured arguments of its scripts, not their text, keeps files, folders,
// links, packages, accounts, sysctls, modules and systemd units, and does what the operations say. Anything else a role
// runs is answered by Node.Handle. What package linux's scripts do on a real machine is tested there.
//
// Suite applies the role to an empty node, applies it again (one Exec, no Put), kills it at every single step and applies
// it again, compares a dry run with what is then done, changes files by hand, and removes and applies it again.
package roletest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"path"
	"strings"
	"sync"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
)

// ErrKilled is what a node answers when it was told to die at this step.
var ErrKilled = errors.New("the run was killed here")

// Entry is a file, folder or link of a Node.
type Entry struct {
	Kind    string // "file", "dir", "link"
	Mode    fs.FileMode
	Owner   string
	Content string
	To      string
	MTime   int // grows with every write
}

// Unit is a systemd unit of a Node.
type Unit struct {
	Enabled bool
	Active  string // "active", "inactive", "failed"
	Loaded  string // what systemd has read of it: its file and drop-ins
	Distro  bool   // a package brought it
	Starts  int    // how often it was started or restarted
}

// Node is a machine in memory. Its fields may be set before, and looked at between, runs.
type Node struct {
	Name, Address string
	OS            string // text of os-release
	Packager      string // "apt", "dnf"
	NoSystemd     bool
	Cgroup        int
	Banned        bool // a killed installation left its ban on starting services
	Files         map[string]*Entry
	Units         map[string]*Unit
	Packages      map[string]bool
	Brings        map[string][]string // package -> units that it brings, enabled and (unless forbidden) started
	Sysctls       map[string]string
	ReadOnly      map[string]bool // sysctls
	Modules       map[string]bool
	Users, Groups map[string]bool
	Fails         map[string]bool   // units that fail when they start
	FailsWith     map[string]string // unit -> content of a binary with which it fails
	Probe         map[string]string // name -> stdout
	ProbeFunc     func(n *Node, p linux.Probe) (out string, code int, ok bool)
	// Handle answers commands that are not package linux's, and may dial; nil answers 127.
	Handle     func(n *Node, c jig.Cmd) jig.Exit
	HandleDial func(network, addr string) (net.Conn, error)

	Execs, Puts int      // calls since the last Reset
	Log         []string // every change, one line
	KillAt      int      // die at this change, counted from 1 since the last Reset; 0 = never

	mu    sync.Mutex
	steps int
	clock int
}

// NewNode is an empty Debian 12 with systemd and cgroup v2.
func NewNode() *Node {
	n := &Node{Name: "n1", Address: "198.18.0.11", Packager: "apt", Cgroup: 2,
		OS:    "ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n",
		Files: map[string]*Entry{}, Units: map[string]*Unit{}, Packages: map[string]bool{}, Brings: map[string][]string{}, Sysctls: map[string]string{},
		ReadOnly: map[string]bool{}, Modules: map[string]bool{}, Users: map[string]bool{"root": true}, Groups: map[string]bool{"root": true},
		Fails: map[string]bool{}, Probe: map[string]string{},
	}
	for _, d := range []string{"/etc/systemd/system", "/etc/sysctl.d", "/etc/modules-load.d", "/usr/local/bin", "/var/lib", "/run"} {
		n.mkdir(d)
	}
	return n
}

// Target is the node for one run of a role, with artifacts of any name.
func (n *Node) Target(attribs crowbar.Data) role.Target {
	return role.Target{Node: n.Name, Address: n.Address, Deployment: "test", Arch: "amd64", Attribs: attribs, Conn: n, Artifacts: &Artifacts{Node: n, Version: "1.0.0"}}
}

// Reset sets the counters to zero.
func (n *Node) Reset() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.Execs, n.Puts, n.steps, n.Log, n.KillAt = 0, 0, 0, nil, 0
}

// step is called before every change.
func (n *Node) step(format string, a ...any) error {
	n.steps++
	if n.KillAt > 0 && n.steps >= n.KillAt {
		return ErrKilled
	}
	n.Log = append(n.Log, fmt.Sprintf(format, a...))
	return nil
}

func (n *Node) mkdir(p string) {
	for ; p != "/" && p != "."; p = path.Dir(p) {
		if n.Files[p] == nil {
			n.Files[p] = &Entry{Kind: "dir", Mode: 0o755, Owner: "root"}
		}
	}
}

// Write sets a file, as by hand.
func (n *Node) Write(p, content string, mode fs.FileMode) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.write(p, content, mode)
}

func (n *Node) write(p, content string, mode fs.FileMode) {
	n.mkdir(path.Dir(p))
	n.clock++
	n.Files[p] = &Entry{Kind: "file", Mode: mode, Owner: "root", Content: content, MTime: n.clock}
}

// Content is a file's content, "" if there is none.
func (n *Node) Content(p string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if f := n.Files[p]; f != nil {
		return f.Content
	}
	return ""
}

// Exec answers package linux's commands itself and hands on all others.
func (n *Node) Exec(ctx context.Context, c jig.Cmd) (jig.Exit, error) {
	if err := ctx.Err(); err != nil {
		return jig.Exit{}, err
	}
	if q, ok := linux.ParseQuery(c.Argv); ok {
		probes := n.probes(q)
		n.mu.Lock()
		defer n.mu.Unlock()
		n.Execs++
		return output(c, n.answer(q, probes)), nil
	}
	n.mu.Lock()
	n.Execs++
	if ops, ok := linux.ParseOps(c.Argv); ok {
		defer n.mu.Unlock()
		return n.ops(ops)
	}
	if pkgs, quiet, ok := linux.ParseInstall(c.Argv); ok {
		defer n.mu.Unlock()
		return n.install(pkgs, quiet)
	}
	n.mu.Unlock()
	if n.Handle == nil {
		return jig.Exit{Code: 127, Stderr: []byte("roletest: set Node.Handle to answer " + strings.Join(c.Argv, " "))}, nil
	}
	e := n.Handle(n, c)
	return output(c, e), nil
}

func output(c jig.Cmd, e jig.Exit) jig.Exit {
	if c.Stdout != nil {
		c.Stdout.Write(e.Stdout)
		e.Stdout = nil
	}
	if c.Stderr != nil {
		c.Stderr.Write(e.Stderr)
		e.Stderr = nil
	}
	return e
}

// Put writes a file; its folder has to be there.
func (n *Node) Put(_ context.Context, p string, mode fs.FileMode, r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.Puts++
	if d := n.Files[path.Dir(p)]; d == nil || d.Kind != "dir" {
		return fmt.Errorf("put %s: its folder: %w", p, fs.ErrNotExist)
	}
	if err := n.step("put %s", p); err != nil {
		return err
	}
	n.write(p, string(b), mode)
	return nil
}

// Get reads a file.
func (n *Node) Get(_ context.Context, p string) (io.ReadCloser, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f := n.Files[p]
	if f == nil || f.Kind != "file" {
		return nil, fmt.Errorf("get %s: %w", p, fs.ErrNotExist)
	}
	return io.NopCloser(bytes.NewReader([]byte(f.Content))), nil
}

// Dial asks HandleDial.
func (n *Node) Dial(_ context.Context, network, addr string) (net.Conn, error) {
	if n.HandleDial == nil {
		return nil, crowbar.Errorf(crowbar.Unavailable, "roletest: set Node.HandleDial to answer %s", addr)
	}
	return n.HandleDial(network, addr)
}

// Close does nothing.
func (n *Node) Close() error { return nil }

// Artifacts is a catalogue that has every artifact, with its name and version as content.
type Artifacts struct {
	Node    *Node
	Version string
}

// Stat finds any name.
func (a *Artifacts) Stat(_ context.Context, name string) (role.Artifact, error) {
	body := name + " " + a.Version
	sum := sha256.Sum256([]byte(body))
	return role.Artifact{Name: name, Version: a.Version, SHA256: hex.EncodeToString(sum[:]), Size: int64(len(body))}, nil
}

// Put writes it to the node.
func (a *Artifacts) Put(ctx context.Context, name, p string, mode fs.FileMode) error {
	return a.Node.Put(ctx, p, mode, strings.NewReader(name+" "+a.Version))
}

// Files sets files that must be there before a run, by path and content.
func Files(t testing.TB, n *Node, files map[string]string) {
	t.Helper()
	for p, c := range files {
		n.Write(p, c, 0o644)
	}
}
