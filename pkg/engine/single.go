package engine

import (
	"context"
	"fmt"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/graph"
)

// CommitNode binds the discovery roles to a node, commits what is proposed on it, and makes it available.
func (e *Engine) CommitNode(ctx context.Context, id crowbar.ID) error {
	return e.nodeVerb(ctx, "commit", id, func(d *draft, n *crowbar.Node) error {
		if !n.System && !n.Admin && !n.Removing {
			if err := bindFlagged(d, n, func(f crowbar.Flags) bool { return f.Discovery }); err != nil {
				return err
			}
		}
		return d.add(graph.CommitNode(d.s, id))
	})
}

// ProposeNode opens everything on a node for editing: none of it runs until it is committed again.
func (e *Engine) ProposeNode(ctx context.Context, id crowbar.ID) error {
	return e.nodeVerb(ctx, "propose", id, func(d *draft, _ *crowbar.Node) error { return d.add(graph.ProposeNode(d.s, id)) })
}

func (e *Engine) nodeVerb(ctx context.Context, verb string, id crowbar.ID, compute func(*draft, *crowbar.Node) error) error {
	err := e.change(ctx, func(d *draft) error {
		n, err := d.node(id)
		if err != nil {
			return err
		}
		return compute(d, n)
	})
	if err != nil {
		return fmt.Errorf("%s node %s: %w", verb, nodeName(e.View(), id), err)
	}
	return nil
}

// CommitNodeRole makes one proposed node-role the thing to do.
func (e *Engine) CommitNodeRole(ctx context.Context, id crowbar.ID) error {
	return e.nodeRoleVerb(ctx, "commit", id, func(d *draft) error { return d.add(graph.CommitNodeRole(d.s, id)) })
}

// ProposeNodeRole opens one node-role for editing.
func (e *Engine) ProposeNodeRole(ctx context.Context, id crowbar.ID) error {
	return e.nodeRoleVerb(ctx, "propose", id, func(d *draft) error { return d.add(graph.ProposeNodeRole(d.s, id)) })
}

// AddDeploymentRole says that a role is in a deployment, on no node yet; it is given back as it is where it was in before.
func (e *Engine) AddDeploymentRole(ctx context.Context, deployment, role crowbar.ID) (*crowbar.DeploymentRole, error) {
	err := e.change(ctx, func(d *draft) error {
		if _, err := d.deployment(deployment); err != nil {
			return err
		}
		r := d.s.Role(role)
		switch {
		case r == nil:
			return crowbar.Errorf(crowbar.NotFound, "there is no role %d", role)
		case d.s.DeploymentRoleOf(deployment, role) == nil:
			d.put(&crowbar.DeploymentRole{ID: d.s.Next(), Deployment: deployment, Role: role, Committed: crowbar.Data{}, Proposed: crowbar.Data{}})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("add role %d to deployment %s: %w", role, deploymentName(e.View(), deployment), err)
	}
	return e.View().DeploymentRoleOf(deployment, role), nil
}

// CommitDeploymentRole makes what is proposed for a role in a deployment count.
func (e *Engine) CommitDeploymentRole(ctx context.Context, id crowbar.ID) error {
	return e.deploymentRoleVerb(ctx, "commit", id, func(d *draft, _ *crowbar.DeploymentRole) error {
		return d.add(graph.CommitRole(d.s, id))
	})
}

// ProposeDeploymentRole opens what is said of a role in a deployment for editing.
func (e *Engine) ProposeDeploymentRole(ctx context.Context, id crowbar.ID) error {
	return e.deploymentRoleVerb(ctx, "propose", id, func(d *draft, _ *crowbar.DeploymentRole) error {
		return d.add(graph.ProposeRole(d.s, id))
	})
}

// DeleteDeploymentRole takes a role out of a deployment in which it is on no node.
func (e *Engine) DeleteDeploymentRole(ctx context.Context, id crowbar.ID) error {
	return e.deploymentRoleVerb(ctx, "delete", id, func(d *draft, dr *crowbar.DeploymentRole) error {
		if bound := d.s.NodeRolesOf(dr.Deployment, dr.Role); len(bound) > 0 {
			return crowbar.Errorf(crowbar.Conflict, "%s is bound: unbind it first", place(d.s, bound[0]))
		}
		d.drop(dr)
		return nil
	})
}

func (e *Engine) deploymentRoleVerb(ctx context.Context, verb string, id crowbar.ID, compute func(*draft, *crowbar.DeploymentRole) error) error {
	err := e.change(ctx, func(d *draft) error {
		dr := d.s.DeploymentRole(id)
		if dr == nil {
			return crowbar.Errorf(crowbar.NotFound, "there is none of this id")
		}
		return compute(d, dr)
	})
	if err != nil {
		return fmt.Errorf("%s deployment-role %d: %w", verb, id, err)
	}
	return nil
}

// UpdateDeployment edits what is said of a deployment: its name and description.
func (e *Engine) UpdateDeployment(ctx context.Context, id crowbar.ID, edit func(*crowbar.Deployment) error) (*crowbar.Deployment, error) {
	err := e.deploymentVerb(ctx, "update", id, func(d *draft) error {
		was := d.s.Deployment(id)
		dep := clone(was)
		if err := edit(dep); err != nil {
			return err
		}
		if dep.Name != was.Name {
			if was.System {
				return crowbar.Errorf(crowbar.Conflict, "it is the root of all others and keeps its name")
			}
			if err := freeDeploymentName(d, dep.Name); err != nil {
				return err
			}
		}
		now := clone(was)
		now.Name, now.Description = dep.Name, dep.Description
		d.put(now)
		if n := d.s.Node(now.Phantom); n != nil && dep.Name != was.Name {
			n = clone(n)
			n.Name = phantomName(dep.Name)
			d.put(n)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return e.View().Deployment(id), nil
}

// UpdateRole sets what an operator may say of a role: its description, and the template that counts below everything else.
func (e *Engine) UpdateRole(ctx context.Context, id crowbar.ID, description *string, template crowbar.Data) (*crowbar.Role, error) {
	err := e.change(ctx, func(d *draft) error {
		was := d.s.Role(id)
		if was == nil {
			return crowbar.Errorf(crowbar.NotFound, "there is none of this id")
		}
		r := clone(was)
		if description != nil {
			r.Description = *description
		}
		if template == nil {
			d.put(r)
			return nil
		}
		r.Template = template
		d.put(r)
		return d.add(graph.PokeRole(d.s, id), nil)
	})
	if err != nil {
		return nil, fmt.Errorf("update role %d: %w", id, err)
	}
	return e.View().Role(id), nil
}

// UpdateJig sets what an operator may say of a jig.
func (e *Engine) UpdateJig(ctx context.Context, id crowbar.ID, edit func(*crowbar.Jig)) (*crowbar.Jig, error) {
	err := e.change(ctx, func(d *draft) error {
		was := d.s.Jig(id)
		if was == nil {
			return crowbar.Errorf(crowbar.NotFound, "there is none of this id")
		}
		j := clone(was)
		edit(j)
		now := clone(was)
		now.Description, now.Active = j.Description, j.Active
		d.put(now)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("update jig %d: %w", id, err)
	}
	return e.View().Jig(id), nil
}

// SetData replaces all that is proposed for a deployment-role or node-role: data is a tree of attrib maps. Each value must
// be one that its attrib may have; a node-role must be proposed.
func (e *Engine) SetData(ctx context.Context, k crowbar.Kind, id crowbar.ID, data crowbar.Data) error {
	err := e.change(ctx, func(d *draft) error {
		role, err := emptied(d, k, id)
		if err != nil {
			return err
		}
		paths := map[string]bool{}
		for a := range d.s.Attribs() {
			v, ok := crowbar.Dig(data, a.Map)
			if a.Role != role || !ok {
				continue
			}
			paths[a.Map] = true
			if err := e.set(d, k, id, a.Name, v); err != nil {
				return err
			}
		}
		if at := stranger(data, "", paths); at != "" {
			return crowbar.Errorf(crowbar.Invalid, "data: the role has no attrib at %q", at)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("set data of %s %d: %w", k, id, err)
	}
	return nil
}

// emptied takes everything away that is proposed, and gives the role.
func emptied(d *draft, k crowbar.Kind, id crowbar.ID) (crowbar.ID, error) {
	if k == crowbar.KindDeploymentRole {
		dr := d.s.DeploymentRole(id)
		if dr == nil {
			return 0, crowbar.Errorf(crowbar.NotFound, "there is none of this id")
		}
		dr = clone(dr)
		dr.Proposed = crowbar.Data{}
		d.put(dr)
		return dr.Role, nil
	}
	nr, err := d.nodeRole(id)
	if err != nil {
		return 0, err
	}
	if nr.State != crowbar.Proposed {
		return 0, crowbar.Errorf(crowbar.Conflict, "cannot edit data: %s is not proposed", place(d.s, nr))
	}
	nr = clone(nr)
	nr.Proposed = crowbar.Data{}
	d.put(nr)
	return nr.Role, nil
}

// stranger is the first path at which there is something that belongs to none of the paths.
func stranger(data crowbar.Data, at string, paths map[string]bool) string {
	for _, k := range sortedKeys(data) {
		path := k
		if at != "" {
			path = at + "/" + k
		}
		if paths[path] {
			continue
		}
		inner, deeper := data[k].(crowbar.Data)
		if !deeper {
			return path
		}
		if s := stranger(inner, path, paths); s != "" {
			return s
		}
	}
	return ""
}
