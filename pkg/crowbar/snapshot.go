package crowbar

import (
	"iter"
	"slices"
	"strconv"
)

// Snapshot is the whole state at one revision. It is immutable and safe for any number of readers; Apply makes the next
// one and shares all that did not change.
type Snapshot struct {
	rev     Rev
	next    ID
	objects [26]table[Object] // by place(kind); the tables are persistent

	onNode   index         // node -> its node-roles
	ofRole   index         // hash of (deployment, role) -> node-roles
	children index         // node-role -> node-roles that have it as parent
	runs     index         // node-role -> its runs
	named    index         // hash of (kind, name) -> objects
	states   table[States] // deployment -> its node-roles by state

	by *owner // of what may be changed in place: of a fork alone
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
	n := s.Fork()
	n.rev = rev
	n.Change(changes...)
	n.by = nil
	return n
}

// Fork is a copy that is changed in place: for one that computes, with nobody else looking.
func (s *Snapshot) Fork() *Snapshot {
	n := *s
	n.by = &owner{}
	return &n
}

// Change makes changes in a fork, at the revision that it has.
func (s *Snapshot) Change(changes ...Change) {
	if s.by == nil {
		panic("crowbar: a snapshot is changed that is not a fork")
	}
	for _, c := range changes {
		if c.Drop != nil {
			s.drop(c.Drop.Kind(), c.Drop.Key())
		}
		if c.Put != nil {
			s.put(c.Put)
		}
	}
}

// Skip gives the same state with its counter at least at next; a store calls it when it loads.
func (s *Snapshot) Skip(next ID) *Snapshot {
	n := *s
	n.next = max(n.next, next)
	return &n
}

// put keeps an object. One that stays where it is, which is the usual case, costs no change of any list: neither of its
// name's, nor of its parents' ten thousand children, nor of ten thousand parents when it gets one more.
func (s *Snapshot) put(o Object) {
	t, id := &s.objects[place(o.Kind())], o.Key()
	old, had := t.get(uint64(id))
	*t = t.set(s.by, uint64(id), o)
	s.next = max(s.next, id+1)
	s.count(old, o)
	switch {
	case !had:
		s.index(o, add)
	case !stays(old, o):
		s.index(old, remove)
		s.index(o, add)
	default:
		if nr, ok := o.(*NodeRole); ok {
			s.relink(nr.ID, old.(*NodeRole).Parents, nr.Parents)
		}
	}
}

// stays says that an object is found by the same keys as before, but for a node-role's parents.
func stays(old, new Object) bool {
	switch n := new.(type) {
	case *NodeRole:
		o := old.(*NodeRole)
		return o.Node == n.Node && o.Role == n.Role && o.Deployment == n.Deployment && slices.Equal(o.Claims, n.Claims)
	case *Run:
		return old.(*Run).NodeRole == n.NodeRole
	case *Node:
		o := old.(*Node)
		return o.Name == n.Name && o.Address == n.Address
	}
	return nameOf(old) == nameOf(new) && nodeOf(old) == nodeOf(new)
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
			s.children = remove(s.children, s.by, uint64(p.ID), child)
		}
	}
	for _, p := range is {
		s.children = add(s.children, s.by, uint64(p.ID), child)
	}
}

func (s *Snapshot) drop(k Kind, id ID) {
	t := &s.objects[place(k)]
	old, ok := t.get(uint64(id))
	if !ok {
		return
	}
	s.index(old, remove)
	*t = t.del(s.by, uint64(id))
	s.count(old, nil)
}

func (s *Snapshot) index(o Object, how listing) {
	if name := nameOf(o); name != "" {
		s.named = how(s.named, s.by, hash(string(o.Kind()), name), o.Key())
	}
	switch o := o.(type) {
	case *NodeRole:
		s.onNode = how(s.onNode, s.by, uint64(o.Node), o.ID)
		s.ofRole = how(s.ofRole, s.by, pair(o.Deployment, o.Role), o.ID)
		for _, c := range o.Claims {
			s.named = how(s.named, s.by, hash("claim", c), o.ID)
		}
		for _, p := range o.Parents {
			s.children = how(s.children, s.by, uint64(p.ID), o.ID)
		}
	case *Run:
		s.runs = how(s.runs, s.by, uint64(o.NodeRole), o.ID)
	case *Node:
		s.named = how(s.named, s.by, hash("short", o.Short()), o.ID)
		if o.Address != "" {
			s.named = how(s.named, s.by, hash("address", o.Address), o.ID)
		}
	default:
		s.indexAround(o, how)
	}
}

// hash is FNV-1a, cut to six levels of a trie; a clash costs a comparison.
func hash[T string | []byte](a string, b T) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(a) {
		h = (h ^ uint64(a[i])) * 1099511628211
	}
	h = h * 1099511628211 // a byte of zero between the two
	for i := range len(b) {
		h = (h ^ uint64(b[i])) * 1099511628211
	}
	return (h ^ h>>32) & (1<<30 - 1)
}

// pair is a hash of two ids.
func pair(a, b ID) uint64 {
	h := (uint64(a)*0x9e3779b97f4a7c15 ^ uint64(b)) * 0xff51afd7ed558ccd
	return (h ^ h>>33) & (1<<30 - 1)
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

func one[T Object](s *Snapshot, k Kind, id ID) (zero T) { return at[T](s, place(k), id) }

func at[T Object](s *Snapshot, place int, id ID) (zero T) {
	if o, ok := s.objects[place].get(uint64(id)); ok {
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
	for id := range ids.all() {
		if o, ok := s.objects[place(k)].get(uint64(id)); ok && nameOf(o) == name {
			return o.(T)
		}
	}
	return zero
}

// One object by id, or nil.
func (s *Snapshot) Barclamp(id ID) *Barclamp     { return one[*Barclamp](s, KindBarclamp, id) }
func (s *Snapshot) Role(id ID) *Role             { return at[*Role](s, 2, id) }
func (s *Snapshot) Jig(id ID) *Jig               { return one[*Jig](s, KindJig, id) }
func (s *Snapshot) Attrib(id ID) *Attrib         { return one[*Attrib](s, KindAttrib, id) }
func (s *Snapshot) Node(id ID) *Node             { return at[*Node](s, 5, id) }
func (s *Snapshot) Deployment(id ID) *Deployment { return at[*Deployment](s, 6, id) }
func (s *Snapshot) DeploymentRole(id ID) *DeploymentRole {
	return one[*DeploymentRole](s, KindDeploymentRole, id)
}
func (s *Snapshot) NodeRole(id ID) *NodeRole { return at[*NodeRole](s, 8, id) }
func (s *Snapshot) Run(id ID) *Run           { return at[*Run](s, 9, id) }

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
	var room [20 + 1 + 20]byte // it is asked for with every run
	name := strconv.AppendUint(append(strconv.AppendUint(room[:0], uint64(deployment), 10), '/'), uint64(role), 10)
	ids, _ := s.named.get(hash(string(KindDeploymentRole), name))
	for id := range ids.all() {
		if dr := s.DeploymentRole(id); dr != nil && dr.Deployment == deployment && dr.Role == role {
			return dr
		}
	}
	return nil
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

// EachOn yields what NodeRolesOn lists, in order of id, without making the list.
func (s *Snapshot) EachOn(node ID) iter.Seq[*NodeRole] {
	l, _ := s.onNode.get(uint64(node))
	return func(yield func(*NodeRole) bool) {
		for id := range l.all() {
			if nr := s.NodeRole(id); nr != nil && !yield(nr) {
				return
			}
		}
	}
}

// NodeRolesOf is every node-role of a role in a deployment, by id.
func (s *Snapshot) NodeRolesOf(deployment, role ID) []*NodeRole {
	ids, _ := s.ofRole.get(pair(deployment, role))
	return s.sorted(ids, func(nr *NodeRole) bool { return nr.Deployment == deployment && nr.Role == role })
}

// EachOf yields what NodeRolesOf lists, without making the list.
func (s *Snapshot) EachOf(deployment, role ID) iter.Seq[*NodeRole] {
	l, _ := s.ofRole.get(pair(deployment, role))
	return func(yield func(*NodeRole) bool) {
		for id := range l.all() {
			if nr := s.NodeRole(id); nr != nil && nr.Deployment == deployment && nr.Role == role && !yield(nr) {
				return
			}
		}
	}
}

// RunsOf is the runs of a node-role, oldest first.
func (s *Snapshot) RunsOf(nodeRole ID) []*Run {
	l, _ := s.runs.get(uint64(nodeRole))
	out := make([]*Run, 0, l.len())
	for id := range l.all() {
		if r := s.Run(id); r != nil {
			out = append(out, r)
		}
	}
	return out
}

// Claimant is a node-role of a role other than one that has a claim, or nil.
func (s *Snapshot) Claimant(role ID, claim string, but ID) *NodeRole {
	ids, _ := s.named.get(hash("claim", claim))
	for id := range ids.all() {
		if nr := s.NodeRole(id); nr != nil && id != but && nr.Role == role && slices.Contains(nr.Claims, claim) {
			return nr
		}
	}
	return nil
}

// NodesLike is the nodes that have a short name or an address (each "" = none), for who looks for clashes.
func (s *Snapshot) NodesLike(short, address string) []*Node {
	var out []*Node
	for _, k := range [][2]string{{"short", short}, {"address", address}} {
		l, _ := s.named.get(hash(k[0], k[1]))
		for id := range l.all() {
			n := s.Node(id)
			if n != nil && (k[0] == "short" && n.Short() == short || k[0] == "address" && address != "" && n.Address == address) && !slices.Contains(out, n) {
				out = append(out, n)
			}
		}
	}
	return out
}

// Changed yields the ids of the objects of a kind that are not the same as in an older state.
func (s *Snapshot) Changed(since *Snapshot, k Kind) iter.Seq[ID] {
	return func(yield func(ID) bool) {
		for id := range differing(since.objects[place(k)], s.objects[place(k)]) {
			if !yield(ID(id)) {
				return
			}
		}
	}
}

// NodeRoleOn is the node-role of a role on a node, in whatever deployment, or nil.
func (s *Snapshot) NodeRoleOn(node, role ID) *NodeRole {
	ids, _ := s.onNode.get(uint64(node))
	for id := range ids.all() {
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

func (s *Snapshot) sorted(l ids, keep func(*NodeRole) bool) []*NodeRole {
	out := make([]*NodeRole, 0, l.len())
	for id := range l.all() {
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
