package graph

import (
	"slices"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// attach works out anew what each role, of whatever barclamp, requires besides what its own entry says: the roles that
// attach to it, and the client role of its jig. The client role and what that needs itself do without the latter.
func (d *importer) attach() {
	extra := map[string][]string{}
	for r := range d.s.Roles() {
		for _, target := range r.Attaches {
			extra[target] = append(extra[target], r.Name)
			if r.Barclamp == d.id && d.s.RoleNamed(target) == nil {
				d.complain(crowbar.NotFound, "what attaches "+r.Name, "role %q attaches to role %q, which there is not: mend the name, or import its barclamp first", r.Name, target)
			}
		}
	}
	for r := range d.s.Roles() {
		if j := d.s.JigNamed(r.Jig); j != nil && j.ClientRole != "" && !d.entries(j.ClientRole)[r.Name] {
			extra[r.Name] = append(extra[r.Name], j.ClientRole)
		}
	}
	for _, r := range slices.Collect(d.s.Roles()) {
		c := *r
		c.Requires, c.Attached = d.own(r), nil
		for _, name := range extra[r.Name] {
			if !slices.Contains(c.Requires, name) {
				c.Requires, c.Attached = append(slices.Clone(c.Requires), name), append(c.Attached, name)
			}
		}
		d.keep(&c)
	}
}

// own is what a role's own entry requires.
func (d *importer) own(r *crowbar.Role) []string {
	if len(r.Attached) == 0 {
		return r.Requires
	}
	return slices.DeleteFunc(slices.Clone(r.Requires), func(name string) bool { return slices.Contains(r.Attached, name) })
}

// entries is a role and all that it needs by its own entry and theirs.
func (d *importer) entries(name string) map[string]bool {
	seen := map[string]bool{name: true}
	for todo := []string{name}; len(todo) > 0; todo = todo[1:] {
		r := d.s.RoleNamed(todo[0])
		if r == nil {
			continue
		}
		c := *r
		c.Requires = d.own(r)
		parents, _ := parentsOf(d.s, &c)
		for _, p := range parents {
			if !seen[p.Name] {
				seen[p.Name] = true
				todo = append(todo, p.Name)
			}
		}
	}
	return seen
}

// onCircle is the first role of the catalog that is on a circle: those are left when all that need nothing, and all that
// nothing needs, have been taken away.
func (d *importer) onCircle() string {
	left := map[string][]string{} // role -> what comes before it
	for r := range d.s.Roles() {
		parents, _ := parentsOf(d.s, r)
		for _, p := range parents {
			left[r.Name] = append(left[r.Name], p.Name)
		}
		for _, after := range r.Preceeds {
			left[after] = append(left[after], r.Name)
		}
	}
	for size := -1; size != len(left); {
		size = len(left)
		needed := map[string]bool{}
		for name, before := range left {
			before = slices.DeleteFunc(before, func(p string) bool { return left[p] == nil })
			if left[name] = before; len(before) == 0 {
				delete(left, name)
			}
			for _, p := range before {
				needed[p] = true
			}
		}
		for name := range left {
			if !needed[name] {
				delete(left, name)
			}
		}
	}
	for _, r := range d.c.Roles {
		if left[r.Name] != nil {
			return r.Name
		}
	}
	return ""
}
