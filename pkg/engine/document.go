package engine

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Document is a deployment as the document with which Apply makes it, with what is proposed in it. It has everything that
// Apply takes: networks, nodes, roles that do not come along by themselves, and attribs that were set. What is secret is
// left out, and named.
func (e *Engine) Document(deployment crowbar.ID) (crowbar.Exported, error) {
	d := &draft{s: e.View()}
	dep, err := d.deployment(deployment)
	if err != nil {
		return crowbar.Exported{}, fmt.Errorf("export: %w", err)
	}
	if dep.System {
		return crowbar.Exported{}, crowbar.Errorf(crowbar.Invalid, "export deployment %q: it is the root of all others, which no document makes: see `kubeclamp state export`", dep.Name)
	}
	w := &writer{s: d.s, dep: dep, out: crowbar.Exported{Secrets: []crowbar.LeftOut{}, Foreign: []string{}}, attribs: map[crowbar.ID][]*crowbar.Attrib{}}
	for a := range d.s.Attribs() {
		if a.Writable && a.Map != "" && a.Leaf == nil && a.Generate == "" && a.Authority == "" {
			w.attribs[a.Role] = append(w.attribs[a.Role], a)
		}
	}
	w.write()
	return w.out, nil
}

// writer writes a deployment down.
type writer struct {
	s       *crowbar.Snapshot
	dep     *crowbar.Deployment
	attribs map[crowbar.ID][]*crowbar.Attrib // that can be set, by role; 0 = of nodes
	out     crowbar.Exported
}

func (w *writer) write() {
	c := &w.out.Cluster
	c.Deployment, c.Description, c.Nodes = w.dep.Name, w.dep.Description, []crowbar.ClusterNode{}
	if p := w.s.Deployment(w.dep.Parent); p != nil && !p.System {
		c.Parent = p.Name
	}
	c.Networks = networksOf(w.s, w.dep.ID)
	for dr := range w.s.DeploymentRoles() {
		if dr.Deployment == w.dep.ID {
			c.Attribs = w.said(c.Attribs, dr.Role, proposedOr(dr.Proposed, dr.Committed), crowbar.KindDeployment, w.dep.Name)
		}
	}
	for n := range w.s.Nodes() {
		if n.Deployment == w.dep.ID && !n.System && !n.Removing {
			c.Nodes = append(c.Nodes, w.node(n))
		}
	}
	slices.SortFunc(c.Nodes, func(a, b crowbar.ClusterNode) int { return cmp.Compare(a.Name, b.Name) })
	for nr := range w.s.NodeRoles() {
		if n := w.s.Node(nr.Node); nr.Deployment == w.dep.ID && !nr.Removing && n != nil && n.Deployment != w.dep.ID {
			w.out.Foreign = append(w.out.Foreign, n.Name+"/"+w.role(nr).Name)
		}
	}
	slices.Sort(w.out.Foreign)
	slices.SortFunc(w.out.Secrets, func(a, b crowbar.LeftOut) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.On, b.On), cmp.Compare(a.Attrib, b.Attrib))
	})
	w.services()
}

func (w *writer) role(nr *crowbar.NodeRole) *crowbar.Role {
	if r := w.s.Role(nr.Role); r != nil {
		return r
	}
	return &crowbar.Role{} // it went while somebody looked; no snapshot has that
}

func (w *writer) node(n *crowbar.Node) crowbar.ClusterNode {
	cn := crowbar.ClusterNode{Name: n.Name, Description: n.Description, Address: n.Address, Admin: n.Admin, Jig: n.Jig, Roles: []string{},
		SSH: crowbar.ClusterSSH{Host: n.SSH.Host, Port: n.SSH.Port, User: n.SSH.User, HostKey: n.SSH.HostKey}}
	cn.Attribs = w.said(nil, 0, n.Hint, crowbar.KindNode, n.Name)
	for _, nr := range w.s.NodeRolesOn(n.ID) {
		if nr.Deployment != w.dep.ID || nr.Removing {
			continue
		}
		r := w.role(nr)
		cn.Attribs = w.said(cn.Attribs, r.ID, proposedOr(nr.Proposed, nr.Committed), crowbar.KindNodeRole, n.Name+"/"+r.Name)
		if !w.comesAlong(nr, r) {
			cn.Roles = append(cn.Roles, r.Name)
		}
	}
	slices.Sort(cn.Roles)
	return cn
}

// comesAlong says that a role is on its node whenever another one is that needs it there.
func (w *writer) comesAlong(nr *crowbar.NodeRole, r *crowbar.Role) bool {
	if !r.Flags.Implicit {
		return false
	}
	for _, other := range w.s.NodeRolesOn(nr.Node) {
		if slices.Contains(w.role(other).Provides, r.Name) {
			return false // it might be found in that one's place
		}
	}
	for _, c := range w.s.Children(nr.ID) {
		if c.Node == nr.Node && c.Deployment == nr.Deployment && !c.Removing && slices.Contains(w.role(c).Requires, r.Name) {
			return true
		}
	}
	return false
}

// services names the service roles that nothing asks for on the first node: they go to the deployment's phantom from there.
func (w *writer) services() {
	if w.dep.Phantom == 0 || len(w.out.Cluster.Nodes) == 0 {
		return
	}
	first := &w.out.Cluster.Nodes[0]
	for _, nr := range w.s.NodeRolesOn(w.dep.Phantom) {
		asked := slices.ContainsFunc(w.s.Children(nr.ID), func(c *crowbar.NodeRole) bool {
			return !c.Removing && slices.Contains(w.role(c).Requires, w.role(nr).Name)
		})
		if !asked && !nr.Removing {
			first.Roles = append(first.Roles, w.role(nr).Name)
		}
	}
	slices.Sort(first.Roles)
}

// said adds the attribs of a role (0 = of nodes) that data has a value of.
func (w *writer) said(to map[string]any, role crowbar.ID, data crowbar.Data, k crowbar.Kind, on string) map[string]any {
	for _, a := range w.attribs[role] {
		v, ok := crowbar.Dig(data, a.Map)
		if !ok {
			continue
		}
		if a.Secret || crowbar.HasSealed(v) {
			w.out.Secrets = append(w.out.Secrets, crowbar.LeftOut{Attrib: a.Name, Kind: k, On: on})
			continue
		}
		if to == nil {
			to = map[string]any{}
		}
		to[a.Name] = v
	}
	return to
}

func proposedOr(proposed, committed crowbar.Data) crowbar.Data {
	if proposed != nil {
		return proposed
	}
	return committed
}
