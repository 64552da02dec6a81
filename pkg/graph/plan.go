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
	committed := s.Apply(s.Rev(), changes...)
	released, err := Release(committed, deployment, true)
	if err != nil {
		return nil, err
	}
	listed := map[crowbar.ID]bool{}
	for _, up := range chain(s, deployment) {
		listed[up.ID] = true
	}
	committed = committed.Apply(s.Rev(), released...)
	p := planner{start: s, committed: committed, times: history(s), ran: marked(committed), names: map[crowbar.ID]string{}, steps: make([]crowbar.Step, 0, due(committed))}
	d := rehearsed(committed)
	var f Frontier
	f.Move(d.s)
	for {
		next := slices.Collect(f.Runnable())
		if len(next) == 0 {
			return p.steps, nil
		}
		for _, nr := range next {
			if nr = d.s.NodeRole(nr.ID); nr == nil || nr.State != crowbar.Todo {
				continue // what ran before it in this round keeps it: its turn comes
			}
			if listed[nr.Deployment] {
				p.foresee(nr)
			}
			d.pretend(nr)
		}
		f.follow(d.news())
	}
}

// due is how many steps a plan has at least, where it is for everything.
func due(s *crowbar.Snapshot) (n int) {
	for nr := range s.NodeRoles() {
		if nr.State != crowbar.Active {
			n++
		}
	}
	return n
}

// pretend is a good run that changes no wall, without a record of it.
func (d *draft) pretend(was *crowbar.NodeRole) {
	if dr := d.s.DeploymentRoleOf(was.Deployment, was.Role); dr != nil && !was.Removing && gone(d.s, dr.First) {
		c := *dr
		c.First = was.ID
		d.put(&c)
	}
	switch {
	case was.Removing:
		d.vanish(d.edit(was.ID, func(nr *crowbar.NodeRole) { nr.Attempt++ }))
		return
	case was.Stale:
		was = d.edit(was.ID, func(nr *crowbar.NodeRole) { nr.Stale = false })
	}
	d.applied(was, crowbar.Outcome{Wall: was.Wall})
}

type planner struct {
	start, committed *crowbar.Snapshot
	times            map[crowbar.ID]*timing
	ran              marks
	names            map[crowbar.ID]string // of nodes
	steps            []crowbar.Step
}

func (p *planner) foresee(nr *crowbar.NodeRole) {
	t := p.times[nr.Role]
	if t == nil {
		t = &timing{}
		p.times[nr.Role] = t
	}
	st := crowbar.Step{NodeRole: nr.ID, Node: p.node(nr.Node), Role: roleName(p.start, nr.Role), Deployment: deploymentName(p.start, nr.Deployment),
		Do: "apply", Cohort: nr.Cohort, Why: p.why(nr), Expected: t.again}
	if nr.Removing {
		st.Do = "remove"
	}
	if nr.RunCount == 0 {
		st.Expected = t.first
	}
	p.ran.set(nr.ID)
	p.steps = append(p.steps, st)
}

// node is the name of a node, of which a plan has twenty steps.
func (p *planner) node(id crowbar.ID) string {
	name, known := p.names[id]
	if !known {
		name = nodeName(p.start, id)
		p.names[id] = name
	}
	return name
}

// why is the reason for a step, found by looking where its node-role stood before.
func (p *planner) why(nr *crowbar.NodeRole) string {
	switch {
	case nr.Removing:
		return "unbound"
	case p.ran.has(nr.ID):
		return "peers changed"
	case nr.Failure != "":
		return "retry after error"
	case nr.RunCount == 0:
		return "never applied"
	}
	was, then := p.start.NodeRole(nr.ID), p.committed.NodeRole(nr.ID)
	switch {
	case was != nil && was.State == crowbar.Active && then != nil && then.State != crowbar.Active:
		return "attribs changed"
	case was != nil && was.State == crowbar.Active:
		return "peers changed"
	}
	return "rerun"
}

// timing is how long a role's runs took, of those that changed something and those that did not, and what that makes of its
// first run on a node and of a further one.
type timing struct {
	changed, unchanged []time.Duration
	first, again       crowbar.Duration
}

func history(s *crowbar.Snapshot) map[crowbar.ID]*timing {
	out := map[crowbar.ID]*timing{}
	for run := range s.Runs() {
		if run.Remove || run.Finished.IsZero() || run.Started.IsZero() {
			continue
		}
		t, took := out[run.Role], run.Finished.Sub(run.Started)
		if t == nil {
			t = &timing{}
			out[run.Role] = t
		}
		switch run.Outcome {
		case "changed":
			t.changed = append(t.changed, took)
		case "unchanged":
			t.unchanged = append(t.unchanged, took)
		}
	}
	for _, t := range out {
		changed, unchanged := median(t.changed), median(t.unchanged)
		t.first, t.again = crowbar.Duration(cmp.Or(changed, unchanged)), crowbar.Duration(cmp.Or(unchanged, changed))
	}
	return out
}

func median(d []time.Duration) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[len(d)/2]
}
