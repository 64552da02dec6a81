package linux

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// Facts is what one Exec read off a node: what the Query named, and a few things that are always read.
type Facts struct {
	OS       OS
	Arch     string // GOARCH
	Kernel   string // release
	Hostname string
	Systemd  bool          // systemd is PID 1
	Packager string        // "apt", "dnf", "yum" or ""
	Cgroup   int           // 1 or 2
	Banned   bool          // a killed installation left its ban on starting services behind
	Now      time.Time     // the node's clock when it was read; as ours where it is less than a second away
	Asked    time.Time     // our clock when the question was sent
	Trip     time.Duration // until the answer was here

	Paths    map[string]Path // of all paths asked for; the zero Path where there is nothing
	Stamps   map[string]string
	Units    map[string]UnitFact
	Packages map[string]string // installed: name -> version
	Sysctls  map[string]SysctlFact
	Modules  map[string]bool
	Users    map[string]bool
	Groups   map[string]bool
	Marks    map[string]bool // restarts that are due since a run that died

	Probe     map[string]string // stdout
	ProbeCode map[string]int

	Artifacts map[string]role.Artifact // of the wanted binaries, from the host's catalogue
	asked     Query
	near      bool // the clocks agree
}

// OS is /etc/os-release.
type OS struct{ ID, Version, Like, Pretty string }

// Path is what a path is on the node.
type Path struct {
	Kind   string // "" = nothing there, "file", "dir", "link", "other"
	Mode   fs.FileMode
	Owner  string
	Group  string
	Size   int64
	MTime  string // seconds, with nine decimals; 0 of folders, as Size
	SHA256 string // of files that were asked to be hashed
	To     string // of links
}

// UnitFact is how systemd sees a unit.
type UnitFact struct {
	Loaded      bool   // systemd knows it
	Active      string // "active", "inactive", "failed", "activating"...
	Sub         string
	Result      string
	Enabled     string // "enabled", "disabled", "static", "masked", ""...
	NeedsReload bool
	Restarts    int
	PID         int
	Path        string // of its file
}

// SysctlFact is a kernel setting.
type SysctlFact struct {
	Value    string
	Writable bool
}

// Read asks the node, in one Exec, for all that a Plan for want needs, and for the probes.
func Read(ctx context.Context, on role.Target, want State, probes ...Probe) (Facts, error) {
	q, err := Ask(want, probes...)
	if err != nil {
		return Facts{}, err
	}
	asked := time.Now()
	out, err := jig.Run(ctx, on.Conn, q.Cmd())
	if err != nil {
		return Facts{}, fmt.Errorf("read facts of node %s: %w", on.Node, err)
	}
	trip := time.Since(asked)
	f, err := ParseFacts(q, []byte(out))
	if err != nil {
		return Facts{}, fmt.Errorf("read facts of node %s: %w", on.Node, err)
	}
	f.Asked, f.Trip = asked, trip
	if f.near {
		f.Now = asked.Add(trip / 2)
	}
	f.Artifacts, err = stat(ctx, on, want)
	return f, err
}

func stat(ctx context.Context, on role.Target, want State) (map[string]role.Artifact, error) {
	out := make(map[string]role.Artifact, len(want.Binaries))
	for _, b := range want.Binaries {
		if on.Artifacts == nil {
			return nil, crowbar.Errorf(crowbar.Unavailable, "artifact %s: this run has no catalogue of artifacts", b.Artifact)
		}
		a, err := on.Artifacts.Stat(ctx, b.Artifact)
		if err != nil {
			return nil, fmt.Errorf("artifact %s: %w", b.Artifact, err)
		}
		out[b.Artifact] = a
	}
	return out, nil
}

// ParseFacts reads the answer to a Query.
func ParseFacts(q Query, out []byte) (Facts, error) {
	f := Facts{
		Paths: map[string]Path{}, Stamps: map[string]string{}, Units: map[string]UnitFact{}, Packages: map[string]string{},
		Sysctls: map[string]SysctlFact{}, Modules: map[string]bool{}, Users: map[string]bool{}, Groups: map[string]bool{},
		Marks: map[string]bool{}, Probe: map[string]string{}, ProbeCode: map[string]int{}, asked: q,
	}
	for _, p := range q.Paths {
		f.Paths[p] = Path{}
	}
	for {
		name, body, rest, err := frame(out)
		if err != nil {
			return f, err
		}
		if name == "end" {
			return f, nil
		}
		if err := f.take(q, name, body); err != nil {
			return f, fmt.Errorf("the node's answer: %s: %w", name, err)
		}
		out = rest
	}
}

func frame(b []byte) (name, body string, rest []byte, err error) {
	head, tail, ok := bytes.Cut(b, []byte("\n"))
	i := bytes.LastIndexByte(head, ' ')
	if !ok || i < 0 {
		return "", "", nil, fmt.Errorf("the node's answer is cut off at %q", clip(string(b)))
	}
	n, err := strconv.Atoi(string(head[i+1:]))
	if err != nil || n < 0 || n >= len(tail) || tail[n] != '\n' {
		return "", "", nil, fmt.Errorf("the node's answer has a broken frame at %q", clip(string(head)))
	}
	return string(head[:i]), string(tail[:n]), tail[n+1:], nil
}

func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "..."
	}
	return s
}

func lines(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(strings.TrimRight(s, "\n"), "\n")
}

func (f *Facts) take(q Query, name, body string) error {
	if p, ok := strings.CutPrefix(name, "probe:"); ok {
		i := strings.LastIndexByte(body, ' ')
		if i < 0 {
			return fmt.Errorf("no end code")
		}
		code, err := strconv.Atoi(body[i+1:])
		f.Probe[p], f.ProbeCode[p] = body[:i], code
		return err
	}
	l := lines(body)
	switch name {
	case "os":
		f.OS = parseOS(l)
	case "host":
		return f.takeHost(l)
	case "marks":
		set(f.Marks, l)
	case "stat":
		return f.takeStat(l)
	case "link":
		for i := 0; i+1 < len(l); i += 2 {
			p := f.Paths[l[i]]
			p.To = l[i+1]
			f.Paths[l[i]] = p
		}
	case "sha256":
		for _, s := range l {
			sum, path, _ := strings.Cut(s, "  ")
			p := f.Paths[path]
			p.SHA256 = sum
			f.Paths[path] = p
		}
	case "stamp":
		for i, s := range strings.Split(body, "\n") {
			if i < len(q.Stamps) {
				f.Stamps[q.Stamps[i]] = s
			}
		}
	case "unit":
		return f.takeUnits(q.Units, body)
	default:
		return f.takeRest(name, l)
	}
	return nil
}

func (f *Facts) takeRest(name string, l []string) error {
	switch name {
	case "package":
		for _, s := range l {
			if w := strings.Fields(s); len(w) >= 3 && strings.HasPrefix(w[1], "ii") {
				f.Packages[w[0]] = w[2]
			}
		}
	case "sysctl":
		for _, s := range l {
			if w := strings.Fields(s); len(w) >= 2 {
				f.Sysctls[w[0]] = SysctlFact{Writable: w[1] == "w", Value: strings.Join(w[2:], " ")}
			}
		}
	case "module":
		set(f.Modules, l)
	case "user":
		for _, s := range l {
			f.Users[strings.SplitN(s, ":", 2)[0]] = true
		}
	case "group":
		for _, s := range l {
			f.Groups[strings.SplitN(s, ":", 2)[0]] = true
		}
	}
	return nil
}

func set(m map[string]bool, names []string) {
	for _, n := range names {
		m[n] = true
	}
}

func parseOS(l []string) OS {
	m := map[string]string{}
	for _, s := range l {
		k, v, _ := strings.Cut(s, "=")
		m[k] = strings.Trim(v, `"'`)
	}
	return OS{ID: m["ID"], Version: m["VERSION_ID"], Like: m["ID_LIKE"], Pretty: m["PRETTY_NAME"]}
}

var goarch = map[string]string{"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "ppc64le": "ppc64le", "s390x": "s390x", "riscv64": "riscv64", "i686": "386"}

func (f *Facts) takeHost(l []string) error {
	for _, s := range l {
		k, v, _ := strings.Cut(s, "=")
		switch k {
		case "arch":
			if f.Arch = goarch[v]; f.Arch == "" {
				f.Arch = v
			}
		case "kernel":
			f.Kernel = v
		case "hostname":
			f.Hostname = v
		case "init":
			f.Systemd = v == "systemd"
		case "packager":
			f.Packager = v
		case "cgroup":
			f.Cgroup, _ = strconv.Atoi(v)
		case "banned":
			f.Banned = true
		case "clock":
			f.near = v == "near"
		case "now":
			sec, nano, _ := strings.Cut(v, ".")
			s, err := strconv.ParseInt(sec, 10, 64)
			if err != nil {
				return fmt.Errorf("clock %q: %w", v, err)
			}
			n, _ := strconv.ParseInt(nano, 10, 64)
			f.Now = time.Unix(s, n)
		}
	}
	return nil
}

func (f *Facts) takeStat(l []string) error {
	for _, s := range l {
		w := strings.SplitN(s, " ", 7)
		if len(w) != 7 {
			return fmt.Errorf("line %q", s)
		}
		raw, err := strconv.ParseUint(w[0], 16, 32)
		if err != nil {
			return fmt.Errorf("line %q: %w", s, err)
		}
		p := f.Paths[w[6]]
		p.Kind, p.Owner, p.Group, p.MTime = kind(raw), w[2], w[3], w[5]
		p.Mode = fs.FileMode(raw & 0o777)
		p.Size, _ = strconv.ParseInt(w[4], 10, 64)
		f.Paths[w[6]] = p
	}
	return nil
}

func kind(raw uint64) string {
	switch raw & 0o170000 {
	case 0o100000:
		return "file"
	case 0o040000:
		return "dir"
	case 0o120000:
		return "link"
	}
	return "other"
}

func (f *Facts) takeUnits(names []string, body string) error {
	if body == "" {
		return nil
	}
	blocks := strings.Split(body, "\n\n")
	if len(blocks) != len(names) {
		return fmt.Errorf("%d answers for %d units", len(blocks), len(names))
	}
	for i, b := range blocks {
		m := map[string]string{}
		for _, s := range lines(b) {
			k, v, _ := strings.Cut(s, "=")
			m[k] = v
		}
		u := UnitFact{Loaded: m["LoadState"] != "not-found" && m["LoadState"] != "", Active: m["ActiveState"], Sub: m["SubState"], Result: m["Result"],
			Enabled: m["UnitFileState"], NeedsReload: m["NeedDaemonReload"] == "yes", Path: m["FragmentPath"]}
		u.Restarts, _ = strconv.Atoi(m["NRestarts"])
		u.PID, _ = strconv.Atoi(m["MainPID"])
		f.Units[names[i]] = u
	}
	return nil
}

// Skew is how far the node's clock is ahead of ours, corrected by half the round trip.
func (f Facts) Skew() time.Duration { return f.Now.Sub(f.Asked.Add(f.Trip / 2)) }
