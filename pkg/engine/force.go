package engine

import (
	"context"
	"fmt"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/graph"
)

// Force has everything in a deployment run again, and do everything, also where nothing has changed since the last run.
func (e *Engine) Force(ctx context.Context, id crowbar.ID) error {
	return e.deploymentVerb(ctx, "rerun", id, func(d *draft) error {
		if err := d.add(graph.Release(d.s, id, false)); err != nil {
			return err
		}
		if err := e.fit(d, id); err != nil {
			return err
		}
		return d.add(graph.Force(d.s, id))
	})
}

// Release ends a deployment's binding to a plan, also while it is carried out: what waits outside of it begins.
func (e *Engine) Release(ctx context.Context, id crowbar.ID) error {
	return e.deploymentVerb(ctx, "release", id, func(d *draft) error { return d.add(graph.Release(d.s, id, true)) })
}

// ApplyForced is Apply and Force in one commit.
func (e *Engine) ApplyForced(ctx context.Context, c crowbar.Cluster) error {
	err := e.change(ctx, func(d *draft) error {
		if err := e.apply(d, c); err != nil {
			return err
		}
		return d.add(graph.Force(d.s, d.s.DeploymentNamed(c.Deployment).ID))
	})
	if err != nil {
		return fmt.Errorf("apply to deployment %q: %w", c.Deployment, err)
	}
	return nil
}
