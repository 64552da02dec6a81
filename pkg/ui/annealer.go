package ui

import (
	"cmp"
	"net/http"
	"slices"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// mostListed is how many node-roles of one state are listed.
const mostListed = 200

// annealing is what the annealer has before it.
type annealing struct {
	Errors, Running, Next, Blocked []busy
	Counts                         counts
	Deployments                    []deployment // those that take part
}

// busy is a node-role with how long it has been so.
type busy struct {
	step
	Elapsed  time.Duration
	Permille int // of the expected time; 0 = nobody knows
	Late     bool
}

func (u *UI) annealer(_ *http.Request, s *crowbar.Snapshot, _ Visitor) (page, error) {
	why := u.Engine.WhyIn(s)
	a := annealing{Counts: countsOf(s.AllStates())}
	lists := map[crowbar.State]*[]busy{crowbar.Error: &a.Errors, crowbar.Transition: &a.Running, crowbar.Todo: &a.Next, crowbar.Blocked: &a.Blocked}
	for nr := range s.NodeRoles() {
		l := lists[nr.State]
		if l == nil || len(*l) >= mostListed {
			continue
		}
		*l = append(*l, u.busy(s, nr, why))
	}
	for _, l := range lists {
		slices.SortStableFunc(*l, func(x, y busy) int { return cmp.Or(cmp.Compare(x.Cohort, y.Cohort), x.Since.Compare(y.Since)) })
	}
	for _, d := range u.deploymentList(s) {
		if d.Stored == crowbar.DeploymentCommitted && d.Counts.Total() > 0 {
			a.Deployments = append(a.Deployments, d)
		}
	}
	return page{name: "annealer", title: "Annealer", menu: "/annealer", live: "node_role.*,deployment.*", body: a}, nil
}

func (u *UI) busy(s *crowbar.Snapshot, nr *crowbar.NodeRole, why func(crowbar.ID) string) busy {
	b := busy{step: u.step(s, nr, why), Elapsed: time.Since(nr.Since)}
	if want := time.Duration(b.Expected); want > 0 && nr.State == crowbar.Transition {
		b.Permille = int(min(1000, 1000*b.Elapsed/want))
		b.Late = b.Elapsed > 2*want
	}
	return b
}
