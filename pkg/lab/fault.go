package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Faults are what can be done to a node, in the words of the command line. A fault stays, also over a power cycle, until
// Heal; kill is over at once.
const (
	FaultKill     = "kill"      // the node dies at once, as by a pulled plug
	FaultFreeze   = "freeze"    // every process stops; ping still answers
	FaultThaw     = "thaw"      // the end of freeze
	FaultDrop     = "drop"      // no packet passes between the node and Peer
	FaultLinkDown = "link-down" // the cable is out
	FaultLink     = "link"      // the same
	FaultLinkUp   = "link-up"   // the cable is in again
	FaultSlow     = "slow"      // the link carries Rate at most
	FaultDiskFull = "disk-full" // nothing is left on the node's own disk
	FaultClock    = "clock"     // cannot be: says why
	FaultHeal     = "heal"      // undoes all of these
)

// PeerAll, as the peer of FaultDrop, cuts a node off from everybody; PeerAdmin means this machine.
const (
	PeerAll   = "all"
	PeerAdmin = "admin"
)

// Fault asks for one fault.
type Fault struct {
	Kind string
	Node string
	Peer string // of FaultDrop: a node's name, PeerAdmin or PeerAll (also "")
	Rate string // of FaultSlow: as tc has it, "10mbit"
}

// faults is Dir/nodes/NAME/faults.json: what is wrong with a node now.
type faults struct {
	Drop     []string `json:"drop,omitempty"`
	LinkDown bool     `json:"link_down,omitempty"`
	Rate     string   `json:"rate,omitempty"`
	DiskFull bool     `json:"disk_full,omitempty"`
}

var rateRE = regexp.MustCompile(`^[1-9][0-9]{0,5}[kmg]?bit$`)

const (
	legMAC   = "02:1a:b0:ff:ff:fe"
	fillFile = "kubeclamp-lab-full"
)

// errClock: the kernel has one wall clock for all nodes. Time namespaces move the clocks since boot alone, and what replaces
// library calls (faketime) does not reach static programs, which etcd and Kubernetes are.
var errClock = crowbar.Errorf(crowbar.Invalid, "a node of a lab cannot have a clock of its own: Linux has one CLOCK_REALTIME for all of them, and etcd and Kubernetes are static programs that no faketime reaches; moving this machine's clock would move all nodes and the daemon. What certificates do as years go by is tried with a clock that the tests hand in")

// Fault does one thing to a node, which must be on except for heal.
func (l *Lab) Fault(ctx context.Context, f Fault) error {
	unlock, err := l.lock()
	if err != nil {
		return err
	}
	defer unlock()
	rec, err := l.load()
	if err != nil {
		return err
	}
	n, err := rec.node(f.Node)
	if err != nil {
		return err
	}
	if st, err := l.nodeState(n.Name); err != nil {
		return err
	} else if !st.Supervisor.alive() && f.Kind != FaultHeal {
		return crowbar.Errorf(crowbar.Conflict, "node %s is off: `kubeclamp lab power on %s` first", n.Name, n.Name)
	}
	if err := l.fault(ctx, rec, n, f); err != nil {
		return fmt.Errorf("fault %s on %s: %w", f.Kind, n.Name, err)
	}
	return nil
}

func (l *Lab) fault(ctx context.Context, rec record, n nodeRecord, f Fault) error {
	cur, err := l.faultsOf(n.Name)
	if err != nil {
		return err
	}
	switch f.Kind {
	case FaultKill:
		return l.powerOff(ctx, n)
	case FaultFreeze, FaultThaw:
		return l.freezeNode(ctx, n, f.Kind == FaultFreeze)
	case FaultDrop:
		if f.Peer == "" {
			f.Peer = PeerAll
		}
		if _, err := peerMAC(rec, f.Peer); err != nil {
			return err
		}
		if !slices.Contains(cur.Drop, f.Peer) {
			cur.Drop = append(cur.Drop, f.Peer)
		}
	case FaultLink, FaultLinkDown, FaultLinkUp:
		cur.LinkDown = f.Kind != FaultLinkUp
	case FaultClock:
		return errClock
	case FaultSlow:
		if !rateRE.MatchString(f.Rate) {
			return crowbar.Errorf(crowbar.Invalid, "rate %q: give one such as 10mbit or 512kbit", f.Rate)
		}
		cur.Rate = f.Rate
	case FaultDiskFull:
		if n.Disk == 0 {
			return crowbar.Errorf(crowbar.Conflict, "the node has no disk of its own: make the lab with --disk 8G")
		}
		cur.DiskFull = true
	case FaultHeal:
		cur = faults{}
		if err := l.freezeNode(ctx, n, false); err != nil {
			return err
		}
	default:
		return crowbar.Errorf(crowbar.Invalid, "no fault of that name; there are kill freeze thaw drop link link-up slow disk-full heal")
	}
	if err := writeJSON(filepath.Join(l.nodeDir(n.Name), "faults.json"), cur); err != nil {
		return err
	}
	if err := l.applyDrops(ctx, rec); err != nil {
		return err
	}
	if err := l.applyDisk(n, cur); err != nil {
		return err
	}
	return l.applyLink(ctx, n)
}

func (l *Lab) faultsOf(name string) (faults, error) {
	var f faults
	err := readJSON(filepath.Join(l.nodeDir(name), "faults.json"), &f)
	if os.IsNotExist(err) {
		return f, nil
	}
	return f, err
}

// words are the faults as status shows them.
func (f faults) words() []string {
	var out []string
	for _, p := range f.Drop {
		out = append(out, "drop "+p)
	}
	if f.LinkDown {
		out = append(out, "link-down")
	}
	if f.Rate != "" {
		out = append(out, "slow "+f.Rate)
	}
	if f.DiskFull {
		out = append(out, "disk-full")
	}
	return out
}

// freezeNode stops or resumes every process of a node, and waits until they are: the kernel takes its time for many.
func (l *Lab) freezeNode(ctx context.Context, n nodeRecord, on bool) error {
	p, ok := l.groupOf(n.Name, "freezer.state", "cgroup.freeze")
	if !ok {
		if on {
			return crowbar.Errorf(crowbar.Unavailable, "no freezer among this machine's control groups")
		}
		return nil
	}
	if !freeze(filepath.Dir(p), on) {
		return crowbar.Errorf(crowbar.Unavailable, "the kernel refuses to write %s", p)
	}
	what := map[bool]string{true: "freezing " + n.Name, false: "thawing " + n.Name}[on]
	return await(ctx, 10*time.Second, what, func() bool { return frozen(filepath.Dir(p)) == on })
}

// applyLink makes the node's cable what the recorded faults say; the supervisor calls it at each boot.
func (l *Lab) applyLink(ctx context.Context, n nodeRecord) error {
	f, err := l.faultsOf(n.Name)
	if err != nil || !netnsExists(l.netns(n.Name)) {
		return err
	}
	link, to := nodeLink(n.Index), "up"
	if f.LinkDown {
		to = "down"
	}
	if err := run(ctx, "ip", "-n", l.cfg.Name, "link", "set", link, to); err != nil {
		return err
	}
	for _, end := range [][2]string{{l.cfg.Name, link}, {l.netns(n.Name), "eth0"}} {
		if f.Rate == "" {
			out, err := output(ctx, "tc", "-n", end[0], "qdisc", "show", "dev", end[1])
			if err != nil {
				return err
			}
			if !strings.Contains(out, "qdisc tbf 1ab:") {
				continue
			}
			if err := run(ctx, "tc", "-n", end[0], "qdisc", "del", "dev", end[1], "root"); err != nil {
				return err
			}
			continue
		}
		if err := run(ctx, "tc", "-n", end[0], "qdisc", "replace", "dev", end[1], "root", "handle", "1ab:", "tbf", "rate", f.Rate, "burst", "32k", "latency", "50ms"); err != nil {
			return err
		}
	}
	return nil
}

// peerMAC is the address of a peer; "" means everybody.
func peerMAC(rec record, peer string) (string, error) {
	switch peer {
	case PeerAll:
		return "", nil
	case PeerAdmin:
		return legMAC, nil
	}
	n, err := rec.node(peer)
	return nodeMAC(n.Index), err
}

// applyDrops makes the bridge's filter what the recorded faults say, in one step.
func (l *Lab) applyDrops(ctx context.Context, rec record) error {
	if !netnsExists(l.cfg.Name) {
		return nil
	}
	dropped := map[string][]string{}
	for _, n := range rec.Nodes {
		f, err := l.faultsOf(n.Name)
		if err != nil {
			return err
		}
		for _, p := range f.Drop {
			mac, err := peerMAC(rec, p)
			if err != nil {
				return err
			}
			dropped[nodeMAC(n.Index)] = append(dropped[nodeMAC(n.Index)], mac)
		}
	}
	return runInput(ctx, dropRules(dropped), "nsenter", "--net="+netnsPath(l.cfg.Name), "nft", "-f", "-")
}

// dropRules is the filter's text: node's MAC -> peers' MACs, "" = all.
func dropRules(dropped map[string][]string) string {
	var b strings.Builder
	b.WriteString("add table bridge faults\ndelete table bridge faults\ntable bridge faults {\n")
	for hook, prio := range map[string]string{"forward": "0", "input": "0"} {
		fmt.Fprintf(&b, " chain %s {\n  type filter hook %s priority %s\n", hook, hook, prio)
		macs := make([]string, 0, len(dropped))
		for mac := range dropped {
			macs = append(macs, mac)
		}
		slices.Sort(macs)
		for _, mac := range macs {
			for _, peer := range dropped[mac] {
				if peer == "" {
					fmt.Fprintf(&b, "  ether saddr %[1]s drop\n  ether daddr %[1]s drop\n", mac)
					continue
				}
				fmt.Fprintf(&b, "  ether saddr %[1]s ether daddr %[2]s drop\n  ether saddr %[2]s ether daddr %[1]s drop\n", mac, peer)
			}
		}
		b.WriteString(" }\n")
	}
	b.WriteString("}\n")
	return b.String()
}

// applyDisk fills what is left of the node's own disk, or gives it back. The way there is through the node's init: the
// disk is mounted in its namespace only.
func (l *Lab) applyDisk(n nodeRecord, f faults) error {
	pid, err := l.initOf(n.Name)
	if err != nil || n.Disk == 0 || pid == 0 {
		return err
	}
	path := fmt.Sprintf("/proc/%d/root/var/lib/docker/%s", pid, fillFile)
	if !f.DiskFull {
		if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
			return err
		}
		return nil
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	for size, at := int64(1<<30), int64(0); size >= 4096; {
		if err := unix.Fallocate(int(file.Fd()), 0, at, size); err != nil {
			size /= 2
			continue
		}
		at += size
	}
	return nil
}

// initOf is the pid of the node's init, 0 if it is not running. A recorded pid counts only while it is in the node's groups.
func (l *Lab) initOf(name string) (int, error) {
	var pid int
	if err := readJSON(filepath.Join(l.nodeDir(name), "init.json"), &pid); os.IsNotExist(err) {
		return 0, nil
	} else if err != nil {
		return 0, err
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return 0, nil // ended
	}
	for line := range strings.Lines(string(b)) {
		if strings.Contains(strings.TrimSpace(line)+"/", "/"+l.cfg.Name+"/"+name+"/") {
			return pid, nil
		}
	}
	return 0, nil
}
