package engine

import (
	"context"
	"log/slog"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/graph"
)

// Why is the one line that says why a node-role is not active.
func (e *Engine) Why(id crowbar.ID) string { return graph.Why(e.View(), id) }

// WhyIn gives the lines of many node-roles of one state; what it has found for one helps with the next. It is for one goroutine.
func (e *Engine) WhyIn(s *crowbar.Snapshot) func(id crowbar.ID) string { return graph.ReasonsIn(s).Why }

// WhyAll is what keeps a deployment from being done, by root cause.
func (e *Engine) WhyAll(deployment crowbar.ID) (crowbar.Reasons, error) {
	s := e.View()
	if s.Deployment(deployment) == nil {
		return crowbar.Reasons{}, crowbar.Errorf(crowbar.NotFound, "why: there is no deployment %d", deployment)
	}
	return graph.ReasonsIn(s).Deployment(deployment), nil
}

// tell logs what has come to a stop by a commit, with the reason: what is in error now as a warning, what is blocked by it for
// who wants to know everything.
func (e *Engine) tell(before *crowbar.Snapshot, changes []crowbar.Change) {
	var why func(crowbar.ID) string
	for _, c := range changes {
		nr, ok := c.Put.(*crowbar.NodeRole)
		if !ok || nr.State != crowbar.Error && nr.State != crowbar.Blocked {
			continue
		}
		level := slog.LevelWarn
		if nr.State == crowbar.Blocked {
			level = slog.LevelDebug
		}
		was := before.NodeRole(nr.ID)
		if was != nil && was.State == nr.State || !e.Log.Enabled(context.Background(), level) {
			continue
		}
		s := e.View()
		if why == nil {
			why = e.WhyIn(s)
		}
		from := "nothing"
		if was != nil {
			from = was.State.String()
		}
		e.Log.Log(context.Background(), level, "node-role is "+nr.State.String(), "node_role", place(s, nr), "id", uint64(nr.ID), "from", from, "attempt", nr.Attempt, "why", why(nr.ID))
	}
}
