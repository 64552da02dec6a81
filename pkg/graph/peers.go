package graph

import (
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Peers is the node-roles that a run may see: of its own role and of every role that it comes after, transitively, in its
// deployment and those above, its own node's included. Own role first, then by cohort, then by id.
func Peers(s *crowbar.Snapshot, nr *crowbar.NodeRole) []crowbar.Peer {
	own := s.Role(nr.Role)
	if own == nil {
		return nil
	}
	var out []crowbar.Peer
	up := chain(s, nr.Deployment)
	for _, r := range append([]*crowbar.Role{own}, ancestry(s, own)...) {
		for _, dep := range up {
			var first crowbar.ID
			if dr := s.DeploymentRoleOf(dep.ID, r.ID); dr != nil {
				first = dr.First
			}
			for _, p := range s.NodeRolesOf(dep.ID, r.ID) {
				out = append(out, peer(s, r, p, first))
			}
		}
	}
	return out
}

func peer(s *crowbar.Snapshot, r *crowbar.Role, nr *crowbar.NodeRole, first crowbar.ID) crowbar.Peer {
	p := crowbar.Peer{NodeRole: nr.ID, Role: r.Name, State: nr.State, Settled: nr.Settled(), First: nr.ID == first, Wall: nr.Wall}
	if n := s.Node(nr.Node); n != nil {
		p.Node, p.Address, p.Alive = n.Short(), n.Address, n.Alive
	}
	return p
}
