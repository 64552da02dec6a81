package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/kubeclamp/kubeclamp/pkg/attrib"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/graph"
)

// Apply makes a deployment what a cluster.yaml says and commits it: all of it in one commit, or nothing. Nodes and bindings
// that the document does not name stay as they are. dry only says what is wrong.
func (e *Engine) Apply(ctx context.Context, c crowbar.Cluster, dry bool) error {
	compute := func(d *draft) error { return e.apply(d, c) }
	var err error
	if dry {
		at := e.View()
		d := &draft{s: at}
		if err = compute(d); err == nil {
			err = d.settleNetworks(at)
		}
	} else {
		err = e.change(ctx, compute)
	}
	if err != nil {
		return fmt.Errorf("apply to deployment %q: %w", c.Deployment, err)
	}
	return nil
}

// apply goes through the whole document and says everything that is wrong with it, each with its place in the document.
func (e *Engine) apply(d *draft, c crowbar.Cluster) error {
	dep, err := e.applyDeployment(d, c)
	if err != nil {
		return complaints{}.with("deployment", err).err()
	}
	if err := d.add(graph.Release(d.s, dep.ID, false)); err != nil {
		return complaints{}.with("deployment", err).err()
	}
	bad := e.applyNetworks(d, dep.ID, c.Networks)
	nodes := make([]crowbar.ID, len(c.Nodes)) // 0 = not usable
	for i, cn := range c.Nodes {
		id, err := applyNode(d, dep, cn)
		if err == nil && slices.Contains(nodes[:i], id) {
			err = crowbar.Errorf(crowbar.Conflict, "node %q is in the document twice: see nodes[%d]", cn.Name, slices.Index(nodes, id))
		}
		if err != nil {
			bad = bad.with(fmt.Sprintf("nodes[%d]", i), fmt.Errorf("node %q: %w", cn.Name, err))
			continue
		}
		nodes[i] = id
	}
	bad = applyRoles(d, dep, c, nodes, bad)
	for _, n := range sortedKeys(c.Attribs) {
		bad = bad.with("attribs."+n, e.applyAttrib(d, dep.ID, c.Nodes, nodes, n, c.Attribs[n]))
	}
	for i, cn := range c.Nodes {
		for _, n := range sortedKeys(cn.Attribs) {
			if nodes[i] != 0 {
				bad = bad.with(fmt.Sprintf("nodes[%d].attribs.%s", i, n), e.applyNodeAttrib(d, nodes[i], n, cn.Attribs[n]))
			}
		}
	}
	if err := bad.err(); err != nil {
		return err
	}
	return e.commit(d, dep.ID)
}

// applyDeployment creates the deployment, or gives the one of that name its description.
func (e *Engine) applyDeployment(d *draft, c crowbar.Cluster) (*crowbar.Deployment, error) {
	var parent crowbar.ID
	if c.Parent != "" {
		p := d.s.DeploymentNamed(c.Parent)
		if p == nil {
			return nil, crowbar.Errorf(crowbar.NotFound, "parent: there is no deployment %q: make it first", c.Parent)
		}
		parent = p.ID
	}
	was := d.s.DeploymentNamed(c.Deployment)
	switch {
	case was == nil:
		if err := e.createDeployment(d, c.Deployment, c.Description, parent); err != nil {
			return nil, err
		}
		return d.s.DeploymentNamed(c.Deployment), nil
	case parent != 0 && was.Parent != parent:
		return nil, crowbar.Errorf(crowbar.Conflict, "parent: it is below %s, and a deployment does not move: leave parent out, or take another name", deploymentName(d.s, was.Parent))
	case c.Description != "" && c.Description != was.Description:
		now := *was
		now.Description = c.Description
		d.put(&now)
		return &now, nil
	}
	return was, nil
}

// complaints is what is wrong with a document: a line each, which begins with the place.
type complaints []error

func (c complaints) with(where string, err error) complaints {
	if err == nil {
		return c
	}
	return append(c, fmt.Errorf("%s: %w", where, err))
}

func (c complaints) err() error {
	if len(c) == 0 {
		return nil
	}
	text := ""
	for _, err := range c {
		text += "\n" + err.Error()
	}
	return crowbar.Errorf(crowbar.KindOf(c[0]), "nothing was changed:%s", text)
}

// applyNode creates the node, or brings the one of that name in line.
func applyNode(d *draft, dep *crowbar.Deployment, cn crowbar.ClusterNode) (crowbar.ID, error) {
	ssh := crowbar.SSH{Host: cn.SSH.Host, Port: cn.SSH.Port, User: cn.SSH.User, HostKey: cn.SSH.HostKey}
	if err := addressed(crowbar.Node{Address: cn.Address, Jig: cn.Jig}); err != nil {
		return 0, err
	}
	was := d.s.NodeNamed(cn.Name)
	if was == nil {
		n := crowbar.Node{Name: cn.Name, Description: cn.Description, Address: cn.Address, Admin: cn.Admin, Jig: cn.Jig, SSH: ssh, Deployment: dep.ID, Alive: true, Available: true}
		if err := createNode(d, n); err != nil {
			return 0, err
		}
		return d.s.NodeNamed(cn.Name).ID, nil
	}
	if was.Removing {
		return 0, crowbar.Errorf(crowbar.Conflict, "it is being deleted: wait until it is gone, then apply again")
	}
	root := d.s.DeploymentNamed(System)
	if was.Deployment != dep.ID && (root == nil || was.Deployment != root.ID) {
		return 0, crowbar.Errorf(crowbar.Conflict, "it is in deployment %s: delete it there first", deploymentName(d.s, was.Deployment))
	}
	if ssh.HostKey == "" {
		ssh.HostKey = was.SSH.HostKey
	}
	return was.ID, updateNode(d, was.ID, func(n *crowbar.Node) error {
		n.Address, n.Jig, n.SSH, n.Deployment = cn.Address, cn.Jig, ssh, dep.ID
		n.Description = cmp.Or(cn.Description, n.Description)
		return nil
	})
}

// applyRoles binds every role that the document names: those that others ask for first, so that they are found.
func applyRoles(d *draft, dep *crowbar.Deployment, c crowbar.Cluster, nodes []crowbar.ID, bad complaints) complaints {
	type binding struct {
		role  *crowbar.Role
		node  crowbar.ID
		where string
	}
	var all []binding
	for i, cn := range c.Nodes {
		for j, name := range cn.Roles {
			where := fmt.Sprintf("nodes[%d].roles[%d]", i, j)
			r := d.s.RoleNamed(name)
			if r == nil {
				bad = bad.with(where, crowbar.Errorf(crowbar.NotFound, "there is no role %q: `kubeclamp roles` lists what there is", name))
				continue
			}
			if nodes[i] != 0 {
				all = append(all, binding{r, nodes[i], where})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b binding) int {
		return cmp.Or(cmp.Compare(a.role.Cohort, b.role.Cohort), cmp.Compare(a.role.Name, b.role.Name))
	})
	for _, b := range all {
		if had := d.s.NodeRoleOn(b.node, b.role.ID); had != nil && had.Deployment == dep.ID && !had.Removing {
			continue
		}
		if _, err := bind(d, b.role.ID, b.node, dep.ID); err != nil {
			bad = bad.with(b.where, fmt.Errorf("role %q: %w", b.role.Name, err))
		}
	}
	return bad
}

// applyAttrib sets an attrib for the whole deployment; one of nodes is set on each node of the document that has no own
// value for it.
func (e *Engine) applyAttrib(d *draft, deployment crowbar.ID, said []crowbar.ClusterNode, nodes []crowbar.ID, name string, v any) error {
	a, err := d.attrib(name)
	if err != nil {
		return err
	}
	if a.Role != 0 {
		return e.setDiffering(d, crowbar.KindDeployment, deployment, name, v)
	}
	for i, n := range nodes {
		if _, own := said[i].Attribs[name]; own || n == 0 {
			continue
		}
		if err := e.setDiffering(d, crowbar.KindNode, n, name, v); err != nil {
			return err
		}
	}
	return nil
}

func (e *Engine) applyNodeAttrib(d *draft, node crowbar.ID, name string, v any) error {
	a, err := d.attrib(name)
	if err != nil {
		return err
	}
	if a.Role == 0 {
		return e.setDiffering(d, crowbar.KindNode, node, name, v)
	}
	nr := d.s.NodeRoleOn(node, a.Role)
	if nr == nil {
		return crowbar.Errorf(crowbar.Invalid, "it belongs to role %q, which is not on this node: bind the role, or set it for the whole deployment", d.s.Role(a.Role).Name)
	}
	return e.setDiffering(d, crowbar.KindNodeRole, nr.ID, name, v)
}

// setDiffering leaves a value alone that was set there as wanted, so that the same document again changes nothing. One that
// only comes from elsewhere, such as a default, is set: it is to stay when that changes.
func (e *Engine) setDiffering(d *draft, k crowbar.Kind, id crowbar.ID, name string, v any) error {
	_, was, at, err := value(d, k, id, name)
	if err == nil && lies(d.s, k, id, at) {
		if was, err = attrib.Open(was, at, e.Ring); err == nil && same(was, v) {
			return nil
		}
	}
	return e.set(d, k, id, name, v)
}

// lies says that a value was set on a carrier itself.
func lies(s *crowbar.Snapshot, k crowbar.Kind, id crowbar.ID, at crowbar.Place) bool {
	switch at.Part {
	case crowbar.PartHint:
		return at.Kind == k && at.ID == id
	case crowbar.PartData:
		if dr := s.DeploymentRole(at.ID); k == crowbar.KindDeployment && at.Kind == crowbar.KindDeploymentRole && dr != nil {
			return dr.Deployment == id
		}
		return at.Kind == k && at.ID == id
	}
	return false
}

func sortedKeys(m map[string]any) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
