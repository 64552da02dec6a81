package graph

import (
	"slices"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// relink gives the node-roles of roles that ask for others than before an import the parents that they would get if they
// were bound now. What is needed and nowhere yet is bound, proposed; a parent that is asked for no more lets go. It is
// refused where that cannot be bound.
func (d *importer) relink() {
	changed := map[crowbar.ID]bool{}
	for r := range d.s.Roles() {
		if old := d.was.Role(r.ID); old != nil && !slices.Equal(asks(d.was, old), asks(d.s, r)) {
			changed[r.ID] = true
		}
	}
	if len(changed) == 0 {
		return
	}
	var bound []*crowbar.NodeRole
	for nr := range d.s.NodeRoles() {
		if changed[nr.Role] && !nr.Removing {
			bound = append(bound, nr)
		}
	}
	for _, nr := range byCohort(bound) {
		if err := d.relinkOne(nr.ID); err != nil {
			d.complain(crowbar.KindOf(err), "role "+roleName(d.s, nr.Role), "%s asks for others than before: %v", place(d.s, nr), err)
		}
	}
}

// asks is the names of all that a role comes after: those it requires, the owners of what it wants, and "~" before those
// that only preceed it.
func asks(s *crowbar.Snapshot, r *crowbar.Role) []string {
	parents, _ := parentsOf(s, r)
	var out []string
	for _, p := range parents {
		out = append(out, p.Name)
	}
	for p := range s.Roles() {
		if slices.Contains(p.Preceeds, r.Name) {
			out = append(out, "~"+p.Name)
		}
	}
	slices.Sort(out)
	return out
}

func (d *draft) relinkOne(id crowbar.ID) error {
	nr := d.s.NodeRole(id)
	r, dep := d.s.Role(nr.Role), d.s.Deployment(nr.Deployment)
	parents, _ := parentsOf(d.s, r)
	var links []crowbar.Link
	for _, p := range parents {
		found := d.parentOf(nr, p)
		if found == nil {
			found = d.locate(p, nr.Node, dep)
		}
		if found == nil {
			made, err := d.bind(p, nr.Node, dep)
			if err != nil {
				return err
			}
			found = made
		}
		links = d.link(links, found)
	}
	for _, p := range d.before(r, nr) {
		links = addLink(links, crowbar.Link{ID: p.ID, Soft: true})
	}
	d.edit(id, func(nr *crowbar.NodeRole) {
		nr.Parents = slices.DeleteFunc(slices.Clone(nr.Parents), func(l crowbar.Link) bool { return !slices.Contains(links, l) })
	})
	for _, l := range links {
		if err := d.follow(id, l); err != nil {
			return err
		}
	}
	d.settleCohort(id)
	d.waitAnew(id)
	return nil
}

// parentOf is the parent of a node-role that stands for a role already.
func (d *draft) parentOf(nr *crowbar.NodeRole, p *crowbar.Role) *crowbar.NodeRole {
	for _, l := range nr.Parents {
		parent := d.s.NodeRole(l.ID)
		if parent == nil || l.Soft || parent.Removing {
			continue
		}
		if r := d.s.Role(parent.Role); r != nil && (r.ID == p.ID || slices.Contains(r.Provides, p.Name)) {
			return parent
		}
	}
	return nil
}

// waitAnew lets a node-role wait for the parents that it has now, if it waits at all.
func (d *draft) waitAnew(id crowbar.ID) {
	if nr := d.s.NodeRole(id); nr.State == crowbar.Todo || nr.State == crowbar.Blocked {
		d.rest(id)
	}
}
