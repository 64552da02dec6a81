package graph

import (
	"slices"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// rollAll notes of those that have been applied, and see one of the attribs that are rolling, that they have a change to take over
// under their rolling exclusives. One that is in error over such a change gets another try: what failed has changed.
func (d *draft) rollAll(attribs map[crowbar.ID]bool, which func(*crowbar.NodeRole) bool) {
	sees := map[crowbar.ID]bool{}
	for id := range attribs {
		a := d.s.Attrib(id)
		if a == nil || !a.Rolling {
			continue
		}
		for r := range d.s.Roles() {
			if (r.ID == a.Role || slices.Contains(r.Wants, a.Name)) && rolling(r) != "" {
				sees[r.ID] = true
			}
		}
	}
	if len(sees) == 0 {
		return
	}
	var all []*crowbar.NodeRole
	for nr := range d.s.NodeRoles() {
		if sees[nr.Role] && nr.RunCount > 0 && !nr.Removing && which(nr) {
			all = append(all, nr)
		}
	}
	for _, nr := range byCohort(all) {
		again := nr.State == crowbar.Error && nr.Rolling > 0
		d.roll(nr.ID)
		if again {
			d.forgive(nr.ID)
			d.rest(nr.ID)
		}
	}
}

// Roll notes of node-roles that have been applied that they have a change to take over under the rolling exclusives of their
// roles, such as a version that is the default of a newer catalogue. Those that have none are left alone.
func Roll(s *crowbar.Snapshot, ids []crowbar.ID) []crowbar.Change {
	d := drafted(s)
	for _, id := range ids {
		nr := d.s.NodeRole(id)
		if nr == nil || nr.Rolling > 0 || nr.RunCount == 0 || nr.Removing {
			continue
		}
		if r := d.s.Role(nr.Role); r != nil && rolling(r) != "" {
			d.roll(id)
		}
	}
	return d.changes()
}

func (d *draft) roll(id crowbar.ID) {
	d.edit(id, func(nr *crowbar.NodeRole) { nr.Rolling = 1 })
}

// rolls says that of what is said of one node-role alone a rolling attrib of its role has changed.
func (d *draft) rolls(was, is *crowbar.NodeRole) bool {
	r := d.s.Role(is.Role)
	if r == nil || rolling(r) == "" || is.RunCount == 0 {
		return false
	}
	for a := range d.s.Attribs() {
		if a.Rolling && (a.Role == r.ID || slices.Contains(r.Wants, a.Name)) && differs(was.Committed, is.Committed, a) {
			return true
		}
	}
	return false
}

// rolling is "once" or "twice" for a role that takes the change of rolling attribs over node by node.
func rolling(r *crowbar.Role) string {
	for _, e := range r.Exclusive {
		if e.Rolling != "" {
			return e.Rolling
		}
	}
	return ""
}

// rolled is a good run of one that had a change to take over. Where it is the last of its team in the first round, and its role
// goes round twice, the others run once more: now they see that all have taken it over.
func (d *draft) rolled(nr *crowbar.NodeRole) {
	round := nr.Rolling
	d.edit(nr.ID, func(nr *crowbar.NodeRole) { nr.Rolling = 0 })
	r := d.s.Role(nr.Role)
	if round > 1 || r == nil || rolling(r) != "twice" {
		return
	}
	var others []crowbar.ID
	for p := range d.s.EachOf(nr.Deployment, nr.Role) {
		switch {
		case p.ID == nr.ID || p.Removing || p.RunCount == 0:
		case p.Rolling > 0:
			return
		case p.State == crowbar.Active:
			others = append(others, p.ID)
		}
	}
	for _, id := range others {
		d.edit(id, func(nr *crowbar.NodeRole) { nr.Rolling = 2 })
		d.rest(id)
	}
}
