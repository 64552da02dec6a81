package graph

import (
	"slices"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Refresh has those of the node-roles applied once more that are active, in a deployment where something may begin; what runs
// sees the new state when it has ended. The others stay: they wait for a run already, have failed, or wait for a person.
func Refresh(s *crowbar.Snapshot, nodeRoles []crowbar.ID) []crowbar.Change {
	d := drafted(s)
	for _, id := range nodeRoles {
		nr := d.s.NodeRole(id)
		if nr == nil || !MayBegin(s, nr) {
			continue
		}
		switch nr.State {
		case crowbar.Active:
			d.rest(id)
		case crowbar.Transition:
			d.outdate(id)
		}
	}
	return d.changes()
}

// MayBegin says that a node-role's deployment is committed, not paused, and does not carry out a plan that does not have it.
func MayBegin(s *crowbar.Snapshot, nr *crowbar.NodeRole) bool {
	dep := s.Deployment(nr.Deployment)
	return dep != nil && !dep.Paused && dep.Stored == crowbar.DeploymentCommitted && !outside(dep, nr)
}

// Unsettled is those of the node-roles that are not active; what is only proposed and was never applied does not count.
func Unsettled(s *crowbar.Snapshot, nodeRoles []crowbar.ID) []*crowbar.NodeRole {
	var out []*crowbar.NodeRole
	for _, id := range nodeRoles {
		nr := s.NodeRole(id)
		if nr == nil || nr.State == crowbar.Active && !nr.Stale && !nr.Removing || nr.State == crowbar.Proposed && nr.RunCount == 0 {
			continue
		}
		out = append(out, nr)
	}
	return byCohort(slices.Clip(out))
}
