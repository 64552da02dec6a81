package graph

import (
	"cmp"
	"slices"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Peers is the node-roles that a run may see: of its own role and of every role that it comes after, transitively, in its
// deployment and those above; besides, in any deployment, its parents and those on its own node. Of an implicit role, which
// each node has for itself, that is only the one on its own node, else each of ten thousand nodes would be told of all others
// by each role. A role that names its peers sees of those alone, and its own role on all nodes if it names that. Own role
// first, then by cohort, then by id.
func Peers(s *crowbar.Snapshot, nr *crowbar.NodeRole) []crowbar.Peer {
	own := s.Role(nr.Role)
	if own == nil || own.Peers != nil && len(own.Peers) == 0 {
		return nil
	}
	var out []crowbar.Peer
	up := chain(s, nr.Deployment)
	away := elsewhere(s, nr, up)
	for _, r := range append([]*crowbar.Role{own}, ancestry(s, own)...) {
		if own.Peers != nil && !slices.Contains(own.Peers, r.Name) {
			continue
		}
		here := s.NodeRoleOn(nr.Node, r.ID)
		if r.Flags.Implicit && !r.Flags.Cluster && (r != own || own.Peers == nil) {
			if here != nil {
				out = append(out, peer(s, nr, r, here, firstIn(s, here.Deployment, r.ID)))
			}
			continue
		}
		for _, dep := range up {
			first := firstIn(s, dep.ID, r.ID)
			list := s.NodeRolesOf(dep.ID, r.ID)
			out = slices.Grow(out, len(list))
			for _, p := range list {
				out = append(out, peer(s, nr, r, p, first))
			}
		}
		for _, p := range away[r.ID] {
			out = append(out, peer(s, nr, r, p, firstIn(s, p.Deployment, r.ID)))
		}
	}
	return out
}

// Last says that no other node-role of its role is settled in its deployment and those above.
func Last(s *crowbar.Snapshot, nr *crowbar.NodeRole) bool {
	for _, dep := range chain(s, nr.Deployment) {
		for p := range s.EachOf(dep.ID, nr.Role) {
			if p.ID != nr.ID && p.Settled() {
				return false
			}
		}
	}
	return true
}

// elsewhere is the parents of a node-role, and what is on its node, that are of other deployments than its own and those above:
// a node that was moved has roles of the one where it was before. By role, each by id.
func elsewhere(s *crowbar.Snapshot, nr *crowbar.NodeRole, up []*crowbar.Deployment) map[crowbar.ID][]*crowbar.NodeRole {
	away := map[crowbar.ID][]*crowbar.NodeRole{}
	see := func(p *crowbar.NodeRole) {
		if p == nil || slices.ContainsFunc(up, func(d *crowbar.Deployment) bool { return d.ID == p.Deployment }) {
			return
		}
		list := away[p.Role]
		if i, had := slices.BinarySearchFunc(list, p.ID, func(o *crowbar.NodeRole, id crowbar.ID) int { return cmp.Compare(o.ID, id) }); !had {
			away[p.Role] = slices.Insert(list, i, p)
		}
	}
	for _, l := range nr.Parents {
		see(s.NodeRole(l.ID))
	}
	for p := range s.EachOn(nr.Node) {
		see(p)
	}
	return away
}

// firstIn is the founder of a role in a deployment.
func firstIn(s *crowbar.Snapshot, dep, role crowbar.ID) crowbar.ID {
	if dr := s.DeploymentRoleOf(dep, role); dr != nil {
		return dr.First
	}
	return 0
}

// peer is what one node-role sees of another. Of one that leaves it sees no wall: nobody shall build on that any more.
func peer(s *crowbar.Snapshot, to *crowbar.NodeRole, r *crowbar.Role, nr *crowbar.NodeRole, first crowbar.ID) crowbar.Peer {
	p := crowbar.Peer{NodeRole: nr.ID, Role: r.Name, State: nr.State, Settled: nr.Settled(), First: nr.ID == first, Wall: nr.Wall}
	if nr.Removing && nr.ID != to.ID {
		p.Wall = nil
	}
	if n := s.Node(nr.Node); n != nil {
		p.Node, p.Address, p.Alive = n.Short(), n.Address, n.Alive
	}
	return p
}
