package engine

import (
	"context"
	"fmt"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/graph"
)

// Bind puts a role on a node in a deployment, with all that it asks for; everything new is proposed. A service role goes
// to the deployment's phantom. Bound already, it is given back as it is.
func (e *Engine) Bind(ctx context.Context, role, node, deployment crowbar.ID) (*crowbar.NodeRole, error) {
	var made *crowbar.NodeRole
	err := e.change(ctx, func(d *draft) (err error) {
		made, err = bind(d, role, node, deployment)
		return err
	})
	if err != nil {
		s := e.View()
		what := role.String()
		if r := s.Role(role); r != nil {
			what = fmt.Sprintf("%q", r.Name)
		}
		return nil, fmt.Errorf("bind role %s to node %s: %w", what, nodeName(s, node), err)
	}
	return e.View().NodeRole(made.ID), nil
}

func bind(d *draft, role, node, deployment crowbar.ID) (*crowbar.NodeRole, error) {
	n, err := d.node(node)
	if err != nil {
		return nil, err
	}
	r := d.s.Role(role)
	if r == nil {
		return nil, crowbar.Errorf(crowbar.NotFound, "there is no role %d", role)
	}
	dep, err := d.deployment(deployment)
	if err != nil {
		return nil, err
	}
	if n.Removing {
		return nil, crowbar.Errorf(crowbar.Conflict, "node %q is being deleted: wait until it is gone, then create it again", n.Name)
	}
	if err := d.add(graph.Bind(d.s, graph.Binding{Role: role, Node: node, Deployment: deployment})); err != nil {
		return nil, err
	}
	on := node
	if r.Flags.Service {
		on = dep.Phantom
	}
	if t := d.s.Node(on).Target; t != 0 { // what has just come waits as well
		if err := d.add(graph.Target(d.s, on, t)); err != nil {
			return nil, err
		}
	}
	made := d.s.NodeRoleOn(on, role)
	if made == nil {
		return nil, crowbar.Errorf(crowbar.Internal, "role %q is not on node %d after it was bound", r.Name, on)
	}
	return made, nil
}

// Unbind takes a role off a node: at once where it never ran, else by a run that removes it.
func (e *Engine) Unbind(ctx context.Context, id crowbar.ID) error {
	return e.nodeRoleVerb(ctx, "unbind", id, func(d *draft) error { return d.add(graph.Unbind(d.s, id)) })
}

// Retry lets a node-role run again.
func (e *Engine) Retry(ctx context.Context, id crowbar.ID) error {
	return e.nodeRoleVerb(ctx, "retry", id, func(d *draft) error { return d.add(graph.Retry(d.s, id)) })
}

// Status sets the one line that says what a running node-role does now; it is no error if it does not run any more.
func (e *Engine) Status(ctx context.Context, id crowbar.ID, text string) error {
	text = oneLine(text)
	return e.nodeRoleVerb(ctx, "set status of", id, func(d *draft) error {
		nr := d.s.NodeRole(id)
		if nr.State != crowbar.Transition {
			return nil
		}
		nr = clone(nr)
		nr.Status = text
		d.put(nr)
		return nil
	})
}

func oneLine(text string) string {
	text, _, _ = strings.Cut(strings.TrimSpace(text), "\n")
	if r := []rune(text); len(r) > 200 {
		text = string(r[:199]) + "…"
	}
	return text
}

func (e *Engine) nodeRoleVerb(ctx context.Context, verb string, id crowbar.ID, compute func(*draft) error) error {
	err := e.change(ctx, func(d *draft) error {
		if _, err := d.nodeRole(id); err != nil {
			return err
		}
		return compute(d)
	})
	if err != nil {
		what := "node-role " + id.String()
		if s := e.View(); s.NodeRole(id) != nil {
			what = place(s, s.NodeRole(id))
		}
		return fmt.Errorf("%s %s: %w", verb, what, err)
	}
	return nil
}

// Plan is what would run, in order, if nothing failed; with rerun, after Rerun.
func (e *Engine) Plan(deployment crowbar.ID, rerun bool) ([]crowbar.Step, error) {
	d := &draft{s: e.View()}
	dep, err := d.deployment(deployment)
	if err != nil {
		return nil, err
	}
	if rerun {
		if err := d.add(graph.Rerun(d.s, deployment)); err != nil {
			return nil, fmt.Errorf("plan a rerun of deployment %q: %w", dep.Name, err)
		}
	}
	return e.plan(d.s, dep)
}

func (e *Engine) plan(s *crowbar.Snapshot, dep *crowbar.Deployment) ([]crowbar.Step, error) {
	steps, err := graph.Plan(s, dep.ID)
	if err != nil {
		return nil, fmt.Errorf("plan deployment %q: %w", dep.Name, err)
	}
	h := e.history()
	for i := range steps {
		if steps[i].Expected == 0 {
			if nr := s.NodeRole(steps[i].NodeRole); nr != nil {
				steps[i].Expected = crowbar.Duration(h.expected(nr))
			}
		}
	}
	return steps, nil
}
