package nodeprep

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
)

// verdict is what has to be done to a node, and what cannot be done for it.
type verdict struct {
	want     linux.State
	swapOff  bool
	hostname string // to set; "" = as it is
	iface    string // that has the node's address
	network  string // CIDR in which the node's address lies
	changes  []role.Change
	problems []string // each with what to do
	warnings []string
}

func (v *verdict) problem(format string, a ...any) {
	v.problems = append(v.problems, fmt.Sprintf(format, a...))
}

var modules = []string{"overlay", "br_netfilter", "nf_conntrack"}

// setting is a sysctl; atLeast: more is as good. Without a needed one the node cannot work.
type setting struct {
	key, value      string
	atLeast, needed bool
}

var settings = []setting{
	{key: "net.ipv4.ip_forward", value: "1", needed: true},
	{key: "net.bridge.bridge-nf-call-iptables", value: "1", needed: true},
	{key: "net.bridge.bridge-nf-call-ip6tables", value: "1", needed: true},
	{key: "vm.overcommit_memory", value: "1", needed: true},
	{key: "fs.inotify.max_user_instances", value: "1024", atLeast: true},
	{key: "fs.inotify.max_user_watches", value: "262144", atLeast: true},
}

// sysctls is every setting that the node can take; all of them where nothing is known of the node.
func sysctls(v *verdict, have ...facts) []linux.Sysctl {
	var out []linux.Sysctl
	for _, s := range settings {
		if len(have) == 0 || v.takes(s, have[0]) {
			value := s.value
			if len(have) > 0 && enough(s, have[0].Sysctls[s.key].Value) {
				value = have[0].Sysctls[s.key].Value
			}
			out = append(out, linux.Sysctl{Key: s.key, Value: value})
		}
	}
	return out
}

func enough(s setting, have string) bool {
	if have == s.value || !s.atLeast {
		return have == s.value
	}
	h, err := strconv.ParseInt(have, 10, 64)
	w, _ := strconv.ParseInt(s.value, 10, 64)
	return err == nil && h >= w
}

func (v *verdict) takes(s setting, have facts) bool {
	f, there := have.Sysctls[s.key]
	switch {
	case there && (enough(s, f.Value)):
		return f.Writable || s.needed
	case !there || f.Writable: // a missing one comes with its module
		return true
	case s.needed:
		v.problem("sysctl %s is %s, has to be %s, and is read-only here: set it on the machine that this node's kernel belongs to", s.key, f.Value, s.value)
	default:
		v.warnings = append(v.warnings, fmt.Sprintf("sysctl %s is %s and read-only; %s would be better", s.key, f.Value, s.value))
	}
	return false
}

// judge compares a node with what a node has to be. It is pure.
func judge(c config, on role.Target, have facts) verdict {
	v := verdict{}
	v.want = linux.State{Modules: modules, Sysctls: sysctls(&v, have)}
	v.machine(c, have)
	v.swap(have)
	v.clock(c, have)
	v.name(c, on, have)
	v.addressOf(c, on, have)
	if !on.Again {
		for _, p := range c.FreePorts {
			if who, busy := have.listeners[p]; busy {
				v.problem("TCP port %d is in use by %s: stop it, or take the port out of node-prep-free-ports", p, who)
			}
		}
	}
	return v
}

func (v *verdict) machine(c config, have facts) {
	if !have.Systemd {
		v.problem("systemd is not PID 1: a node has to run systemd")
	}
	if have.Packager == "" {
		v.problem("%s has none of apt, dnf, yum: use a distribution that has", have.OS.Pretty)
	}
	if have.Cgroup == 0 {
		v.problem("no cgroups are mounted at /sys/fs/cgroup: mount them at boot")
	}
	if have.freeGiB < float64(c.MinDisk) {
		v.problem("%.1f GiB are free below /var, and %d GiB have to be: make room, or lower node-prep-min-disk", have.freeGiB, c.MinDisk)
	}
}

func (v *verdict) swap(have facts) {
	if len(have.swaps) > 0 {
		v.swapOff = true
		v.changes = append(v.changes, role.Change{What: "swap", Name: strings.Join(have.swaps, " "), Do: "turn off"})
	}
	if off := fstab(have.fstab); off != have.fstab {
		v.want.Files = append(v.want.Files, keep(have, "/etc/fstab", off))
	}
}

// keep is a shared file with new content, and its mode and owner as they are.
func keep(have facts, path, content string) linux.File {
	p := have.Paths[path]
	return linux.File{Path: path, Content: content, Mode: p.Mode, Owner: p.Owner}
}

// clock allows for not knowing when in the round trip the node looked at its clock.
func (v *verdict) clock(c config, have facts) {
	off, limit := have.Skew(), time.Duration(c.MaxOffset)*time.Second
	if off.Abs()-have.Trip/2 <= limit {
		return
	}
	way := "ahead of"
	if off < 0 {
		way = "behind"
	}
	v.problem("its clock is %s %s the host's (%s allowed): run a time service on both, such as systemd-timesyncd or chrony", off.Abs().Round(time.Millisecond), way, limit)
}

func (v *verdict) name(c config, on role.Target, have facts) {
	if on.Node != strings.ToLower(on.Node) {
		v.problem("its name %s has capital letters, and Kubernetes allows none: rename the node", on.Node)
		return
	}
	short, _, _ := strings.Cut(have.Hostname, ".")
	switch {
	case !c.Hostname && short != on.Node:
		v.warnings = append(v.warnings, fmt.Sprintf("its host name is %s, and stays so because node-prep-hostname is false", have.Hostname))
	case short != on.Node:
		v.hostname = on.Node
		v.changes = append(v.changes, role.Change{What: "hostname", Name: on.Node, Do: "set", Diff: have.Hostname + " -> " + on.Node})
		v.want.Files = append(v.want.Files, linux.File{Path: "/etc/hostname", Content: on.Node + "\n"})
	case c.Hostname:
		v.want.Files = append(v.want.Files, linux.File{Path: "/etc/hostname", Content: have.Hostname + "\n"})
	}
	if h := hosts(have.hosts, on.Node, on.Address); h != have.hosts {
		v.want.Files = append(v.want.Files, keep(have, "/etc/hosts", h))
	}
}

func (v *verdict) addressOf(c config, on role.Target, have facts) {
	addr, err := netip.ParseAddr(on.Address)
	if err != nil {
		v.problem("its address %q is not an IP address: set the node's address", on.Address)
		return
	}
	var seen []string
	for _, a := range have.addresses {
		if a.prefix.Addr() == addr {
			v.iface, v.network = a.iface, a.prefix.Masked().String()
		}
		seen = append(seen, a.iface+" "+a.prefix.String())
	}
	if v.iface == "" {
		v.problem("no interface has its address %s (there are %s): set the node's address to one of these", addr, strings.Join(seen, ", "))
	}
	if c.Network == "" {
		return
	}
	if n := netip.MustParsePrefix(c.Network); n.Contains(addr) {
		v.network = n.Masked().String()
	} else {
		v.problem("its address %s is outside node-network %s: set one or the other", addr, n)
	}
}
