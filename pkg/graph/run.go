package graph

import (
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Runnable is what may begin now: at most one node-role a node, removals first, then lowest cohort first.
func Runnable(s *crowbar.Snapshot) []*crowbar.NodeRole {
	var f Frontier
	f.Move(s)
	return slices.Collect(f.Runnable())
}

// soonest sorts removals before the rest and highest cohort first, the rest lowest cohort first.
func soonest(a, b *crowbar.NodeRole) int {
	switch {
	case a.Removing && !b.Removing:
		return -1
	case b.Removing && !a.Removing:
		return 1
	case a.Cohort != b.Cohort && a.Removing:
		return b.Cohort - a.Cohort
	case a.Cohort != b.Cohort:
		return a.Cohort - b.Cohort
	}
	return int(a.ID) - int(b.ID)
}

// Begin brackets a run's start: TODO -> TRANSITION under the next attempt number, held by owner. The changes hold the new
// Run, whose id is NodeRole.Run. What is not runnable any more is a Conflict that says why.
func Begin(s *crowbar.Snapshot, id crowbar.ID, owner string) ([]crowbar.Change, error) {
	d := drafted(s)
	if err := d.begin(id, owner); err != nil {
		return nil, err
	}
	return d.changes(), nil
}

func (d *draft) begin(id crowbar.ID, owner string) error {
	s := d.s
	nr := s.NodeRole(id)
	if nr == nil {
		return crowbar.Errorf(crowbar.NotFound, "begin: there is no node-role %s", id)
	}
	if nr.State != crowbar.Todo {
		return invalid(s, nr, crowbar.Transition, "only what is todo can run")
	}
	if h := viewOf(s).hindrance(nr); h.what != free {
		return invalid(s, nr, crowbar.Transition, h.words(s, nr))
	}
	d.start(nr, owner)
	return nil
}

// start is the run of one that may begin.
func (d *draft) start(nr *crowbar.NodeRole, owner string) {
	s, id := d.s, nr.ID
	run := &crowbar.Run{ID: s.Next(), NodeRole: id, Node: nr.Node, Role: nr.Role, Deployment: nr.Deployment, Attempt: nr.Attempt + 1, Remove: nr.Removing, Owner: owner}
	d.edit(id, func(nr *crowbar.NodeRole) {
		nr.State, nr.Status, nr.Owner, nr.Attempt, nr.Run, nr.Stale = crowbar.Transition, "", owner, run.Attempt, run.ID, false
	})
	d.put(run)
	if dr := s.DeploymentRoleOf(nr.Deployment, nr.Role); dr != nil && !nr.Removing && gone(s, dr.First) {
		c := *dr
		c.First = id
		d.put(&c)
	}
}

func gone(s *crowbar.Snapshot, first crowbar.ID) bool {
	nr := s.NodeRole(first)
	return nr == nil || nr.Removing
}

// Finish brackets a run's end. A stale attempt is a Conflict: another run has begun since, or it was taken for lost.
func Finish(s *crowbar.Snapshot, id crowbar.ID, attempt uint64, o crowbar.Outcome) ([]crowbar.Change, error) {
	d := drafted(s)
	if err := d.finish(id, attempt, o); err != nil {
		return nil, err
	}
	return d.changes(), nil
}

func (d *draft) finish(id crowbar.ID, attempt uint64, o crowbar.Outcome) error {
	nr := d.s.NodeRole(id)
	if nr == nil {
		return crowbar.Errorf(crowbar.NotFound, "finish: node-role %s was dropped while it ran", id)
	}
	if nr.State != crowbar.Transition || nr.Attempt != attempt {
		return crowbar.Errorf(crowbar.Conflict, "finish %s: attempt %d is stale: it is %s at attempt %d", place(d.s, nr), attempt, nr.State, nr.Attempt)
	}
	if run := d.s.Run(nr.Run); o.Failure == "" && !o.Lost && (run == nil || !run.Remove) {
		o.Failure = d.contested(nr, o.Wall)
	}
	removed := d.closeRun(nr, o)
	switch {
	case nr.Cancel != "" && !(removed && o.Failure == "" && !o.Lost):
		d.cancelled(nr, o.Failure)
	case o.Lost:
		d.edit(id, func(nr *crowbar.NodeRole) { nr.Owner = "" })
		d.rest(id)
	case nr.Removing && !removed: // unbound while it was applied
		d.edit(id, func(nr *crowbar.NodeRole) { nr.Failure = "" })
		d.rest(id)
	case o.Failure != "" && !removed && d.unfounded(nr):
		d.edit(id, func(nr *crowbar.NodeRole) { nr.Failure = o.Failure })
		d.rest(id)
	case o.Failure != "":
		d.failAgain(id, o)
	case removed:
		d.vanish(nr)
	default:
		d.applied(nr, o)
		d.claim(id)
	}
	return nil
}

// closeRun records the outcome and tells whether the run was a removal.
func (d *draft) closeRun(nr *crowbar.NodeRole, o crowbar.Outcome) bool {
	run := d.s.Run(nr.Run)
	if run == nil {
		return nr.Removing
	}
	c := *run
	c.Changes = o.Changes
	switch {
	case nr.Cancel != "":
		c.Outcome = "cancelled"
	case o.Lost:
		c.Outcome = "lost"
	case o.Failure != "":
		c.Outcome = "failed"
	case len(o.Changes) > 0:
		c.Outcome, c.Mended = "changed", !run.Remove && sameAsLast(nr, o)
	default:
		c.Outcome = "unchanged"
	}
	d.put(&c)
	return run.Remove
}

// applied is a run that ended well: ACTIVE, unless the node went away, a parent must run first after all, or what the run
// was given has changed meanwhile.
func (d *draft) applied(was *crowbar.NodeRole, o crowbar.Outcome) {
	news := was.RunCount == 0 || !sameWall(was.Wall, o.Wall)
	nr := d.edit(was.ID, func(nr *crowbar.NodeRole) {
		nr.State, nr.Status, nr.Failure, nr.Owner = crowbar.Active, o.Status, "", ""
		nr.Wall, nr.RunCount, nr.Stale, nr.Force, nr.Failed = o.Wall, nr.RunCount+1, false, false, 0
		switch {
		case o.Given != "":
			nr.Given = givenAt(nr.Attempt, o.Given)
		case nr.Given != "" && len(o.Changes) == 0: // nobody asked the role, since nothing had changed
			if last, ok := strings.CutPrefix(nr.Given, givenAt(nr.Attempt-1, "")); ok {
				nr.Given = givenAt(nr.Attempt, last)
			}
		}
	})
	if was.Stale || d.unfounded(nr) {
		d.rest(nr.ID)
	} else if was.Rolling > 0 {
		d.rolled(nr)
	}
	d.wake(nr.ID, news)
}

// sameWall spares the comparison of a wall with itself.
func sameWall(a, b crowbar.Data) bool {
	return reflect.ValueOf(a).UnsafePointer() == reflect.ValueOf(b).UnsafePointer() || same(a, b)
}

// sameAsLast says that a run was given what the run just before it was given, which ended well.
func sameAsLast(nr *crowbar.NodeRole, o crowbar.Outcome) bool {
	return o.Given != "" && nr.Given == givenAt(nr.Attempt-1, o.Given)
}

func givenAt(attempt uint64, given string) string {
	return strconv.FormatUint(attempt, 10) + ":" + given
}

// unfounded says that what a run found out is not worth much: while it ran, its node went away, or a parent that must run
// before it.
func (d *draft) unfounded(nr *crowbar.NodeRole) bool {
	n := d.s.Node(nr.Node)
	return n == nil || !n.Alive || !ready(d.s, nr)
}

// Orphans takes runs of owners that are gone for lost: back to TODO, or, for a destructive role, to ERROR for a person to
// look at.
func Orphans(s *crowbar.Snapshot, gone func(owner string) bool) []crowbar.Change {
	d := drafted(s)
	for nr := range s.NodeRoles() {
		if nr.State != crowbar.Transition || !gone(nr.Owner) {
			continue
		}
		if run := d.s.Run(nr.Run); run != nil && run.Outcome == "" {
			c := *run
			c.Outcome = "lost"
			if nr.Cancel != "" {
				c.Outcome = "cancelled"
			}
			d.put(&c)
		}
		if nr.Cancel != "" {
			d.cancelled(nr, "the daemon that ran it went away: look at the node")
			continue
		}
		if r := s.Role(nr.Role); r != nil && r.Flags.Destructive && !nr.Removing {
			d.fail(nr.ID, "", "the daemon that ran it went away, and the role destroys what is there: look at the node, then retry")
			continue
		}
		d.edit(nr.ID, func(nr *crowbar.NodeRole) { nr.Owner = "" })
		d.rest(nr.ID)
	}
	return d.changes()
}
