package sim

import (
	"slices"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/attrib"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// moved looks at one commit, in the order in which they are made.
func (w *world) moved(before, after *crowbar.Snapshot, by *daemon) {
	running := map[crowbar.ID]*crowbar.NodeRole{}
	for nr := range after.NodeRoles() {
		was := before.NodeRole(nr.ID)
		w.node(after, nr, running)
		w.step(before, after, was, nr, by)
	}
	for nr := range before.NodeRoles() {
		if after.NodeRole(nr.ID) != nil {
			continue
		}
		w.note("%s: %s is gone", by.name, label(before, nr))
		w.mu.Lock()
		w.gone[nr.ID] = true
		w.mu.Unlock()
		if nr.State == crowbar.Transition {
			w.end(nr)
		}
	}
	if len(running) == 0 && !w.meddled {
		w.current(after)
	}
}

// current looks whether what is active is what it would be if it ran now, wherever its parents are active as well: nobody
// may have missed what changed. Who is being taken off is seen to be gone at the end of that.
func (w *world) current(s *crowbar.Snapshot) {
	for nr := range s.NodeRoles() {
		if nr.Removing {
			return
		}
	}
	for nr := range s.NodeRoles() {
		waits := slices.ContainsFunc(nr.Parents, func(l crowbar.Link) bool {
			p := s.NodeRole(l.ID)
			return p.State != crowbar.Active && (p.State != crowbar.Proposed || p.RunCount > 0)
		})
		if nr.State == crowbar.Active && !nr.Stale && !waits { // what is outdated runs with the next commit
			w.made(s, nr)
		}
	}
}

// node looks at what must hold of a node-role in every state.
func (w *world) node(s *crowbar.Snapshot, nr *crowbar.NodeRole, running map[crowbar.ID]*crowbar.NodeRole) {
	free := true
	for _, l := range nr.Parents {
		p := s.NodeRole(l.ID)
		if p == nil {
			w.wrong("%s has a parent that is gone", label(s, nr))
			return
		}
		if p.Cohort >= nr.Cohort {
			w.wrong("%s has cohort %d, its parent %s %d", label(s, nr), nr.Cohort, label(s, p), p.Cohort)
		}
		free = free && mayPass(p, nr)
	}
	switch {
	case nr.State == crowbar.Todo && !nr.Removing && !free:
		w.wrong("%s is todo before its parents are active: %s", label(s, nr), states(s))
	case nr.State == crowbar.Blocked && free:
		w.wrong("%s is blocked by nothing: %s", label(s, nr), states(s))
	case nr.State == crowbar.Active && s.Node(nr.Node) != nil && !s.Node(nr.Node).Alive:
		w.wrong("%s is active on a node that is not alive", label(s, nr))
	case (nr.State == crowbar.Transition) != (nr.Owner != ""):
		w.wrong("%s is %s and its owner is %q", label(s, nr), nr.State, nr.Owner)
	}
	if nr.State != crowbar.Transition {
		return
	}
	if other := running[nr.Node]; other != nil {
		w.wrong("%s and %s run on one node", label(s, other), label(s, nr))
	}
	running[nr.Node] = nr
}

// mayPass says that a parent does not keep a child waiting: it is active, on its way out, or was bound after the child and
// is still only proposed.
func mayPass(parent, child *crowbar.NodeRole) bool {
	return parent.State == crowbar.Active || parent.Removing || parent.State == crowbar.Proposed && parent.ID > child.ID && parent.RunCount == 0
}

// step looks at what happened to a node-role in one commit.
func (w *world) step(before, after *crowbar.Snapshot, was, nr *crowbar.NodeRole, by *daemon) {
	if was == nil {
		w.note("%s: %s is new, %s", by.name, label(after, nr), nr.State)
		if nr.ID < before.Next() {
			w.wrong("%s has the id %d, which was used before", label(after, nr), nr.ID)
		}
		return
	}
	if was.State != nr.State || was.Removing != nr.Removing {
		w.note("%s: %s goes from %s to %s, removing %v %s", by.name, label(after, nr), was.State, nr.State, nr.Removing, nr.Status)
	}
	if deployed := nr.RunCount == 0 && nr.Force; nr.Attempt < was.Attempt || nr.RunCount < was.RunCount && !deployed {
		w.wrong("%s counts backwards", label(after, nr))
	}
	began := nr.State == crowbar.Transition && (was.State != crowbar.Transition || was.Attempt != nr.Attempt)
	if was.State == crowbar.Transition && (nr.State != crowbar.Transition || began) {
		w.end(was)
		if was.Cancel != "" && (nr.State != crowbar.Error || nr.RetryIn != 0) {
			w.wrong("%s was cancelled, and is %s, to be tried again %v", label(after, nr), nr.State, nr.RetryIn != 0)
		}
		if run := after.Run(was.Run); run != nil && run.Outcome == "" {
			w.wrong("%s is %s and its run has no end", label(after, nr), nr.State)
		}
	}
	if r := after.Role(nr.Role); was.State == crowbar.Transition && was.Owner != by.name && r.Flags.Destructive && !was.Removing && nr.State != crowbar.Error && nr.State != crowbar.Transition {
		w.wrong("%s is destructive, its daemon went away, and it is %s", label(after, nr), nr.State)
	}
	if began {
		w.begin(before, after, was, nr, by)
	}
}

// holders is how many run in a deployment that have an exclusive.
func holders(s *crowbar.Snapshot, dep crowbar.ID, name string) (n int) {
	for nr := range s.NodeRoles() {
		if nr.State == crowbar.Transition && nr.Deployment == dep && slices.ContainsFunc(s.Role(nr.Role).Exclusive, func(e crowbar.Exclusive) bool { return e.Name == name }) {
			n++
		}
	}
	return n
}

func (w *world) end(was *crowbar.NodeRole) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended[attempt{was.ID, was.Attempt}] = true
}

// begin looks at a run's beginning.
func (w *world) begin(before, after *crowbar.Snapshot, was, nr *crowbar.NodeRole, by *daemon) {
	w.mu.Lock()
	w.begun[attempt{nr.ID, nr.Attempt}] = true
	w.mu.Unlock()
	dep, node := after.Deployment(nr.Deployment), after.Node(nr.Node)
	at := label(after, nr)
	switch {
	case was.State != crowbar.Todo || nr.Attempt != was.Attempt+1 || nr.Owner != by.name || after.Run(nr.Run) == nil:
		w.wrong("%s begins from %s, attempt %d after %d, owner %q", at, was.State, nr.Attempt, was.Attempt, nr.Owner)
	case dep == nil || dep.Stored != crowbar.DeploymentCommitted || dep.Paused:
		w.wrong("%s begins in a deployment that is not committed, or paused", at)
	case node == nil || !node.Alive || !node.Available:
		w.wrong("%s begins on a node that is not there", at)
	}
	for _, e := range after.Role(nr.Role).Exclusive {
		if n := holders(after, nr.Deployment, e.Name); n > e.Limit { // a limit that is lowered counts from then on
			w.wrong("%s begins as the %d. under %s, whose limit is %d: %s", at, n, e.Name, e.Limit, states(after))
		}
		for _, peer := range after.NodeRolesOf(nr.Deployment, nr.Role) {
			if e.Gate == "peers-active" && peer.State == crowbar.Error && peer.ID != nr.ID {
				w.wrong("%s begins while its peer %s is in error", at, label(after, peer))
			}
		}
	}
	if nr.Removing {
		for _, c := range after.Children(nr.ID) {
			if c.Node == nr.Node && slices.Contains(c.Parents, crowbar.Link{ID: nr.ID}) {
				w.wrong("%s is taken off before %s, which needs it", at, label(after, c))
			}
		}
		return
	}
	for _, l := range nr.Parents {
		if p := after.NodeRole(l.ID); p == nil || !mayPass(p, nr) {
			w.wrong("%s begins before its parent %s is active", at, label(after, p))
		}
	}
}

// judge looks at the end, when all faults are over: it must follow from what was asked for alone.
func (w *world) judge() {
	s := w.mem.View()
	for run := range s.Runs() {
		if run.Outcome == "" || run.Finished.IsZero() {
			w.wrong("run %d of node-role %d has no end", run.ID, run.NodeRole)
		}
	}
	for nr := range s.NodeRoles() {
		w.result(s, nr)
		w.edges(s, nr)
	}
	w.mu.Lock()
	sure, values := w.sure, w.values
	w.mu.Unlock()
	for at, k := range sure {
		if name, _, _ := strings.Cut(at, "@"); s.RoleNamed(name).Flags.Discovery {
			continue // it comes by itself
		}
		if has := find(s, at) != nil; k != maybe && has != (k == bound) {
			w.wrong("%s was %s, and now bound is %v", at, []string{"", "bound", "unbound"}[k], has)
		}
	}
	for what, may := range values {
		if v, ok := valueOf(s, what); ok && !slices.Contains(may, v) {
			w.wrong("%s is %v, and was set to %v", what, v, may)
		}
	}
	w.leftovers(s)
	w.discovered(s)
}

// discovered looks whether each node has what comes by itself.
func (w *world) discovered(s *crowbar.Snapshot) {
	for n := range s.Nodes() {
		for r := range s.Roles() {
			if r.Flags.Discovery && !n.System && !s.Deployment(n.Deployment).System && s.NodeRoleOn(n.ID, r.ID) == nil {
				w.wrong("%s has no %s", n.Name, r.Name)
			}
		}
	}
}

// edges looks whether a node-role comes after all that it must: every member of a cluster, and what preceeds it.
func (w *world) edges(s *crowbar.Snapshot, nr *crowbar.NodeRole) {
	after := map[crowbar.ID]bool{}
	var must []*crowbar.NodeRole
	for _, l := range nr.Parents {
		after[l.ID] = true
		if p := s.NodeRole(l.ID); !l.Soft && s.Role(p.Role).Flags.Cluster {
			must = append(must, s.NodeRolesOf(p.Deployment, p.Role)...)
		}
	}
	for r := range s.Roles() {
		if !slices.Contains(r.Preceeds, s.Role(nr.Role).Name) {
			continue
		}
		for _, p := range s.NodeRolesOf(nr.Deployment, r.ID) {
			if !r.Flags.Implicit || p.Node == nr.Node {
				must = append(must, p)
			}
		}
	}
	for _, p := range must {
		if !after[p.ID] {
			w.wrong("%s does not come after %s", label(s, nr), label(s, p))
		}
	}
}

// result compares what a node-role made with what it would make of the final state.
func (w *world) result(s *crowbar.Snapshot, nr *crowbar.NodeRole) {
	got, _ := nr.Wall["v"].(string)
	m, name := w.machine(s.Node(nr.Node).Short()), s.Role(nr.Role).Name
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, part := range []string{".a", ".b"} {
		if have := m.files["/"+name+part]; have != got {
			w.wrong("%s: %s is on the node, and %q in the state", label(s, nr), have, got)
			return
		}
	}
	w.made(s, nr)
}

// made compares what a node-role gave back with what it would give back now.
func (w *world) made(s *crowbar.Snapshot, nr *crowbar.NodeRole) {
	got, _ := nr.Wall["v"].(string)
	name, node := s.Role(nr.Role).Name, s.Node(nr.Node).Short()
	if s.Role(nr.Role).Flags.Destructive {
		if want := content(name, node, nil, nil); got != want {
			w.wrong("%s ended with %q instead of %q", label(s, nr), got, want)
		}
		return
	}
	in, err := attrib.Collect(s, nr)
	if err != nil {
		w.wrong("%s: %s", label(s, nr), err)
		return
	}
	var walls []string
	for _, l := range nr.Parents {
		p := s.NodeRole(l.ID)
		if v, _ := p.Wall["v"].(string); p.Settled() {
			walls = append(walls, s.Role(p.Role).Name+"@"+s.Node(p.Node).Short()+"="+v)
		}
	}
	if want := content(name, node, in.Attribs, walls); got != want {
		w.wrong("%s ended with %q, and what it sees now makes %q: attribs %v parents %v", label(s, nr), got, want, in.Attribs, walls)
	}
}

// leftovers looks for files of what is not bound.
func (w *world) leftovers(s *crowbar.Snapshot) {
	for n := range s.Nodes() {
		m := w.machine(n.Short())
		m.mu.Lock()
		for path := range m.files {
			if r := s.RoleNamed(path[1 : len(path)-2]); s.NodeRoleOn(n.ID, r.ID) == nil {
				w.wrong("%s is left on %s", path, m.name)
			}
		}
		m.mu.Unlock()
	}
}

func find(s *crowbar.Snapshot, at string) *crowbar.NodeRole {
	for nr := range s.NodeRoles() {
		if label(s, nr) == at {
			return nr
		}
	}
	return nil
}
