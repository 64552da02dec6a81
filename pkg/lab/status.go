package lab

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// NodeStatus is what one node is and does now.
type NodeStatus struct {
	Name      string     `json:"name"`
	Suite     string     `json:"suite"`
	Address   netip.Addr `json:"address"`
	State     string     `json:"state"` // one of the State constants
	PID       int        `json:"pid,omitempty"`
	Up        string     `json:"up,omitempty"` // since its last boot
	Boots     int        `json:"boots"`
	Ended     string     `json:"ended,omitempty"`  // how it ended the last time
	Memory    int64      `json:"memory,omitempty"` // bytes of its processes, without the file cache
	Processes int        `json:"processes,omitempty"`
	Faults    []string   `json:"faults,omitempty"`
}

// Status lists all nodes in the order of their addresses.
func (l *Lab) Status(ctx context.Context) ([]NodeStatus, error) {
	rec, err := l.load()
	if err != nil {
		return nil, err
	}
	out := make([]NodeStatus, 0, len(rec.Nodes))
	for _, n := range rec.Nodes {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		s, err := l.status(n)
		if err != nil {
			return nil, fmt.Errorf("status of %s: %w", n.Name, err)
		}
		out = append(out, s)
	}
	return out, nil
}

func (l *Lab) status(n nodeRecord) (NodeStatus, error) {
	out := NodeStatus{Name: n.Name, Suite: n.Suite, Address: nodeAddr(l.cfg.Network, n.Index), State: StateOff}
	st, err := l.nodeState(n.Name)
	if err != nil {
		return out, err
	}
	f, err := l.faultsOf(n.Name)
	if err != nil {
		return out, err
	}
	out.Boots, out.Ended, out.Faults = st.Boots, st.Ended, f.words()
	if st.State == StateFailed {
		out.State = StateFailed
	}
	pid, err := l.initOf(n.Name)
	if err != nil || !st.Supervisor.alive() || pid == 0 {
		return out, err
	}
	out.State, out.PID, out.Up = StateRunning, pid, time.Since(st.Since).Round(time.Second).String()
	for _, g := range l.groups(n.Name) {
		readGroup(g, &out)
	}
	return out, nil
}

// readGroup takes from one group what it knows; each tree knows something else.
func readGroup(dir string, out *NodeStatus) {
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return ""
		}
		return strings.TrimSpace(string(b))
	}
	if frozen(dir) {
		out.State = StateFrozen
	}
	if m := max(statValue(read("memory.stat"), "total_rss"), statValue(read("memory.stat"), "anon")); m > 0 {
		out.Memory = m
	}
	out.Processes = max(out.Processes, len(pids(dir)))
}

func statValue(stat, key string) int64 {
	for line := range strings.Lines(stat) {
		if k, v, _ := strings.Cut(strings.TrimSpace(line), " "); k == key {
			n, err := strconv.ParseInt(v, 10, 64)
			if err == nil {
				return n
			}
		}
	}
	return 0
}

// Node is one node as a cluster's owner would describe it.
type Node struct {
	Name    string     `json:"name"`
	Address netip.Addr `json:"address"`
	HostKey string     `json:"host_key"` // as in an authorized_keys line: "ssh-ed25519 AAAA..."
	Suite   string     `json:"suite"`
}

// Inventory is how to reach the lab's nodes.
type Inventory struct {
	User  string     `json:"user"`
	Key   string     `json:"key"`   // path of the private key
	Admin netip.Addr `json:"admin"` // this machine's address for the nodes
	Nodes []Node     `json:"nodes"`
}

// Inventory lists the lab's nodes with their pinned host keys.
func (l *Lab) Inventory() (Inventory, error) {
	inv := Inventory{User: "root", Key: l.path("key"), Admin: l.Leg()}
	rec, err := l.load()
	if err != nil {
		return inv, err
	}
	for _, n := range rec.Nodes {
		key, err := l.hostKey(n.Name)
		if err != nil {
			return inv, err
		}
		inv.Nodes = append(inv.Nodes, Node{Name: n.Name, Address: nodeAddr(l.cfg.Network, n.Index), HostKey: key, Suite: n.Suite})
	}
	return inv, nil
}

func (l *Lab) hostKey(name string) (string, error) {
	b, err := os.ReadFile(filepath.Join(l.nodeDir(name), "host_ed25519.pub"))
	if err != nil {
		return "", fmt.Errorf("host key of %s: %w", name, err)
	}
	f := strings.Fields(string(b))
	if len(f) < 2 {
		return "", fmt.Errorf("host key of %s: not a public key", name)
	}
	return f[0] + " " + f[1], nil
}

// YAML is the nodes section of a cluster file.
func (inv Inventory) YAML() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# admin host as the nodes see it: %s\n# ssh key: %s\nnodes:\n", inv.Admin, inv.Key)
	for _, n := range inv.Nodes {
		fmt.Fprintf(&b, "  - name: %s\n    address: %s\n    ssh: { user: %s, host_key: %q }\n", n.Name, n.Address, inv.User, n.HostKey)
	}
	return b.String()
}

func (l *Lab) writeKnownHosts(rec record) error {
	var b bytes.Buffer
	for _, n := range rec.Nodes {
		key, err := l.hostKey(n.Name)
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s %s\n", nodeAddr(l.cfg.Network, n.Index), key)
	}
	return writeFile(l.path("known_hosts"), b.Bytes(), 0o600)
}

// SSH is the command line that opens a shell on a node, or runs a command there.
func (l *Lab) SSH(name string, command ...string) ([]string, error) {
	rec, err := l.load()
	if err != nil {
		return nil, err
	}
	n, err := rec.node(name)
	if err != nil {
		return nil, err
	}
	return l.sshArgv(n, command...), nil
}

func (l *Lab) sshArgv(n nodeRecord, command ...string) []string {
	argv := []string{"ssh", "-F", "none", "-i", l.path("key"), "-o", "IdentitiesOnly=yes", "-o", "UserKnownHostsFile=" + l.path("known_hosts"), "-o", "GlobalKnownHostsFile=/dev/null",
		"-o", "StrictHostKeyChecking=yes", "-o", "ConnectTimeout=5", "-o", "LogLevel=ERROR", "root@" + nodeAddr(l.cfg.Network, n.Index).String()}
	return append(argv, command...)
}
