package linux

import (
	_ "embed"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
)

//go:embed read.sh
var readScript string

// StateDir holds what this package keeps on a node: stamps of artifacts and marks of restarts that are due.
const StateDir = "/var/lib/kubeclamp"

const (
	unitDir    = "/etc/systemd/system/"
	sysctlDir  = "/etc/sysctl.d/"
	moduleDir  = "/etc/modules-load.d/"
	ourPrefix  = "zz-kubeclamp-" // last to be read wins
	reloadMark = "reload:"
)

// Query is the list of things that one Read asks of a node. It travels as arguments of a constant script; a fake node
// reads it back with ParseQuery.
type Query struct {
	Dir     string   // StateDir
	Paths   []string // to stat
	Hashed  []string // files to hash as well
	Stamps  []string // stamp files
	Units   []string
	Debs    []string
	RPMs    []string
	Sysctls []string
	Modules []string
	Users   []string
	Groups  []string
	Probes  []Probe
}

func (q *Query) lists() []*[]string {
	return []*[]string{&q.Paths, &q.Hashed, &q.Stamps, &q.Units, &q.Debs, &q.RPMs, &q.Sysctls, &q.Modules, &q.Users, &q.Groups}
}

// Cmd is the command that asks it.
func (q Query) Cmd() jig.Cmd {
	args := []string{"read", q.Dir}
	for _, l := range q.lists() {
		args = append(args, strings.Join(*l, "\n"))
	}
	for _, p := range q.Probes {
		args = append(args, p.Name, p.Script, strconv.Itoa(len(p.Args)))
		args = append(args, p.Args...)
	}
	c := command(readScript, args)
	c.Reads = true
	return c
}

func command(script string, args []string) jig.Cmd {
	c := jig.Script(script, args...)
	c.Env = map[string]string{"LC_ALL": "C"}
	return c
}

// ParseQuery reads a Query back from a command's arguments; false if it is another command.
func ParseQuery(argv []string) (Query, bool) {
	const lists = 10
	if len(argv) < 5+lists || argv[3] != "read" {
		return Query{}, false
	}
	q := Query{Dir: argv[4]}
	rest := argv[5:]
	for _, l := range q.lists() {
		if rest[0] != "" {
			*l = strings.Split(rest[0], "\n")
		}
		rest = rest[1:]
	}
	for len(rest) >= 3 {
		n, err := strconv.Atoi(rest[2])
		if err != nil || n > len(rest)-3 {
			return Query{}, false
		}
		q.Probes = append(q.Probes, Probe{Name: rest[0], Script: rest[1], Args: rest[3 : 3+n]})
		rest = rest[3+n:]
	}
	return q, true
}

// Ask is the Query of a State.
func Ask(want State, probes ...Probe) (Query, error) {
	q := Query{Dir: StateDir, Probes: probes}
	for _, p := range want.Packages {
		q.Debs = appendSet(q.Debs, p.Deb)
		q.RPMs = appendSet(q.RPMs, p.RPM)
	}
	for _, u := range want.Users {
		q.Users = appendSet(q.Users, u.Name)
	}
	q.Groups = append(q.Groups, want.Groups...)
	for _, d := range want.Dirs {
		q.Paths = appendSet(q.Paths, d.Path)
	}
	for _, f := range files(want) {
		q.Paths = appendSet(q.Paths, f.Path)
		if !f.Absent {
			q.Hashed = appendSet(q.Hashed, f.Path)
		}
		q.Units = appendSet(q.Units, append(slices.Clone(f.Restart), f.Reload...)...)
	}
	for _, b := range want.Binaries {
		q.Paths = appendSet(q.Paths, b.Path)
		q.Stamps = appendSet(q.Stamps, stampFile(q.Dir, b.Path))
		q.Units = appendSet(q.Units, b.Restart...)
	}
	for _, l := range want.Links {
		q.Paths = appendSet(q.Paths, l.Path)
	}
	q.Paths = appendSet(q.Paths, want.Absent...)
	for _, u := range want.Units {
		q.Units = appendSet(q.Units, u.Name)
	}
	for _, s := range want.Sysctls {
		q.Sysctls = appendSet(q.Sysctls, s.Key)
	}
	q.Modules = append(q.Modules, want.Modules...)
	return q, q.check()
}

// files is every file of a State: its own, the units', and those that keep sysctls and modules over a boot.
func files(want State) []File {
	out := slices.Clone(want.Files)
	for _, u := range want.Units {
		if u.Content == "" {
			continue
		}
		f := File{Path: unitDir + u.Name, Content: u.Content}
		if !u.Stopped {
			f.Restart = []string{u.Name}
		}
		out = append(out, f)
	}
	for _, s := range want.Sysctls {
		name := strings.ReplaceAll(s.Key, "/", "-")
		out = append(out, File{Path: sysctlDir + ourPrefix + name + ".conf", Content: s.Key + " = " + s.Value + "\n"})
	}
	for _, m := range want.Modules {
		out = append(out, File{Path: moduleDir + ourPrefix + m + ".conf", Content: m + "\n"})
	}
	return out
}

// stampFile is where the stamp of an artifact at a path is kept.
func stampFile(dir, p string) string {
	return path.Join(dir, "artifacts", strings.ReplaceAll(strings.Trim(p, "/"), "/", "!")+".stamp")
}

// keptFile is where the version of a binary is kept that was there before the present one; its stamp is beside it.
func keptFile(p string) string {
	return path.Join(StateDir, "previous", strings.ReplaceAll(strings.Trim(p, "/"), "/", "!"))
}

func appendSet(to []string, items ...string) []string {
	for _, i := range items {
		if i != "" && !slices.Contains(to, i) {
			to = append(to, i)
		}
	}
	return to
}

// check refuses names that the line format cannot carry, and paths that no role should own.
func (q Query) check() error {
	for _, l := range q.lists() {
		for _, s := range *l {
			if s == "" || strings.ContainsAny(s, "\n\\") || s[0] == '-' {
				return crowbar.Errorf(crowbar.Invalid, "read the node: %q cannot be asked for: an empty name, a line break, a backslash or a leading dash", s)
			}
		}
	}
	for _, p := range append(slices.Clone(q.Paths), q.Stamps...) {
		if err := checkPath(p); err != nil {
			return err
		}
	}
	for _, u := range q.Units {
		if !strings.Contains(u, ".") || strings.ContainsAny(u, " /") {
			return crowbar.Errorf(crowbar.Invalid, "unit name %q: want name.service, name.socket...", u)
		}
	}
	return nil
}

func checkPath(p string) error {
	if !path.IsAbs(p) || path.Clean(p) != p || strings.Count(p, "/") < 2 {
		return crowbar.Errorf(crowbar.Invalid, "path %q: want an absolute, clean path at least two deep", p)
	}
	return nil
}
