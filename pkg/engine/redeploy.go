package engine

import (
	"context"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/graph"
)

// RedeployNode has everything on a node applied as if it had never been: the node was installed anew. The discovery roles come
// to it as at a commit. Its power is not switched, and the host key on record stays.
func (e *Engine) RedeployNode(ctx context.Context, id crowbar.ID) error {
	return e.nodeVerb(ctx, "redeploy", id, func(d *draft, n *crowbar.Node) error {
		if !n.System && !n.Admin && !n.Removing {
			if err := bindFlagged(d, n, func(f crowbar.Flags) bool { return f.Discovery }); err != nil {
				return err
			}
		}
		return d.add(graph.RedeployNode(d.s, id))
	})
}

// Redeploy has everything of a deployment applied as if it had never been, and commits what is proposed in it.
func (e *Engine) Redeploy(ctx context.Context, deployment crowbar.ID) error {
	return e.deploymentVerb(ctx, "redeploy", deployment, func(d *draft) error {
		if err := d.add(graph.Release(d.s, deployment, false)); err != nil {
			return err
		}
		if err := e.commit(d, deployment); err != nil {
			return err
		}
		return d.add(graph.Redeploy(d.s, deployment))
	})
}
