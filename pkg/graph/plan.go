package graph

import (
	"cmp"
	"slices"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Plan lists what the annealer would run for a deployment and those above it, in order, if every run ended well. A
// proposed deployment is planned as if it were committed now, one that is bound to a plan as if it were released.
func Plan(s *crowbar.Snapshot, deployment crowbar.ID) ([]crowbar.Step, error) {
	changes, err := Commit(s, deployment)
	if err != nil {
		return nil, err
	}
	start := s.Apply(s.Rev(), changes...)
	released, err := Release(start, deployment, true)
	if err != nil {
		return nil, err
	}
	listed := map[crowbar.ID]bool{}
	for _, up := range chain(s, deployment) {
		listed[up.ID] = true
	}
	d := drafted(start.Apply(s.Rev(), released...))
	p := planner{start: s, committed: d.s, times: history(s), ran: map[crowbar.ID]bool{}}
	for {
		next := Runnable(d.s)
		if len(next) == 0 {
			return p.steps, nil
		}
		for _, nr := range next {
			if listed[nr.Deployment] {
				p.foresee(d.s.NodeRole(nr.ID))
			}
			if err := d.pretend(nr.ID); err != nil {
				return nil, err
			}
		}
	}
}

// pretend is a good run that changes no wall.
func (d *draft) pretend(id crowbar.ID) error {
	if err := d.begin(id, "plan"); err != nil {
		return err
	}
	nr := d.s.NodeRole(id)
	return d.finish(id, nr.Attempt, crowbar.Outcome{Wall: nr.Wall})
}

type planner struct {
	start, committed *crowbar.Snapshot
	times            map[crowbar.ID]timing
	ran              map[crowbar.ID]bool
	steps            []crowbar.Step
}

func (p *planner) foresee(nr *crowbar.NodeRole) {
	t := p.times[nr.Role]
	st := crowbar.Step{NodeRole: nr.ID, Node: nodeName(p.start, nr.Node), Role: roleName(p.start, nr.Role), Deployment: deploymentName(p.start, nr.Deployment),
		Do: "apply", Cohort: nr.Cohort, Why: p.why(nr), Expected: crowbar.Duration(cmp.Or(median(t.unchanged), median(t.changed)))}
	if nr.Removing {
		st.Do = "remove"
	}
	if nr.RunCount == 0 {
		st.Expected = crowbar.Duration(cmp.Or(median(t.changed), median(t.unchanged)))
	}
	p.ran[nr.ID] = true
	p.steps = append(p.steps, st)
}

// why is the reason for a step, found by looking where its node-role stood before.
func (p *planner) why(nr *crowbar.NodeRole) string {
	was, then := p.start.NodeRole(nr.ID), p.committed.NodeRole(nr.ID)
	switch {
	case nr.Removing:
		return "unbound"
	case p.ran[nr.ID]:
		return "peers changed"
	case nr.Failure != "":
		return "retry after error"
	case nr.RunCount == 0:
		return "never applied"
	case was != nil && was.State == crowbar.Active && then != nil && then.State != crowbar.Active:
		return "attribs changed"
	case was != nil && was.State == crowbar.Active:
		return "peers changed"
	}
	return "rerun"
}

// timing is how long a role's runs took, of those that changed something and those that did not.
type timing struct{ changed, unchanged []time.Duration }

func history(s *crowbar.Snapshot) map[crowbar.ID]timing {
	out := map[crowbar.ID]timing{}
	for run := range s.Runs() {
		if run.Remove || run.Finished.IsZero() || run.Started.IsZero() {
			continue
		}
		t, took := out[run.Role], run.Finished.Sub(run.Started)
		switch run.Outcome {
		case "changed":
			t.changed = append(t.changed, took)
		case "unchanged":
			t.unchanged = append(t.unchanged, took)
		}
		out[run.Role] = t
	}
	return out
}

func median(d []time.Duration) time.Duration {
	if len(d) == 0 {
		return 0
	}
	d = slices.Clone(d)
	slices.Sort(d)
	return d[len(d)/2]
}
