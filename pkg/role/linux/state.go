// Package linux is what most roles are made of: a desired State of files, binaries, units, packages and kernel settings,
// which is compared with what one Exec read off the node, and made so. It does not know what any of them is for.
//
//	have, err := linux.Read(ctx, on, want, probes...)  // ONE Exec
//	plan := linux.Plan(want, have)                     // pure; no steps = nothing to do
//	changes, err := linux.Make(ctx, on, plan)          // files, binaries, packages, then daemon-reload, restarts, starts
//
// A unit is restarted when a file or binary that it names in Restart changed, even if the run that changed it died before
// the restart: a mark is left on the node before the change and taken away after the restart.
package linux

import "io/fs"

// State is what a role wants of a node. Zero fields want nothing.
type State struct {
	Packages []Package
	Users    []User
	Dirs     []Dir
	Files    []File
	Binaries []Binary
	Links    []Link
	Units    []Unit
	Sysctls  []Sysctl
	Modules  []string // kernel modules, loaded now and at boot
	Absent   []string // files and folders that must not be
}

// Package is a distribution package, by its name in each family; "" = has none there.
type Package struct {
	Deb string // apt
	RPM string // dnf, yum
}

// User is a system account without a login.
type User struct{ Name, Home string }

// Dir is a folder.
type Dir struct {
	Path  string
	Mode  fs.FileMode
	Owner string // "" = root
}

// File is a small file with known content.
type File struct {
	Path    string
	Mode    fs.FileMode // 0 = 0644
	Owner   string      // "" = root
	Content string
	Secret  bool     // no diff, no content in any log
	Restart []string // units to restart when it changes (units listed in State or elsewhere)
	Reload  []string // units to reload when it changes
}

// Binary is a file of the artifact catalogue. What is on the node is known by a stamp beside it (sha256, size, mtime), not by reading it.
type Binary struct {
	Artifact string      // "etcd/etcd"
	Path     string      // "/usr/local/bin/etcd"
	Mode     fs.FileMode // 0 = 0755
	Restart  []string
}

// Link is a symbolic link.
type Link struct{ Path, To string }

// Unit is a systemd unit of ours ("" Content: one of the distribution's).
type Unit struct {
	Name     string // "etcd.service"
	Content  string
	Disabled bool // not at boot
	Stopped  bool // not now
}

// Sysctl is a kernel setting, kept in a file in /etc/sysctl.d.
type Sysctl struct{ Key, Value string }

// Probe is one more thing to read in the same Exec: a POSIX shell fragment whose stdout becomes Facts.Probe[Name].
type Probe struct{ Name, Script string }
