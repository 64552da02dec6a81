package graph

import (
	"slices"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Times is how long something should take, and the shortest and longest that it may.
type Times struct{ Expected, Low, High time.Duration }

// Forecast is the time from the first step's start to the last one's end, and the steps (by index, in order) that follow
// one another and take longest together. A step follows its parents' steps, the step before it on its node, those under the
// same exclusive where it is full, its role's founder, and, where all of parallel places are taken, whichever ends first.
// Steps are in the order of Plan.
func Forecast(s *crowbar.Snapshot, steps []crowbar.Step, parallel int) (total Times, path []int) {
	f := forecaster{s: s, v: viewOf(s), ends: make([]Times, len(steps)), from: make([]int, len(steps)), of: make(map[crowbar.ID]int, len(steps)),
		onNode: map[crowbar.ID]int{}, under: map[semaphore][]int{}, founder: map[team]int{}}
	last := -1
	for i, st := range steps {
		f.step(i, st, parallel)
		end := f.ends[i]
		total = Times{max(total.Expected, end.Expected), max(total.Low, end.Low), max(total.High, end.High)}
		if last < 0 || end.Expected > f.ends[last].Expected {
			last = i
		}
	}
	for at := last; at >= 0; at = f.from[at] {
		path = append(path, at)
	}
	slices.Reverse(path)
	return total, path
}

type forecaster struct {
	s       *crowbar.Snapshot
	v       *view
	ends    []Times
	from    []int // the step that a step waits for longest; -1 = none
	of      map[crowbar.ID]int
	onNode  map[crowbar.ID]int
	under   map[semaphore][]int // the last steps that took it, as many as may hold it at once
	founder map[team]int
	places  []int // the last steps, as many as run at once; only used once they are all taken
}

func (f *forecaster) step(i int, st crowbar.Step, parallel int) {
	var start Times
	f.from[i] = -1
	wait := func(j int) {
		end := f.ends[j]
		if end.Expected > start.Expected || f.from[i] < 0 && end.Expected == start.Expected {
			f.from[i] = j
		}
		start = Times{max(start.Expected, end.Expected), max(start.Low, end.Low), max(start.High, end.High)}
	}
	nr := f.s.NodeRole(st.NodeRole)
	if nr == nil {
		f.ends[i] = Times{time.Duration(st.Expected), time.Duration(st.Low), time.Duration(st.High)}
		return
	}
	for _, l := range nr.Parents {
		if j, ok := f.of[l.ID]; ok {
			wait(j)
		}
	}
	if j, ok := f.onNode[nr.Node]; ok {
		wait(j)
	}
	f.exclusion(i, nr, wait)
	if len(f.places) == parallel && parallel > 0 {
		first := 0
		for k, j := range f.places {
			if f.ends[j].Expected < f.ends[f.places[first]].Expected {
				first = k
			}
		}
		wait(f.places[first])
		f.places[first] = i
	} else {
		f.places = append(f.places, i)
	}
	f.ends[i] = Times{start.Expected + time.Duration(st.Expected), start.Low + time.Duration(st.Low), start.High + time.Duration(st.High)}
	f.of[nr.ID], f.onNode[nr.Node] = i, i
}

// exclusion waits for those that hold what the step needs, and takes it.
func (f *forecaster) exclusion(i int, nr *crowbar.NodeRole, wait func(int)) {
	r := f.s.Role(nr.Role)
	if r == nil {
		return
	}
	for _, e := range r.Exclusive {
		if spares(e, nr) {
			continue
		}
		k := semaphore{nr.Deployment, e.Name}
		held := f.under[k]
		if len(held) >= max(1, f.v.limit(e, nr.Deployment)) {
			wait(held[0])
			held = held[1:]
		}
		f.under[k] = append(slices.Clip(held), i)
	}
	if founds(r) && nr.RunCount == 0 {
		t := team{nr.Deployment, nr.Role}
		if j, ok := f.founder[t]; ok {
			wait(j)
		} else {
			f.founder[t] = i
		}
	}
}
