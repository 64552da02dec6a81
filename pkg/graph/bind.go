package graph

import (
	"cmp"
	"slices"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Binding asks for a role on a node in a deployment.
type Binding struct{ Role, Node, Deployment crowbar.ID }

// Bind makes the node-role and every node-role that it needs and that is nowhere yet, all PROPOSED. The one asked for is
// the one whose Role is b.Role. A role that is on the node already, in the same deployment, changes nothing.
func Bind(s *crowbar.Snapshot, b Binding) ([]crowbar.Change, error) {
	r, n, dep := s.Role(b.Role), s.Node(b.Node), s.Deployment(b.Deployment)
	switch {
	case r == nil:
		return nil, crowbar.Errorf(crowbar.NotFound, "bind: there is no role %s: list them with 'kubeclamp roles list'", b.Role)
	case n == nil && !r.Flags.Service:
		return nil, crowbar.Errorf(crowbar.NotFound, "bind role %q: there is no node %s: list them with 'kubeclamp nodes list'", r.Name, b.Node)
	case dep == nil:
		return nil, crowbar.Errorf(crowbar.NotFound, "bind role %q: there is no deployment %s: list them with 'kubeclamp deployments list'", r.Name, b.Deployment)
	case n != nil && n.System && !r.Flags.Service:
		return nil, crowbar.Errorf(crowbar.Invalid, "bind role %q: %q is the phantom of a deployment, where only service roles live: choose a server", r.Name, n.Name)
	}
	if n != nil && !r.Flags.Service {
		if was := s.NodeRoleOn(n.ID, r.ID); was != nil && was.Deployment != dep.ID {
			return nil, crowbar.Errorf(crowbar.Conflict, "bind role %q to node %q in deployment %q: it is bound there in deployment %q: unbind it there first",
				r.Name, n.Name, dep.Name, deploymentName(s, was.Deployment))
		}
	}
	d := drafted(s)
	if _, err := d.bind(r, b.Node, dep); err != nil {
		return nil, err
	}
	return d.changes(), nil
}

// bind gives the node-role of a role on a node, making it if it is not there.
func (d *draft) bind(r *crowbar.Role, node crowbar.ID, dep *crowbar.Deployment) (*crowbar.NodeRole, error) {
	if r.Flags.Service {
		node = d.phantom(dep)
		dep = d.s.Deployment(dep.ID)
	}
	if was := d.s.NodeRoleOn(node, r.ID); was != nil {
		if was.Removing {
			return nil, crowbar.Errorf(crowbar.Conflict, "bind role %q to node %q: it is on its way off that node: wait until it is gone", r.Name, nodeName(d.s, node))
		}
		return was, nil
	}
	parents, missing := parentsOf(d.s, r)
	if len(missing) > 0 {
		return nil, crowbar.Errorf(crowbar.Conflict, "role %q is missing prerequisites: [%s]: import the barclamp that has them, or mend the names", r.Name, strings.Join(missing, ", "))
	}
	var links []crowbar.Link
	for _, p := range parents {
		found := d.locate(p, node, dep)
		if found == nil {
			made, err := d.bind(p, node, dep)
			if err != nil {
				return nil, err
			}
			found = made
		}
		links = d.link(links, found)
	}
	if err := d.bindable(r, node, dep); err != nil {
		return nil, err
	}
	d.deploymentRole(r, dep)
	nr := &crowbar.NodeRole{ID: d.s.Next(), Deployment: dep.ID, Node: node, Role: r.ID, State: crowbar.Proposed, Available: true, Parents: links}
	for _, p := range d.before(r, nr) {
		nr.Parents = addLink(nr.Parents, crowbar.Link{ID: p.ID, Soft: true})
	}
	d.put(nr)
	d.settleCohort(nr.ID)
	return d.s.NodeRole(nr.ID), d.adopt(r, nr)
}

// link adds a parent and, where its role is a cluster, the parent's peers.
func (d *draft) link(links []crowbar.Link, parent *crowbar.NodeRole) []crowbar.Link {
	links = addLink(links, crowbar.Link{ID: parent.ID})
	if r := d.s.Role(parent.Role); r != nil && r.Flags.Cluster {
		for _, peer := range d.s.NodeRolesOf(parent.Deployment, parent.Role) {
			if !peer.Removing {
				links = addLink(links, crowbar.Link{ID: peer.ID})
			}
		}
	}
	return links
}

// addLink keeps links sorted by id and without doubles; hard wins over soft.
func addLink(links []crowbar.Link, l crowbar.Link) []crowbar.Link {
	i, had := slices.BinarySearchFunc(links, l.ID, byID)
	if !had {
		more := make([]crowbar.Link, 0, len(links)+1)
		return append(append(append(more, links[:i]...), l), links[i:]...)
	}
	if links[i].Soft && !l.Soft {
		links = slices.Clone(links)
		links[i].Soft = false
	}
	return links
}

func byID(l crowbar.Link, id crowbar.ID) int { return cmp.Compare(l.ID, id) }

// locate finds a wanted role: on the node, whatever its deployment; else, unless it must be on the node, the first one up
// the chain of deployments. A role that provides the wanted one is as good. What is on its way out does not count.
func (d *draft) locate(p *crowbar.Role, node crowbar.ID, dep *crowbar.Deployment) *crowbar.NodeRole {
	if nr := d.s.NodeRoleOn(node, p.ID); nr != nil && !nr.Removing {
		return nr
	}
	for _, nr := range d.s.NodeRolesOn(node) {
		if r := d.s.Role(nr.Role); r != nil && slices.Contains(r.Provides, p.Name) && !nr.Removing {
			return nr
		}
	}
	if p.Flags.Implicit {
		return nil
	}
	for _, up := range chain(d.s, dep.ID) {
		if nr := d.firstOf(up.ID, p.ID); nr != nil {
			return nr
		}
		for r := range d.s.Roles() {
			if slices.Contains(r.Provides, p.Name) {
				if nr := d.firstOf(up.ID, r.ID); nr != nil {
					return nr
				}
			}
		}
	}
	return nil
}

func (d *draft) firstOf(dep, role crowbar.ID) *crowbar.NodeRole {
	var first *crowbar.NodeRole
	for _, nr := range d.s.NodeRolesOf(dep, role) {
		if !nr.Removing && (first == nil || nr.ID < first.ID) {
			first = nr
		}
	}
	return first
}

func (d *draft) deploymentRole(r *crowbar.Role, dep *crowbar.Deployment) {
	if d.s.DeploymentRoleOf(dep.ID, r.ID) == nil {
		d.put(&crowbar.DeploymentRole{ID: d.s.Next(), Deployment: dep.ID, Role: r.ID, Committed: crowbar.Data{}})
	}
}

// phantom is the node of a deployment's service roles, made if need be.
func (d *draft) phantom(dep *crowbar.Deployment) crowbar.ID {
	if dep.Phantom != 0 && d.s.Node(dep.Phantom) != nil {
		return dep.Phantom
	}
	n := &crowbar.Node{ID: d.s.Next(), Name: dep.Name + "-phantom.internal.local", Description: "Services of deployment " + dep.Name,
		System: true, Deployment: dep.ID, Alive: true, Available: true, BootEnv: "local"}
	d.put(n)
	c := *dep
	c.Phantom = n.ID
	d.put(&c)
	return n.ID
}

// before is the node-roles that a new one comes after by 'preceeds': on the same node if the earlier role is implicit, else
// across the deployment.
func (d *draft) before(r *crowbar.Role, nr *crowbar.NodeRole) []*crowbar.NodeRole {
	var out []*crowbar.NodeRole
	for p := range d.s.Roles() {
		if slices.Contains(p.Preceeds, r.Name) {
			out = append(out, d.softly(p, p, nr)...)
		}
	}
	return out
}

// softly is the node-roles of a role that a soft link from or to nr may join; earlier is the role that preceeds.
func (d *draft) softly(of, earlier *crowbar.Role, nr *crowbar.NodeRole) []*crowbar.NodeRole {
	var out []*crowbar.NodeRole
	if earlier.Flags.Implicit {
		if here := d.s.NodeRoleOn(nr.Node, of.ID); here != nil {
			out = append(out, here)
		}
	} else {
		out = d.s.NodeRolesOf(nr.Deployment, of.ID)
	}
	return slices.DeleteFunc(out, func(o *crowbar.NodeRole) bool { return o.Removing || o.ID == nr.ID })
}

// adopt makes a new node-role the parent of its peers' children, if its role is a cluster, and of what it preceeds.
func (d *draft) adopt(r *crowbar.Role, nr *crowbar.NodeRole) error {
	if r.Flags.Cluster {
		follows := map[crowbar.ID]bool{} // the peers have the same children
		for _, peer := range d.s.NodeRolesOf(nr.Deployment, r.ID) {
			if peer.ID == nr.ID || peer.Removing {
				continue
			}
			for _, child := range d.s.Children(peer.ID) {
				if !follows[child.ID] && hard(child, peer.ID) && !child.Removing {
					follows[child.ID] = true
					if err := d.follow(child.ID, crowbar.Link{ID: nr.ID}); err != nil {
						return err
					}
				}
			}
		}
	}
	for _, name := range r.Preceeds {
		later := d.s.RoleNamed(name)
		if later == nil {
			continue
		}
		for _, child := range d.softly(later, r, nr) {
			if err := d.follow(child.ID, crowbar.Link{ID: nr.ID, Soft: true}); err != nil {
				return err
			}
		}
	}
	return nil
}

func hard(child *crowbar.NodeRole, parent crowbar.ID) bool {
	i, is := slices.BinarySearchFunc(child.Parents, parent, byID)
	return is && !child.Parents[i].Soft
}

// follow gives a child one more parent.
func (d *draft) follow(child crowbar.ID, l crowbar.Link) error {
	was := d.s.NodeRole(child)
	links := addLink(was.Parents, l)
	if slices.Equal(links, was.Parents) {
		return nil
	}
	if d.descends(l.ID, child) {
		return crowbar.Errorf(crowbar.Conflict, "bind %s: it would come before %s, which it needs itself: look for a circle in the barclamp's requires, provides and preceeds",
			place(d.s, d.s.NodeRole(l.ID)), place(d.s, was))
	}
	d.edit(child, func(nr *crowbar.NodeRole) { nr.Parents = links })
	d.settleCohort(child)
	return nil
}

// descends says whether a node-role has another among its ancestors.
func (d *draft) descends(id, ancestor crowbar.ID) bool {
	limit := d.s.NodeRole(ancestor).Cohort
	seen := map[crowbar.ID]bool{}
	for todo := []crowbar.ID{id}; len(todo) > 0; {
		one := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if one == ancestor {
			return true
		}
		nr := d.s.NodeRole(one)
		if nr == nil || seen[one] || nr.Cohort <= limit {
			continue // an ancestor's cohort is lower than that of all that come after it
		}
		seen[one] = true
		for _, p := range nr.Parents {
			todo = append(todo, p.ID)
		}
	}
	return false
}

// settleCohort makes a node-role's cohort one more than its highest parent's, and then its children's.
func (d *draft) settleCohort(id crowbar.ID) {
	for todo := []crowbar.ID{id}; len(todo) > 0; {
		nr := d.s.NodeRole(todo[0])
		todo = todo[1:]
		cohort := 0
		for _, p := range nr.Parents {
			if parent := d.s.NodeRole(p.ID); parent != nil {
				cohort = max(cohort, parent.Cohort+1)
			}
		}
		if cohort == nr.Cohort {
			continue
		}
		rose := cohort > nr.Cohort
		d.edit(nr.ID, func(n *crowbar.NodeRole) { n.Cohort = cohort })
		for _, c := range d.s.Children(nr.ID) {
			if rose && c.Cohort <= cohort {
				todo = append(todo, c.ID)
			}
		}
	}
}
