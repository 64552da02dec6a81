package graph

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Why says in one line why a node-role is where it is; for one that waits, through all it waits for, to the root cause.
func Why(s *crowbar.Snapshot, id crowbar.ID) string { return ReasonsIn(s).Why(id) }

// Reasons finds why the node-roles of one state wait. It remembers what it has found: that of all of them costs little more
// than that of the last ones in the graph. It is for one goroutine.
type Reasons struct {
	v     *view
	found map[crowbar.ID]*reason
}

// ReasonsIn looks for reasons in a state.
func ReasonsIn(s *crowbar.Snapshot) *Reasons {
	return &Reasons{v: viewOf(s), found: map[crowbar.ID]*reason{}}
}

// reason is why one node-role is not active: for another one, which has its own reason, or by itself.
type reason struct {
	nr   *crowbar.NodeRole
	h    hindrance // of a TODO one
	next *reason   // nil: the root cause is here
	kind crowbar.CauseKind
	far  int // steps to the root
}

// Why is the one line.
func (r *Reasons) Why(id crowbar.ID) string {
	nr := r.v.s.NodeRole(id)
	if nr == nil {
		return "there is no node-role " + id.String()
	}
	return r.sentence(r.of(nr))
}

// of finds the reason of one node-role.
func (r *Reasons) of(nr *crowbar.NodeRole) *reason {
	if known, ok := r.found[nr.ID]; ok {
		return known
	}
	here := &reason{nr: nr, kind: crowbar.CauseNext}
	r.found[nr.ID] = here // what waits for itself in a circle ends here
	switch nr.State {
	case crowbar.Error:
		here.kind = crowbar.CauseError
		if _, again := nr.RetryAt(); again {
			here.kind = crowbar.CauseRetry
		}
	case crowbar.Transition:
		here.kind = crowbar.CauseRun
	case crowbar.Proposed:
		here.kind = crowbar.CauseProposed
	case crowbar.Todo:
		here.h = r.v.hindrance(nr)
		here.kind = kindOf[here.h.what]
		if by := here.h.by; by != nil && by.State != crowbar.Active {
			here.follow(r.of(by))
		}
	case crowbar.Blocked:
		r.parent(here)
	}
	return here
}

// kindOf is the cause that a hindrance is where it is the root.
var kindOf = map[obstacle]crowbar.CauseKind{free: crowbar.CauseNext, lost: crowbar.CauseRole, proposed: crowbar.CauseProposed, paused: crowbar.CausePaused,
	unplanned: crowbar.CausePlan, untargeted: crowbar.CauseNode, jigless: crowbar.CauseRole, addressless: crowbar.CauseNode, dead: crowbar.CauseNode,
	unavailable: crowbar.CauseNode, crowded: crowbar.CauseRun, stuck: crowbar.CauseError, above: crowbar.CauseNeeded, unaware: crowbar.CauseRun, taken: crowbar.CauseRun,
	gated: crowbar.CauseError, later: crowbar.CauseNext}

func (x *reason) follow(next *reason) { x.next, x.kind, x.far = next, next.kind, next.far+1 }

// parent follows the parent that holds it back whose root cause needs somebody most; of those, the nearest to it.
func (r *Reasons) parent(here *reason) {
	var best *reason
	for _, l := range here.nr.Parents {
		p := r.v.s.NodeRole(l.ID)
		if !holdsBack(p, here.nr) {
			continue
		}
		if one := r.of(p); best == nil || one.worse(best) {
			best = one
		}
	}
	if best != nil {
		here.follow(best)
	}
}

func (x *reason) worse(than *reason) bool {
	a, b := rank(x.kind), rank(than.kind)
	return a < b || a == b && x.far < than.far
}

func rank(k crowbar.CauseKind) int { return slices.Index(crowbar.CauseKinds, k) }

// sentence is the whole line of one node-role.
func (r *Reasons) sentence(x *reason) string {
	nr := x.nr
	switch nr.State {
	case crowbar.Proposed:
		return fmt.Sprintf("proposed: commit deployment %s", deploymentName(r.v.s, nr.Deployment))
	case crowbar.Todo:
		if x.h.what == free {
			return "todo: the annealer takes it next"
		}
		return "todo: " + x.h.words(r.v.s, nr) + r.beyond(x)
	case crowbar.Error:
		return "error" + colon(nr.Status) + ": " + again(r.v.s, nr)
	case crowbar.Transition:
		return "transition: it runs" + colon(nr.Status) + stopping(nr)
	case crowbar.Blocked:
		return r.chain(x)
	case crowbar.Active:
		if nr.Stale {
			return fmt.Sprintf("active, and would be given other values now: commit deployment %s, and it runs again", deploymentName(r.v.s, nr.Deployment))
		}
	}
	return nr.State.String() + colon(nr.Status)
}

// chain is the way from one that is blocked to the first that is not.
func (r *Reasons) chain(x *reason) string {
	if x.next == nil {
		return "blocked: its parents are all active: retry it"
	}
	var names []string
	for x.nr.State == crowbar.Blocked && x.next != nil {
		x = x.next
		names = append(names, place(r.v.s, x.nr))
	}
	return "blocked: waits for " + strings.Join(names, ", which waits for ") + ", " + r.end(x)
}

// end is what is the matter with the last on a way.
func (r *Reasons) end(x *reason) string {
	nr := x.nr
	switch nr.State {
	case crowbar.Error:
		return "in error" + since(nr) + colon(nr.Status) + retried(r.v.s, nr)
	case crowbar.Transition:
		return "which runs" + since(nr) + colon(nr.Status) + stopping(nr)
	case crowbar.Proposed:
		return fmt.Sprintf("which is proposed: commit deployment %s", deploymentName(r.v.s, nr.Deployment))
	case crowbar.Todo:
		if x.h.what != free {
			return "which is todo: " + x.h.words(r.v.s, nr) + r.beyond(x)
		}
	}
	return "which is " + nr.State.String() + since(nr)
}

// beyond goes on from a hindrance that is another node-role where its words do not tell the root cause.
func (r *Reasons) beyond(x *reason) string {
	by := x.next
	if by == nil || by.nr.State == crowbar.Transition {
		return ""
	}
	if by.nr.State == crowbar.Error {
		return retried(r.v.s, by.nr)
	}
	return "; " + place(r.v.s, by.nr) + " is " + r.sentence(by)
}

func since(nr *crowbar.NodeRole) string {
	if nr.Since.IsZero() {
		return ""
	}
	return " since " + nr.Since.UTC().Format("15:04")
}

func stopping(nr *crowbar.NodeRole) string {
	if nr.Cancel == "" {
		return ""
	}
	return " (it is told to stop by " + nr.Cancel + ")"
}

// again is what becomes of one in error.
func again(s *crowbar.Snapshot, nr *crowbar.NodeRole) string {
	if text := retried(s, nr); text != "" {
		return strings.TrimPrefix(text, "; ")
	}
	return "retry it when that is mended"
}

// retried says when one in error is tried again by itself, "" if it is not.
func retried(s *crowbar.Snapshot, nr *crowbar.NodeRole) string {
	at, is := nr.RetryAt()
	if !is {
		return ""
	}
	times := 0
	if role := s.Role(nr.Role); role != nil {
		times = role.Retry.Times
	}
	return fmt.Sprintf("; it is tried again by itself at %s UTC (retry %d of %d)", at.UTC().Format(time.TimeOnly), nr.Failed, times)
}

// Deployment is why everything of a deployment that is not active is not, by root cause.
func (r *Reasons) Deployment(id crowbar.ID) crowbar.Reasons {
	s := r.v.s
	out := crowbar.Reasons{Rev: s.Rev(), Deployment: deploymentName(s, id), Causes: []crowbar.Cause{}}
	at := map[string]int{}
	for _, nr := range in(s, id) {
		out.Total++
		if nr.State == crowbar.Active {
			out.Active++
			continue
		}
		x := r.of(nr)
		root := x
		for root.next != nil {
			root = root.next
		}
		c, key := r.cause(root)
		i, known := at[key]
		if !known {
			i = len(out.Causes)
			at[key] = i
			out.Causes = append(out.Causes, c)
		}
		out.Causes[i].Waiting = append(out.Causes[i].Waiting, crowbar.Waiting{ID: nr.ID, Node: nodeName(s, nr.Node), Role: roleName(s, nr.Role),
			State: nr.State, Name: nr.State.String(), Why: r.sentence(x)})
	}
	slices.SortStableFunc(out.Causes, func(a, b crowbar.Cause) int {
		return cmp.Or(cmp.Compare(rank(a.Kind), rank(b.Kind)), cmp.Compare(len(b.Waiting), len(a.Waiting)))
	})
	return out
}
