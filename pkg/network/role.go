package network

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// RoleName is the name of a network's role.
func RoleName(network string) string { return "network-" + network }

// The nine attribs of a network's role, and the two of nodes.
var (
	ofRole = [...]struct{ name, says string }{
		{"addresses", "Addresses of the node in the network, each with its prefix length"},
		{"targets", "Addresses that must answer when the network is up: its router"},
		{"conduit", "Interfaces of the network by speed and place"},
		{"resolved_conduit", "The node's own interfaces that those are; whoever sets the network up says so"},
		{"vlan", "VLAN of the network"},
		{"team_mode", "Mode of Linux bonding"},
		{"use_vlan", "Whether the network is in a VLAN"},
		{"use_team", "Whether its interfaces are bonded"},
		{"use_bridge", "Whether it is a bridge"},
	}
	serverRole = "network-server"
	wanted     = [...]string{"network_interface_maps", "network-current-config", "network-wanted-config"}
)

// Make is what comes with a new network: its role with nine attribs, two node attribs for hints, and, where it has a
// prefix for IPv6, the range host-v6.
func Make(s *crowbar.Snapshot, n *crowbar.Network) ([]crowbar.Change, error) {
	name := RoleName(n.Name)
	if o := s.RoleNamed(name); o != nil {
		return nil, crowbar.Errorf(crowbar.Conflict, "there is a role %q already, which the network would make: take another name", name)
	}
	if j := s.JigNamed("noop"); j == nil || !j.Active {
		return nil, crowbar.Errorf(crowbar.Conflict, "there is no jig noop for the role %q: import the barclamp that has it first", name)
	}
	r := &crowbar.Role{ID: s.Next(), Name: name, Description: "Addresses in network " + n.Name, Jig: "noop", Network: n.ID,
		Flags: crowbar.Flags{Implicit: true, Milestone: true}}
	if o := s.RoleNamed(serverRole); o != nil {
		r.Requires, r.Cohort = []string{serverRole}, o.Cohort+1
	}
	for _, w := range wanted {
		if a := s.AttribNamed(w); a != nil && a.Role == 0 {
			r.Wants = append(r.Wants, w)
		}
	}
	out := []crowbar.Change{{Put: r}}
	add := func(o crowbar.Object) { out = append(out, crowbar.Change{Put: o}) }
	for i, a := range ofRole {
		add(&crowbar.Attrib{ID: r.ID + crowbar.ID(i) + 1, Role: r.ID, Name: name + "_" + a.name, Description: a.says, Map: path(n.Name, a.name)})
	}
	next := r.ID + crowbar.ID(len(ofRole)) + 1
	for i, v4 := range []bool{true, false} {
		m := hintMap(n.Name, v4)
		add(&crowbar.Attrib{ID: next + crowbar.ID(i), Name: "hint-" + m, Description: "Address that the node shall have in network " + n.Name, Map: m,
			Writable: true, Schema: crowbar.Data{"type": "str"}})
	}
	if n.V6Prefix != "" {
		add(hostsV6(next+2, n))
	}
	for _, c := range out {
		if a, ok := c.Put.(*crowbar.Attrib); ok && s.AttribNamed(a.Name) != nil {
			return nil, crowbar.Errorf(crowbar.Conflict, "there is an attrib %q already, which network %q would make: take another name", a.Name, n.Name)
		}
	}
	return out, nil
}

func hostsV6(id crowbar.ID, n *crowbar.Network) *crowbar.Range {
	return &crowbar.Range{ID: id, Network: n.ID, Name: "host-v6", First: string(n.V6Prefix) + "::1/64", Last: string(n.V6Prefix) + ":ffff:ffff:ffff:fffe/64"}
}

// Prefixed is what follows when a network gets a prefix for IPv6, or another one: the range host-v6, which nobody may have
// an address of where it moves.
func Prefixed(s *crowbar.Snapshot, was, now *crowbar.Network) ([]crowbar.Change, error) {
	if was.V6Prefix == now.V6Prefix {
		return nil, nil
	}
	old := s.RangeNamed(now.ID, "host-v6")
	for a := range s.Allocations() {
		if old != nil && a.Range == old.ID {
			return nil, crowbar.Errorf(crowbar.Conflict, "node %q has %s of the old v6prefix: take that back first", nodeName(s, a.Node), a.Address)
		}
	}
	switch {
	case now.V6Prefix == "" && old == nil:
		return nil, nil
	case now.V6Prefix == "":
		return []crowbar.Change{{Drop: old}}, nil
	case old == nil:
		return []crowbar.Change{{Put: hostsV6(s.Next(), now)}}, nil
	}
	return []crowbar.Change{{Put: hostsV6(old.ID, now)}}, nil
}

func path(network, attrib string) string { return "crowbar/network/" + network + "/" + attrib }

// Unmake is what goes with a network: all that Make made, its ranges and router, and the addresses given out. It is refused
// while a node has its role.
func Unmake(s *crowbar.Snapshot, n *crowbar.Network) ([]crowbar.Change, error) {
	if n.Name == Admin {
		return nil, crowbar.Errorf(crowbar.Conflict, "network %q stays: nodes are managed over it", Admin)
	}
	var out []crowbar.Change
	drop := func(o crowbar.Object) { out = append(out, crowbar.Change{Drop: o}) }
	if r := s.RoleNamed(RoleName(n.Name)); r != nil && r.Network == n.ID {
		for nr := range s.NodeRoles() {
			if nr.Role == r.ID {
				return nil, crowbar.Errorf(crowbar.Conflict, "role %q is bound to node %q: unbind it first", r.Name, nodeName(s, nr.Node))
			}
		}
		if err := unused(s, r); err != nil {
			return nil, err
		}
		for dr := range s.DeploymentRoles() {
			if dr.Role == r.ID {
				drop(dr)
			}
		}
		for a := range s.Attribs() {
			if a.Role == r.ID {
				drop(a)
			}
		}
		drop(r)
	}
	for _, v4 := range []bool{true, false} {
		if a := s.AttribNamed("hint-" + hintMap(n.Name, v4)); a != nil && a.Barclamp == 0 {
			drop(a)
		}
	}
	for a := range s.Allocations() {
		if a.Network == n.ID {
			drop(a)
		}
	}
	for _, r := range s.RangesOf(n.ID) {
		drop(r)
	}
	if r := s.RouterOf(n.ID); r != nil {
		drop(r)
	}
	return append(out, crowbar.Change{Drop: n}), nil
}

// unused refuses to take a role away that others ask for, or whose attribs they want.
func unused(s *crowbar.Snapshot, r *crowbar.Role) error {
	for o := range s.Roles() {
		wants := slices.ContainsFunc(o.Wants, func(w string) bool { return strings.HasPrefix(w, r.Name+"_") })
		if wants || slices.Contains(o.Requires, r.Name) {
			return crowbar.Errorf(crowbar.Conflict, "role %q asks for role %q: import its barclamp without that first", o.Name, r.Name)
		}
	}
	return nil
}

// Given is what a network's role is told of a node: the values of its attribs, nested as their maps say.
func Given(s *crowbar.Snapshot, n *crowbar.Network, node crowbar.ID) crowbar.Data {
	addresses, targets := []any{}, []any{}
	for _, a := range s.AllocationsOf(node) {
		if a.Network == n.ID {
			addresses = append(addresses, a.Address)
		}
	}
	if ip := routerIP(s.RouterOf(n.ID)); ip.IsValid() {
		targets = append(targets, ip.String())
	}
	return crowbar.Data{"crowbar": crowbar.Data{"network": crowbar.Data{n.Name: crowbar.Data{
		"addresses": addresses, "targets": targets, "conduit": n.Conduit, "vlan": float64(n.VLAN), "team_mode": float64(n.TeamMode),
		"use_vlan": n.UseVLAN, "use_team": n.UseTeam, "use_bridge": n.UseBridge}}}}
}

// Prefix makes a prefix for IPv6 out of seven random bytes: of the addresses that nobody routes outside (RFC 4193).
func Prefix(random [7]byte) string {
	return fmt.Sprintf("fd%02x:%x:%x:%x", random[0], int(random[1])<<8|int(random[2]), int(random[3])<<8|int(random[4]), int(random[5])<<8|int(random[6]))
}
