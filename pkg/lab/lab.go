// Package lab makes N real nodes on one Linux machine, for trying clusters out. It does not know what is installed on
// them: roles, daemons and barclamps see the nodes through ssh like any other server.
//
// A node is a set of Linux namespaces (network, mounts, names, processes, cgroups, boot time) over a Debian root file
// system, with its own systemd and sshd. Every quirk that such a node needs lives here and in its image, never in a role.
//
// The package runs itself again for the parts that must happen in other processes (see Config.Self and Inside).
package lab

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
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

// suites is all that nodes can have: also one that is too old for a cluster by itself.
func suites() []string { return append(Suites(), "bullseye") }

// Config says where a lab lives and what it is called.
type Config struct {
	Dir      string         // images, keys, node disks and state; kept private (0700)
	Images   string         // folder of the node images, which several labs may share; "" = images in Dir
	Name     string         // prefix of network namespaces, links and cgroups; at most 7 characters. "" = DefaultName
	Packages []string       // more Debian packages for the nodes' images; labs with the same ones share an image
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
	cfg  Config
	log  *slog.Logger
	self []string // as cfg.Self, but a copy of the program that stays as it is
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
	if err := l.fill(); err != nil {
		return nil, fmt.Errorf("open lab in %s: %w", dir, err)
	}
	return l, nil
}

// fill sets what the caller left open, and checks the rest.
func (l *Lab) fill() (err error) {
	c := &l.cfg
	if c.Images == "" {
		c.Images = l.path("images")
	}
	if c.Images, err = filepath.Abs(c.Images); err != nil {
		return err
	}
	for _, p := range []string{c.Dir, c.Images} {
		if !plainArg.MatchString(p) || strings.Contains(p, ":") { // the overlay's options would read it as two
			return crowbar.Errorf(crowbar.Invalid, "folder %q: letters, digits and _./=@+- only: choose another", p)
		}
	}
	if c.Name == "" {
		c.Name = DefaultName
	}
	if !labNameRE.MatchString(c.Name) {
		return crowbar.Errorf(crowbar.Invalid, "name %q: 2 to 7 lower-case letters and digits, a letter first", c.Name)
	}
	if !c.Network.IsValid() {
		c.Network = netip.MustParsePrefix(Network)
	}
	if len(c.Self) == 0 {
		exe, err := os.Executable()
		if err != nil {
			return fmt.Errorf("find own program: %w", err)
		}
		c.Self = []string{exe, "lab", "inside"}
	}
	return checkNetwork(c.Network)
}

// Dir is the lab's folder.
func (l *Lab) Dir() string { return l.cfg.Dir }

// imagePath is a place in the folder of images.
func (l *Lab) imagePath(name string) string { return filepath.Join(l.cfg.Images, name) }

// Network is the nodes' network.
func (l *Lab) Network() netip.Prefix { return l.cfg.Network }

// Leg is this machine's own address on the nodes' network: the only thing outside that nodes can reach.
func (l *Lab) Leg() netip.Addr { return legAddr(l.cfg.Network) }

func (l *Lab) path(elem ...string) string {
	return filepath.Join(append([]string{l.cfg.Dir}, elem...)...)
}

func (l *Lab) nodeDir(name string) string { return l.path("nodes", name) }

func (l *Lab) tell(subject, format string, a ...any) {
	l.log.Info(fmt.Sprintf(format, a...), "subject", subject)
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
	f, err := flock(l.path("lock"))
	if err != nil {
		return nil, crowbar.Errorf(crowbar.Conflict, "lab %s is being changed by another command: wait for it to end, then try again (%w)", l.cfg.Dir, err)
	}
	if err := l.unclaimed(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { f.Close() }, nil
}

// flock takes a lock or fails at once; closing the file frees it.
func flock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	return f, nil
}
