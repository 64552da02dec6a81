package lab

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

const (
	firstNode = 11 // the first node's place in the network
	routeCost = "4000"
)

func checkNetwork(p netip.Prefix) error {
	if !p.Addr().Is4() || p.Bits() > 24 || p.Bits() < 8 || p.Masked() != p {
		return crowbar.Errorf(crowbar.Invalid, "lab network %s: give an IPv4 network such as %s, /24 or wider", p, Network)
	}
	return nil
}

func nth(p netip.Prefix, n uint32) netip.Addr {
	b := p.Addr().As4()
	binary.BigEndian.PutUint32(b[:], binary.BigEndian.Uint32(b[:])+n)
	return netip.AddrFrom4(b)
}

func netSize(p netip.Prefix) uint32 { return 1 << (32 - p.Bits()) }

// legAddr is the last address below the broadcast one.
func legAddr(p netip.Prefix) netip.Addr { return nth(p, netSize(p)-2) }

func nodeAddr(p netip.Prefix, index int) netip.Addr { return nth(p, uint32(firstNode-1+index)) }

func maxNodes(p netip.Prefix) int { return min(int(netSize(p))-firstNode-2, 1000) }

// nodeMAC is fixed for each node: a new one at each boot would cost its peers half a minute of stale ARP.
func nodeMAC(index int) string { return fmt.Sprintf("02:1a:b0:00:%02x:%02x", index>>8&255, index&255) }

func (l *Lab) netns(node string) string { return l.cfg.Name + "-" + node }
func (l *Lab) legLink() string          { return l.cfg.Name + "up" }
func nodeLink(index int) string         { return fmt.Sprintf("v%d", index) }
func netnsPath(ns string) string        { return "/run/netns/" + ns }
func netnsExists(ns string) bool        { _, err := os.Stat(netnsPath(ns)); return err == nil }
func (l *Lab) ownsNetns(ns string) bool {
	return ns == l.cfg.Name || strings.HasPrefix(ns, l.cfg.Name+"-")
}

// networkUp makes the bridge, this machine's leg on it and a blackhole, so that packets for nodes can never leave by
// another way, even after the lab is gone half-way. Each step is repeatable.
func (l *Lab) networkUp(ctx context.Context) error {
	name, leg, pfx := l.cfg.Name, l.legLink(), l.cfg.Network
	if !l.networkOurs() {
		l.tell("network", "bridge on %s, this machine is %s", pfx, l.Leg())
	}
	if err := run(ctx, "ip", "route", "replace", "blackhole", pfx.String(), "metric", routeCost); err != nil {
		return err
	}
	if !netnsExists(name) {
		if err := run(ctx, "ip", "netns", "add", name); err != nil {
			return err
		}
	}
	if run(ctx, "ip", "-n", name, "link", "show", "br0") != nil {
		if err := runInput(ctx, "link set lo up\nlink add br0 type bridge\nlink set br0 up\n", "ip", "-n", name, "-batch", "-"); err != nil {
			return err
		}
	}
	if run(ctx, "ip", "-n", name, "link", "show", leg+"-p") == nil {
		return run(ctx, "ip", "-n", name, "link", "set", leg+"-p", "master", "br0", "up")
	}
	batch := fmt.Sprintf("link add %[1]s address %[5]s type veth peer name %[1]s-p netns %[2]s\naddr add %[3]s/%[4]d broadcast + dev %[1]s\nlink set %[1]s up\n", leg, name, l.Leg(), pfx.Bits(), legMAC)
	if err := runInput(ctx, batch, "ip", "-batch", "-"); err != nil {
		return err
	}
	return run(ctx, "ip", "-n", name, "link", "set", leg+"-p", "master", "br0", "up")
}

// networkFree refuses a network that this machine uses for something else.
func (l *Lab) networkFree() error {
	if l.networkOurs() {
		return nil
	}
	if owner := overlap(l.cfg.Network, l.legLink()); owner != "" {
		return crowbar.Errorf(crowbar.Conflict, "lab network %s is in use on this machine by %s: choose another with --network, or take that down first", l.cfg.Network, owner)
	}
	return nil
}

func (l *Lab) networkOurs() bool {
	_, err := net.InterfaceByName(l.legLink())
	return err == nil
}

// overlap names what on this machine already has an address in the network, or covers it.
func overlap(p netip.Prefix, own string) string {
	links, err := net.Interfaces()
	if err != nil {
		return ""
	}
	for _, i := range links {
		addrs, err := i.Addrs()
		if err != nil || i.Name == own {
			continue
		}
		for _, a := range addrs {
			if q, err := netip.ParsePrefix(a.String()); err == nil && q.Overlaps(p) {
				return fmt.Sprintf("%s (%s)", i.Name, q)
			}
		}
	}
	return ""
}

func (l *Lab) networkDown(ctx context.Context) error {
	var errs []error
	if l.networkOurs() {
		errs = append(errs, run(ctx, "ip", "link", "del", l.legLink()))
	}
	names, err := os.ReadDir("/run/netns")
	if err != nil && !os.IsNotExist(err) {
		errs = append(errs, err)
	}
	for _, n := range names {
		if l.ownsNetns(n.Name()) {
			errs = append(errs, run(ctx, "ip", "netns", "del", n.Name()))
		}
	}
	if out, err := output(ctx, "ip", "route", "show", "type", "blackhole", l.cfg.Network.String()); err == nil && strings.TrimSpace(out) != "" {
		errs = append(errs, run(ctx, "ip", "route", "del", "blackhole", l.cfg.Network.String(), "metric", routeCost))
	}
	return joinErrs("take down the lab's network", errs)
}

// nodeNetUp gives a node a fresh network namespace with one cable to the bridge, as a power cycle of a server would.
func (l *Lab) nodeNetUp(ctx context.Context, n nodeRecord) error {
	if err := l.nodeNetDown(ctx, n); err != nil {
		return err
	}
	ns, link := l.netns(n.Name), nodeLink(n.Index)
	if err := run(ctx, "ip", "netns", "add", ns); err != nil {
		return err
	}
	batch := fmt.Sprintf("link add %[1]s type veth peer name eth0 netns %[2]s\nlink set %[1]s master br0 up\n", link, ns)
	if err := runInput(ctx, batch, "ip", "-n", l.cfg.Name, "-batch", "-"); err != nil {
		return err
	}
	batch = fmt.Sprintf("link set eth0 address %s\nlink set lo up\nlink set eth0 up\naddr add %s/%d broadcast + dev eth0\n", nodeMAC(n.Index), nodeAddr(l.cfg.Network, n.Index), l.cfg.Network.Bits())
	return runInput(ctx, batch, "ip", "-n", ns, "-batch", "-")
}

func (l *Lab) nodeNetDown(ctx context.Context, n nodeRecord) error {
	if netnsExists(l.netns(n.Name)) {
		if err := run(ctx, "ip", "netns", "del", l.netns(n.Name)); err != nil {
			return err
		}
	}
	if !netnsExists(l.cfg.Name) || run(ctx, "ip", "-n", l.cfg.Name, "link", "show", nodeLink(n.Index)) != nil {
		return nil
	}
	// The kernel drops the pair some time after the namespace: do not wait for it, and do not mind if it is faster.
	if err := run(ctx, "ip", "-n", l.cfg.Name, "link", "del", nodeLink(n.Index)); err != nil && !strings.Contains(err.Error(), "Cannot find device") {
		return err
	}
	return nil
}
