package engine

import (
	"slices"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/graph"
)

// few is how many recorded runs are too few for percentiles.
const few = 10

// kind is what recorded runs are comparable: those that changed something take far longer than those that found nothing to
// do, and a removal is a third thing.
type kind struct {
	of              crowbar.ID // a node-role, or a role
	changed, remove bool
}

// reckon sets the times of a plan and of its steps, from recorded runs. A node-role's own runs count; where it has none, those
// of its role on other nodes. What has no history of its kind is unknown.
func (e *Engine) reckon(s *crowbar.Snapshot, p *crowbar.Plan) {
	if len(p.Steps) == 0 {
		return
	}
	took, spreads := durations(s), map[kind]spread{}
	for i := range p.Steps {
		st := &p.Steps[i]
		st.Expected, st.Low, st.High, st.History = 0, 0, 0, 0
		nr := s.NodeRole(st.NodeRole)
		if nr == nil {
			p.Unrecorded++
			continue
		}
		changed := st.Outlook == crowbar.WillChange || st.Outlook == crowbar.KnownAfter || st.Outlook != crowbar.WillNot && nr.RunCount == 0
		if len(took) == 0 {
			p.Unrecorded++
			continue
		}
		of := kind{nr.ID, changed, nr.Removing}
		if len(took[of]) == 0 {
			of.of = nr.Role
		}
		if len(took[of]) == 0 {
			p.Unrecorded++
			continue
		}
		sp, known := spreads[of]
		if !known { // once for all nodes that have none of their own
			sp = spreadOf(took[of])
			spreads[of] = sp
		}
		st.Expected, st.Low, st.High, st.History = crowbar.Duration(sp.mid), crowbar.Duration(sp.low), crowbar.Duration(sp.high), len(took[of])
	}
	parallel := e.Parallel
	if parallel == 0 {
		parallel = 30
	}
	total, path := graph.Forecast(s, p.Steps, parallel)
	p.Expected, p.Low, p.High = crowbar.Duration(total.Expected), crowbar.Duration(total.Low), crowbar.Duration(total.High)
	for _, i := range path {
		if p.Steps[i].History > 0 {
			p.Critical = append(p.Critical, p.Steps[i].Place())
		}
	}
}

// durations is how long runs took that ended well. A node-role's and a role's ids are never the same.
func durations(s *crowbar.Snapshot) map[kind][]time.Duration {
	out := map[kind][]time.Duration{}
	for r := range s.Runs() {
		if r.Outcome != "changed" && r.Outcome != "unchanged" || r.Started.IsZero() || r.Finished.IsZero() {
			continue
		}
		for _, of := range []crowbar.ID{r.NodeRole, r.Role} {
			k := kind{of, r.Outcome == "changed", r.Remove}
			out[k] = append(out[k], r.Finished.Sub(r.Started))
		}
	}
	return out
}

// spread is the median, and the ends: of few the shortest and longest, of many the 10th and 90th percentile.
type spread struct{ low, mid, high time.Duration }

// spreadOf sorts d.
func spreadOf(d []time.Duration) spread {
	slices.Sort(d)
	n := len(d)
	if n < few {
		return spread{d[0], d[n/2], d[n-1]}
	}
	return spread{d[n/10], d[n/2], d[n-1-n/10]}
}
