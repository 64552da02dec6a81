package graph

import (
	"slices"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

func deploymentOf(s *crowbar.Snapshot, id crowbar.ID, verb string) (*crowbar.Deployment, error) {
	if d := s.Deployment(id); d != nil {
		return d, nil
	}
	return nil, crowbar.Errorf(crowbar.NotFound, "%s: there is no deployment %s: list them with 'kubeclamp deployments list'", verb, id)
}

// Commit makes a deployment take part in annealing: proposed data becomes committed data, proposed node-roles become TODO
// or BLOCKED, and what sees changed data runs again, as does what an import has outdated.
func Commit(s *crowbar.Snapshot, deployment crowbar.ID) ([]crowbar.Change, error) {
	dep, err := deploymentOf(s, deployment, "commit")
	if err != nil {
		return nil, err
	}
	d := drafted(s)
	if dep.Stored != crowbar.DeploymentCommitted {
		c := *dep
		c.Stored = crowbar.DeploymentCommitted
		d.put(&c)
	}
	changed := d.commitRoles(deployment)
	for _, nr := range those(d.s, deployment, concerned) {
		d.commit(nr)
	}
	d.pokeBelow(changed, deployment)
	return d.changes(), nil
}

// pokeBelow makes what sees one of the attribs run again, in a deployment and those in it.
func (d *draft) pokeBelow(changed map[crowbar.ID]bool, deployment crowbar.ID) {
	if len(changed) == 0 {
		return
	}
	d.pokeWanting(changed, func(nr *crowbar.NodeRole) bool {
		return slices.ContainsFunc(chain(d.s, nr.Deployment), func(up *crowbar.Deployment) bool { return up.ID == deployment })
	})
}

// commitRoles commits what is proposed for whole roles and gives the attribs whose value changed.
func (d *draft) commitRoles(deployment crowbar.ID) map[crowbar.ID]bool {
	changed := map[crowbar.ID]bool{}
	for dr := range d.s.DeploymentRoles() {
		if dr.Deployment != deployment || dr.Proposed == nil {
			continue
		}
		d.commitRole(dr, changed)
	}
	return changed
}

func (d *draft) commitRole(dr *crowbar.DeploymentRole, changed map[crowbar.ID]bool) {
	if dr.Proposed == nil {
		return
	}
	for a := range d.s.Attribs() {
		if a.Role == dr.Role && differs(dr.Committed, dr.Proposed, a) {
			changed[a.ID] = true
		}
	}
	c := *dr
	c.Committed, c.Proposed = dr.Proposed, nil
	d.put(&c)
}

// differs compares the values, so that setting the default by hand runs nothing.
func differs(old, new crowbar.Data, a *crowbar.Attrib) bool {
	x, ok := crowbar.Dig(old, a.Map)
	if !ok {
		x = a.Default
	}
	y, ok := crowbar.Dig(new, a.Map)
	if !ok {
		y = a.Default
	}
	return !same(x, y)
}

// concerned says that a commit may have something to do with a node-role.
func concerned(nr *crowbar.NodeRole) bool {
	return nr.State == crowbar.Proposed || nr.Proposed != nil || outdated(nr)
}

// outdated says that an import has changed what it was given.
func outdated(nr *crowbar.NodeRole) bool { return nr.Stale && nr.State == crowbar.Active }

func (d *draft) commit(nr *crowbar.NodeRole) {
	poke, was := nr.State == crowbar.Proposed, nr
	if outdated(nr) {
		poke = true
		d.edit(nr.ID, func(nr *crowbar.NodeRole) { nr.Stale = false })
	}
	if nr.Proposed != nil {
		poke = poke || !same(nr.Committed, nr.Proposed)
		d.edit(nr.ID, func(nr *crowbar.NodeRole) { nr.Committed, nr.Proposed = nr.Proposed, nil })
	}
	if poke && d.rolls(was, d.s.NodeRole(nr.ID)) {
		d.roll(nr.ID)
	}
	switch {
	case poke && nr.State == crowbar.Transition:
		d.outdate(nr.ID)
	case poke:
		d.rest(nr.ID)
	}
}

// pokeWanting makes active node-roles run again whose role owns or wants one of the attribs.
func (d *draft) pokeWanting(attribs map[crowbar.ID]bool, which func(*crowbar.NodeRole) bool) {
	sees := map[crowbar.ID]bool{}
	for id := range attribs {
		a := d.s.Attrib(id)
		sees[a.Role] = true
		for r := range d.s.Roles() {
			if slices.Contains(r.Wants, a.Name) {
				sees[r.ID] = true
			}
		}
	}
	d.rollAll(attribs, which)
	var poked []*crowbar.NodeRole
	for nr := range d.s.NodeRoles() {
		if sees[nr.Role] && saw(nr) && which(nr) {
			poked = append(poked, nr)
		}
	}
	for _, nr := range byCohort(poked) {
		d.deactivate(nr.ID)
	}
}

// saw says that a node-role was given values, and must see others again.
func saw(nr *crowbar.NodeRole) bool {
	return nr.State == crowbar.Active || nr.State == crowbar.Transition
}

// Poke makes what sees an attrib of a node run again after the attrib was set on the node. Values of a deployment_role or
// node_role need no poke: Commit sees to them.
func Poke(s *crowbar.Snapshot, node crowbar.ID, attrib *crowbar.Attrib) []crowbar.Change {
	d := drafted(s)
	d.rollAll(map[crowbar.ID]bool{attrib.ID: true}, func(nr *crowbar.NodeRole) bool { return nr.Node == node })
	for _, nr := range s.NodeRolesOn(node) {
		if r := s.Role(nr.Role); r != nil && saw(nr) && (nr.Role == attrib.Role || slices.Contains(r.Wants, attrib.Name)) {
			d.deactivate(nr.ID)
		}
	}
	return d.changes()
}

// Outdate notes of node-roles that something changed which they were given otherwise, such as by another version of a barclamp:
// those that are active run again with the next commit of their deployment, those that run, at the end of that.
func Outdate(s *crowbar.Snapshot, ids []crowbar.ID) []crowbar.Change {
	d := drafted(s)
	for _, id := range ids {
		if nr := s.NodeRole(id); nr != nil && saw(nr) {
			d.outdate(id)
		}
	}
	return d.changes()
}

// Propose takes a deployment out of annealing for editing. What runs, runs to its end.
func Propose(s *crowbar.Snapshot, deployment crowbar.ID) ([]crowbar.Change, error) {
	dep, err := deploymentOf(s, deployment, "propose")
	if err != nil {
		return nil, err
	}
	if dep.System {
		return nil, crowbar.Errorf(crowbar.Conflict, "Cannot propose a system deployment")
	}
	if dep.Stored == crowbar.DeploymentProposed {
		return nil, nil
	}
	c := *dep
	c.Stored = crowbar.DeploymentProposed
	return []crowbar.Change{{Put: &c}}, nil
}

// Rerun makes every node-role of a deployment run once more that is active or in error, parents before children.
func Rerun(s *crowbar.Snapshot, deployment crowbar.ID) ([]crowbar.Change, error) {
	if _, err := deploymentOf(s, deployment, "rerun"); err != nil {
		return nil, err
	}
	d := drafted(s)
	for _, nr := range in(s, deployment) {
		if nr.State == crowbar.Active || nr.State == crowbar.Error {
			d.forgive(nr.ID)
			d.rest(nr.ID)
		}
	}
	return d.changes(), nil
}

// Force is Rerun in which every run does everything, also where nothing has changed since its last one.
func Force(s *crowbar.Snapshot, deployment crowbar.ID) ([]crowbar.Change, error) {
	if _, err := deploymentOf(s, deployment, "rerun"); err != nil {
		return nil, err
	}
	d := drafted(s)
	for _, nr := range in(s, deployment) {
		if nr.State == crowbar.Proposed || nr.Removing {
			continue
		}
		if !nr.Force {
			d.edit(nr.ID, func(nr *crowbar.NodeRole) { nr.Force = true })
		}
		if nr.State == crowbar.Active || nr.State == crowbar.Error {
			d.forgive(nr.ID)
			d.rest(nr.ID)
		}
	}
	return d.changes(), nil
}

// Retry makes a node-role run again. Its parents must be active; one in error waits for them instead, since its error may be
// what keeps them from running.
func Retry(s *crowbar.Snapshot, nodeRole crowbar.ID) ([]crowbar.Change, error) {
	nr := s.NodeRole(nodeRole)
	if nr == nil {
		return nil, crowbar.Errorf(crowbar.NotFound, "retry: there is no node-role %s: list them with 'kubeclamp noderoles list'", nodeRole)
	}
	switch {
	case nr.State == crowbar.Proposed:
		return nil, invalid(s, nr, crowbar.Todo, "it is proposed: commit the deployment")
	case nr.State == crowbar.Transition:
		return nil, invalid(s, nr, crowbar.Todo, "it runs: wait for its end")
	case !nr.Removing && nr.State != crowbar.Error && !ready(s, nr):
		return nil, invalid(s, nr, crowbar.Todo, "Not all parents are ACTIVE: "+Why(s, nodeRole))
	}
	d := drafted(s)
	d.forgive(nodeRole)
	d.rest(nodeRole)
	return d.changes(), nil
}

func invalid(s *crowbar.Snapshot, nr *crowbar.NodeRole, to crowbar.State, why string) error {
	return crowbar.Errorf(crowbar.Conflict, "%s: %s: %s: Invalid state transition from %s to %s: %s",
		deploymentName(s, nr.Deployment), nodeName(s, nr.Node), roleName(s, nr.Role), nr.State, to, why)
}

// Alive says whether a node answers. When it stops, everything on it waits to be applied again.
func Alive(s *crowbar.Snapshot, node crowbar.ID, alive bool) ([]crowbar.Change, error) {
	n := s.Node(node)
	if n == nil {
		return nil, crowbar.Errorf(crowbar.NotFound, "there is no node %s: list them with 'kubeclamp nodes list'", node)
	}
	if n.Alive == alive {
		return nil, nil
	}
	d := drafted(s)
	c := *n
	c.Alive = alive
	d.put(&c)
	if !alive {
		for _, nr := range d.s.NodeRolesOn(node) {
			d.deactivate(nr.ID)
		}
	}
	return d.changes(), nil
}
