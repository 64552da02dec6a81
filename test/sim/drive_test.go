package sim

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/graph"
)

// drive is who uses the daemons: people, and what happens to machines.
type drive struct {
	*world
	catalog *crowbar.Catalog
	crew    []*daemon // who works, or did
	past    []*daemon // frozen or dead
	nodes   int
	asked   int
	stale   bool // something was meddled with
	insists bool
}

// live lives through a whole history and judges it.
func (w *world) live() {
	d := &drive{world: w, crew: make([]*daemon, 1)}
	if w.dice(5, "crew") < 2 {
		w.lone, d.crew = false, make([]*daemon, 2+w.dice(2, "crew", 1))
	}
	w.meddled = w.dice(3, "meddled") == 0
	d.catalog = w.catalog()
	defer func() {
		for _, old := range append(d.past, d.crew...) {
			if old != nil {
				old.thaw(0)
				old.kill("it is over")
				<-old.over
			}
		}
	}()
	d.daemon()
	d.found()
	for range 10 + w.rng.IntN(70) {
		time.Sleep(time.Duration(w.rng.IntN(2_500_000_000)))
		if w.spoiled() {
			return
		}
		d.event()
	}
	d.settle()
	d.mend()
	if w.spoiled() {
		return
	}
	w.judge()
	d.again()
}

// wishes lives through a history of wishes alone: nobody's answer depends on what has run so far.
func (w *world) wishes() {
	d := &drive{world: w, catalog: w.catalog(), insists: true, crew: make([]*daemon, 1)}
	w.calm.Store(true)
	defer func() { d.crew[0].cancel(); <-d.crew[0].over }()
	d.found()
	for range 5 + w.rng.IntN(25) {
		time.Sleep(time.Duration(w.rng.IntN(2_500_000_000)))
		[]func(){d.bind, d.bind, d.commit, d.commit, d.set, d.set, d.rerun, d.create}[w.rng.IntN(8)]()
	}
	time.Sleep(time.Minute)
	w.mild.Store(false)
	d.rest()
	w.judge()
}

// outcome is what has been made of everything.
func (w *world) outcome() string {
	var out []string
	s := w.mem.View()
	for nr := range s.NodeRoles() {
		out = append(out, fmt.Sprintf("%s %v", label(s, nr), nr.Wall["v"]))
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

// daemon gives one that works, starting it if need be.
func (d *drive) daemon() *daemon {
	d.asked++
	at := &d.crew[d.dice(len(d.crew), "whom", d.asked)]
	for *at == nil || !(*at).up.Load() {
		if *at != nil {
			d.past = append(d.past, *at)
			time.Sleep(time.Duration(200+d.dice(3000, "pause", len(d.past))) * time.Millisecond)
		}
		*at, _ = d.start(d.catalog)
	}
	return *at
}

// found makes deployments and nodes, and binds some roles.
func (d *drive) found() {
	for _, name := range []string{"k", "sub"} {
		for d.mem.View().DeploymentNamed(name) == nil {
			parent := crowbar.ID(0)
			if k := d.mem.View().DeploymentNamed("k"); k != nil {
				parent = k.ID
			}
			d.ask("create deployment "+name, func(e *daemon) error { _, err := e.CreateDeployment(e.ctx, name, "", parent); return err })
		}
	}
	for range 2 + d.rng.IntN(4) {
		d.create()
	}
	for range 3 + d.rng.IntN(10) {
		d.bind()
	}
	if d.rng.IntN(2) == 0 {
		d.cluster()
	}
	d.commit()
}

// cluster binds a role that is one to every node, so that its members can stand in for each other, and what needs it.
func (d *drive) cluster() {
	roles := slices.Collect(d.mem.View().Roles())
	r, ok := pick(d, slices.DeleteFunc(slices.Clone(roles), func(r *crowbar.Role) bool { return !r.Flags.Cluster }))
	if !ok {
		return
	}
	for _, n := range d.servers() {
		d.bindTo(n, r)
	}
	needs, ok := pick(d, slices.DeleteFunc(roles, func(o *crowbar.Role) bool { return !slices.Contains(o.Requires, r.Name) }))
	if n, has := pick(d, d.servers()); ok && has {
		d.bindTo(n, needs)
	}
}

// ask asks the daemon that works for something; who insists asks again until there is an answer.
func (d *drive) ask(what string, do func(e *daemon) error) (yes, no bool) {
	for {
		e := d.daemon()
		yes, no = d.told(e, what, do(e))
		if yes || no || !d.insists {
			return yes, no
		}
	}
}

// told looks at a verb's answer: yes, no, or nobody knows.
func (d *drive) told(e *daemon, what string, err error) (yes, no bool) {
	if err == nil {
		d.note("%s: yes", what)
		return true, false
	}
	k := crowbar.KindOf(err)
	refused := k == crowbar.Conflict || k == crowbar.NotFound || k == crowbar.Invalid
	if k == crowbar.Internal && !e.dead.Load() {
		d.wrong("%s: %s", what, err)
	}
	text, _, _ := strings.Cut(err.Error(), "\n")
	d.note("%s: refused %v: %s", what, refused, text)
	return false, refused
}

func pick[T any](d *drive, from []T) (one T, ok bool) {
	if len(from) == 0 {
		return one, false
	}
	return from[d.rng.IntN(len(from))], true
}

func (d *drive) servers() []*crowbar.Node {
	return slices.DeleteFunc(slices.Collect(d.mem.View().Nodes()), func(n *crowbar.Node) bool { return n.System })
}

func (d *drive) deployment() *crowbar.Deployment {
	return d.mem.View().DeploymentNamed([]string{"k", "k", "sub"}[d.rng.IntN(3)])
}

// event is one thing that happens.
func (d *drive) event() {
	e := d.daemon()
	var all []func()
	meddle := map[bool]int{true: 1}[d.meddled]
	for _, c := range []struct {
		times int
		do    func()
	}{{5, d.bind}, {4, d.commit}, {4, d.set}, {4, d.unbind}, {3, d.retry}, {3, d.alive}, {1, d.available}, {2, d.rerun}, {2, d.pause}, {2, d.reboot}, {3, d.lull}, {1, d.propose},
		{3, d.cancel}, {1, d.cancelAll}, {1, d.redeploy}, {1, d.create}, {1, d.delete}, {1, d.freeze}, {1, d.move}, {1, d.reimport}, {meddle, d.meddle}, {2, func() { e.kill("kill -9") }}, {1, func() { d.note("%s is stopped", e.name); e.cancel(); <-e.over }}} {
		for range c.times {
			all = append(all, c.do)
		}
	}
	all[d.rng.IntN(len(all))]()
}

// lull lets what can run come to rest.
func (d *drive) lull() { time.Sleep(time.Duration(5+d.rng.IntN(40)) * time.Second) }

func (d *drive) create() {
	d.nodes++
	dep := d.deployment()
	n := crowbar.Node{Name: fmt.Sprintf("n%d", d.nodes), Address: fmt.Sprintf("10.0.0.%d", d.nodes), Alive: true, Available: true, Deployment: dep.ID}
	yes, _ := d.ask("create "+n.Name, func(e *daemon) error { _, err := e.CreateNode(e.ctx, n); return err })
	if yes && d.mem.View().NodeNamed(n.Name) == nil {
		d.wrong("node %s was made, and is not there", n.Name)
	}
}

func (d *drive) bind() {
	n, ok := pick(d, d.servers())
	if r, _ := pick(d, slices.Collect(d.mem.View().Roles())); ok {
		d.bindTo(n, r)
	}
}

func (d *drive) bindTo(n *crowbar.Node, r *crowbar.Role) {
	at := r.Name + "@" + n.Short()
	dep := d.mem.View().Deployment(n.Deployment)
	if r.Flags.Service {
		at = r.Name + "@" + dep.Name + "-phantom"
	}
	before := d.mem.View()
	yes, no := d.ask("bind "+at, func(e *daemon) error { _, err := e.Bind(e.ctx, r.ID, n.ID, dep.ID); return err })
	if no {
		return
	}
	d.learn(before, at, yes)
}

// learn takes in what a binding or its end is known to have done; asked is "" where none was asked for by name.
func (d *drive) learn(before *crowbar.Snapshot, asked string, yes bool) {
	after := d.mem.View()
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, known := d.sure[asked]; !known && asked != "" {
		d.sure[asked] = maybe
	}
	for at := range d.sure {
		had, has := find(before, at), find(after, at)
		stays := has != nil && !has.Removing
		switch {
		case !yes && (had != nil && !had.Removing) != stays:
			d.sure[at] = maybe
		case yes && stays && (at == asked || d.sure[at] == maybe || had == nil):
			d.sure[at] = bound
		case yes && !stays:
			d.sure[at] = unbound
		}
	}
}

func (d *drive) unbind() {
	from := slices.Collect(d.mem.View().NodeRoles())
	if members := slices.DeleteFunc(slices.Clone(from), func(nr *crowbar.NodeRole) bool { // most that another one needs may not go; these may
		return nr.State != crowbar.Active || !d.mem.View().Role(nr.Role).Flags.Cluster || len(d.mem.View().NodeRolesOf(nr.Deployment, nr.Role)) < 2
	}); len(members) > 0 && d.rng.IntN(2) == 0 {
		from = members
	}
	nr, ok := pick(d, from)
	if !ok {
		return
	}
	before := d.mem.View()
	at := label(before, nr)
	yes, no := d.ask("unbind "+at, func(e *daemon) error { return e.Unbind(e.ctx, nr.ID) })
	if no {
		return
	}
	if now := d.mem.View().NodeRole(nr.ID); yes && now != nil && !now.Removing {
		d.wrong("%s was unbound, and stays", at)
	}
	d.learn(before, at, yes)
}

func (d *drive) commit() {
	dep := d.deployment()
	d.ask("commit "+dep.Name, func(e *daemon) error { return e.Commit(e.ctx, dep.ID) })
}

func (d *drive) propose() {
	dep := d.deployment()
	d.ask("propose "+dep.Name, func(e *daemon) error { return e.Propose(e.ctx, dep.ID) })
}

func (d *drive) rerun() {
	dep := d.deployment()
	d.ask("rerun "+dep.Name, func(e *daemon) error { return e.Rerun(e.ctx, dep.ID) })
}

func (d *drive) pause() {
	dep := d.deployment()
	to := !dep.Paused
	yes, _ := d.ask(fmt.Sprintf("pause %s %v", dep.Name, to), func(e *daemon) error { return e.Pause(e.ctx, dep.ID, to) })
	if yes && d.mem.View().Deployment(dep.ID).Paused != to {
		d.wrong("%s was paused %v, and is not", dep.Name, to)
	}
}

func (d *drive) retry() {
	failed := slices.DeleteFunc(slices.Collect(d.mem.View().NodeRoles()), func(nr *crowbar.NodeRole) bool { return nr.State != crowbar.Error })
	if nr, ok := pick(d, failed); ok {
		d.ask("retry "+label(d.mem.View(), nr), func(e *daemon) error { return e.Retry(e.ctx, nr.ID) })
	}
}

// alive is a node that dies, or that comes back; sometimes nobody notices for a while.
func (d *drive) alive() {
	n, ok := pick(d, d.servers())
	if !ok {
		return
	}
	to := !n.Alive
	if d.rng.IntN(2) == 0 {
		d.machine(n.Short()).set(!to)
	}
	d.ask(fmt.Sprintf("alive %s %v", n.Name, to), func(e *daemon) error { return e.SetAlive(e.ctx, n.ID, to) })
}

// available is a node that somebody takes out of service for a while, or puts back.
func (d *drive) available() {
	if n, ok := pick(d, d.servers()); ok {
		d.serve(d.daemon(), n.ID, !n.Available)
	}
}

func (d *drive) serve(e *daemon, id crowbar.ID, to bool) {
	_, err := e.UpdateNode(e.ctx, id, func(n *crowbar.Node) error { n.Available = to; return nil })
	d.told(e, fmt.Sprintf("available %s %v", id, to), err)
}

// reboot is a link that is gone for a while.
func (d *drive) reboot() {
	if n, ok := pick(d, d.servers()); ok {
		m := d.machine(n.Short())
		d.note("the link to %s is cut", m.name)
		m.set(true)
		time.AfterFunc(time.Duration(d.rng.IntN(4000))*time.Millisecond, func() { m.set(false) })
	}
}

// set sets an attrib of a deployment, or of a node.
func (d *drive) set() {
	v := float64(d.rng.IntN(5))
	if d.rng.IntN(2) == 0 {
		if n, ok := pick(d, d.servers()); ok {
			yes, no := d.ask(fmt.Sprintf("set zone of %s to %v", n.Name, v), func(e *daemon) error { return e.Set(e.ctx, crowbar.KindNode, n.ID, "zone", v) })
			d.valued("zone@"+n.Name, v, yes, no)
		}
		return
	}
	r, _ := pick(d, slices.Collect(d.mem.View().Roles()))
	dep := d.mem.View().DeploymentNamed("k")
	yes, no := d.ask(fmt.Sprintf("set of-%s to %v", r.Name, v), func(e *daemon) error {
		return e.Set(e.ctx, crowbar.KindDeployment, dep.ID, "of-"+r.Name, v)
	})
	d.valued("of-"+r.Name, v, yes, no)
}

func (d *drive) valued(what string, v any, yes, no bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case yes:
		d.values[what] = []any{v}
	case !no:
		if len(d.values[what]) == 0 {
			d.values[what] = []any{0.0}
		}
		d.values[what] = append(d.values[what], v)
	}
}

// valueOf is an attrib at the end; false if its carrier is gone.
func valueOf(s *crowbar.Snapshot, what string) (any, bool) {
	name, node, _ := strings.Cut(what, "@")
	if node != "" {
		n := s.NodeNamed(node)
		if n == nil {
			return nil, false
		}
		if v, ok := crowbar.Dig(n.Hint, name); ok {
			return v, true
		}
		return 0.0, true
	}
	r := s.RoleNamed(strings.TrimPrefix(name, "of-"))
	dr := s.DeploymentRoleOf(s.DeploymentNamed("k").ID, r.ID)
	if dr == nil {
		return 0.0, true
	}
	if v, ok := crowbar.Dig(dr.Committed, name); ok {
		return v, true
	}
	return 0.0, true
}

// delete takes a node out; a dead one is forgotten.
func (d *drive) delete() {
	n, ok := pick(d, d.servers())
	if !ok || len(d.servers()) < 2 {
		return
	}
	before := d.mem.View()
	yes, no := d.ask(fmt.Sprintf("delete %s, force %v", n.Name, !n.Alive), func(e *daemon) error { return e.DeleteNode(e.ctx, n.ID, !n.Alive) })
	if no {
		return
	}
	if now := d.mem.View().Node(n.ID); yes && now != nil && !now.Removing {
		d.wrong("%s was deleted, and stays", n.Name)
	}
	for nr := range before.NodeRoles() {
		if nr.Node == n.ID {
			d.learn(before, label(before, nr), yes)
		}
	}
}

// freeze stops the daemon for so long that another one takes its place; then it wakes.
func (d *drive) freeze() {
	old := d.daemon()
	d.note("%s is frozen", old.name)
	old.freeze()
	least := 6000
	if !d.lone {
		least = 500 // sometimes it keeps its registration
	}
	time.AfterFunc(time.Duration(least+d.rng.IntN(10000))*time.Millisecond, func() {
		d.note("%s wakes", old.name)
		old.thaw(time.Duration(d.dice(2000, "notice", old.name)) * time.Millisecond)
	})
	d.past = append(d.past, old)
	for i := range d.crew {
		if d.crew[i] == old {
			d.crew[i] = nil
		}
	}
	if d.lone {
		time.Sleep(lease)
		d.daemon()
	}
}

// settle ends all faults and waits until everything is active.
func (d *drive) settle() {
	d.calm.Store(true)
	d.note("all faults end")
	for n := range d.mem.View().Nodes() {
		d.machine(n.Short()).set(false)
	}
	time.Sleep(30 * time.Second) // what was frozen is awake, links are back
	d.rest()
	d.rest() // what comes by itself comes again with the next commit after it was taken off
}

func (d *drive) rest() {
	for range 300 {
		e := d.daemon()
		s := d.mem.View()
		for n := range s.Nodes() {
			if !n.Alive {
				d.told(e, "alive "+n.Name, e.SetAlive(e.ctx, n.ID, true))
			}
			if !n.Available {
				d.serve(e, n.ID, true)
			}
		}
		for dep := range s.Deployments() {
			if dep.Paused {
				d.told(e, "resume "+dep.Name, e.Pause(e.ctx, dep.ID, false))
			}
			if !dep.System {
				d.told(e, "commit "+dep.Name, e.Commit(e.ctx, dep.ID))
			}
		}
		for nr := range s.NodeRoles() {
			if _, by := nr.RetryAt(); nr.State == crowbar.Error && !by { // else it is retried by itself
				d.told(e, "retry "+label(s, nr), e.Retry(e.ctx, nr.ID))
			}
		}
		time.Sleep(time.Minute)
		if d.spoiled() || allActive(d.mem.View()) {
			return
		}
	}
	s := d.mem.View()
	for nr := range s.NodeRoles() {
		if nr.State != crowbar.Active {
			d.wrong("%s does not converge, it is %s: %s", label(s, nr), nr.State, graph.Why(s, nr.ID))
		}
	}
}

func allActive(s *crowbar.Snapshot) bool {
	for nr := range s.NodeRoles() {
		if nr.State != crowbar.Active || nr.Removing {
			return false
		}
	}
	for n := range s.Nodes() {
		if n.Removing {
			return false
		}
	}
	return true
}
