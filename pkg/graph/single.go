package graph

import (
	"maps"
	"slices"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// CommitNodeRole makes one proposed node-role the thing to do. What is proposed for its role must be committed before.
func CommitNodeRole(s *crowbar.Snapshot, id crowbar.ID) ([]crowbar.Change, error) {
	nr := s.NodeRole(id)
	if nr == nil {
		return nil, crowbar.Errorf(crowbar.NotFound, "commit: there is no node-role %s: list them with 'kubeclamp noderoles list'", id)
	}
	if nr.State != crowbar.Proposed {
		return nil, invalid(s, nr, crowbar.Todo, "Cannot commit! unless proposed")
	}
	d := drafted(s)
	if err := d.commitOne(nr); err != nil {
		return nil, err
	}
	return d.changes(), nil
}

// commitOne is the commit of a node-role by itself.
func (d *draft) commitOne(nr *crowbar.NodeRole) error {
	if dr := d.s.DeploymentRoleOf(nr.Deployment, nr.Role); dr != nil && dr.Proposed != nil {
		return invalid(d.s, nr, crowbar.Todo, "Cannot commit! unless deployment_role committed!")
	}
	d.commit(nr)
	return nil
}

// ProposeNodeRole opens one node-role for editing; it does not run until it is committed again.
func ProposeNodeRole(s *crowbar.Snapshot, id crowbar.ID) ([]crowbar.Change, error) {
	nr := s.NodeRole(id)
	if nr == nil {
		return nil, crowbar.Errorf(crowbar.NotFound, "propose: there is no node-role %s: list them with 'kubeclamp noderoles list'", id)
	}
	d := drafted(s)
	if err := d.propose(nr); err != nil {
		return nil, err
	}
	return d.changes(), nil
}

func (d *draft) propose(nr *crowbar.NodeRole) error {
	switch {
	case nr.State == crowbar.Transition:
		return invalid(d.s, nr, crowbar.Proposed, "it runs: wait for its end")
	case nr.Removing:
		return invalid(d.s, nr, crowbar.Proposed, "it is being removed")
	case nr.State == crowbar.Proposed:
		return nil
	}
	d.edit(nr.ID, func(nr *crowbar.NodeRole) {
		nr.State, nr.Status, nr.RetryIn = crowbar.Proposed, "", 0
		if nr.Proposed == nil && nr.Committed != nil {
			nr.Proposed = maps.Clone(nr.Committed)
		}
	})
	d.blockWaiting(nr.ID)
	return nil
}

// CommitNode commits what is proposed on one node, parents first, and makes the node available.
func CommitNode(s *crowbar.Snapshot, node crowbar.ID) ([]crowbar.Change, error) {
	n := s.Node(node)
	if n == nil {
		return nil, crowbar.Errorf(crowbar.NotFound, "commit: there is no node %s: list them with 'kubeclamp nodes list'", node)
	}
	d := drafted(s)
	if !n.Available {
		c := *n
		c.Available = true
		d.put(&c)
	}
	for _, nr := range s.NodeRolesOn(node) {
		if nr.State != crowbar.Proposed {
			continue
		}
		if err := d.commitOne(nr); err != nil {
			return nil, err
		}
	}
	return d.changes(), nil
}

// ProposeNode opens everything on one node for editing, children first.
func ProposeNode(s *crowbar.Snapshot, node crowbar.ID) ([]crowbar.Change, error) {
	if s.Node(node) == nil {
		return nil, crowbar.Errorf(crowbar.NotFound, "propose: there is no node %s: list them with 'kubeclamp nodes list'", node)
	}
	d := drafted(s)
	bound := s.NodeRolesOn(node)
	slices.Reverse(bound)
	for _, nr := range bound {
		if err := d.propose(d.s.NodeRole(nr.ID)); err != nil {
			return nil, err
		}
	}
	return d.changes(), nil
}

// CommitRole makes what is proposed for a role in a deployment count; what sees a changed value runs again.
func CommitRole(s *crowbar.Snapshot, deploymentRole crowbar.ID) ([]crowbar.Change, error) {
	dr := s.DeploymentRole(deploymentRole)
	if dr == nil {
		return nil, crowbar.Errorf(crowbar.NotFound, "commit: there is no deployment-role %s", deploymentRole)
	}
	d := drafted(s)
	changed := map[crowbar.ID]bool{}
	d.commitRole(dr, changed)
	d.pokeBelow(changed, dr.Deployment)
	return d.changes(), nil
}

// ProposeRole opens what is said of a role in a deployment for editing. What is committed counts on.
func ProposeRole(s *crowbar.Snapshot, deploymentRole crowbar.ID) ([]crowbar.Change, error) {
	dr := s.DeploymentRole(deploymentRole)
	if dr == nil {
		return nil, crowbar.Errorf(crowbar.NotFound, "propose: there is no deployment-role %s", deploymentRole)
	}
	if dr.Proposed != nil {
		return nil, nil
	}
	c := *dr
	c.Proposed = crowbar.Data{}
	maps.Copy(c.Proposed, dr.Committed)
	return []crowbar.Change{{Put: &c}}, nil
}

// PokeRole makes every node-role of a role run again that has run: its template changed.
func PokeRole(s *crowbar.Snapshot, role crowbar.ID) []crowbar.Change {
	d := drafted(s)
	for nr := range s.NodeRoles() {
		if nr.Role == role && saw(nr) {
			d.deactivate(nr.ID)
		}
	}
	return d.changes()
}
