package graph

import (
	"slices"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// holdsBack says whether a parent keeps a child from running. One that is on its way out does not, nor does one that was
// bound after the child and is not committed yet.
func holdsBack(parent, child *crowbar.NodeRole) bool {
	if parent == nil || parent.State == crowbar.Active || parent.Removing {
		return false
	}
	return parent.State != crowbar.Proposed || parent.ID < child.ID || parent.RunCount > 0
}

// ready says that no parent holds a node-role back.
func ready(s *crowbar.Snapshot, nr *crowbar.NodeRole) bool {
	return !anyHolds(s, nr.Parents, nr)
}

// readyAfter is the same, asked when one parent has ended: it looks at those after that one first. Parents end in about the
// order of their ids, so that of ten thousand that end one by one not all are looked at each time.
func readyAfter(s *crowbar.Snapshot, nr *crowbar.NodeRole, ended crowbar.ID) bool {
	i, _ := slices.BinarySearchFunc(nr.Parents, ended, byID)
	return !anyHolds(s, nr.Parents[i:], nr) && !anyHolds(s, nr.Parents[:i], nr)
}

func anyHolds(s *crowbar.Snapshot, parents []crowbar.Link, nr *crowbar.NodeRole) bool {
	return slices.ContainsFunc(parents, func(l crowbar.Link) bool { return holdsBack(s.NodeRole(l.ID), nr) })
}

// rest puts a node-role where it waits for its next run: TODO, or BLOCKED while a parent holds it back. Its children that
// wait or failed are blocked; active ones stay.
func (d *draft) rest(id crowbar.ID) {
	nr := d.s.NodeRole(id)
	state := crowbar.Todo
	if !nr.Removing && !ready(d.s, nr) {
		state = crowbar.Blocked
	}
	if nr.State != state || nr.Owner != "" {
		d.edit(id, func(nr *crowbar.NodeRole) {
			nr.State, nr.Status, nr.Owner, nr.RetryIn = state, "", "", 0
		})
	}
	d.blockWaiting(id)
}

// blockWaiting blocks the children of a node-role that are TODO or in ERROR, and theirs in turn.
func (d *draft) blockWaiting(id crowbar.ID) {
	for todo := []crowbar.ID{id}; len(todo) > 0; {
		parent := d.s.NodeRole(todo[len(todo)-1])
		todo = todo[:len(todo)-1]
		for _, c := range d.s.Children(parent.ID) {
			if (c.State == crowbar.Todo || c.State == crowbar.Error) && !c.Removing && holdsBack(parent, c) {
				d.block(c.ID)
				todo = append(todo, c.ID)
			}
		}
	}
}

func (d *draft) block(id crowbar.ID) {
	d.edit(id, func(nr *crowbar.NodeRole) { nr.State, nr.Status, nr.RetryIn = crowbar.Blocked, "", 0 })
}

// fail puts a node-role into ERROR, and every descendant that is not proposed or running into BLOCKED.
func (d *draft) fail(id crowbar.ID, status, failure string) {
	if status == "" {
		status, _, _ = strings.Cut(strings.TrimSpace(failure), "\n")
	}
	nr := d.edit(id, func(nr *crowbar.NodeRole) {
		nr.State, nr.Status, nr.Failure, nr.Owner, nr.Cancel, nr.RetryIn = crowbar.Error, status, failure, "", "", 0
	})
	if nr.Removing {
		return // it holds nobody back
	}
	seen := map[crowbar.ID]bool{}
	for todo := []crowbar.ID{id}; len(todo) > 0; {
		one := d.s.NodeRole(todo[len(todo)-1])
		todo = todo[:len(todo)-1]
		for _, c := range d.s.Children(one.ID) {
			if seen[c.ID] || c.Removing || !holdsBack(one, c) {
				continue
			}
			seen[c.ID] = true
			todo = append(todo, c.ID)
			if c.State != crowbar.Proposed && c.State != crowbar.Transition && c.State != crowbar.Blocked {
				d.block(c.ID)
			}
		}
	}
}

// wake lets the BLOCKED children go whose parents are all active; again makes ACTIVE children run once more, because there
// is something new for them to see. One that runs now saw the old.
func (d *draft) wake(id crowbar.ID, again bool) {
	for _, c := range d.s.Children(id) {
		again := again && d.sees(c, d.s.NodeRole(id))
		switch {
		case c.Removing:
		case again && c.State == crowbar.Transition:
			d.outdate(c.ID)
		case c.State == crowbar.Blocked && readyAfter(d.s, c, id), again && c.State == crowbar.Active:
			d.rest(c.ID)
		}
	}
}

// sees says that a run of a node-role can tell what a parent is: it is on its node or is no cluster's, it is among its peers, or an
// attrib of its role is wanted. One that does not is spared the run.
func (d *draft) sees(nr, parent *crowbar.NodeRole) bool {
	r := d.s.Role(nr.Role)
	if r == nil || r.Peers == nil || parent == nil || parent.Node == nr.Node || slices.Contains(r.Peers, roleName(d.s, parent.Role)) {
		return true
	}
	p := d.s.Role(parent.Role)
	return p == nil || !p.Flags.Cluster || slices.ContainsFunc(r.Wants, func(name string) bool {
		a := d.s.AttribNamed(name)
		return a != nil && a.Role == parent.Role
	})
}

// deactivate makes a node-role wait for another run, whatever it was, unless it is proposed; one that runs waits when it has
// ended.
func (d *draft) deactivate(id crowbar.ID) {
	switch d.s.NodeRole(id).State {
	case crowbar.Proposed:
	case crowbar.Transition:
		d.outdate(id)
	default:
		d.rest(id)
	}
}

// outdate notes that something changed which a run under way was given as it was before: it runs once more.
func (d *draft) outdate(id crowbar.ID) {
	if !d.s.NodeRole(id).Stale {
		d.edit(id, func(nr *crowbar.NodeRole) { nr.Stale = true })
	}
}

// byCohort sorts parents before children.
func byCohort(list []*crowbar.NodeRole) []*crowbar.NodeRole {
	slices.SortFunc(list, func(a, b *crowbar.NodeRole) int {
		if a.Cohort != b.Cohort {
			return a.Cohort - b.Cohort
		}
		return int(a.ID) - int(b.ID)
	})
	return list
}

// in is every node-role of a deployment, parents first.
func in(s *crowbar.Snapshot, deployment crowbar.ID) []*crowbar.NodeRole {
	return those(s, deployment, func(*crowbar.NodeRole) bool { return true })
}

// those is some of them.
func those(s *crowbar.Snapshot, deployment crowbar.ID, which func(*crowbar.NodeRole) bool) []*crowbar.NodeRole {
	var out []*crowbar.NodeRole
	for nr := range s.NodeRoles() {
		if nr.Deployment == deployment && which(nr) {
			out = append(out, nr)
		}
	}
	return byCohort(out)
}
