package engine

import (
	"cmp"
	"context"
	"slices"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/graph"
)

// Dismantle takes every role of a deployment off its nodes, those that come last first, all in one commit; runs then take off
// what was applied. Service roles stay until the deployment is deleted. Said again, it goes on.
func (e *Engine) Dismantle(ctx context.Context, id crowbar.ID) error {
	return e.deploymentVerb(ctx, "dismantle", id, func(d *draft) error {
		dep, err := d.deployment(id)
		if err != nil {
			return err
		}
		if dep.System {
			return crowbar.Errorf(crowbar.Conflict, "it is the root of all others and stays")
		}
		if err := d.add(graph.Release(d.s, id, false)); err != nil {
			return err
		}
		var all []*crowbar.NodeRole
		for nr := range d.s.NodeRoles() {
			if nr.Deployment != id || nr.Node == dep.Phantom || nr.Removing {
				continue
			}
			if nr.State == crowbar.Transition {
				return crowbar.Errorf(crowbar.Conflict, "%s is running: wait for its end, or stop it with `kubeclamp deployments cancel %s`", place(d.s, nr), dep.Name)
			}
			all = append(all, nr)
		}
		slices.SortFunc(all, func(a, b *crowbar.NodeRole) int {
			return cmp.Or(cmp.Compare(b.Cohort, a.Cohort), cmp.Compare(b.ID, a.ID))
		})
		for _, nr := range all {
			if now := d.s.NodeRole(nr.ID); now == nil || now.Removing {
				continue
			}
			if err := d.add(graph.Unbind(d.s, nr.ID)); err != nil {
				return err
			}
		}
		return nil
	})
}
