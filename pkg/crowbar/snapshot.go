package crowbar

import (
	"hash/fnv"
	"iter"
	"slices"
)

// Snapshot is the whole state at one revision. It is immutable and safe for any number of readers; Apply makes the next
// one and shares all that did not change.
type Snapshot struct {
	rev     Rev
	next    ID
	objects [21]table[Object] // by place(kind); the tables are persistent

	onNode   table[[]ID] // node -> its node-roles
	ofRole   table[[]ID] // hash of (deployment, role) -> node-roles
	children table[[]ID] // node-role -> node-roles that have it as parent
	named    table[[]ID] // hash of (kind, name) -> objects
}

// NewSnapshot is the empty state: revision 0, next id 1.
func NewSnapshot() *Snapshot { return &Snapshot{next: 1} }

// place is where a kind's table is.
func place(k Kind) int {
	switch k {
	case KindBarclamp:
		return 1
	case KindRole:
		return 2
	case KindJig:
		return 3
	case KindAttrib:
		return 4
	case KindNode:
		return 5
	case KindDeployment:
		return 6
	case KindDeploymentRole:
		return 7
	case KindNodeRole:
		return 8
	case KindRun:
		return 9
	case KindSecret:
		return 10
	}
	return placeAround(k)
}

// Rev is the revision of this state.
func (s *Snapshot) Rev() Rev { return s.rev }

// Next is the first id that no object has ever had.
func (s *Snapshot) Next() ID { return s.next }

// Apply gives the state after the changes, at revision rev. Objects in changes belong to the snapshot from then on.
func (s *Snapshot) Apply(rev Rev, changes ...Change) *Snapshot {
	n := *s
	n.rev = rev
	for _, c := range changes {
		if c.Drop != nil {
			n.drop(c.Drop.Kind(), c.Drop.Key())
		}
		if c.Put != nil && !n.replace(c.Put) {
			n.drop(c.Put.Kind(), c.Put.Key())
			n.put(c.Put)
		}
	}
	return &n
}

// Skip gives the same state with its counter at least at next; a store calls it when it loads.
func (s *Snapshot) Skip(next ID) *Snapshot {
	n := *s
	n.next = max(n.next, next)
	return &n
}

func (s *Snapshot) put(o Object) {
	t, id := &s.objects[place(o.Kind())], o.Key()
	*t = t.set(uint64(id), o)
	s.next = max(s.next, id+1)
	s.index(o, add)
}

// replace swaps a node-role that stays where it is: the usual case, and the one that must not cost a copy of the list of
// its parents' ten thousand children, nor a change of the lists of ten thousand parents when it gets one more.
func (s *Snapshot) replace(o Object) bool {
	nr, ok := o.(*NodeRole)
	if !ok {
		return false
	}
	old := s.NodeRole(nr.ID)
	if old == nil || old.Node != nr.Node || old.Role != nr.Role || old.Deployment != nr.Deployment {
		return false
	}
	t := &s.objects[place(KindNodeRole)]
	*t = t.set(uint64(nr.ID), o)
	s.relink(nr.ID, old.Parents, nr.Parents)
	return true
}

// relink changes the lists of children of those parents that come or go.
func (s *Snapshot) relink(child ID, old, new []Link) {
	was, is := old, new
	for len(was) > 0 && len(is) > 0 && was[0] == is[0] {
		was, is = was[1:], is[1:]
	}
	for len(was) > 0 && len(is) > 0 && was[len(was)-1] == is[len(is)-1] {
		was, is = was[:len(was)-1], is[:len(is)-1]
	}
	for _, p := range was {
		if !slices.ContainsFunc(new, func(l Link) bool { return l.ID == p.ID }) {
			s.children = remove(s.children, uint64(p.ID), child)
		}
	}
	for _, p := range is {
		s.children = add(s.children, uint64(p.ID), child)
	}
}

func (s *Snapshot) drop(k Kind, id ID) {
	t := &s.objects[place(k)]
	old, ok := t.get(uint64(id))
	if !ok {
		return
	}
	s.index(old, remove)
	*t = t.del(uint64(id))
}

func (s *Snapshot) index(o Object, how func(table[[]ID], uint64, ID) table[[]ID]) {
	if name := nameOf(o); name != "" {
		s.named = how(s.named, hash(string(o.Kind()), name), o.Key())
	}
	nr, ok := o.(*NodeRole)
	if !ok {
		s.indexAround(o, how)
		return
	}
	s.onNode = how(s.onNode, uint64(nr.Node), nr.ID)
	s.ofRole = how(s.ofRole, hash(nr.Deployment.String(), nr.Role.String()), nr.ID)
	for _, p := range nr.Parents {
		s.children = how(s.children, uint64(p.ID), nr.ID)
	}
}

func add(t table[[]ID], k uint64, id ID) table[[]ID] {
	old, _ := t.get(k)
	i, had := slices.BinarySearch(old, id)
	if had {
		return t
	}
	more := make([]ID, 0, len(old)+1)
	return t.set(k, append(append(append(more, old[:i]...), id), old[i:]...))
}

func remove(t table[[]ID], k uint64, id ID) table[[]ID] {
	old, _ := t.get(k)
	i, had := slices.BinarySearch(old, id)
	if !had {
		return t
	}
	if len(old) == 1 {
		return t.del(k)
	}
	return t.set(k, slices.Delete(slices.Clone(old), i, i+1))
}

func hash(a, b string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(a))
	h.Write([]byte{0})
	h.Write([]byte(b))
	return h.Sum64() >> 14 // ten levels of the trie are plenty; a clash costs a comparison
}

func nameOf(o Object) string {
	switch o := o.(type) {
	case *Barclamp:
		return o.Name
	case *Role:
		return o.Name
	case *Jig:
		return o.Name
	case *Attrib:
		return o.Name
	case *Node:
		return o.Name
	case *Deployment:
		return o.Name
	case *Secret:
		return o.Deployment.String() + "/" + o.Name
	case *DeploymentRole:
		return o.Deployment.String() + "/" + o.Role.String()
	case *NodeRole, *Run:
		return ""
	}
	return nameAround(o)
}

// Get finds one object; nil if there is none.
func (s *Snapshot) Get(k Kind, id ID) Object { o, _ := s.objects[place(k)].get(uint64(id)); return o }

// Count is the number of objects of a kind.
func (s *Snapshot) Count(k Kind) int { return s.objects[place(k)].size }

// All yields the objects of a kind in order of id.
func (s *Snapshot) All(k Kind) iter.Seq[Object] {
	t := s.objects[place(k)]
	return func(yield func(Object) bool) {
		for _, o := range t.all() {
			if !yield(o) {
				return
			}
		}
	}
}

func one[T Object](s *Snapshot, k Kind, id ID) (zero T) {
	if o, ok := s.objects[place(k)].get(uint64(id)); ok {
		return o.(T)
	}
	return zero
}

func every[T Object](s *Snapshot, k Kind) iter.Seq[T] {
	return func(yield func(T) bool) {
		for o := range s.All(k) {
			if !yield(o.(T)) {
				return
			}
		}
	}
}

func byName[T Object](s *Snapshot, k Kind, name string) (zero T) {
	ids, _ := s.named.get(hash(string(k), name))
	for _, id := range ids {
		if o, ok := s.objects[place(k)].get(uint64(id)); ok && nameOf(o) == name {
			return o.(T)
		}
	}
	return zero
}

// One object by id, or nil.
func (s *Snapshot) Barclamp(id ID) *Barclamp     { return one[*Barclamp](s, KindBarclamp, id) }
func (s *Snapshot) Role(id ID) *Role             { return one[*Role](s, KindRole, id) }
func (s *Snapshot) Jig(id ID) *Jig               { return one[*Jig](s, KindJig, id) }
func (s *Snapshot) Attrib(id ID) *Attrib         { return one[*Attrib](s, KindAttrib, id) }
func (s *Snapshot) Node(id ID) *Node             { return one[*Node](s, KindNode, id) }
func (s *Snapshot) Deployment(id ID) *Deployment { return one[*Deployment](s, KindDeployment, id) }
func (s *Snapshot) DeploymentRole(id ID) *DeploymentRole {
	return one[*DeploymentRole](s, KindDeploymentRole, id)
}
func (s *Snapshot) NodeRole(id ID) *NodeRole { return one[*NodeRole](s, KindNodeRole, id) }
func (s *Snapshot) Run(id ID) *Run           { return one[*Run](s, KindRun, id) }

// All objects of a kind, in order of id.
func (s *Snapshot) Barclamps() iter.Seq[*Barclamp]     { return every[*Barclamp](s, KindBarclamp) }
func (s *Snapshot) Roles() iter.Seq[*Role]             { return every[*Role](s, KindRole) }
func (s *Snapshot) Jigs() iter.Seq[*Jig]               { return every[*Jig](s, KindJig) }
func (s *Snapshot) Attribs() iter.Seq[*Attrib]         { return every[*Attrib](s, KindAttrib) }
func (s *Snapshot) Nodes() iter.Seq[*Node]             { return every[*Node](s, KindNode) }
func (s *Snapshot) Deployments() iter.Seq[*Deployment] { return every[*Deployment](s, KindDeployment) }
func (s *Snapshot) DeploymentRoles() iter.Seq[*DeploymentRole] {
	return every[*DeploymentRole](s, KindDeploymentRole)
}
func (s *Snapshot) NodeRoles() iter.Seq[*NodeRole] { return every[*NodeRole](s, KindNodeRole) }
func (s *Snapshot) Runs() iter.Seq[*Run]           { return every[*Run](s, KindRun) }
func (s *Snapshot) Secrets() iter.Seq[*Secret]     { return every[*Secret](s, KindSecret) }

// One object by its natural key, or nil.
func (s *Snapshot) BarclampNamed(n string) *Barclamp { return byName[*Barclamp](s, KindBarclamp, n) }
func (s *Snapshot) RoleNamed(n string) *Role         { return byName[*Role](s, KindRole, n) }
func (s *Snapshot) JigNamed(n string) *Jig           { return byName[*Jig](s, KindJig, n) }
func (s *Snapshot) AttribNamed(n string) *Attrib     { return byName[*Attrib](s, KindAttrib, n) }
func (s *Snapshot) NodeNamed(n string) *Node         { return byName[*Node](s, KindNode, n) }
func (s *Snapshot) DeploymentNamed(n string) *Deployment {
	return byName[*Deployment](s, KindDeployment, n)
}

// DeploymentRoleOf is what is said of a role in a deployment, or nil.
func (s *Snapshot) DeploymentRoleOf(deployment, role ID) *DeploymentRole {
	return byName[*DeploymentRole](s, KindDeploymentRole, deployment.String()+"/"+role.String())
}

// SecretNamed is a sealed value of a deployment, or nil.
func (s *Snapshot) SecretNamed(deployment ID, name string) *Secret {
	return byName[*Secret](s, KindSecret, deployment.String()+"/"+name)
}

// NodeRolesOn is what is bound to a node, lowest cohort first, then by id.
func (s *Snapshot) NodeRolesOn(node ID) []*NodeRole {
	ids, _ := s.onNode.get(uint64(node))
	return s.sorted(ids, func(*NodeRole) bool { return true })
}

// NodeRolesOf is every node-role of a role in a deployment, by id.
func (s *Snapshot) NodeRolesOf(deployment, role ID) []*NodeRole {
	ids, _ := s.ofRole.get(hash(deployment.String(), role.String()))
	return s.sorted(ids, func(nr *NodeRole) bool { return nr.Deployment == deployment && nr.Role == role })
}

// NodeRoleOn is the node-role of a role on a node, in whatever deployment, or nil.
func (s *Snapshot) NodeRoleOn(node, role ID) *NodeRole {
	ids, _ := s.onNode.get(uint64(node))
	for _, id := range ids {
		if nr := s.NodeRole(id); nr != nil && nr.Role == role {
			return nr
		}
	}
	return nil
}

// Children is every node-role that has this one as a parent, lowest cohort first.
func (s *Snapshot) Children(id ID) []*NodeRole {
	ids, _ := s.children.get(uint64(id))
	return s.sorted(ids, func(*NodeRole) bool { return true })
}

func (s *Snapshot) sorted(ids []ID, keep func(*NodeRole) bool) []*NodeRole {
	out := make([]*NodeRole, 0, len(ids))
	for _, id := range ids {
		if nr := s.NodeRole(id); nr != nil && keep(nr) {
			out = append(out, nr)
		}
	}
	if !slices.IsSortedFunc(out, byCohort) { // the ids are, and most lists are of one cohort
		slices.SortStableFunc(out, byCohort)
	}
	return out
}

func byCohort(a, b *NodeRole) int {
	if a.Cohort != b.Cohort {
		return a.Cohort - b.Cohort
	}
	return int(a.ID) - int(b.ID)
}
