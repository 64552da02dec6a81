package graph

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Import takes a catalog into the state: barclamp, jigs, roles with their cohorts, attribs. What has a name that is there
// already keeps its id; what the barclamp no longer has is dropped, unless it is bound. The same catalog again changes
// nothing.
func Import(s *crowbar.Snapshot, c *crowbar.Catalog) ([]crowbar.Change, error) {
	d := drafted(s)
	b := c.Barclamp
	if was := s.BarclampNamed(b.Name); was != nil {
		b.ID, b.Stamps = was.ID, was.Stamps
	} else {
		b.ID = d.s.Next()
	}
	d.keep(&b)
	for _, j := range c.Jigs {
		if was := d.s.JigNamed(j.Name); was != nil {
			j.ID, j.Stamps = was.ID, was.Stamps
		} else {
			j.ID = d.s.Next()
		}
		d.keep(&j)
	}
	if err := d.importRoles(c, b.ID); err != nil {
		return nil, err
	}
	if err := d.importAttribs(c, b.ID); err != nil {
		return nil, err
	}
	if err := d.forget(c, b.ID); err != nil {
		return nil, err
	}
	if err := d.cohorts(); err != nil {
		return nil, err
	}
	return d.changes(), nil
}

// keep puts an object if it differs from what is there.
func (d *draft) keep(o crowbar.Object) {
	if old := d.s.Get(o.Kind(), o.Key()); old == nil || !same(old, o) {
		d.put(o)
	}
}

// same compares as JSON, which is what the store keeps.
func same(a, b any) bool {
	x, err := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err == nil && err2 == nil && bytes.Equal(x, y)
}

func (d *draft) importRoles(c *crowbar.Catalog, barclamp crowbar.ID) error {
	for _, r := range c.Roles {
		jig := d.s.JigNamed(r.Jig)
		if jig == nil {
			return crowbar.Errorf(crowbar.NotFound, "import role %q: there is no jig %q: add it to 'jigs' or import its barclamp first", r.Name, r.Jig)
		}
		if jig.ClientRole != "" && jig.ClientRole != r.Name && !slices.Contains(r.Requires, jig.ClientRole) {
			r.Requires = append(slices.Clone(r.Requires), jig.ClientRole)
		}
		r.Barclamp = barclamp
		if was := d.s.RoleNamed(r.Name); was != nil {
			if was.Barclamp != barclamp {
				return crowbar.Errorf(crowbar.Conflict, "import role %q: barclamp %q has a role of this name: rename one", r.Name, d.s.Barclamp(was.Barclamp).Name)
			}
			r.ID, r.Stamps, r.Cohort = was.ID, was.Stamps, was.Cohort
		} else {
			r.ID = d.s.Next()
		}
		d.keep(&r)
	}
	return nil
}

func (d *draft) importAttribs(c *crowbar.Catalog, barclamp crowbar.ID) error {
	for _, ca := range c.Attribs {
		a := ca.Attrib
		a.Barclamp = barclamp
		if ca.RoleName != "" {
			r := d.s.RoleNamed(ca.RoleName)
			if r == nil {
				return crowbar.Errorf(crowbar.NotFound, "import attrib %q: there is no role %q", a.Name, ca.RoleName)
			}
			a.Role = r.ID
		}
		if was := d.s.AttribNamed(a.Name); was != nil {
			if was.Barclamp != barclamp {
				return crowbar.Errorf(crowbar.Conflict, "import attrib %q: barclamp %q has an attrib of this name: rename one", a.Name, d.s.Barclamp(was.Barclamp).Name)
			}
			a.ID, a.Stamps = was.ID, was.Stamps
		} else {
			a.ID = d.s.Next()
		}
		d.keep(&a)
	}
	return nil
}

// forget drops what the barclamp had and has no more.
func (d *draft) forget(c *crowbar.Catalog, barclamp crowbar.ID) error {
	for a := range d.s.Attribs() {
		if a.Barclamp == barclamp && !slices.ContainsFunc(c.Attribs, func(n crowbar.CatalogAttrib) bool { return n.Name == a.Name }) {
			d.drop(a)
		}
	}
	gone := map[crowbar.ID]*crowbar.Role{}
	for r := range d.s.Roles() {
		if r.Barclamp == barclamp && !slices.ContainsFunc(c.Roles, func(n crowbar.Role) bool { return n.Name == r.Name }) {
			gone[r.ID] = r
		}
	}
	if len(gone) == 0 {
		return nil
	}
	for nr := range d.s.NodeRoles() {
		if r := gone[nr.Role]; r != nil {
			return crowbar.Errorf(crowbar.Conflict, "import barclamp %q: it no longer has role %q, which is bound to %s: unbind it first, or keep the role",
				c.Barclamp.Name, r.Name, nodeName(d.s, nr.Node))
		}
	}
	for dr := range d.s.DeploymentRoles() {
		if gone[dr.Role] != nil {
			d.drop(dr)
		}
	}
	for _, r := range gone {
		d.drop(r)
	}
	return nil
}

// cohorts orders all roles of all barclamps anew.
func (d *draft) cohorts() error {
	owner := map[string]string{}
	for a := range d.s.Attribs() {
		if r := d.s.Role(a.Role); r != nil {
			owner[a.Name] = r.Name
		}
	}
	ordered, err := order(slices.Collect(d.s.Roles()), owner)
	if err != nil {
		return err
	}
	for _, r := range ordered {
		if d.s.Role(r.ID).Cohort != r.Cohort {
			d.put(r)
		}
	}
	return nil
}
