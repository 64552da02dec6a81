package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/graph"
)

// CreateDeployment makes a proposed deployment and its phantom node. parent 0 is the system deployment.
func (e *Engine) CreateDeployment(ctx context.Context, name, description string, parent crowbar.ID) (*crowbar.Deployment, error) {
	err := e.change(ctx, func(d *draft) error { return e.createDeployment(d, name, description, parent) })
	if err != nil {
		return nil, fmt.Errorf("create deployment %q: %w", name, err)
	}
	return e.View().DeploymentNamed(name), nil
}

func (e *Engine) createDeployment(d *draft, name, description string, parent crowbar.ID) error {
	if err := freeDeploymentName(d, name); err != nil {
		return err
	}
	if parent == 0 {
		root := d.s.DeploymentNamed(System)
		if root == nil {
			return crowbar.Errorf(crowbar.Conflict, "there is no %s deployment yet: import a barclamp first", System)
		}
		parent = root.ID
	}
	if _, err := d.deployment(parent); err != nil {
		return fmt.Errorf("parent: %w", err)
	}
	e.makeDeployment(d, &crowbar.Deployment{Name: name, Description: description, Parent: parent})
	return nil
}

func freeDeploymentName(d *draft, name string) error {
	if err := label(name); err != nil || len(name) > 50 {
		return crowbar.Errorf(crowbar.Invalid, "a deployment's name is at most 50 lower-case letters, digits and hyphens, as in a host name")
	}
	if d.s.DeploymentNamed(name) != nil {
		return crowbar.Errorf(crowbar.Conflict, "there is a deployment of this name already: take another one")
	}
	return nil
}

// DeleteDeployment drops a deployment on which nothing is applied any more; its nodes go to its parent.
func (e *Engine) DeleteDeployment(ctx context.Context, id crowbar.ID) error {
	err := e.change(ctx, func(d *draft) error { return deleteDeployment(d, id) })
	if err != nil {
		return fmt.Errorf("delete deployment %s: %w", deploymentName(e.View(), id), err)
	}
	return nil
}

func deleteDeployment(d *draft, id crowbar.ID) error {
	dep, err := d.deployment(id)
	if err != nil {
		return err
	}
	if dep.System {
		return crowbar.Errorf(crowbar.Conflict, "it is the root of all others and stays")
	}
	for child := range d.s.Deployments() {
		if child.Parent == id {
			return crowbar.Errorf(crowbar.Conflict, "deployment %q is in it: delete that one first", child.Name)
		}
	}
	for n := range d.s.Networks() {
		if n.Deployment == id {
			return crowbar.Errorf(crowbar.Conflict, "network %q is in it: delete that, or move it to another deployment", n.Name)
		}
	}
	var bound []*crowbar.NodeRole
	for nr := range d.s.NodeRoles() {
		if nr.Deployment != id {
			continue
		}
		if nr.State == crowbar.Transition || nr.Node != dep.Phantom && nr.RunCount > 0 {
			return crowbar.Errorf(crowbar.Conflict, "%s is applied: unbind it (or delete its node) first, so that it is taken off cleanly", place(d.s, nr))
		}
		bound = append(bound, nr)
	}
	for _, nr := range bound {
		d.drop(nr)
	}
	dropOf(d, id)
	for n := range d.s.Nodes() {
		switch {
		case n.ID == dep.Phantom:
			d.drop(n)
		case n.Deployment == id:
			n = clone(n)
			n.Deployment = dep.Parent
			d.put(n)
		}
	}
	d.drop(dep)
	return nil
}

// dropOf drops what a deployment carries.
func dropOf(d *draft, deployment crowbar.ID) {
	for dr := range d.s.DeploymentRoles() {
		if dr.Deployment == deployment {
			d.drop(dr)
		}
	}
	for sec := range d.s.Secrets() {
		if sec.Deployment == deployment {
			d.drop(sec)
		}
	}
	for r := range d.s.Runs() {
		if r.Deployment == deployment {
			d.drop(r)
		}
	}
}

// Commit makes what is proposed in a deployment the thing to do. Nodes of the deployment get the discovery roles first.
func (e *Engine) Commit(ctx context.Context, id crowbar.ID) error {
	return e.deploymentVerb(ctx, "commit", id, func(d *draft) error {
		if err := d.add(graph.Release(d.s, id, false)); err != nil {
			return err
		}
		return e.commit(d, id)
	})
}

func (e *Engine) commit(d *draft, id crowbar.ID) error {
	for n := range d.s.Nodes() {
		if n.Deployment != id || n.System || n.Admin || n.Removing {
			continue
		}
		if err := bindFlagged(d, n, func(f crowbar.Flags) bool { return f.Discovery }); err != nil {
			return err
		}
	}
	if err := d.add(graph.Commit(d.s, id)); err != nil {
		return err
	}
	return e.fit(d, id)
}

// fit refuses what does not go together, before any of it runs.
func (e *Engine) fit(d *draft, deployment crowbar.ID) error {
	if e.Fit == nil {
		return nil
	}
	behind, err := e.Fit(d.s, deployment)
	if err != nil {
		return err
	}
	return d.add(graph.Roll(d.s, behind), nil)
}

// bindFlagged binds the roles that come to a node by themselves. One that cannot be beside what is there does not come: the
// node says so among its warnings, and everything else goes on.
func bindFlagged(d *draft, n *crowbar.Node, which func(crowbar.Flags) bool) error {
	var warnings []string
	for r := range d.s.Roles() {
		if !which(r.Flags) || d.s.NodeRoleOn(n.ID, r.ID) != nil || provided(d.s, n, r) {
			continue
		}
		err := d.add(graph.Bind(d.s, graph.Binding{Role: r.ID, Node: n.ID, Deployment: n.Deployment}))
		switch {
		case crowbar.KindOf(err) == crowbar.Conflict:
			warnings = append(warnings, fmt.Sprintf("role %q did not come to it: %v", r.Name, err))
		case err != nil:
			return err
		}
	}
	if now := d.s.Node(n.ID); !slices.Equal(now.Warnings, warnings) {
		now = clone(now)
		now.Warnings = warnings
		d.put(now)
	}
	return nil
}

// provided says that another role on the node stands for this one.
func provided(s *crowbar.Snapshot, n *crowbar.Node, r *crowbar.Role) bool {
	return slices.ContainsFunc(s.NodeRolesOn(n.ID), func(nr *crowbar.NodeRole) bool {
		other := s.Role(nr.Role)
		return other != nil && slices.Contains(other.Provides, r.Name)
	})
}

// Propose takes a deployment out of annealing, to be edited. What runs goes on to its end.
func (e *Engine) Propose(ctx context.Context, id crowbar.ID) error {
	return e.deploymentVerb(ctx, "propose", id, func(d *draft) error { return d.add(graph.Propose(d.s, id)) })
}

// Rerun has everything in a deployment run again.
func (e *Engine) Rerun(ctx context.Context, id crowbar.ID) error {
	return e.deploymentVerb(ctx, "rerun", id, func(d *draft) error {
		if err := d.add(graph.Release(d.s, id, false)); err != nil {
			return err
		}
		if err := e.fit(d, id); err != nil {
			return err
		}
		return d.add(graph.Rerun(d.s, id))
	})
}

// Pause keeps anything new in a deployment from starting, or lets it again. Nothing else changes.
func (e *Engine) Pause(ctx context.Context, id crowbar.ID, paused bool) error {
	return e.deploymentVerb(ctx, "pause", id, func(d *draft) error {
		dep, err := d.deployment(id)
		if err != nil {
			return err
		}
		dep = clone(dep)
		dep.Paused = paused
		d.put(dep)
		return nil
	})
}

func (e *Engine) deploymentVerb(ctx context.Context, verb string, id crowbar.ID, compute func(*draft) error) error {
	err := e.change(ctx, func(d *draft) error {
		if _, err := d.deployment(id); err != nil {
			return err
		}
		return compute(d)
	})
	if err != nil {
		return fmt.Errorf("%s deployment %s: %w", verb, deploymentName(e.View(), id), err)
	}
	return nil
}

func deploymentName(s *crowbar.Snapshot, id crowbar.ID) string {
	if d := s.Deployment(id); d != nil {
		return fmt.Sprintf("%q", d.Name)
	}
	return id.String()
}

// place names a node-role for people: "etcd on n1".
func place(s *crowbar.Snapshot, nr *crowbar.NodeRole) string {
	r, n := s.Role(nr.Role), s.Node(nr.Node)
	if r == nil || n == nil {
		return "node-role " + nr.ID.String()
	}
	return r.Name + " on " + n.Short()
}
