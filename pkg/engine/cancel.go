package engine

import (
	"cmp"
	"context"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/graph"
)

// Cancel has the run of a node-role stopped for somebody, and a retry that is due forgotten. The run ends some time later, on
// whichever daemon it is, and the node-role is in error then.
func (e *Engine) Cancel(ctx context.Context, id crowbar.ID, by string) error {
	return e.nodeRoleVerb(ctx, "cancel", id, func(d *draft) error { return d.add(graph.Cancel(d.s, id, inLine(by))) })
}

// CancelAll pauses a deployment and has everything stopped that runs in it.
func (e *Engine) CancelAll(ctx context.Context, deployment crowbar.ID, by string) error {
	return e.deploymentVerb(ctx, "cancel", deployment, func(d *draft) error { return d.add(graph.CancelAll(d.s, deployment, inLine(by))) })
}

// inLine is somebody's name as it stands in a line.
func inLine(by string) string {
	return cmp.Or(oneLine(strings.Join(strings.Fields(by), " ")), "somebody")
}

// Again retries a failed attempt as its role's policy has it. It is a Conflict before its time has come, and when something
// else has become of the node-role.
func (e *Engine) Again(ctx context.Context, id crowbar.ID, attempt uint64) error {
	return e.nodeRoleVerb(ctx, "try again", id, func(d *draft) error {
		if at, is := d.s.NodeRole(id).RetryAt(); is && e.Now().Before(at) {
			return crowbar.Errorf(crowbar.Conflict, "it is not time yet: it is tried again at %s", at.UTC().Format("15:04:05"))
		}
		return d.add(graph.Again(d.s, id, attempt))
	})
}
