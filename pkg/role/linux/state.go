// Package linux is what most roles are made of: a desired State of files, binaries, units, packages and kernel settings,
// which is compared with what one Exec read off the node, and made so. It does not know what any of them is for.
//
//	have, err := linux.Read(ctx, on, want, probes...)  // ONE Exec
//	plan, err := linux.Compare(ctx, on, want, have)    // empty = nothing to do; looks again only at files that change
//	err = linux.Make(ctx, on, plan)                    // packages, users, folders, files, binaries, then daemon-reload, restarts, starts
//
// Converge is the three in a row. Where the State depends on what the node says (its cgroup version, the present content
// of a shared file), ConvergeAfter reads first, for the paths and units of a sketch, and asks for the State then.
//
// A unit is restarted when a file or binary that it names in Restart changed, even if the run that changed it died before
// the restart: a mark is left on the node before the change and taken away after the restart.
package linux

import (
	"io/fs"
	"time"
)

// State is what a role wants of a node. Zero fields want nothing.
type State struct {
	Packages []Package
	Groups   []string // system groups
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
	Deb     string // apt
	RPM     string // dnf, yum
	NoStart bool   // the package must not start its services while it is installed
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
	Absent  bool     // the file must not be; Restart and Reload hold for its removal
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
	Disabled bool          // not at boot
	Stopped  bool          // not now
	NoWait   bool          // do not wait until it is active
	Limit    time.Duration // for becoming active; 0 = 90 s
}

// Sysctl is a kernel setting, kept in a file in /etc/sysctl.d.
type Sysctl struct{ Key, Value string }

// Probe is one more thing to read in the same Exec: a POSIX shell fragment whose stdout becomes Facts.Probe[Name].
// It only reads: it is run in dry runs too. Args are its $1, $2...; PATH holds the sbin folders; a bad end is in Facts.ProbeCode and is no error.
type Probe struct {
	Name, Script string
	Args         []string
}
