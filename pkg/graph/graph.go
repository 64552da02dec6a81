// Package graph decides what follows from the state: the order of roles, what a binding brings along, which node-role may
// run next, and what the end of a run changes. It does not know clocks, stores, jigs or what a role does: state in,
// changes out.
//
// Changes come without times: who commits them sets Stamps, NodeRole.Since (where State changed), Run.Started (of a Run
// without an outcome) and Run.Finished (of one that has got an outcome).
package graph

import (
	"slices"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// draft is a snapshot being changed in place, and the net changes since it was taken.
type draft struct {
	s          *crowbar.Snapshot
	net        map[ref]int // index into list
	list       []crowbar.Change
	fresh      map[ref]bool // made in this draft
	*rehearsal              // of one that is never committed: it has no list
}

type ref struct {
	kind crowbar.Kind
	id   crowbar.ID
}

func drafted(s *crowbar.Snapshot) *draft {
	return &draft{s: s.Fork(), net: map[ref]int{}, fresh: map[ref]bool{}}
}

func (d *draft) put(o crowbar.Object) {
	r := ref{o.Kind(), o.Key()}
	if d.rehearsal == nil && d.s.Get(r.kind, r.id) == nil {
		d.fresh[r] = true
	}
	d.take(r, crowbar.Change{Put: o})
}

func (d *draft) drop(o crowbar.Object) { d.take(ref{o.Kind(), o.Key()}, crowbar.Change{Drop: o}) }

func (d *draft) take(r ref, c crowbar.Change) {
	d.s.Change(c)
	if d.rehearsal != nil {
		d.rehearsal.note(c)
		return
	}
	if i, ok := d.net[r]; ok {
		d.list[i] = c
		return
	}
	d.net[r] = len(d.list)
	d.list = append(d.list, c)
}

// changes is what the draft has changed, each object once, in the order in which they were touched first.
func (d *draft) changes() []crowbar.Change {
	return slices.DeleteFunc(slices.Clone(d.list), func(c crowbar.Change) bool {
		return c.Drop != nil && d.fresh[ref{c.Drop.Kind(), c.Drop.Key()}]
	})
}

// edit puts a changed copy of a node-role. In a draft that is never committed the change is none of its parents.
func (d *draft) edit(id crowbar.ID, change func(*crowbar.NodeRole)) *crowbar.NodeRole {
	was := d.s.NodeRole(id)
	if d.rehearsal == nil {
		c := *was
		change(&c)
		d.put(&c)
		return &c
	}
	if d.own.has(id) {
		change(was)
		d.moved = append(d.moved, was)
		return was
	}
	c := d.copied(was)
	change(c)
	d.put(c)
	return c
}

// orphan puts a copy of a node-role without one of its parents.
func (d *draft) orphan(id, parent crowbar.ID) {
	c := *d.s.NodeRole(id)
	c.Parents = without(c.Parents, parent)
	d.put(&c)
}

// chain is a deployment, its parent, its parent's parent...
func chain(s *crowbar.Snapshot, id crowbar.ID) []*crowbar.Deployment {
	var out []*crowbar.Deployment
	for d := s.Deployment(id); d != nil && !slices.Contains(out, d); d = s.Deployment(d.Parent) {
		out = append(out, d)
	}
	return out
}

// place names a node-role for people: "etcd on n1".
func place(s *crowbar.Snapshot, nr *crowbar.NodeRole) string {
	return roleName(s, nr.Role) + " on " + nodeName(s, nr.Node)
}

func roleName(s *crowbar.Snapshot, id crowbar.ID) string {
	if r := s.Role(id); r != nil {
		return r.Name
	}
	return "role " + id.String()
}

func nodeName(s *crowbar.Snapshot, id crowbar.ID) string {
	if n := s.Node(id); n != nil {
		return n.Short()
	}
	return "node " + id.String()
}

func deploymentName(s *crowbar.Snapshot, id crowbar.ID) string {
	if d := s.Deployment(id); d != nil {
		return d.Name
	}
	return "deployment " + id.String()
}
