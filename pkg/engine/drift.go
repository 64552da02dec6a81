package engine

import (
	"cmp"
	"context"
	"slices"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Drift asks every node-role of a deployment that has been applied what is on its node now otherwise than as it was applied,
// and changes nothing.
func (e *Engine) Drift(ctx context.Context, deployment crowbar.ID, ask Asker) (*crowbar.Drift, error) {
	d := &draft{s: e.View()}
	dep, err := d.deployment(deployment)
	if err != nil {
		return nil, err
	}
	out := &crowbar.Drift{Deployment: dep.Name, NodeRoles: []crowbar.DriftedOn{}}
	var asked []crowbar.DryRun
	var of []crowbar.DriftedOn
	for _, nr := range applied(d.s, deployment) {
		out.Asked++
		on := crowbar.DriftedOn{NodeRole: nr.ID, Node: d.s.Node(nr.Node).Short(), Role: d.s.Role(nr.Role).Name, Due: nr.State != crowbar.Active}
		made := len(d.changes)
		w, err := e.work(d, nr.ID)
		switch {
		case err != nil:
			on.Reason = oneLine(err.Error())
		case !w.Node.Alive:
			on.Reason = "node " + on.Node + " is not alive"
		case nr.State == crowbar.Transition:
			on.Reason = "it runs right now"
		}
		if on.Reason != "" {
			on.Outlook = crowbar.CannotAsk
			out.NodeRoles = append(out.NodeRoles, on)
			continue
		}
		on.Due = on.Due || len(d.changes) > made // a certificate is to be renewed
		asked, of = append(asked, crowbar.DryRun{Work: w, Check: true}), append(of, on)
	}
	for i, ans := range ask(ctx, asked) {
		on := of[i]
		on.Outlook, on.Differences, on.Reason = told(ans)
		if on.Outlook == crowbar.WillNot {
			out.Same++
			continue
		}
		out.NodeRoles = append(out.NodeRoles, on)
	}
	slices.SortStableFunc(out.NodeRoles, func(a, b crowbar.DriftedOn) int { return cmp.Compare(a.Node, b.Node) })
	return out, ctx.Err()
}

// applied is what has been applied in a deployment and is to stay, parents first. What is destructive is not looked at: it is
// never applied twice.
func applied(s *crowbar.Snapshot, deployment crowbar.ID) []*crowbar.NodeRole {
	var out []*crowbar.NodeRole
	for nr := range s.NodeRoles() {
		r, n := s.Role(nr.Role), s.Node(nr.Node)
		if nr.Deployment == deployment && nr.RunCount > 0 && !nr.Removing && nr.State != crowbar.Proposed && r != nil && n != nil && !r.Flags.Destructive {
			out = append(out, nr)
		}
	}
	slices.SortStableFunc(out, func(a, b *crowbar.NodeRole) int { return cmp.Compare(a.Cohort, b.Cohort) })
	return out
}
