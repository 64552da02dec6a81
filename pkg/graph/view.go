package graph

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// view answers what stands in a node-role's way, and remembers what it looked up: it serves one pass over a snapshot.
type view struct {
	s        *crowbar.Snapshot
	nodes    map[crowbar.ID]use
	jigs     map[string]bool // that there is one of this name
	running  map[semaphore][]*crowbar.NodeRole
	sharing  map[string][]*crowbar.Role // exclusive -> roles that name it
	founders map[team]crowbar.ID        // 0 = anybody may begin
	failed   map[team][]*crowbar.NodeRole
	coming   map[crowbar.ID]bool // that it runs by itself, sooner or later
}

// use is what happens on a node.
type use struct{ running, failed *crowbar.NodeRole }

type semaphore struct {
	deployment crowbar.ID
	name       string
}

// team is the node-roles of one role in one deployment.
type team struct{ deployment, role crowbar.ID }

func viewOf(s *crowbar.Snapshot) *view { return &view{s: s} }

// hindrance is why a TODO node-role may not begin now.
func (v *view) hindrance(nr *crowbar.NodeRole) hindrance {
	r, h := v.unfit(nr, v.use(nr.Node))
	if h.what != free {
		return h
	}
	return v.exclusion(nr, r)
}

// unfit is what is against a TODO node-role on its own node, in its deployment or in its role, whatever others do.
func (v *view) unfit(nr *crowbar.NodeRole, u use) (*crowbar.Role, hindrance) {
	dep, n, r := v.s.Deployment(nr.Deployment), v.s.Node(nr.Node), v.s.Role(nr.Role)
	what := free
	switch {
	case dep == nil || n == nil || r == nil:
		what = lost
	case dep.Stored != crowbar.DeploymentCommitted:
		what = proposed
	case dep.Paused:
		what = paused
	case outside(dep, nr):
		what = unplanned
	case !nr.Available:
		what = untargeted
	case n.Forgotten && nr.Removing: // its node is not reached
		return r, v.crowded(nr, u)
	case !v.jig(r.Jig):
		what = jigless
	case n.Address == "" && !n.System && (cmp.Or(n.Jig, r.Jig) == "ssh"):
		what = addressless
	case !n.Alive:
		what = dead
	case !n.Available:
		what = unavailable
	default:
		return r, v.crowded(nr, u)
	}
	return r, hindrance{what: what}
}

func (v *view) jig(name string) bool {
	is, known := v.jigs[name]
	if !known {
		is = v.s.JigNamed(name) != nil
		if v.jigs == nil {
			v.jigs = map[string]bool{}
		}
		v.jigs[name] = is
	}
	return is
}

// crowded is what is against it on its own node.
func (v *view) crowded(nr *crowbar.NodeRole, u use) hindrance {
	switch {
	case u.running != nil && u.running.ID != nr.ID:
		return hindrance{what: crowded, by: u.running}
	case u.failed != nil && !nr.Removing:
		return hindrance{what: stuck, by: u.failed}
	}
	if nr.Removing {
		for _, c := range v.s.Children(nr.ID) {
			if c.Node == nr.Node && hard(c, nr.ID) {
				return hindrance{what: above, by: c}
			}
		}
		for c := range v.s.EachOn(nr.Node) { // one that let go of it for a peer of its, and then goes as well
			if c.Removing && c.Cohort > nr.Cohort && c.State != crowbar.Error {
				return hindrance{what: above, by: c}
			}
		}
	}
	return hindrance{}
}

// alone says that nothing but its own node, deployment and role can keep a node-role.
func alone(nr *crowbar.NodeRole, r *crowbar.Role) bool {
	return len(r.Exclusive) == 0 && !(nr.Removing && r.Flags.Cluster)
}

// exclusion is what others have against it: its role's exclusives, and for a removal those that still use it.
func (v *view) exclusion(nr *crowbar.NodeRole, r *crowbar.Role) hindrance {
	if nr.Removing && r.Flags.Cluster {
		if c := v.user(nr); c != nil {
			return hindrance{what: unaware, by: c}
		}
	}
	for _, e := range r.Exclusive {
		if spares(e, nr) {
			continue
		}
		if runs := v.holders(nr.Deployment, e); len(runs) >= v.limit(e, nr.Deployment) {
			return hindrance{what: taken, by: runs[0], under: e.Name}
		}
		for _, peer := range v.failures(nr) {
			if peer.ID != nr.ID && (e.Gate == "peers-active" || e.Gate == "peers-rolled" && peer.Rolling > 0) {
				return hindrance{what: gated, by: peer, under: e.Name}
			}
		}
	}
	if first := v.founder(nr, r); first != 0 && first != nr.ID {
		if f := v.s.NodeRole(first); f != nil {
			return hindrance{what: later, by: f}
		}
	}
	return hindrance{}
}

// user is one that is about to run and see that a member of its cluster leaves: until it has, it may still use that. All
// members have the same children.
func (v *view) user(nr *crowbar.NodeRole) *crowbar.NodeRole {
	for peer := range v.s.EachOf(nr.Deployment, nr.Role) {
		if peer.Removing || !peer.Settled() {
			continue
		}
		for _, c := range v.s.Children(peer.ID) {
			if hard(c, peer.ID) && v.comes(c) {
				return c
			}
		}
		break
	}
	return nil
}

// comes says that a node-role runs, or will by itself; its removal is a run as well, and what goes uses others until it is gone.
func (v *view) comes(nr *crowbar.NodeRole) bool {
	if nr == nil {
		return false
	}
	if is, known := v.coming[nr.ID]; known {
		return is
	}
	is := false
	switch nr.State {
	case crowbar.Transition:
		is = true
	case crowbar.Todo:
		r, h := v.unfit(nr, v.use(nr.Node))
		is = h.what == free || h.what == crowded || h.what == above && h.by.State != crowbar.Error
		if is && len(r.Exclusive) > 0 {
			is = v.exclusion(nr, r).what != gated
		}
	case crowbar.Blocked:
		is = !slices.ContainsFunc(nr.Parents, func(l crowbar.Link) bool {
			p := v.s.NodeRole(l.ID)
			return holdsBack(p, nr) && !v.comes(p)
		})
	}
	if v.coming == nil {
		v.coming = map[crowbar.ID]bool{}
	}
	v.coming[nr.ID] = is
	return is
}

// spares says that an exclusive has nothing to do with a run of this node-role.
func spares(e crowbar.Exclusive, nr *crowbar.NodeRole) bool {
	return e.Rolling != "" && nr.Rolling == 0
}

// founds says that a role's members come one after another, the first of them alone.
func founds(r *crowbar.Role) bool {
	return r.Flags.Cluster && slices.ContainsFunc(r.Exclusive, func(e crowbar.Exclusive) bool { return e.Rolling == "" })
}

// use looks at a node: what runs there, and the first that failed.
func (v *view) use(node crowbar.ID) use {
	u, had := v.nodes[node]
	if had {
		return u
	}
	for nr := range v.s.EachOn(node) {
		u.see(nr)
	}
	v.know(node, u)
	return u
}

func (u *use) see(nr *crowbar.NodeRole) {
	switch {
	case nr.State == crowbar.Transition:
		u.running = nr
	case nr.State == crowbar.Error && (u.failed == nil || nr.Cohort < u.failed.Cohort):
		u.failed = nr
	}
}

func (v *view) know(node crowbar.ID, u use) {
	if v.nodes == nil {
		v.nodes = map[crowbar.ID]use{}
	}
	v.nodes[node] = u
}

// holders is what runs under an exclusive in a deployment.
func (v *view) holders(deployment crowbar.ID, e crowbar.Exclusive) []*crowbar.NodeRole {
	k := semaphore{deployment, e.Name}
	if runs, ok := v.running[k]; ok {
		return runs
	}
	var runs []*crowbar.NodeRole
	for _, r := range v.sharers(e.Name) {
		for nr := range v.s.EachOf(deployment, r.ID) {
			if nr.State == crowbar.Transition && !spares(e, nr) {
				runs = append(runs, nr)
			}
		}
	}
	if v.running == nil {
		v.running = map[semaphore][]*crowbar.NodeRole{}
	}
	v.running[k] = runs
	return runs
}

// limit is how many may run under an exclusive: the least that any role says which shares it.
func (v *view) limit(of crowbar.Exclusive, deployment crowbar.ID) int {
	if of.LimitBy != "" {
		n, ok := v.number(of.LimitBy, deployment)
		return max(1, map[bool]int{true: n, false: of.Limit}[ok])
	}
	least := of.Limit
	for _, r := range v.sharers(of.Name) {
		for _, e := range r.Exclusive {
			if e.Name == of.Name {
				least = min(least, e.Limit)
			}
		}
	}
	return least
}

// number is what is committed for an attrib in a deployment or the nearest above it, else its default.
func (v *view) number(attrib string, deployment crowbar.ID) (int, bool) {
	a := v.s.AttribNamed(attrib)
	if a == nil {
		return 0, false
	}
	value := a.Default
	for _, dep := range chain(v.s, deployment) {
		dr := v.s.DeploymentRoleOf(dep.ID, a.Role)
		if dr == nil {
			continue
		}
		if set, ok := crowbar.Dig(dr.Committed, a.Map); ok {
			value = set
			break
		}
	}
	n, err := strconv.Atoi(crowbar.Text(value))
	return n, err == nil
}

func (v *view) sharers(name string) []*crowbar.Role {
	if v.sharing == nil {
		v.sharing = map[string][]*crowbar.Role{}
		for r := range v.s.Roles() {
			for _, e := range r.Exclusive {
				v.sharing[e.Name] = append(v.sharing[e.Name], r)
			}
		}
	}
	return v.sharing[name]
}

func (v *view) failures(nr *crowbar.NodeRole) []*crowbar.NodeRole {
	k := team{nr.Deployment, nr.Role}
	list, ok := v.failed[k]
	if !ok {
		for p := range v.s.EachOf(k.deployment, k.role) {
			if p.State == crowbar.Error {
				list = append(list, p)
			}
		}
		if v.failed == nil {
			v.failed = map[team][]*crowbar.NodeRole{}
		}
		v.failed[k] = list
	}
	return list
}

// founder is the only member of a cluster role with an exclusive that may begin while none is settled. It is the one that
// began first, else the oldest that can: one dead node does not keep a cluster from being founded.
func (v *view) founder(nr *crowbar.NodeRole, r *crowbar.Role) crowbar.ID {
	if !founds(r) || nr.Removing {
		return 0
	}
	k := team{nr.Deployment, nr.Role}
	id, ok := v.founders[k]
	if !ok {
		id = v.elect(k)
		if v.founders == nil {
			v.founders = map[team]crowbar.ID{}
		}
		v.founders[k] = id
	}
	return id
}

func (v *view) elect(k team) crowbar.ID {
	members := v.s.NodeRolesOf(k.deployment, k.role)
	if slices.ContainsFunc(members, (*crowbar.NodeRole).Settled) {
		return 0
	}
	if dr := v.s.DeploymentRoleOf(k.deployment, k.role); dr != nil && !gone(v.s, dr.First) {
		return dr.First
	}
	first := crowbar.ID(0)
	for _, m := range members {
		n := v.s.Node(m.Node)
		able := n != nil && n.Alive && n.Available && !m.Removing && m.Available && (m.State == crowbar.Todo || m.State == crowbar.Blocked)
		if able && (first == 0 || m.ID < first) && v.use(m.Node).failed == nil {
			first = m.ID
		}
	}
	return first
}

// hold counts a node-role as running under its role's exclusives.
func (v *view) hold(nr *crowbar.NodeRole, r *crowbar.Role) {
	for _, e := range r.Exclusive {
		if spares(e, nr) {
			continue
		}
		v.holders(nr.Deployment, e)
		k := semaphore{nr.Deployment, e.Name}
		v.running[k] = append(v.running[k], nr)
	}
}

func colon(text string) string {
	if text == "" {
		return ""
	}
	return ": " + text
}
