// Package network decides which addresses nodes have: what a network, a range and a router may be, and which address is
// given to whom. It does not know how an interface is set up, or who answers for names.
package network

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Admin is the name of the network over which nodes are managed; it is never deleted nor moved to other interfaces.
const Admin = "admin"

// What a new network has where nothing else is said.
const (
	DefaultOrder    = 1000
	DefaultTeamMode = 5
	DefaultCategory = "general"
	DefaultGroup    = "default"
	DefaultPref     = 65536 // of a router
)

// AutoPrefix as V6Prefix asks for a generated one.
const AutoPrefix = "auto"

var (
	nameRule    = regexp.MustCompile(`^[a-zA-Z][-_a-zA-Z0-9]*$`)
	conduitRule = regexp.MustCompile(`^(bmc|dhcp|raw:[^\s,]+|[-+?]?\d{1,3}[mg]\d+)$`)
	prefixRule  = regexp.MustCompile(`^([a-f0-9]{1,4}:){3}[a-f0-9]{1,4}$`)
)

// Check says whether the state can hold this network beside all others.
func Check(s *crowbar.Snapshot, n *crowbar.Network) error {
	if !nameRule.MatchString(n.Name) {
		return crowbar.Errorf(crowbar.Invalid, "name %q: want a letter, then letters, digits, '-' and '_': its role is named after it", n.Name)
	}
	if o := s.NetworkNamed(n.Name); o != nil && o.ID != n.ID {
		return crowbar.Errorf(crowbar.Conflict, "there is a network %q already: take another name", n.Name)
	}
	if s.Deployment(n.Deployment) == nil {
		return crowbar.Errorf(crowbar.NotFound, "there is no deployment %d for network %q", n.Deployment, n.Name)
	}
	if was := s.Network(n.ID); was != nil {
		switch {
		case n.Name != was.Name:
			return crowbar.Errorf(crowbar.Conflict, "network %q keeps its name: its role and attribs are named after it", was.Name)
		case was.Name == Admin && n.Conduit != was.Conduit:
			return crowbar.Errorf(crowbar.Conflict, "network %q keeps its conduit %q: nodes are managed over it", Admin, was.Conduit)
		}
	}
	if n.V6Prefix != "" && !prefixRule.MatchString(string(n.V6Prefix)) {
		return crowbar.Errorf(crowbar.Invalid, "v6prefix %q: want four hextets such as fd00:0:0:1, or %q for one that is made up", n.V6Prefix, AutoPrefix)
	}
	if err := link(n.Conduit, n.UseVLAN, n.VLAN, n.UseTeam, n.TeamMode); err != nil {
		return err
	}
	return apart(s, n)
}

// link checks what says how a network, or a range of it, is joined to a node's interfaces.
func link(conduit string, useVLAN bool, vlan int, useTeam bool, mode int) error {
	on, err := conduits(conduit)
	if err != nil {
		return err
	}
	if useVLAN && (vlan < 1 || vlan > 4094) {
		return crowbar.Errorf(crowbar.Invalid, "vlan %d: want 1 to 4094 where use_vlan is set", vlan)
	}
	if useTeam && (len(on) < 2 || len(on) > 8) {
		return crowbar.Errorf(crowbar.Invalid, "conduit %q has %d interfaces: a team is made of 2 to 8", conduit, len(on))
	}
	if useTeam && (mode < 0 || mode > 6) {
		return crowbar.Errorf(crowbar.Invalid, "team_mode %d: want a mode of Linux bonding, 0 to 6", mode)
	}
	return nil
}

// conduits is the interfaces of a conduit, each once.
func conduits(text string) ([]string, error) {
	var out []string
	for one := range strings.SplitSeq(text, ",") {
		one = strings.TrimSpace(one)
		if !conduitRule.MatchString(one) {
			return nil, crowbar.Errorf(crowbar.Invalid, "conduit %q: %q is not an interface: write its speed and place such as 1g0, -10g1, ?1g0 (less, more or any speed), or bmc, dhcp, raw:NAME", text, one)
		}
		if slices.Contains(out, one) {
			return nil, crowbar.Errorf(crowbar.Invalid, "conduit %q has %s twice", text, one)
		}
		out = append(out, one)
	}
	return out, nil
}

// apart keeps two networks from sharing some, but not all, of their interfaces.
func apart(s *crowbar.Snapshot, n *crowbar.Network) error {
	mine, err := conduits(n.Conduit)
	if err != nil {
		return err
	}
	slices.Sort(mine)
	for o := range s.Networks() {
		theirs, err := conduits(o.Conduit)
		if o.ID == n.ID || err != nil {
			continue
		}
		slices.Sort(theirs)
		shares := slices.ContainsFunc(theirs, func(c string) bool { return slices.Contains(mine, c) })
		if shares && !slices.Equal(mine, theirs) {
			return crowbar.Errorf(crowbar.Conflict, "conduit %q shares some interfaces with %q of network %q: two conduits are the same, or have none in common", n.Conduit, o.Conduit, o.Name)
		}
	}
	return nil
}

// CheckRange says whether the state can hold this range of a network beside all others.
func CheckRange(s *crowbar.Snapshot, r *crowbar.Range) error {
	n := s.Network(r.Network)
	if n == nil {
		return crowbar.Errorf(crowbar.NotFound, "there is no network %d for range %q", r.Network, r.Name)
	}
	if r.Name == "" || strings.ContainsAny(r.Name, "/ \t\n") {
		return crowbar.Errorf(crowbar.Invalid, "name %q of a range of network %q: want one without blanks and slashes", r.Name, n.Name)
	}
	if o := s.RangeNamed(n.ID, r.Name); o != nil && o.ID != r.ID {
		return crowbar.Errorf(crowbar.Conflict, "network %q has a range %q already: take another name", n.Name, r.Name)
	}
	first, last, err := Span(r)
	if err != nil {
		return err
	}
	if err := link(or(r.Conduit, n.Conduit), or(r.UseVLAN, n.UseVLAN), or(r.VLAN, n.VLAN), or(r.UseTeam, n.UseTeam), or(r.TeamMode, n.TeamMode)); err != nil {
		return err
	}
	for o := range s.Ranges() {
		a, b, err := Span(o)
		if o.ID == r.ID || err != nil || r.Overlap || o.Overlap {
			continue
		}
		if first.Addr().Compare(b.Addr()) <= 0 && a.Addr().Compare(last.Addr()) <= 0 {
			return crowbar.Errorf(crowbar.Conflict, "range %s to %s overlaps range %q of network %q (%s to %s): choose other addresses, or say overlap", r.First, r.Last, o.Name, nameOf(s, o.Network), o.First, o.Last)
		}
	}
	for a := range s.Allocations() {
		if a.Range == r.ID && !within(a.IP(), first, last) {
			return crowbar.Errorf(crowbar.Conflict, "range %s to %s leaves out %s, which node %s has: take that back first", r.First, r.Last, a.Address, nodeName(s, a.Node))
		}
	}
	return nil
}

// or is what a range says, else what its network does.
func or[T any](own *T, network T) T {
	if own != nil {
		return *own
	}
	return network
}

// Span is the first and the last address of a range, which are of one subnet and can be given to nodes.
func Span(r *crowbar.Range) (first, last netip.Prefix, err error) {
	if first, err = address(r.First); err != nil {
		return first, last, fmt.Errorf("first: %w", err)
	}
	if last, err = address(r.Last); err != nil {
		return first, last, fmt.Errorf("last: %w", err)
	}
	switch {
	case first.Addr().Is4() != last.Addr().Is4():
		err = crowbar.Errorf(crowbar.Invalid, "range %s to %s: one is IPv4, the other IPv6", r.First, r.Last)
	case first.Masked() != last.Masked():
		err = crowbar.Errorf(crowbar.Invalid, "range %s to %s: they are in two subnets, %s and %s", r.First, r.Last, first.Masked(), last.Masked())
	case last.Addr().Less(first.Addr()):
		err = crowbar.Errorf(crowbar.Invalid, "range %s to %s: the last address is before the first", r.First, r.Last)
	}
	return first, last, err
}

// address is a CIDR whose address a node can have.
func address(text string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(text)
	if err != nil || p.Addr().Is4In6() {
		return p, crowbar.Errorf(crowbar.Invalid, "%q: want an address with its prefix length, such as 192.168.124.81/24", text)
	}
	if free := p.Addr().BitLen() - p.Bits(); free > 1 { // of one or two addresses, all are given
		if p.Addr() == p.Masked().Addr() {
			return p, crowbar.Errorf(crowbar.Invalid, "%q is the address of the subnet itself", text)
		}
		if p.Addr().Is4() && p.Addr() == broadcast(p) {
			return p, crowbar.Errorf(crowbar.Invalid, "%q is the broadcast address of its subnet", text)
		}
	}
	return p, nil
}

func broadcast(p netip.Prefix) netip.Addr {
	b := p.Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	return netip.AddrFrom4(b)
}

// within says that an address lies in a range.
func within(a netip.Addr, first, last netip.Prefix) bool {
	return a.IsValid() && a.BitLen() == first.Addr().BitLen() && first.Addr().Compare(a) <= 0 && a.Compare(last.Addr()) <= 0
}

// CheckRouter says whether the state can hold this router; a network has one at most.
func CheckRouter(s *crowbar.Snapshot, r *crowbar.Router) error {
	n := s.Network(r.Network)
	if n == nil {
		return crowbar.Errorf(crowbar.NotFound, "there is no network %d for router %s", r.Network, r.Address)
	}
	if was := s.Router(r.ID); was != nil && was.Network != r.Network {
		return crowbar.Errorf(crowbar.Conflict, "a router stays in its network, %q: delete it and make another one", nameOf(s, was.Network))
	}
	if o := s.RouterOf(r.Network); o != nil && o.ID != r.ID {
		return crowbar.Errorf(crowbar.Conflict, "network %q has a router already, %s: change or delete that one", n.Name, o.Address)
	}
	if !routerIP(r).IsValid() {
		return crowbar.Errorf(crowbar.Invalid, "address %q of the router of network %q: want an IP address, with or without its prefix length", r.Address, n.Name)
	}
	return nil
}

// routerIP is a router's address without prefix length; the zero Addr if it has none.
func routerIP(r *crowbar.Router) netip.Addr {
	if r == nil {
		return netip.Addr{}
	}
	text, _, _ := strings.Cut(r.Address, "/")
	if _, err := netip.ParsePrefix(r.Address); err != nil && text != r.Address {
		return netip.Addr{}
	}
	a, err := netip.ParseAddr(text)
	if err != nil || a.Zone() != "" {
		return netip.Addr{}
	}
	return a
}

func nameOf(s *crowbar.Snapshot, network crowbar.ID) string {
	if n := s.Network(network); n != nil {
		return n.Name
	}
	return network.String()
}

func nodeName(s *crowbar.Snapshot, node crowbar.ID) string {
	if n := s.Node(node); n != nil {
		return n.Name
	}
	return node.String()
}
