package graph

import (
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// failAgain is a run that failed: ERROR, and when its role says so and it is not final, tried again by itself after a while.
func (d *draft) failAgain(id crowbar.ID, o crowbar.Outcome) {
	d.fail(id, o.Status, o.Failure)
	d.edit(id, func(nr *crowbar.NodeRole) {
		nr.Failed++
		if r := d.s.Role(nr.Role); r != nil && nr.Failed <= r.Retry.Times && !o.Final {
			nr.RetryIn = backoff(r.Retry, nr.Failed, id)
		}
	})
}

// backoff is how long after the n-th failed run in a row it is tried again: twice as long each time, up to the limit, and up
// to a tenth longer, so that what failed together does not come back together.
func backoff(p crowbar.Retry, n int, id crowbar.ID) crowbar.Duration {
	const most = crowbar.Duration(24 * time.Hour)
	limit := p.Limit
	if limit == 0 || limit > most {
		limit = most
	}
	wait := max(p.Backoff, crowbar.Duration(time.Second))
	for range n - 1 {
		if wait *= 2; wait >= limit {
			break
		}
	}
	wait = min(wait, limit)
	spread := crowbar.Duration((uint64(id)*0x9e3779b97f4a7c15 + uint64(n)*0xff51afd7ed558ccd) >> 40 % 1000)
	return wait + wait/10*spread/1000
}

// Again is the retry of a failed attempt by its role's policy, once its time has come. What is not in error by that attempt any
// more, or may not begin in its deployment now, is a Conflict.
func Again(s *crowbar.Snapshot, id crowbar.ID, attempt uint64) ([]crowbar.Change, error) {
	nr := s.NodeRole(id)
	if nr == nil {
		return nil, crowbar.Errorf(crowbar.NotFound, "try again: there is no node-role %s", id)
	}
	if _, is := nr.RetryAt(); !is || nr.Attempt != attempt {
		return nil, invalid(s, nr, crowbar.Todo, "attempt "+crowbar.ID(attempt).String()+" of it is not to be tried again by itself any more")
	}
	if dep := s.Deployment(nr.Deployment); dep != nil && (dep.Paused || dep.Stored != crowbar.DeploymentCommitted || outside(dep, nr)) {
		return nil, invalid(s, nr, crowbar.Todo, "its deployment is paused, proposed, or carries out a plan that does not have it")
	}
	d := drafted(s)
	d.rest(id)
	return d.changes(), nil
}

// forgive forgets what failed before: a person has stepped in.
func (d *draft) forgive(id crowbar.ID) {
	if d.s.NodeRole(id).Failed > 0 {
		d.edit(id, func(nr *crowbar.NodeRole) { nr.Failed = 0 })
	}
}
