package graph

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Import takes a catalog into the state: barclamp, jigs, roles with their cohorts, attribs. What has a name that is there
// already keeps its id; what the barclamp no longer has is dropped, unless it is bound. The same catalog again changes
// nothing. An error is of the kind of its first line, and names everything that is wrong.
func Import(s *crowbar.Snapshot, c *crowbar.Catalog) ([]crowbar.Change, error) {
	d := &importer{draft: drafted(s), was: s, c: c}
	d.importBarclamp()
	d.importJigs()
	d.importHammers()
	d.importRoles()
	d.importAttribs()
	d.forget()
	d.attach()
	if len(d.wrong) == 0 {
		d.cohorts()
	}
	if len(d.wrong) == 0 {
		d.relink()
	}
	if len(d.wrong) > 0 {
		return nil, crowbar.Errorf(d.kind, "%s", strings.Join(d.wrong, "\n"))
	}
	return d.changes(), nil
}

// importer is a draft that a catalog is taken into, and what is wrong with that.
type importer struct {
	*draft
	was   *crowbar.Snapshot // before
	c     *crowbar.Catalog
	id    crowbar.ID // of the barclamp
	kind  crowbar.ErrorKind
	wrong []string
}

// complain notes what is wrong, with the line of the document where that stands.
func (d *importer) complain(kind crowbar.ErrorKind, at, format string, a ...any) {
	text := fmt.Sprintf(format, a...)
	if line := d.c.Lines[at]; line != "" {
		text = line + ": " + text
	}
	if len(d.wrong) == 0 {
		d.kind = kind
	}
	d.wrong = append(d.wrong, text)
}

func (d *importer) importBarclamp() {
	b := d.c.Barclamp
	if was := d.s.BarclampNamed(b.Name); was != nil {
		b.ID, b.Stamps = was.ID, was.Stamps
	} else {
		for o := range d.s.Barclamps() {
			if strings.EqualFold(o.Name, b.Name) {
				d.complain(crowbar.Conflict, "barclamp", "import barclamp %q: there is a barclamp %q, which differs in case alone: take another name", b.Name, o.Name)
			}
		}
		b.ID = d.s.Next()
	}
	if parent := d.c.Parent; parent != "" && parent != b.Name {
		if p := d.s.BarclampNamed(parent); p != nil {
			b.Parent = p.ID
		} else {
			d.complain(crowbar.NotFound, "parent", "import barclamp %q: there is no barclamp %q, its parent: import that first, or take 'parent' away", b.Name, parent)
		}
	}
	d.id = b.ID
	d.keep(&b)
}

// importJigs takes the jigs that no other barclamp has brought.
func (d *importer) importJigs() {
	for _, j := range d.c.Jigs {
		was := d.s.JigNamed(j.Name)
		for o := range d.s.Jigs() {
			if o.Name != j.Name && strings.EqualFold(o.Name, j.Name) {
				d.complain(crowbar.Conflict, "jig "+j.Name, "import jig %q: there is a jig %q, which differs in case alone: take another name", j.Name, o.Name)
			}
		}
		switch {
		case was == nil:
			j.ID = d.s.Next()
		case d.brought(j.Name) != d.id:
			continue
		default:
			j.ID, j.Stamps = was.ID, was.Stamps
		}
		d.keep(&j)
	}
}

// brought is the first barclamp whose document has a jig, else the one that is being imported.
func (d *importer) brought(jig string) crowbar.ID {
	for b := range d.s.Barclamps() {
		jigs, _ := b.Document["jigs"].([]any)
		for _, one := range jigs {
			if j, ok := one.(crowbar.Data); ok && j["name"] == jig {
				return b.ID
			}
		}
	}
	return d.id
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

func (d *importer) importRoles() {
	for _, r := range d.c.Roles {
		if d.s.JigNamed(r.Jig) == nil && !d.c.Foreign {
			d.complain(crowbar.NotFound, "jig of "+r.Name, "import role %q: there is no jig %q: add it to 'jigs' or import its barclamp first", r.Name, r.Jig)
		}
		r.Barclamp = d.id
		if was := d.s.RoleNamed(r.Name); was != nil {
			if was.Barclamp != d.id {
				d.complain(crowbar.Conflict, "role "+r.Name, "import role %q: %s has a role of this name: rename one", r.Name, d.owner(was.Barclamp))
				continue
			}
			r.ID, r.Stamps, r.Cohort, r.Notes = was.ID, was.Stamps, was.Cohort, was.Notes
			if r.Template == nil && !d.templated(r.Name) {
				r.Template = was.Template // an operator's
			}
			for _, name := range was.Attached {
				if !slices.Contains(r.Requires, name) {
					r.Requires, r.Attached = append(slices.Clone(r.Requires), name), append(r.Attached, name)
				}
			}
		} else {
			r.ID = d.s.Next()
		}
		d.keep(&r)
	}
}

// templated says that the barclamp's document had a template for a role before.
func (d *importer) templated(role string) bool {
	b := d.was.Barclamp(d.id)
	if b == nil {
		return false
	}
	roles, _ := b.Document["roles"].([]any)
	return slices.ContainsFunc(roles, func(one any) bool {
		r, _ := one.(crowbar.Data)
		return r["name"] == role && r["template"] != nil
	})
}

func (d *importer) importAttribs() {
	for _, ca := range d.c.Attribs {
		a := ca.Attrib
		a.Barclamp, a.Source = d.id, d.c.Lines["attrib "+a.Name]
		if ca.RoleName != "" {
			r := d.s.RoleNamed(ca.RoleName)
			if r == nil {
				d.complain(crowbar.NotFound, "attrib "+a.Name, "import attrib %q: there is no role %q", a.Name, ca.RoleName)
				continue
			}
			a.Role = r.ID
		}
		if was := d.s.AttribNamed(a.Name); was != nil {
			if was.Barclamp != d.id {
				d.complain(crowbar.Conflict, "attrib "+a.Name, "import attrib %q: %s has an attrib of this name: rename one", a.Name, d.owner(was.Barclamp))
				continue
			}
			a.ID, a.Stamps = was.ID, was.Stamps
		} else {
			a.ID = d.s.Next()
		}
		d.keep(&a)
	}
}

// forget drops what the barclamp had and has no more.
func (d *importer) forget() {
	for a := range d.s.Attribs() {
		if a.Barclamp == d.id && !a.ByHand && !slices.ContainsFunc(d.c.Attribs, func(n crowbar.CatalogAttrib) bool { return n.Name == a.Name }) {
			d.drop(a)
		}
	}
	gone := map[crowbar.ID]*crowbar.Role{}
	for r := range d.s.Roles() {
		if r.Barclamp == d.id && !slices.ContainsFunc(d.c.Roles, func(n crowbar.Role) bool { return n.Name == r.Name }) {
			gone[r.ID] = r
		}
	}
	if len(gone) == 0 {
		return
	}
	for nr := range d.s.NodeRoles() {
		if r := gone[nr.Role]; r != nil {
			d.complain(crowbar.Conflict, "barclamp", "import barclamp %q: it no longer has role %q, which is bound to %s: unbind it first, or keep the role",
				d.c.Barclamp.Name, r.Name, nodeName(d.s, nr.Node))
			return
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
}

// cohorts orders all roles of all barclamps anew.
func (d *importer) cohorts() {
	owner := map[string]string{}
	for a := range d.s.Attribs() {
		if r := d.s.Role(a.Role); r != nil {
			owner[a.Name] = r.Name
		}
	}
	ordered, err := order(slices.Collect(d.s.Roles()), owner)
	if err != nil {
		d.complain(crowbar.KindOf(err), "role "+d.onCircle(), "%v", err)
		return
	}
	for _, r := range ordered {
		if d.s.Role(r.ID).Cohort != r.Cohort {
			d.put(r)
		}
	}
}
