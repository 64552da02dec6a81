package graph

import (
	"slices"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Unbind takes a role off its node, with what needs it there: what never ran is dropped, the rest becomes Removing and
// TODO, to run Remove; Finish drops it then. It is refused while something on another node needs it and no peer of the
// same cluster role can stand in.
func Unbind(s *crowbar.Snapshot, id crowbar.ID) ([]crowbar.Change, error) {
	nr := s.NodeRole(id)
	if nr == nil {
		return nil, crowbar.Errorf(crowbar.NotFound, "unbind: there is no node-role %s: list them with 'kubeclamp noderoles list'", id)
	}
	d := drafted(s)
	if err := d.unbind(nr, nr); err != nil {
		return nil, err
	}
	return d.changes(), nil
}

// unbind takes one node-role out, children first; asked is the one that the caller named.
func (d *draft) unbind(nr, asked *crowbar.NodeRole) error {
	if nr.Removing {
		return nil
	}
	for _, c := range d.s.Children(nr.ID) {
		switch {
		case d.s.NodeRole(c.ID) == nil || c.Removing || !hard(c, nr.ID):
		case d.standIn(c, nr):
			d.orphan(c.ID, nr.ID)
			d.seeLoss(c.ID, (nr.RunCount > 0 || nr.Attempt > 0) && d.sees(c, nr)) // it lets go before what it lets go of is stopped: see unaware
		case c.Node == nr.Node || c.State == crowbar.Proposed && c.RunCount == 0 && c.Attempt == 0:
			if err := d.unbind(c, asked); err != nil {
				return err
			}
		default:
			return crowbar.Errorf(crowbar.Conflict, "unbind %s: %s needs it: unbind that first, or bind %s to another node", place(d.s, asked), place(d.s, c), roleName(d.s, nr.Role))
		}
	}
	if nr = d.s.NodeRole(nr.ID); nr.RunCount == 0 && nr.Attempt == 0 {
		d.vanish(nr)
		return nil
	}
	d.edit(nr.ID, func(n *crowbar.NodeRole) {
		n.Removing = true
		if n.State != crowbar.Transition { // else Finish sends it on to its removal
			n.State, n.Status, n.Failure, n.RetryIn = crowbar.Todo, "", "", 0
		}
	})
	d.wake(nr.ID, false)
	return nil
}

// standIn says that a child has a peer of the parent as well, and one that is not merely proposed.
func (d *draft) standIn(child, parent *crowbar.NodeRole) bool {
	r := d.s.Role(parent.Role)
	return r != nil && r.Flags.Cluster && slices.ContainsFunc(child.Parents, func(l crowbar.Link) bool {
		p := d.s.NodeRole(l.ID)
		return p != nil && p.ID != parent.ID && p.Role == parent.Role && !p.Removing &&
			(p.State != crowbar.Proposed || child.State == crowbar.Proposed)
	})
}

func without(links []crowbar.Link, id crowbar.ID) []crowbar.Link {
	return slices.DeleteFunc(slices.Clone(links), func(l crowbar.Link) bool { return l.ID == id })
}

// vanish drops a node-role and the links to it; its cluster's children run again to see that it is gone.
func (d *draft) vanish(nr *crowbar.NodeRole) {
	children := d.s.Children(nr.ID)
	for _, c := range children {
		d.orphan(c.ID, nr.ID)
	}
	if dr := d.s.DeploymentRoleOf(nr.Deployment, nr.Role); dr != nil && dr.First == nr.ID {
		c := *dr
		c.First = 0
		d.put(&c)
	}
	d.drop(nr)
	ran := nr.RunCount > 0 || nr.Attempt > 0
	for _, c := range children {
		d.seeLoss(c.ID, ran)
	}
	if r := d.s.Role(nr.Role); r == nil || !r.Flags.Cluster {
		return
	}
	if nr.Removing {
		return // they have seen that it leaves: see unbind
	}
	for _, peer := range d.s.NodeRolesOf(nr.Deployment, nr.Role) {
		for _, c := range d.s.Children(peer.ID) {
			if hard(c, peer.ID) {
				d.seeLoss(c.ID, ran)
			}
		}
		if !peer.Removing {
			break // the peers have the same children
		}
	}
}

// seeLoss lets go a child that waited for the one that is gone, and makes one that saw it run again if that one had run.
func (d *draft) seeLoss(id crowbar.ID, ran bool) {
	c := d.s.NodeRole(id)
	if c == nil || c.Removing {
		return
	}
	if c.State == crowbar.Transition && ran {
		d.outdate(id)
	}
	if c.State == crowbar.Blocked && ready(d.s, c) || c.State == crowbar.Active && ran {
		d.rest(id)
	}
}

// Forget takes out a node that will never come back, without running anything on it. What a peer has to take out in its stead
// (role.Forgets) becomes Removing, and the node is Forgotten until that is done; the rest is dropped. It is refused while
// something on another node needs what is on it alone.
func Forget(s *crowbar.Snapshot, node crowbar.ID) ([]crowbar.Change, error) {
	n := s.Node(node)
	if n == nil {
		return nil, crowbar.Errorf(crowbar.NotFound, "there is no node %s: list them with 'kubeclamp nodes list'", node)
	}
	d := drafted(s)
	bound := d.s.NodeRolesOn(node)
	slices.Reverse(bound)
	for _, nr := range bound {
		if now := d.s.NodeRole(nr.ID); now != nil {
			if err := d.unbind(now, now); err != nil {
				return nil, err
			}
		}
	}
	left := false
	for _, nr := range bound {
		now := d.s.NodeRole(nr.ID)
		switch {
		case now == nil:
		case Survivor(d.s, now) != nil:
			left = true
		default:
			d.vanish(now)
		}
	}
	if !left {
		d.drop(n)
		return d.changes(), nil
	}
	c := *n
	c.Removing, c.Forgotten = true, true
	d.put(&c)
	return d.changes(), nil
}

// Survivor is the peer that takes a node-role out whose node is forgotten: the oldest of its role that is settled on a node
// that is alive. nil where its role needs none, or there is none.
func Survivor(s *crowbar.Snapshot, nr *crowbar.NodeRole) *crowbar.NodeRole {
	r := s.Role(nr.Role)
	if r == nil || !r.Forgets || nr.RunCount == 0 && nr.Attempt == 0 {
		return nil
	}
	var best *crowbar.NodeRole
	for p := range s.EachOf(nr.Deployment, nr.Role) {
		n := s.Node(p.Node)
		if p.Node != nr.Node && p.Settled() && n != nil && n.Alive && (best == nil || p.State == crowbar.Active && best.State != crowbar.Active) {
			best = p
		}
	}
	return best
}
