package engine

import (
	"cmp"
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
	role            crowbar.ID
	remove, changed bool
}

// reckon sets the times of a plan and of its steps, from recorded runs. A node-role's own runs count; where it has none, those
// of its role on other nodes. What has no history of its kind is unknown.
func (e *Engine) reckon(s *crowbar.Snapshot, p *crowbar.Plan) {
	took, spreads := durations(s), map[kind]spread{}
	if len(took) == 0 { // as in a new fleet, which may be large
		p.Unrecorded = len(p.Steps)
		return
	}
	for i := range p.Steps {
		st := &p.Steps[i]
		st.Expected, st.Low, st.High, st.History = 0, 0, 0, 0
		nr := s.NodeRole(st.NodeRole)
		if nr == nil {
			p.Unrecorded++
			continue
		}
		of := kind{nr.Role, nr.Removing, st.Outlook == crowbar.WillChange || st.Outlook == crowbar.KnownAfter || st.Outlook != crowbar.WillNot && nr.RunCount == 0}
		own := ownDurations(s, nr, of)
		if len(own) == 0 && len(took[of]) == 0 {
			p.Unrecorded++
			continue
		}
		var sp spread
		if len(own) > 0 {
			sp = spreadOf(own)
		} else if known, is := spreads[of]; is { // once for all nodes that have none of their own
			sp = known
		} else {
			sp = spreadOf(took[of])
			spreads[of] = sp
		}
		st.Expected, st.Low, st.High, st.History = crowbar.Duration(sp.mid), crowbar.Duration(sp.low), crowbar.Duration(sp.high), cmp.Or(len(own), len(took[of]))
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

// durations is how long the runs of each role took that ended well.
func durations(s *crowbar.Snapshot) map[kind][]time.Duration {
	out := map[kind][]time.Duration{}
	for r := range s.Runs() {
		if endedWell(r) {
			k := kind{r.Role, r.Remove, r.Outcome == "changed"}
			out[k] = append(out[k], r.Finished.Sub(r.Started))
		}
	}
	return out
}

// ownDurations is how long those of a node-role took.
func ownDurations(s *crowbar.Snapshot, nr *crowbar.NodeRole, of kind) (out []time.Duration) {
	for _, r := range s.RunsOf(nr.ID) {
		if endedWell(r) && r.Remove == of.remove && (r.Outcome == "changed") == of.changed {
			out = append(out, r.Finished.Sub(r.Started))
		}
	}
	return out
}

func endedWell(r *crowbar.Run) bool {
	return (r.Outcome == "changed" || r.Outcome == "unchanged") && !r.Started.IsZero() && !r.Finished.IsZero()
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
