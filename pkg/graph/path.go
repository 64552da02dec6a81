package graph

import (
	"slices"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// CriticalPath is the chain of runs that had to follow one another and took longest together: a shorter wall time needs
// one of these to be faster. A run follows its parents' runs, the run before it on its node, and the run before it under
// the same exclusive of its deployment. Runs that have not finished are left out.
func CriticalPath(s *crowbar.Snapshot, runs []*crowbar.Run) (path []*crowbar.Run, length time.Duration) {
	done := slices.DeleteFunc(slices.Clone(runs), func(r *crowbar.Run) bool { return r.Started.IsZero() || r.Finished.IsZero() })
	slices.SortStableFunc(done, func(a, b *crowbar.Run) int { return a.Started.Compare(b.Started) })
	p := pather{s: s, long: map[*crowbar.Run]time.Duration{}, from: map[*crowbar.Run]*crowbar.Run{},
		ofNodeRole: map[crowbar.ID][]*crowbar.Run{}, onNode: map[crowbar.ID][]*crowbar.Run{}, under: map[semaphore][]*crowbar.Run{}}
	var end *crowbar.Run
	for _, r := range done {
		p.follow(r)
		if end == nil || p.long[r] > p.long[end] {
			end = r
		}
	}
	for at := end; at != nil; at = p.from[at] {
		path = append([]*crowbar.Run{at}, path...)
	}
	return path, p.long[end]
}

type pather struct {
	s          *crowbar.Snapshot
	long       map[*crowbar.Run]time.Duration // of the longest chain that ends with the run
	from       map[*crowbar.Run]*crowbar.Run
	ofNodeRole map[crowbar.ID][]*crowbar.Run // in order of start
	onNode     map[crowbar.ID][]*crowbar.Run
	under      map[semaphore][]*crowbar.Run
}

func (p *pather) follow(r *crowbar.Run) {
	var best *crowbar.Run
	consider := func(before []*crowbar.Run) {
		for i := len(before) - 1; i >= 0; i-- {
			if b := before[i]; !b.Finished.After(r.Started) {
				if best == nil || p.long[b] > p.long[best] {
					best = b
				}
				return
			}
		}
	}
	if nr := p.s.NodeRole(r.NodeRole); nr != nil {
		for _, l := range nr.Parents {
			consider(p.ofNodeRole[l.ID])
		}
	}
	consider(p.onNode[r.Node])
	var names []semaphore
	if role := p.s.Role(r.Role); role != nil {
		for _, e := range role.Exclusive {
			if e.Rolling == "" {
				names = append(names, semaphore{r.Deployment, e.Name})
			}
		}
	}
	for _, k := range names {
		consider(p.under[k])
		p.under[k] = append(p.under[k], r)
	}
	p.from[r], p.long[r] = best, p.long[best]+r.Finished.Sub(r.Started)
	p.ofNodeRole[r.NodeRole] = append(p.ofNodeRole[r.NodeRole], r)
	p.onNode[r.Node] = append(p.onNode[r.Node], r)
}
