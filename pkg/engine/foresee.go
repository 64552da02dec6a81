package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/graph"
)

// Asker does dry runs; the answers are in the order of the questions.
type Asker = func(ctx context.Context, asked []crowbar.DryRun) []crowbar.Answer

// Foresee makes a plan, and changes nothing. Where ask is given, the roles say what their runs would change; nil makes a
// plan without differences, which takes no time. With want.Seal it can be given to CarryOut.
func (e *Engine) Foresee(ctx context.Context, want crowbar.PlanFor, ask Asker) (*crowbar.Plan, error) {
	at := e.View()
	d := &draft{s: at}
	dep, poked, err := e.wanted(d, want, true)
	if err != nil {
		return nil, fmt.Errorf("plan deployment %q: %w", want.Deployment, err)
	}
	steps, err := graph.Plan(d.s, dep.ID)
	if err != nil {
		return nil, fmt.Errorf("plan deployment %q: %w", dep.Name, err)
	}
	for i := range steps {
		if poked[steps[i].NodeRole] && steps[i].Why == "rerun" {
			steps[i].Why = "attribs changed"
		}
	}
	p := &crowbar.Plan{Format: crowbar.PlanFormat, Deployment: dep.Name, Made: e.Now().UTC(), Rev: at.Rev(), Rerun: want.Rerun, Force: want.Force,
		Steps: steps, Touches: []string{}, Critical: []string{}}
	if p.Steps == nil {
		p.Steps = []crowbar.Step{}
	}
	if want.Document != nil {
		c, hidden := withoutSecrets(d.s, *want.Document)
		p.Document, p.Hidden = &c, hidden
	}
	if ask != nil {
		e.askSteps(ctx, d, p.Steps, ask)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	e.reckon(d.s, p)
	p.Outlook = outlook(p.Steps, ask != nil)
	touched := map[crowbar.ID]bool{}
	for _, st := range p.Steps {
		nr := d.s.NodeRole(st.NodeRole)
		if n := d.s.Node(nr.Node); st.Touches() && !n.System && !touched[n.ID] {
			touched[n.ID] = true
			p.Touches = append(p.Touches, st.Node)
		}
	}
	if want.Seal {
		return p, e.seal(d.s, p)
	}
	return p, nil
}

// wanted takes into the draft what is to be planned or carried out, all but its runs. poked is what was active and runs again
// because of other values. A plan that is under way is in the way, unless even so.
func (e *Engine) wanted(d *draft, want crowbar.PlanFor, even bool) (dep *crowbar.Deployment, poked map[crowbar.ID]bool, err error) {
	at := d.s
	if dep := d.s.DeploymentNamed(want.Deployment); dep != nil {
		if err := d.add(graph.Release(d.s, dep.ID, even)); err != nil {
			return nil, nil, err
		}
	}
	if want.Document != nil {
		if err := e.apply(d, *want.Document); err != nil {
			return nil, nil, err
		}
	}
	if dep = d.s.DeploymentNamed(want.Deployment); dep == nil {
		return nil, nil, crowbar.Errorf(crowbar.NotFound, "there is no deployment of this name: list them with 'kubeclamp deployments list'")
	}
	if err := e.commit(d, dep.ID); err != nil {
		return nil, nil, err
	}
	poked = map[crowbar.ID]bool{}
	for nr := range d.s.NodeRoles() {
		if nr.State == crowbar.Active {
			continue
		}
		if was := at.NodeRole(nr.ID); was != nr && was != nil && was.State == crowbar.Active {
			poked[nr.ID] = true
		}
	}
	switch {
	case want.Force:
		err = d.add(graph.Force(d.s, dep.ID))
	case want.Rerun:
		err = d.add(graph.Rerun(d.s, dep.ID))
	}
	return dep, poked, err
}

func outlook(steps []crowbar.Step, asked bool) crowbar.Outlook {
	switch {
	case slices.ContainsFunc(steps, crowbar.Step.Touches):
		return crowbar.WillChange
	case asked || len(steps) == 0:
		return crowbar.WillNot
	}
	return crowbar.NotAsked
}

// askSteps finds out what each step would change: those that can be known now are asked.
func (e *Engine) askSteps(ctx context.Context, d *draft, steps []crowbar.Step, ask Asker) {
	after := sequels(d.s, steps)
	var asked []crowbar.DryRun
	var of []int // index of the step
	for i := range steps {
		st := &steps[i]
		nr := d.s.NodeRole(st.NodeRole)
		switch {
		case nr == nil:
			st.Outlook, st.Reason = crowbar.CannotAsk, "its node-role is gone"
		case st.Do == "remove":
			st.Outlook, st.Differences = crowbar.WillChange, []crowbar.Difference{{What: "role", Name: st.Role, Do: "remove"}}
		case after[i] != "":
			st.Outlook, st.After = crowbar.KnownAfter, after[i]
		case d.s.Role(nr.Role).Flags.Destructive && nr.RunCount > 0:
			st.Outlook = crowbar.WillNot
		default:
			w, err := e.work(d, nr.ID)
			if err != nil {
				st.Outlook, st.Reason = crowbar.CannotAsk, oneLine(err.Error())
				continue
			}
			asked, of = append(asked, crowbar.DryRun{Work: w}), append(of, i)
		}
	}
	for j, ans := range ask(ctx, asked) {
		st := &steps[of[j]]
		st.Outlook, st.Differences, st.Reason = told(ans)
	}
	precede(d.s, steps)
}

func told(a crowbar.Answer) (crowbar.Outlook, []crowbar.Difference, string) {
	switch {
	case a.Failure != "":
		return crowbar.CannotAsk, nil, a.Failure
	case len(a.Differences) > 0:
		return crowbar.WillChange, a.Differences, ""
	}
	return crowbar.WillNot, nil, ""
}

// sequels is for each step the place that has to run first, before it can be known what the step does; "" = none. That is a
// parent which has never been applied, or cannot be known itself, or the founder of the cluster.
func sequels(s *crowbar.Snapshot, steps []crowbar.Step) []string {
	out := make([]string, len(steps))
	later, founder := map[crowbar.ID]bool{}, map[[2]crowbar.ID]crowbar.ID{}
	for i, st := range steps {
		nr := s.NodeRole(st.NodeRole)
		if nr == nil || nr.Removing {
			continue
		}
		var last *crowbar.NodeRole
		for _, l := range nr.Parents {
			p := s.NodeRole(l.ID)
			if p != nil && !p.Removing && (p.RunCount == 0 || later[p.ID]) && (last == nil || p.Cohort > last.Cohort || p.Cohort == last.Cohort && p.Node == nr.Node) {
				last = p
			}
		}
		if r := s.Role(nr.Role); last == nil && r != nil && r.Flags.Cluster && nr.RunCount == 0 {
			team := [2]crowbar.ID{nr.Deployment, nr.Role}
			if first := s.NodeRole(founder[team]); first != nil {
				last = first
			} else if !slices.ContainsFunc(s.NodeRolesOf(nr.Deployment, nr.Role), (*crowbar.NodeRole).Settled) {
				founder[team] = nr.ID
			}
		}
		if last != nil {
			later[nr.ID] = true
			out[i] = spot(s, last)
		}
	}
	return out
}

// precede notes with each answer which parent changes its node first: the answer is as things stand now.
func precede(s *crowbar.Snapshot, steps []crowbar.Step) {
	changes := map[crowbar.ID]crowbar.ID{} // node-role -> the nearest that changes, itself included
	for i := range steps {
		st := &steps[i]
		nr := s.NodeRole(st.NodeRole)
		if nr == nil {
			continue
		}
		var first crowbar.ID
		for _, l := range nr.Parents {
			if id := changes[l.ID]; id != 0 && (first == 0 || s.NodeRole(id).Cohort > s.NodeRole(first).Cohort) {
				first = id
			}
		}
		if first != 0 && (st.Outlook == crowbar.WillChange || st.Outlook == crowbar.WillNot) && st.Do == "apply" {
			st.Before = spot(s, s.NodeRole(first))
		}
		switch {
		case st.Outlook == crowbar.WillChange && st.Do == "apply":
			changes[nr.ID] = nr.ID
		case first != 0:
			changes[nr.ID] = first
		}
	}
}

// spot names a node-role as node/role, as the command line takes it.
func spot(s *crowbar.Snapshot, nr *crowbar.NodeRole) string {
	n, r := s.Node(nr.Node), s.Role(nr.Role)
	if n == nil || r == nil {
		return nr.ID.String()
	}
	return n.Short() + "/" + r.Name
}
