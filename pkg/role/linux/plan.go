package linux

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// Todo is what has to be done to a node, in order: packages, Before, the files and artifacts of Puts, After. The zero Todo
// is nothing to do.
type Todo struct {
	Packager string
	Install  []string // packages
	NoStart  bool     // their services must not start while they are installed
	Before   []Op
	Puts     []Put
	After    []Op
	Changes  []role.Change
	Replaced []string // paths of binaries that were there in another version, and are kept: see Back
	texts    []text   // of Changes whose lines Compare can tell
}

// Put is one file to write: from Content, or from an artifact.
type Put struct {
	Path     string
	Mode     fs.FileMode
	Content  string
	Secret   bool
	Artifact string
}

// Empty says that there is nothing to do.
func (t Todo) Empty() bool { return len(t.Install)+len(t.Before)+len(t.Puts)+len(t.After) == 0 }

// planner gathers a Todo.
type planner struct {
	have    Facts
	todo    Todo
	err     error
	restart []string // units that must be restarted, in order of discovery
	reload  []string
	daemon  bool // daemon-reload
	parents []string
	own     []Op // chmod, chown, stamps: after the puts
	absent  []Op
	other   []string // units that are restarted with another version of a binary
}

// Plan compares what is wanted with what there is. It is pure; want must have been asked for by Read.
func Plan(want State, have Facts) (Todo, error) {
	p := &planner{have: have, todo: Todo{Packager: have.Packager}}
	p.packages(want.Packages)
	if have.Banned && len(p.todo.Install) == 0 {
		p.change("file", "/usr/sbin/policy-rc.d", "remove", "left behind by an installation that was killed")
		p.todo.Before = append(p.todo.Before, Op{"unban"})
	}
	p.accounts(want)
	for _, d := range want.Dirs {
		p.dir(d)
	}
	for _, f := range files(want) {
		p.file(f)
	}
	for _, b := range want.Binaries {
		p.binary(b)
	}
	for _, l := range want.Links {
		p.link(l)
	}
	for _, a := range want.Absent {
		if p.path(a).Kind != "" {
			p.absent = append(p.absent, Op{"rm", a})
			p.change("path", a, "remove", "")
			p.daemon = p.daemon || strings.HasPrefix(a, unitDir)
		}
	}
	p.after(want)
	if p.err != nil {
		return Todo{}, p.err
	}
	return p.todo, nil
}

func (p *planner) change(what, name, do, diff string) {
	p.todo.Changes = append(p.todo.Changes, role.Change{What: what, Name: name, Do: do, Diff: diff})
}

func (p *planner) fail(k crowbar.ErrorKind, format string, a ...any) {
	if p.err == nil {
		p.err = crowbar.Errorf(k, format, a...)
	}
}

func (p *planner) path(name string) Path {
	f, ok := p.have.Paths[name]
	if !ok {
		p.fail(crowbar.Internal, "plan: %s was not read: name it in the State given to Read", name)
	}
	return f
}

func (p *planner) packages(want []Package) {
	for _, w := range want {
		name := w.RPM
		if p.have.Packager == "apt" {
			name = w.Deb
		}
		if name == "" || p.have.Packages[name] != "" {
			continue
		}
		if p.have.Packager == "" {
			p.fail(crowbar.Invalid, "package %s: %s has none of apt, dnf, yum: install it by hand and run again", name, p.have.OS.Pretty)
			continue
		}
		p.todo.Install = append(p.todo.Install, name)
		p.todo.NoStart = p.todo.NoStart || w.NoStart
		p.change("package", name, "install", "")
	}
}

func (p *planner) accounts(want State) {
	for _, g := range want.Groups {
		if !p.have.Groups[g] {
			p.todo.Before = append(p.todo.Before, Op{"group", g})
			p.change("group", g, "create", "")
		}
	}
	for _, u := range want.Users {
		if !p.have.Users[u.Name] {
			p.todo.Before = append(p.todo.Before, Op{"user", u.Name, u.Home})
			p.change("user", u.Name, "create", "")
		}
	}
}

func (p *planner) dir(d Dir) {
	mode, owner, have := orMode(d.Mode, 0o755), orRoot(d.Owner), p.path(d.Path)
	switch {
	case have.Kind == "":
		p.change("dir", d.Path, "create", "")
	case have.Kind != "dir":
		p.fail(crowbar.Conflict, "%s is a %s, and has to be a folder: move it away and run again", d.Path, have.Kind)
		return
	case have.Mode == mode && sameOwner(have, owner):
		return
	default:
		p.change("dir", d.Path, "change", attrDiff(have, mode, owner))
	}
	p.todo.Before = append(p.todo.Before, Op{"dir", d.Path, octal(mode), owner})
}

func (p *planner) file(f File) {
	have := p.path(f.Path)
	if f.Absent {
		if have.Kind != "" {
			p.change("file", f.Path, "remove", "")
			p.touched(f.Path, f.Restart, f.Reload)
			p.absent = append(p.absent, Op{"rm", f.Path})
		}
		return
	}
	mode, owner := orMode(f.Mode, 0o644), orRoot(f.Owner)
	sum := sha256.Sum256([]byte(f.Content))
	switch {
	case have.Kind == "dir":
		p.fail(crowbar.Conflict, "%s is a folder, and has to be a file: move it away and run again", f.Path)
		return
	case have.Kind == "file" && have.SHA256 == hex.EncodeToString(sum[:]):
		if have.Mode != mode || !sameOwner(have, owner) {
			p.change("file", f.Path, "change", attrDiff(have, mode, owner))
			p.own = append(p.own, Op{"own", f.Path, octal(mode), owner})
		}
		return
	default:
		p.written(f, have, mode, owner)
	}
	p.parent(f.Path)
	p.todo.Puts = append(p.todo.Puts, Put{Path: f.Path, Mode: mode, Content: f.Content, Secret: f.Secret})
	if owner != "root" {
		p.own = append(p.own, Op{"own", f.Path, octal(mode), owner})
	}
	p.touched(f.Path, f.Restart, f.Reload)
}

// written tells of a file that is to be written. Of one that not everybody may read, before or after, no line is told.
func (p *planner) written(f File, have Path, mode fs.FileMode, owner string) {
	what, do := "content", "change"
	if have.Kind == "" {
		what, do = "", "create"
	}
	open := mode&0o004 != 0 && (have.Kind == "" || have.Kind == "file" && have.Mode&0o004 != 0)
	switch {
	case f.Secret && have.Kind != "":
		what = "secret changed"
	case f.Secret:
		what = "secret"
	case have.Kind == "link":
		what = "a link to " + have.To + " until now"
	case have.Kind == "file" && !open:
		what = "content, which not everybody may read"
	}
	if more := attrDiff(have, mode, owner); have.Kind == "file" && more != "" {
		what += ", " + more
	}
	p.change("file", f.Path, do, what)
	c := &p.todo.Changes[len(p.todo.Changes)-1]
	switch {
	case f.Secret || !open:
	case have.Kind == "":
		text{content: f.Content}.tell(c, "")
	default:
		p.todo.texts = append(p.todo.texts, text{len(p.todo.Changes) - 1, f.Path, f.Content, have.Size})
	}
}

// touched notes which units have to follow a change of a path.
func (p *planner) touched(name string, restart, reload []string) {
	p.restart = appendSet(p.restart, restart...)
	p.reload = appendSet(p.reload, reload...)
	p.daemon = p.daemon || strings.HasPrefix(name, unitDir)
}

func (p *planner) parent(file string) {
	dir := path.Dir(file)
	if slices.Contains(p.parents, dir) {
		return
	}
	p.parents = append(p.parents, dir)
	for _, op := range p.todo.Before {
		if op[0] == "dir" && op[1] == dir {
			return
		}
	}
	p.todo.Before = append(p.todo.Before, Op{"parent", dir})
}

func (p *planner) binary(b Binary) {
	mode, have, a := orMode(b.Mode, 0o755), p.path(b.Path), p.have.Artifacts[b.Artifact]
	stamp := stampFile(StateDir, b.Path)
	if have.Kind == "file" && p.have.Stamps[stamp] == stampLine(a.SHA256, have.Size, have.MTime) && a.SHA256 != "" {
		if have.Mode != mode || !sameOwner(have, "root") {
			p.change("artifact", b.Path, "change", attrDiff(have, mode, "root"))
			p.own = append(p.own, Op{"own", b.Path, octal(mode), "root"})
		}
		return
	}
	do, sizes := "create", bytesOf(a.Size)
	if have.Kind != "" {
		do, sizes = "change", bytesOf(have.Size)+" -> "+sizes
	}
	if sum, rest, _ := strings.Cut(p.have.Stamps[stamp], " "); have.Kind == "file" && sum != a.SHA256 && rest == fmt.Sprintf("%d %s", have.Size, have.MTime) {
		p.todo.Replaced = append(p.todo.Replaced, b.Path)
		p.todo.Before = append(p.todo.Before, Op{"keep", b.Path, stamp, keptFile(b.Path), a.SHA256})
		p.other = appendSet(p.other, b.Restart...)
	}
	p.change("artifact", b.Path, do, b.Artifact+" "+a.Version+", "+sizes)
	p.parent(b.Path)
	p.todo.Puts = append(p.todo.Puts, Put{Path: b.Path, Mode: mode, Artifact: b.Artifact})
	p.own = append(p.own, Op{"own", b.Path, octal(mode), "root"}, Op{"stamp", stamp, a.SHA256, b.Path})
	p.touched(b.Path, b.Restart, nil)
}

// bytesOf is a size for people.
func bytesOf(n int64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%d bytes", n)
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}

// stampLine is what a stamp holds: reading it is cheaper than hashing a hundred megabytes.
func stampLine(sha string, size int64, mtime string) string {
	return fmt.Sprintf("%s %d %s", sha, size, mtime)
}

func (p *planner) link(l Link) {
	have := p.path(l.Path)
	switch {
	case have.Kind == "link" && have.To == l.To:
		return
	case have.Kind == "dir":
		p.fail(crowbar.Conflict, "%s is a folder, and has to be a link to %s: move it away and run again", l.Path, l.To)
		return
	case have.Kind == "":
		p.change("link", l.Path, "create", l.To)
	default:
		p.change("link", l.Path, "change", l.To)
	}
	p.parent(l.Path)
	p.own = append(p.own, Op{"link", l.Path, l.To})
	p.daemon = p.daemon || strings.HasPrefix(l.Path, unitDir)
}

func orMode(m, or fs.FileMode) fs.FileMode {
	if m == 0 {
		return or
	}
	return m.Perm()
}

func orRoot(owner string) string {
	if owner == "" {
		return "root"
	}
	return owner
}

// sameOwner compares "user" or "user:group".
func sameOwner(have Path, want string) bool {
	user, group, both := strings.Cut(want, ":")
	return have.Owner == user && (!both || have.Group == group)
}

// attrDiff tells what changes of mode and owner; "" where nothing does.
func attrDiff(have Path, mode fs.FileMode, owner string) string {
	var out []string
	if have.Mode != mode {
		out = append(out, "mode "+octal(have.Mode)+" -> "+octal(mode))
	}
	if !sameOwner(have, owner) {
		was := have.Owner
		if strings.Contains(owner, ":") {
			was += ":" + have.Group
		}
		out = append(out, "owner "+was+" -> "+owner)
	}
	return strings.Join(out, ", ")
}

func octal(m fs.FileMode) string { return "0" + strconv.FormatUint(uint64(m.Perm()), 8) }

// wait is how long a unit may take to become active, in seconds.
func wait(limit time.Duration) string {
	if limit == 0 {
		limit = 90 * time.Second
	}
	return strconv.Itoa(int(limit.Seconds()))
}
