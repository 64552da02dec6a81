package engine

import (
	"fmt"
	"slices"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/graph"
)

// Report says where the time of a deployment's runs since a moment went.
func (e *Engine) Report(deployment crowbar.ID, since time.Time) (crowbar.Report, error) {
	s := e.View()
	if s.Deployment(deployment) == nil {
		return crowbar.Report{}, crowbar.Errorf(crowbar.NotFound, "report: there is no deployment %d", deployment)
	}
	var runs []*crowbar.Run
	for r := range s.Runs() {
		if r.Deployment == deployment && !r.Started.Before(since) && !r.Finished.IsZero() {
			runs = append(runs, r)
		}
	}
	slices.SortStableFunc(runs, func(a, b *crowbar.Run) int { return a.Started.Compare(b.Started) })
	out := crowbar.Report{Runs: []crowbar.RunReport{}, Path: []crowbar.RunReport{}}
	if len(runs) == 0 {
		return out, nil
	}
	end := runs[0].Finished
	for _, r := range runs {
		if r.Finished.After(end) {
			end = r.Finished
		}
		out.Runs = append(out.Runs, shown(s, r))
	}
	out.Wall = crowbar.Duration(end.Sub(runs[0].Started))
	path, length := graph.CriticalPath(s, runs)
	out.Critical = crowbar.Duration(length)
	for _, r := range path {
		out.Path = append(out.Path, shown(s, r))
	}
	return out, nil
}

func shown(s *crowbar.Snapshot, r *crowbar.Run) crowbar.RunReport {
	out := crowbar.RunReport{ID: r.ID, NodeRole: r.NodeRole, Node: fmt.Sprint(r.Node), Role: fmt.Sprint(r.Role), Attempt: r.Attempt,
		Started: r.Started, Finished: r.Finished, Outcome: r.Outcome, Changes: r.Changes, Mended: r.Mended}
	if n := s.Node(r.Node); n != nil {
		out.Node = n.Short()
	}
	if ro := s.Role(r.Role); ro != nil {
		out.Role = ro.Name
	}
	return out
}

// history is how long runs took that ended well, computed at most once for a revision. What changes something takes far longer
// than what finds nothing to do, so the two are never mixed.
type history struct {
	rev                crowbar.Rev
	runs               int
	made               time.Time
	cost               time.Duration // of making it
	changed, unchanged tally
}

// tally is medians by node-role, and by role for node-roles that have none of their own.
type tally struct{ own, common map[crowbar.ID]time.Duration }

func (t tally) of(nr *crowbar.NodeRole) time.Duration {
	if d, ok := t.own[nr.ID]; ok {
		return d
	}
	return t.common[nr.Role]
}

// Expected is how long the next run of a node-role should take; 0 where there is no history of such a run.
func (e *Engine) Expected(nr *crowbar.NodeRole) crowbar.Duration {
	return crowbar.Duration(e.history().expected(nr))
}

func (h *history) expected(nr *crowbar.NodeRole) time.Duration {
	if nr.RunCount > 0 {
		return h.unchanged.of(nr)
	}
	return h.changed.of(nr)
}

func (e *Engine) history() *history {
	s := e.View()
	e.mu.Lock()
	defer e.mu.Unlock()
	if h := e.median; h != nil && (h.rev == s.Rev() || time.Since(h.made) < h.keep()) {
		return h
	}
	began, runs := time.Now(), 0
	own, common := map[string]map[crowbar.ID][]time.Duration{}, map[string]map[crowbar.ID][]time.Duration{}
	for _, outcome := range []string{"changed", "unchanged"} {
		own[outcome], common[outcome] = map[crowbar.ID][]time.Duration{}, map[crowbar.ID][]time.Duration{}
	}
	for r := range s.Runs() {
		runs++
		if own[r.Outcome] == nil {
			continue
		}
		took := r.Finished.Sub(r.Started)
		own[r.Outcome][r.NodeRole] = append(own[r.Outcome][r.NodeRole], took)
		common[r.Outcome][r.Role] = append(common[r.Outcome][r.Role], took)
	}
	e.median = &history{rev: s.Rev(), runs: runs, made: time.Now(), cost: time.Since(began), changed: tally{medians(own["changed"]), medians(common["changed"])}, unchanged: tally{medians(own["unchanged"]), medians(common["unchanged"])}}
	return e.median
}

// keep is how long it stands although there are newer runs: a large one, asked for at every revision, takes a twentieth of a
// processor at most.
func (h *history) keep() time.Duration {
	if h.runs < 10_000 {
		return 0
	}
	return 20 * h.cost
}

func medians(in map[crowbar.ID][]time.Duration) map[crowbar.ID]time.Duration {
	out := make(map[crowbar.ID]time.Duration, len(in))
	for id, l := range in {
		slices.Sort(l)
		out[id] = l[len(l)/2]
	}
	return out
}
