package engine

import (
	"context"
	"fmt"

	"github.com/kubeclamp/kubeclamp/pkg/attrib"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/graph"
)

// masked stands for the value of a secret.
const masked = "(secret)"

// Set sets an attrib on a node, a role (in its template), a deployment (or one of its deployment-roles) or a node-role. What is said of a deployment
// or node-role is proposed, and counts from the deployment's next commit on.
func (e *Engine) Set(ctx context.Context, k crowbar.Kind, id crowbar.ID, name string, value any) error {
	err := e.change(ctx, func(d *draft) error { return e.set(d, k, id, name, value) })
	if err != nil {
		return fmt.Errorf("set attrib %q of %s %d: %w", name, k, id, err)
	}
	return nil
}

func (e *Engine) set(d *draft, k crowbar.Kind, id crowbar.ID, name string, value any) error {
	a, err := d.attrib(name)
	if err != nil {
		return err
	}
	o, err := carrier(d, k, id, a)
	if err != nil {
		return err
	}
	changes, err := attrib.Set(d.s, o, a, value)
	return e.said(d, k, id, a, changes, err)
}

// said takes in what was said of an attrib, sealed where it is secret. What is said of a node or a role counts at once.
func (e *Engine) said(d *draft, k crowbar.Kind, id crowbar.ID, a *crowbar.Attrib, changes []crowbar.Change, err error) error {
	before := d.s
	if err := d.add(e.sealNow(d, changes, err)); err != nil {
		return err
	}
	switch k {
	case crowbar.KindNode:
	case crowbar.KindRole:
		if was, is := before.Role(id), d.s.Role(id); !same(was.Template, is.Template) {
			return d.add(graph.PokeRole(d.s, id), nil)
		}
		return nil
	default:
		return nil
	}
	if was, is := before.Node(id), d.s.Node(id); same(was.Hint, is.Hint) {
		return nil
	}
	return d.add(graph.Poke(d.s, id, a), nil)
}

// Unset takes back what Set said of an attrib at the same place. What is taken back of a deployment or node-role counts
// from the deployment's next commit on.
func (e *Engine) Unset(ctx context.Context, k crowbar.Kind, id crowbar.ID, name string) error {
	err := e.change(ctx, func(d *draft) error {
		a, err := d.attrib(name)
		if err != nil {
			return err
		}
		o, err := carrier(d, k, id, a)
		if err != nil {
			return err
		}
		changes, err := attrib.Unset(d.s, o, a)
		return e.said(d, k, id, a, changes, err)
	})
	if err != nil {
		return fmt.Errorf("unset attrib %q of %s %d: %w", name, k, id, err)
	}
	return nil
}

// carrier finds what holds an attrib's value; a deployment gets a deployment-role for the attrib's role, if neither it nor
// those above it have one.
func carrier(d *draft, k crowbar.Kind, id crowbar.ID, a *crowbar.Attrib) (crowbar.Object, error) {
	switch k {
	case crowbar.KindNode:
		return d.node(id)
	case crowbar.KindNodeRole:
		return d.nodeRole(id)
	case crowbar.KindDeploymentRole, crowbar.KindRole:
		if o := d.s.Get(k, id); o != nil {
			return o, nil
		}
		return nil, crowbar.Errorf(crowbar.NotFound, "there is none of this id among %s: %d", k, id)
	case crowbar.KindDeployment:
	default:
		return nil, crowbar.Errorf(crowbar.Invalid, "%s carry no attribs: name a node, a role, a deployment or a node-role", k)
	}
	dep, err := d.deployment(id)
	if err != nil {
		return nil, err
	}
	if a.Role == 0 {
		return nil, crowbar.Errorf(crowbar.Invalid, "it is an attrib of nodes: set it on each node")
	}
	if _, _, err := attrib.Value(d.s, dep, a); crowbar.KindOf(err) == crowbar.NotFound {
		d.put(&crowbar.DeploymentRole{ID: d.s.Next(), Deployment: id, Role: a.Role, Committed: crowbar.Data{}})
	}
	return dep, nil
}

// value is an attrib and its value, with secrets sealed, and where that lies.
func value(d *draft, k crowbar.Kind, id crowbar.ID, name string) (*crowbar.Attrib, any, crowbar.Place, error) {
	a, err := d.attrib(name)
	if err != nil {
		return nil, nil, crowbar.Place{}, err
	}
	o, err := carrier(d, k, id, a)
	if err != nil {
		return nil, nil, crowbar.Place{}, err
	}
	v, at, err := attrib.Value(d.s, o, a)
	return a, v, at, err
}
