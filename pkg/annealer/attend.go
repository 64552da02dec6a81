package annealer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// errCancelled is why a run ends that somebody wanted to stop.
var errCancelled = errors.New("cancelled")

// underway is a run of this daemon.
type underway struct {
	attempt uint64
	stop    context.CancelCauseFunc
}

// begun notes a run, which ends when somebody cancels it; the function that it gives back ends the note.
func (a *Annealer) begun(ctx context.Context, w *crowbar.Work) (context.Context, func()) {
	run, stop := context.WithCancelCause(ctx)
	id := w.NodeRole.ID
	a.mu.Lock()
	a.runs[id] = underway{w.Attempt, stop}
	a.mu.Unlock()
	// gofail: var underWay struct{}
	a.heed(a.Engine.View().NodeRole(id)) // it may have been cancelled before there was the note
	return run, func() {
		a.mu.Lock()
		delete(a.runs, id)
		a.mu.Unlock()
		stop(nil)
	}
}

// heed tells a run to stop that somebody has cancelled.
func (a *Annealer) heed(nr *crowbar.NodeRole) {
	if nr == nil || nr.Cancel == "" || nr.State != crowbar.Transition {
		return
	}
	a.mu.Lock()
	u, mine := a.runs[nr.ID]
	a.mu.Unlock()
	if mine && u.attempt == nr.Attempt {
		// gofail: var beforeStop struct{}
		u.stop(fmt.Errorf("%w by %s", errCancelled, nr.Cancel))
	}
}

// recheck is how soon one is looked at again whose time has come and that may not begin, such as in a paused deployment.
const recheck = time.Second

// attend sees to what happens to node-roles beside the runs that begin: those that somebody cancels are told to stop, those that
// failed are tried again when their time has come.
func (a *Annealer) attend(ctx context.Context) {
	watch := a.Engine.Watch(ctx)
	var seen *crowbar.Snapshot
	later := map[crowbar.ID]bool{} // in error, to be tried again
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case s, open := <-watch:
			if !open {
				return
			}
			fresh := a.look(seen, s, later)
			if seen = s; !fresh {
				continue
			}
		case <-timer.C:
		}
		timer.Reset(a.again(ctx, later))
	}
}

// look looks at the node-roles that have changed, and says whether one of them is to be tried again later.
func (a *Annealer) look(seen, s *crowbar.Snapshot, later map[crowbar.ID]bool) (fresh bool) {
	see := func(nr *crowbar.NodeRole) {
		a.heed(nr)
		if _, is := nr.RetryAt(); is {
			later[nr.ID], fresh = true, true
		}
	}
	if seen == nil {
		for nr := range s.NodeRoles() {
			see(nr)
		}
		return fresh
	}
	for id := range s.Changed(seen, crowbar.KindNodeRole) {
		if nr := s.NodeRole(id); nr != nil {
			see(nr)
		}
	}
	return fresh
}

// again retries those whose time has come, and says after how long to look again.
func (a *Annealer) again(ctx context.Context, later map[crowbar.ID]bool) time.Duration {
	next := time.Hour
	s := a.Engine.View()
	for id := range later {
		nr := s.NodeRole(id)
		if nr == nil {
			delete(later, id)
			continue
		}
		at, is := nr.RetryAt()
		if !is {
			delete(later, id)
			continue
		}
		wait := time.Until(at)
		if wait <= 0 {
			wait = recheck
			if a.Mine == nil || a.Mine(nr.Node) {
				// gofail: var beforeAgain struct{}
				if err := a.Engine.Again(ctx, id, nr.Attempt); err == nil {
					// gofail: var triedAgain struct{}
					continue // the state says so, and then it is forgotten here
				} else if crowbar.KindOf(err) != crowbar.Conflict && ctx.Err() == nil {
					a.Log.Warn("try again", "error", err)
				}
			}
		}
		next = min(next, wait)
	}
	return next
}
