package graph

import (
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Target lets only one role on a node, and what it needs there, run; role 0 lets all run again. The role is a milestone
// that is bound to the node: one whose jig does nothing.
func Target(s *crowbar.Snapshot, node, role crowbar.ID) ([]crowbar.Change, error) {
	n := s.Node(node)
	if n == nil {
		return nil, crowbar.Errorf(crowbar.NotFound, "there is no node %s: list them with 'kubeclamp nodes list'", node)
	}
	d := drafted(s)
	let := map[crowbar.ID]bool{}
	if role != 0 {
		r, nr := s.Role(role), s.NodeRoleOn(node, role)
		switch {
		case r == nil:
			return nil, crowbar.Errorf(crowbar.NotFound, "target of node %q: there is no role %s", n.Name, role)
		case nr == nil:
			return nil, crowbar.Errorf(crowbar.Conflict, "target of node %q: role %q is not bound to it: bind it first", n.Name, r.Name)
		case r.Jig != "noop":
			return nil, crowbar.Errorf(crowbar.Conflict, "target of node %q: role %q has jig %s: a target is a milestone, whose jig is noop", n.Name, r.Name, r.Jig)
		}
		for todo := []*crowbar.NodeRole{nr}; len(todo) > 0; todo = todo[1:] {
			let[todo[0].ID] = true
			for _, l := range todo[0].Parents {
				if p := s.NodeRole(l.ID); p != nil && p.Node == node && !let[p.ID] {
					todo = append(todo, p)
				}
			}
		}
	}
	if n.Target != role {
		c := *n
		c.Target = role
		d.put(&c)
	}
	for _, nr := range s.NodeRolesOn(node) {
		if may := role == 0 || let[nr.ID]; nr.Available != may {
			d.edit(nr.ID, func(nr *crowbar.NodeRole) { nr.Available = may })
		}
	}
	return d.changes(), nil
}

// Move takes what is merely proposed on a node along when the node moves to another deployment: what has never run, and
// holds back nothing that has been committed. It gets the parents, and the children, that it would get if it were bound there
// now.
func Move(s *crowbar.Snapshot, node, from, to crowbar.ID) ([]crowbar.Change, error) {
	dep := s.Deployment(to)
	if dep == nil {
		return nil, crowbar.Errorf(crowbar.NotFound, "there is no deployment %s: list them with 'kubeclamp deployments list'", to)
	}
	d := drafted(s)
	var moved []*crowbar.NodeRole
	for _, nr := range s.NodeRolesOn(node) {
		r := s.Role(nr.Role)
		if r == nil || nr.Deployment != from || !idle(nr) || d.holdsCommitted(nr) {
			continue
		}
		d.deploymentRole(r, dep)
		d.edit(nr.ID, func(nr *crowbar.NodeRole) { nr.Deployment = to })
		moved = append(moved, nr)
	}
	for _, nr := range byCohort(moved) {
		if err := d.rejoin(nr.ID, dep); err != nil {
			return nil, err
		}
	}
	return d.changes(), nil
}

// rejoin links a node-role as if it were bound in its deployment now.
func (d *draft) rejoin(id crowbar.ID, dep *crowbar.Deployment) error {
	nr := d.s.NodeRole(id)
	r := d.s.Role(nr.Role)
	parents, _ := parentsOf(d.s, r)
	var links []crowbar.Link
	for _, p := range parents {
		found := d.locate(p, nr.Node, dep)
		if found == nil {
			made, err := d.bind(p, nr.Node, dep)
			if err != nil {
				return err
			}
			found = made
		}
		links = d.link(links, found)
	}
	for _, p := range d.before(r, d.s.NodeRole(id)) {
		links = addLink(links, crowbar.Link{ID: p.ID, Soft: true})
	}
	d.edit(id, func(nr *crowbar.NodeRole) { nr.Parents = links })
	d.settleCohort(id)
	if err := d.adopt(r, d.s.NodeRole(id)); err != nil {
		return err
	}
	for _, c := range d.s.Children(id) {
		d.waitAnew(c.ID) // it may be older than they are, and holds them back then
	}
	return nil
}

// idle says that a node-role is proposed and has never run.
func idle(nr *crowbar.NodeRole) bool {
	return nr.State == crowbar.Proposed && nr.RunCount == 0 && nr.Attempt == 0 && !nr.Removing
}

// holdsCommitted says that something comes after a node-role that is on another node, or is not merely proposed.
func (d *draft) holdsCommitted(nr *crowbar.NodeRole) bool {
	seen := map[crowbar.ID]bool{}
	for todo := []*crowbar.NodeRole{nr}; len(todo) > 0; todo = todo[1:] {
		for _, c := range d.s.Children(todo[0].ID) {
			if c.Node != nr.Node || !idle(c) {
				return true
			}
			if !seen[c.ID] {
				seen[c.ID] = true
				todo = append(todo, c)
			}
		}
	}
	return false
}
