package engine

import (
	"crypto/rand"
	"slices"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/graph"
	"github.com/kubeclamp/kubeclamp/pkg/network"
)

func fillNetwork(d *draft, n *crowbar.Network) error {
	if n.Deployment == 0 {
		if root := d.s.DeploymentNamed(System); root != nil {
			n.Deployment = root.ID
		}
	}
	if n.Category == "" {
		n.Category = network.DefaultCategory
	}
	if n.Group == "" {
		n.Group = network.DefaultGroup
	}
	return nil
}

func checkNetwork(d *draft, n *crowbar.Network) error {
	if n.V6Prefix == network.AutoPrefix {
		var random [7]byte
		rand.Read(random[:]) // never fails
		n.V6Prefix = crowbar.OrNull(network.Prefix(random))
	}
	return network.Check(d.s, n)
}

// networkChanged makes what a new network brings, and tells the nodes of an old one what is new.
func networkChanged(d *draft, was, now *crowbar.Network) error {
	if was == nil {
		return d.add(network.Make(d.s, now))
	}
	if err := d.add(network.Prefixed(d.s, was, now)); err != nil {
		return err
	}
	return tellNetwork(d, now)
}

func dropNetwork(d *draft, n *crowbar.Network) error { return d.add(network.Unmake(d.s, n)) }

func checkRange(d *draft, r *crowbar.Range) error { return network.CheckRange(d.s, r) }

func dropRange(d *draft, r *crowbar.Range) error {
	for a := range d.s.Allocations() {
		if a.Range == r.ID {
			return crowbar.Errorf(crowbar.Conflict, "node %s has %s of it: take that back first", nodeName(d.s, a.Node), a.Address)
		}
	}
	return nil
}

func fillRouter(_ *draft, r *crowbar.Router) error {
	if r.Pref == 0 {
		r.Pref = network.DefaultPref
	}
	return nil
}

func checkRouter(d *draft, r *crowbar.Router) error { return network.CheckRouter(d.s, r) }

func routerChanged(d *draft, _, now *crowbar.Router) error {
	return tellNetwork(d, d.s.Network(now.Network))
}

func dropRouter(d *draft, r *crowbar.Router) error {
	d.drop(r)
	if n := d.s.Network(r.Network); n != nil {
		return tellNetwork(d, n)
	}
	return nil
}

func noOther(*draft, *crowbar.Allocation) error {
	return crowbar.Errorf(crowbar.Conflict, "an address that was given out stays as it is: take it back, and give another one")
}

// allocate gives a node an address: of the range that is said, else of those that it gets by itself in the network. The
// address that is said is a suggestion.
func allocate(d *draft, want *crowbar.Allocation) (crowbar.Object, error) {
	at, err := d.node(want.Node)
	if err != nil {
		return nil, err
	}
	ranges := []*crowbar.Range{d.s.Range(want.Range)}
	if want.Range == 0 {
		n := d.s.Network(want.Network)
		if n == nil {
			return nil, crowbar.Errorf(crowbar.NotFound, "there is no network %d", want.Network)
		}
		if ranges = network.Auto(d.s, n.ID, at); len(ranges) == 0 {
			return nil, crowbar.Errorf(crowbar.Conflict, "network %q has no range of its own for node %q: make range \"host\" (or \"admin\", for an admin node), or name a range", n.Name, at.Name)
		}
	}
	if ranges[0] == nil {
		return nil, crowbar.Errorf(crowbar.NotFound, "there is no range %d", want.Range)
	}
	if err := give(d, network.NewAllocator(d.s), ranges, at.ID, want.Address); err != nil {
		return nil, err
	}
	if err := tell(d, ranges[0].Network, at.ID); err != nil {
		return nil, err
	}
	i := slices.IndexFunc(d.s.AllocationsOf(at.ID), func(a *crowbar.Allocation) bool { return a.Range == ranges[0].ID })
	return d.s.AllocationsOf(at.ID)[i], nil
}

func give(d *draft, a *network.Allocator, ranges []*crowbar.Range, node crowbar.ID, suggestion string) error {
	for _, r := range ranges {
		made, err := a.Allocate(r, node, suggestion)
		if err != nil {
			return err
		}
		if made != nil {
			d.put(made)
		}
	}
	return nil
}

func dropAllocation(d *draft, a *crowbar.Allocation) error {
	d.drop(a)
	return tell(d, a.Network, a.Node)
}

// tellNetwork tells every node of a network what is new.
func tellNetwork(d *draft, n *crowbar.Network) error {
	r := d.s.RoleNamed(network.RoleName(n.Name))
	if r == nil {
		return nil
	}
	for nr := range d.s.NodeRoles() {
		if nr.Role == r.ID {
			if err := tell(d, n.ID, nr.Node); err != nil {
				return err
			}
		}
	}
	return nil
}

// tell writes what a network's role is told of a node, and lets what sees a changed value run again.
func tell(d *draft, id, node crowbar.ID) error {
	n := d.s.Network(id)
	if n == nil {
		return nil
	}
	r := d.s.RoleNamed(network.RoleName(n.Name))
	if r == nil {
		return nil
	}
	nr := d.s.NodeRoleOn(node, r.ID)
	if nr == nil {
		return nil
	}
	given := network.Given(d.s, n, node)
	if same(nr.Sys, given) {
		return nil
	}
	was := nr.Sys
	nr = clone(nr)
	nr.Sys = given
	d.put(nr)
	for a := range d.s.Attribs() {
		old, _ := crowbar.Dig(was, a.Map)
		now, _ := crowbar.Dig(given, a.Map)
		if a.Role == r.ID && !same(old, now) {
			if err := d.add(graph.Poke(d.s, node, a), nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// settleNetworks gives addresses to the nodes to which the draft has bound a network's role, and takes them from those off
// which it has taken one.
func (d *draft) settleNetworks(at *crowbar.Snapshot) error {
	if at.Count(crowbar.KindNetwork) == 0 {
		return nil
	}
	var a *network.Allocator
	for _, c := range slices.Clone(d.changes) {
		if a == nil && c.Put != nil && c.Put.Kind() == crowbar.KindNodeRole && at.NodeRole(c.Put.Key()) == nil {
			a = network.NewAllocator(d.s)
		}
		switch {
		case c.Put != nil && c.Put.Kind() == crowbar.KindNodeRole && at.NodeRole(c.Put.Key()) == nil:
			if err := d.join(a, c.Put.Key()); err != nil {
				return err
			}
		case c.Drop != nil && c.Drop.Kind() == crowbar.KindNodeRole:
			d.leave(at, at.NodeRole(c.Drop.Key()))
		}
	}
	return nil
}

func (d *draft) join(a *network.Allocator, id crowbar.ID) error {
	nr := d.s.NodeRole(id)
	if nr == nil {
		return nil
	}
	r, on := d.s.Role(nr.Role), d.s.Node(nr.Node)
	if r == nil || r.Network == 0 || on == nil {
		return nil
	}
	if err := give(d, a, network.Auto(d.s, r.Network, on), on.ID, ""); err != nil {
		return err
	}
	return tell(d, r.Network, on.ID)
}

func (d *draft) leave(at *crowbar.Snapshot, nr *crowbar.NodeRole) {
	if nr == nil || d.s.NodeRole(nr.ID) != nil {
		return
	}
	r := at.Role(nr.Role)
	if r == nil || r.Network == 0 {
		return
	}
	for _, had := range d.s.AllocationsOf(nr.Node) {
		if had.Network == r.Network {
			d.drop(had)
		}
	}
}
