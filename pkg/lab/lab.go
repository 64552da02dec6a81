// Package lab makes N real nodes on one Linux machine, for trying clusters out. It does not know what is installed on
// them: roles, daemons and barclamps see the nodes through ssh like any other server.
//
// A node is a set of Linux namespaces (network, mounts, names, processes, cgroups, boot time) over a Debian root file
// system, with its own systemd and sshd. Every quirk that such a node needs lives here and in its image, never in a role.
//
// The package runs itself again for the parts that must happen in other processes (see Config.Self and Inside).
package lab

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"syscall"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Defaults of Config, and this machine's own address on the default network.
const (
	DefaultName  = "kclab"
	HostAddress  = "198.18.255.254"
	Network      = "198.18.0.0/16" // RFC 2544: for benchmarks, never routed
	DefaultSuite = "bookworm"
)

// Suites are the Debian releases that nodes can be made of.
func Suites() []string { return []string{"bookworm", "trixie"} }

// Config says where a lab lives and what it is called.
type Config struct {
	Dir      string         // images, keys, node disks and state; kept private (0700)
	Images   string         // folder of the node images, which several labs may share; "" = images in Dir
	Name     string         // prefix of network namespaces, links and cgroups; at most 7 characters. "" = DefaultName
	Network  netip.Prefix   // the nodes' IPv4 network, /24 or wider; zero = Network
	Self     []string       // command line that reaches Inside; nil = this program with "lab inside"
	Progress func(Progress) // told of every step; may be nil, may be called from several goroutines
	Log      *slog.Logger   // nil = silent
}

// NodeSpec asks for one node.
type NodeSpec struct {
	Name   string `json:"name"`             // host name, lower case
	Suite  string `json:"suite"`            // one of Suites; "" = DefaultSuite
	Memory int64  `json:"memory,omitempty"` // limit in bytes; 0 = none
	Disk   int64  `json:"disk,omitempty"`   // size in bytes of a disk of its own; 0 = a folder on the machine's disk
}

// Progress is one thing worth showing while a lab is made.
type Progress struct {
	Subject string        // "image bookworm", "node n1", "network"
	Text    string        // what happens now
	Done    float64       // 0 to 1; negative when unknown
	ETA     time.Duration // what remains; 0 when unknown
}

// Lab is one lab on this machine.
type Lab struct {
	cfg Config
	log *slog.Logger
}

// record is what a lab must remember between commands: Dir/lab.json.
type record struct {
	Name    string       `json:"name"`
	Network netip.Prefix `json:"network"`
	Nodes   []nodeRecord `json:"nodes"`
	Sysctls []savedValue `json:"sysctls,omitempty"`
}

type nodeRecord struct {
	NodeSpec
	Index int    `json:"index"` // from 1; gives address and MAC
	Image string `json:"image"` // its folder
}

// savedValue is a kernel setting of the machine that the lab raised and puts back.
type savedValue struct {
	Key, Was, Set string
}

var (
	labNameRE  = regexp.MustCompile(`^[a-z][a-z0-9]{1,6}$`)
	nodeNameRE = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$`)
)

// Open prepares a Lab over its folder, which need not exist yet. A lab that was made with another name or network keeps them.
func Open(cfg Config) (*Lab, error) {
	if cfg.Dir == "" {
		return nil, crowbar.Errorf(crowbar.Invalid, "open lab: no folder given: set Config.Dir")
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("open lab in %s: %w", cfg.Dir, err)
	}
	cfg.Dir = dir
	if cfg.Images != "" {
		if cfg.Images, err = filepath.Abs(cfg.Images); err != nil {
			return nil, fmt.Errorf("open lab in %s: %w", cfg.Dir, err)
		}
	}
	l := &Lab{cfg: cfg, log: cfg.Log}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	rec, err := l.load()
	if err != nil {
		return nil, err
	}
	if rec.Name != "" {
		l.cfg.Name, l.cfg.Network = rec.Name, rec.Network
	}
	if l.cfg.Name == "" {
		l.cfg.Name = DefaultName
	}
	if !l.cfg.Network.IsValid() {
		l.cfg.Network = netip.MustParsePrefix(Network)
	}
	if err := checkNetwork(l.cfg.Network); err != nil {
		return nil, err
	}
	if !labNameRE.MatchString(l.cfg.Name) {
		return nil, crowbar.Errorf(crowbar.Invalid, "open lab: name %q: 2 to 7 lower-case letters and digits, a letter first", l.cfg.Name)
	}
	if len(l.cfg.Self) == 0 {
		exe, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("open lab: find own program: %w", err)
		}
		l.cfg.Self = []string{exe, "lab", "inside"}
	}
	return l, nil
}

// Dir is the lab's folder.
func (l *Lab) Dir() string { return l.cfg.Dir }

// imagePath is a place in the folder of images.
func (l *Lab) imagePath(name string) string {
	if l.cfg.Images != "" {
		return filepath.Join(l.cfg.Images, name)
	}
	return l.path("images", name)
}

// Network is the nodes' network.
func (l *Lab) Network() netip.Prefix { return l.cfg.Network }

// Leg is this machine's own address on the nodes' network: the only thing outside that nodes can reach.
func (l *Lab) Leg() netip.Addr { return legAddr(l.cfg.Network) }

func (l *Lab) path(elem ...string) string {
	return filepath.Join(append([]string{l.cfg.Dir}, elem...)...)
}

func (l *Lab) nodeDir(name string) string { return l.path("nodes", name) }

func (l *Lab) tell(subject, format string, a ...any) {
	if l.cfg.Progress != nil {
		l.cfg.Progress(Progress{Subject: subject, Text: fmt.Sprintf(format, a...), Done: -1})
	}
}

func (l *Lab) load() (record, error) {
	var rec record
	err := readJSON(l.path("lab.json"), &rec)
	if os.IsNotExist(err) {
		return rec, nil
	}
	return rec, err
}

func (l *Lab) save(rec record) error {
	rec.Name, rec.Network = l.cfg.Name, l.cfg.Network
	sort.Slice(rec.Nodes, func(i, j int) bool { return rec.Nodes[i].Index < rec.Nodes[j].Index })
	return writeJSON(l.path("lab.json"), rec)
}

// lock makes one command at a time change the lab; the kernel frees it when the process ends.
func (l *Lab) lock() (unlock func(), err error) {
	if err := os.MkdirAll(l.cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make lab folder: %w", err)
	}
	f, err := os.OpenFile(l.path("lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lab lock: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, crowbar.Errorf(crowbar.Conflict, "lab %s is being changed by another command: wait for it to end, then try again", l.cfg.Dir)
	}
	return func() { f.Close() }, nil
}

func (rec record) node(name string) (nodeRecord, error) {
	for _, n := range rec.Nodes {
		if n.Name == name {
			return n, nil
		}
	}
	return nodeRecord{}, crowbar.Errorf(crowbar.NotFound, "no node %q in the lab: `kubeclamp lab status` lists them", name)
}

// merge adds the wanted nodes that the lab does not have yet, each with the lowest free index.
func (rec *record) merge(want []NodeSpec, max int) error {
	used := map[int]bool{}
	have := map[string]nodeRecord{}
	for _, n := range rec.Nodes {
		used[n.Index], have[n.Name] = true, n
	}
	next := 1
	for _, w := range want {
		if w.Suite == "" {
			w.Suite = DefaultSuite
		}
		if err := checkSpec(w); err != nil {
			return err
		}
		if old, ok := have[w.Name]; ok {
			if old.Suite != w.Suite {
				return crowbar.Errorf(crowbar.Conflict, "node %q is of %s already, not %s: use another name, or `kubeclamp lab down` first", w.Name, old.Suite, w.Suite)
			}
			continue
		}
		for used[next] {
			next++
		}
		if next > max {
			return crowbar.Errorf(crowbar.Invalid, "node %q: the lab's network has room for %d nodes only: choose a wider one", w.Name, max)
		}
		used[next] = true
		n := nodeRecord{NodeSpec: w, Index: next}
		have[w.Name] = n
		rec.Nodes = append(rec.Nodes, n)
	}
	return nil
}

func checkSpec(w NodeSpec) error {
	if !nodeNameRE.MatchString(w.Name) {
		return crowbar.Errorf(crowbar.Invalid, "node name %q: 1 to 40 lower-case letters, digits and inner dashes", w.Name)
	}
	for _, s := range Suites() {
		if s == w.Suite {
			return nil
		}
	}
	return crowbar.Errorf(crowbar.Invalid, "node %q: suite %q is not one of %v", w.Name, w.Suite, Suites())
}

func readJSON(path string, v any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

func writeJSON(path string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return writeFile(path, append(b, '\n'), 0o600)
}

// writeFile replaces a file in one step, so that a reader or a crash never sees half of it.
func writeFile(path string, b []byte, mode os.FileMode) error {
	tmp := fmt.Sprintf("%s.%d.new", path, os.Getpid())
	if err := os.WriteFile(tmp, b, mode); err != nil {
		return err
	}
	if err := os.Chmod(tmp, mode); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}
