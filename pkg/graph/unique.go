package graph

import (
	"slices"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// unique is what a wall has that no other node-role of the role may have.
func unique(r *crowbar.Role, wall crowbar.Data) []string {
	if r == nil {
		return nil
	}
	var out []string
	for _, u := range r.Unique {
		if v, _ := wall[u.Name].(string); v != "" {
			out = append(out, u.Name+"="+v)
		}
	}
	return out
}

// contested is a failure where a run gives back what another node-role of its role has; "" = it does not.
func (d *draft) contested(nr *crowbar.NodeRole, wall crowbar.Data) string {
	r := d.s.Role(nr.Role)
	if r == nil {
		return ""
	}
	for _, u := range r.Unique {
		v, _ := wall[u.Name].(string)
		if v == "" {
			continue
		}
		if other := d.s.Claimant(nr.Role, u.Name+"="+v, nr.ID); other != nil {
			return "node " + nodeName(d.s, other.Node) + " has the same " + u.Name + ", " + v + colon(u.Mend)
		}
	}
	return ""
}

// claim notes what a node-role has that no other may have.
func (d *draft) claim(id crowbar.ID) {
	nr := d.s.NodeRole(id)
	if has := unique(d.s.Role(nr.Role), nr.Wall); !slices.Equal(has, nr.Claims) {
		d.edit(id, func(nr *crowbar.NodeRole) { nr.Claims = has })
	}
}
