package graph

import (
	"slices"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// bindable says why a role may not be bound to a node beside what is there.
func (d *draft) bindable(r *crowbar.Role, node crowbar.ID, dep *crowbar.Deployment) error {
	if r.Flags.Abstract {
		return crowbar.Errorf(crowbar.Conflict, "role %q is abstract and cannot be bound: bind a role that provides it", r.Name)
	}
	if j := d.s.JigNamed(r.Jig); j == nil || !j.Active {
		return crowbar.Errorf(crowbar.Conflict, "role '%s' cannot be bound without '%s' being active!", r.Name, r.Jig)
	}
	var mine *claims
	for _, nr := range d.s.NodeRolesOn(node) {
		other := d.s.Role(nr.Role)
		if other == nil {
			continue
		}
		if err := d.compatible(r, other, node); err != nil {
			return err
		}
		if mine == nil {
			mine = d.claimsOf(r, dep.ID)
		}
		if what := mine.clash(d.claimsOf(other, nr.Deployment)); what != "" {
			return crowbar.Errorf(crowbar.Conflict, "role %q cannot be bound to node %q: it and role %q, which is bound there, both own %s: set another by attrib, or choose another node",
				r.Name, nodeName(d.s, node), other.Name, what)
		}
	}
	return nil
}

// compatible keeps conflicts and provides.
func (d *draft) compatible(r, other *crowbar.Role, node crowbar.ID) error {
	n := nodeName(d.s, node)
	switch {
	case slices.Contains(r.Conflicts, other.Name), slices.Contains(other.Conflicts, r.Name):
		return crowbar.Errorf(crowbar.Conflict, "%s cannot be bound because it conflicts with previously-bound role %s on %s: unbind %s first, or choose another node", r.Name, other.Name, n, other.Name)
	case slices.Contains(other.Provides, r.Name):
		return crowbar.Errorf(crowbar.Conflict, "%s cannot be bound because it is provided by previously-bound role %s on %s: there is nothing to do", r.Name, other.Name, n)
	case slices.Contains(r.Provides, other.Name):
		return crowbar.Errorf(crowbar.Conflict, "%s cannot be bound because it tries to provide %s, which is already bound on %s: unbind that first", r.Name, other.Name, n)
	}
	for _, p := range r.Provides {
		if slices.Contains(other.Provides, p) {
			return crowbar.Errorf(crowbar.Conflict, "%s cannot be bound because it and previously-bound role %s on %s both provide %s: unbind that first", r.Name, other.Name, n, p)
		}
	}
	return nil
}

// claims is what a role owns on a node, with names of attribs replaced by their values.
type claims struct{ ports, units, paths []string }

func (d *draft) claimsOf(r *crowbar.Role, dep crowbar.ID) *claims {
	return &claims{ports: d.values(r.Owns.Ports, dep), units: r.Owns.Units, paths: d.values(r.Owns.Paths, dep)}
}

// values replaces names of attribs by what is committed for the deployment, else by their default.
func (d *draft) values(words []string, dep crowbar.ID) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = w
		if a := d.s.AttribNamed(w); a != nil {
			v := a.Default
			if dr := d.s.DeploymentRoleOf(dep, a.Role); dr != nil {
				if set, ok := crowbar.Dig(dr.Committed, a.Map); ok {
					v = set
				}
			}
			out[i] = crowbar.Text(v)
		}
	}
	return out
}

func (c *claims) clash(o *claims) string {
	for _, p := range c.ports {
		if p != "" && p != "0" && slices.Contains(o.ports, p) {
			return "port " + p
		}
	}
	for _, u := range c.units {
		if slices.Contains(o.units, u) {
			return "unit " + u
		}
	}
	for _, p := range c.paths {
		for _, q := range o.paths {
			if p != "" && q != "" && (p == q || strings.HasPrefix(p, q+"/") || strings.HasPrefix(q, p+"/")) {
				return "path " + p
			}
		}
	}
	return ""
}
