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
		Started: r.Started, Finished: r.Finished, Outcome: r.Outcome, Changes: r.Changes}
	if n := s.Node(r.Node); n != nil {
		out.Node = n.Short()
	}
	if ro := s.Role(r.Role); ro != nil {
		out.Role = ro.Name
	}
	return out
}

// history is how long runs took, computed once for a revision.
type history struct {
	rev    crowbar.Rev
	own    map[crowbar.ID]time.Duration // node-role -> median of its runs that ended well
	common map[crowbar.ID]time.Duration // role -> median of the runs anywhere that changed something
}

// Expected is how long the next run of a node-role should take; 0 where there is no history.
func (e *Engine) Expected(nr *crowbar.NodeRole) crowbar.Duration {
	return crowbar.Duration(e.history().expected(nr))
}

func (h *history) expected(nr *crowbar.NodeRole) time.Duration {
	if d, ok := h.own[nr.ID]; ok {
		return d
	}
	return h.common[nr.Role]
}

func (e *Engine) history() *history {
	s := e.View()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.median != nil && e.median.rev == s.Rev() {
		return e.median
	}
	own, common := map[crowbar.ID][]time.Duration{}, map[crowbar.ID][]time.Duration{}
	for r := range s.Runs() {
		took := r.Finished.Sub(r.Started)
		switch r.Outcome {
		case "changed":
			common[r.Role] = append(common[r.Role], took)
			own[r.NodeRole] = append(own[r.NodeRole], took)
		case "unchanged":
			own[r.NodeRole] = append(own[r.NodeRole], took)
		}
	}
	e.median = &history{rev: s.Rev(), own: medians(own), common: medians(common)}
	return e.median
}

func medians(in map[crowbar.ID][]time.Duration) map[crowbar.ID]time.Duration {
	out := make(map[crowbar.ID]time.Duration, len(in))
	for id, l := range in {
		slices.Sort(l)
		out[id] = l[len(l)/2]
	}
	return out
}
