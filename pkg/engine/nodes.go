package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/graph"
)

// CreateNode adds a node: its name is a lower-case host name that no other node has, not even the short form; its address
// is its own. Deployment 0 is the system deployment. An admin node gets the bootstrap roles.
func (e *Engine) CreateNode(ctx context.Context, n crowbar.Node) (*crowbar.Node, error) {
	err := e.change(ctx, func(d *draft) error { return createNode(d, n) })
	if err != nil {
		return nil, fmt.Errorf("create node %q: %w", n.Name, err)
	}
	return e.View().NodeNamed(n.Name), nil
}

func createNode(d *draft, n crowbar.Node) error {
	n.ID, n.System, n.Removing, n.Stamps = d.s.Next(), false, false, crowbar.Stamps{}
	if n.Deployment == 0 {
		root := d.s.DeploymentNamed(System)
		if root == nil {
			return crowbar.Errorf(crowbar.Conflict, "there is no %s deployment yet: import a barclamp first", System)
		}
		n.Deployment = root.ID
	}
	if err := checkNode(d, &n); err != nil {
		return err
	}
	d.put(&n)
	d.hammered(&n)
	if !n.Admin {
		return nil
	}
	return bindFlagged(d, &n, func(f crowbar.Flags) bool { return f.Bootstrap })
}

// UpdateNode edits a copy of the node and stores it, if it still is a node that CreateNode would take.
func (e *Engine) UpdateNode(ctx context.Context, id crowbar.ID, edit func(*crowbar.Node) error) (*crowbar.Node, error) {
	err := e.change(ctx, func(d *draft) error { return updateNode(d, id, edit) })
	if err != nil {
		return nil, fmt.Errorf("update node %s: %w", nodeName(e.View(), id), err)
	}
	return e.View().Node(id), nil
}

func updateNode(d *draft, id crowbar.ID, edit func(*crowbar.Node) error) error {
	was, err := d.node(id)
	if err != nil {
		return err
	}
	b, err := json.Marshal(was)
	if err != nil {
		return err
	}
	n := &crowbar.Node{}
	if err := json.Unmarshal(b, n); err != nil {
		return err
	}
	if err := edit(n); err != nil {
		return err
	}
	alive, target := n.Alive, n.Target
	n.ID, n.System, n.Admin, n.Stamps, n.Alive, n.Removing, n.Target = was.ID, was.System, was.Admin, was.Stamps, was.Alive, was.Removing, was.Target
	n.Forgotten = was.Forgotten
	if !n.System {
		if err := checkNode(d, n); err != nil {
			return err
		}
	}
	if n.Name != was.Name && slices.ContainsFunc(d.s.NodeRolesOn(id), func(nr *crowbar.NodeRole) bool { return nr.RunCount > 0 }) {
		return crowbar.Errorf(crowbar.Conflict, "roles are applied to it under its name %q: unbind them first, its name is in certificates and cluster members", was.Name)
	}
	if alive != was.Alive || target != was.Target || !same(was, n) {
		d.grouped(n)
	}
	d.put(n)
	d.hammered(n)
	return follow(d, was, n, alive, target)
}

// follow is what else changes with a node: what was proposed on it moves with it, a target lets only some of its roles run,
// and what is on it waits while it does not answer.
func follow(d *draft, was, n *crowbar.Node, alive bool, target crowbar.ID) error {
	if n.Deployment != was.Deployment {
		if err := d.add(graph.Move(d.s, n.ID, was.Deployment, n.Deployment)); err != nil {
			return err
		}
	}
	if target != was.Target {
		if err := d.add(graph.Target(d.s, n.ID, target)); err != nil {
			return err
		}
	}
	if alive != was.Alive {
		return d.add(graph.Alive(d.s, n.ID, alive))
	}
	return nil
}

// SetAlive says whether a node answers; one that does not runs nothing.
func (e *Engine) SetAlive(ctx context.Context, id crowbar.ID, alive bool) error {
	_, err := e.UpdateNode(ctx, id, func(n *crowbar.Node) error { n.Alive = alive; return nil })
	return err
}

// RecordHostKey stores the host key (authorized_keys form) that a node showed at the first contact. Another key than the
// recorded one is a Conflict: it is never replaced by itself.
func (e *Engine) RecordHostKey(ctx context.Context, id crowbar.ID, key string) error {
	key = strings.TrimSpace(key)
	_, err := e.UpdateNode(ctx, id, func(n *crowbar.Node) error {
		if n.SSH.HostKey != "" && n.SSH.HostKey != key {
			return crowbar.Errorf(crowbar.Conflict, "its recorded host key is another one: if it was installed anew, forget the old key with `kubeclamp nodes update %s --host-key ''`; if not, something else answers at its address", n.Short())
		}
		n.SSH.HostKey = key
		return nil
	})
	return err
}

// DeleteNode takes a node out. What is applied on it is unbound, highest cohort first, and taken off by runs; the node goes
// when the last of them is done; what runs just now ends first. With force (for a node that is dead) everything is forgotten at once and nothing is run.
func (e *Engine) DeleteNode(ctx context.Context, id crowbar.ID, force bool) error {
	err := e.change(ctx, func(d *draft) error { return deleteNode(d, id, force) })
	if err != nil {
		return fmt.Errorf("delete node %s: %w", nodeName(e.View(), id), err)
	}
	return nil
}

func deleteNode(d *draft, id crowbar.ID, force bool) error {
	n, err := d.node(id)
	if err != nil {
		return err
	}
	if n.System {
		return crowbar.Errorf(crowbar.Conflict, "it is a phantom and goes with its deployment")
	}
	if force {
		return forget(d, n)
	}
	if n.Admin && !otherAdmin(d.s, id) {
		return crowbar.Errorf(crowbar.Conflict, "it is the last admin node: make another one first, or forget it with `kubeclamp nodes forget`")
	}
	bound := d.s.NodeRolesOn(id)
	slices.Reverse(bound)
	for _, nr := range bound {
		if d.s.NodeRole(nr.ID) == nil { // went with one above it
			continue
		}
		if err := d.add(graph.Unbind(d.s, nr.ID)); err != nil {
			return err
		}
	}
	if len(d.s.NodeRolesOn(id)) > 0 {
		n = clone(d.s.Node(id))
		n.Removing = true
		d.put(n)
		return nil
	}
	dropNode(d, n)
	return nil
}

func otherAdmin(s *crowbar.Snapshot, id crowbar.ID) bool {
	for o := range s.Nodes() {
		if o.Admin && o.ID != id && !o.Removing {
			return true
		}
	}
	return false
}

func forget(d *draft, n *crowbar.Node) error {
	if err := d.add(graph.Forget(d.s, n.ID)); err != nil {
		return err
	}
	for r := range d.s.Runs() {
		if r.Node == n.ID && d.s.NodeRole(r.NodeRole) == nil {
			d.drop(r)
		}
	}
	if d.s.Node(n.ID) == nil { // else it goes with its last node-role
		dropNode(d, n)
	}
	return nil
}

// dropNode drops a node on which nothing is bound, with its addresses, hammers and the certificates that were made for it.
func dropNode(d *draft, n *crowbar.Node) {
	for sec := range d.s.Secrets() {
		if strings.HasPrefix(sec.Name, "leaf/") && strings.HasSuffix(sec.Name, "/"+n.Short()) {
			d.drop(sec)
		}
	}
	for _, h := range d.s.HammersOf(n.ID) {
		d.drop(h)
	}
	for _, a := range d.s.AllocationsOf(n.ID) {
		d.drop(a)
	}
	d.drop(n)
}

func nodeName(s *crowbar.Snapshot, id crowbar.ID) string {
	if n := s.Node(id); n != nil {
		return fmt.Sprintf("%q", n.Name)
	}
	return id.String()
}
