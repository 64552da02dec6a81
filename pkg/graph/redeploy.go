package graph

import "github.com/kubeclamp/kubeclamp/pkg/crowbar"

// RedeployNode has everything on a node applied as if it had never been, also what destroys: the node was installed anew. What
// is proposed there is committed, and the node is available.
func RedeployNode(s *crowbar.Snapshot, node crowbar.ID) ([]crowbar.Change, error) {
	n := s.Node(node)
	if n == nil {
		return nil, crowbar.Errorf(crowbar.NotFound, "redeploy: there is no node %s: list them with 'kubeclamp nodes list'", node)
	}
	if n.Removing {
		return nil, crowbar.Errorf(crowbar.Conflict, "node %s is being deleted: wait until it is gone, then create it again", n.Short())
	}
	d := drafted(s)
	if !n.Available {
		c := *n
		c.Available = true
		d.put(&c)
	}
	if err := d.redeploy(s.NodeRolesOn(node)); err != nil {
		return nil, err
	}
	return d.changes(), nil
}

// Redeploy is the same for everything of a deployment, wherever it is, and commits the deployment.
func Redeploy(s *crowbar.Snapshot, deployment crowbar.ID) ([]crowbar.Change, error) {
	committed, err := Commit(s, deployment)
	if err != nil {
		return nil, err
	}
	d := drafted(s)
	for _, c := range committed {
		d.put(c.Put)
	}
	if err := d.redeploy(in(d.s, deployment)); err != nil {
		return nil, err
	}
	return d.changes(), nil
}

// redeploy forgets that node-roles, parents first, have ever run. What runs must end before.
func (d *draft) redeploy(list []*crowbar.NodeRole) error {
	for _, nr := range list {
		if nr.State == crowbar.Transition {
			return invalid(d.s, nr, crowbar.Todo, "it runs: wait for its end, or cancel it")
		}
		if nr.State == crowbar.Proposed {
			if err := d.commitOne(nr); err != nil {
				return err
			}
		}
	}
	for _, nr := range list {
		if nr.Removing {
			continue
		}
		d.edit(nr.ID, func(nr *crowbar.NodeRole) {
			nr.RunCount, nr.Failed, nr.Force, nr.Given, nr.Failure, nr.Wall = 0, 0, true, "", "", nil
		})
		d.rest(nr.ID)
	}
	return nil
}
