package sim

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/annealer"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/engine"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// daemon is one life of the daemon: it ends by a stop, a kill, or by waking up after another one took its place.
type daemon struct {
	*engine.Engine
	w      *world
	name   string
	ctx    context.Context
	cancel context.CancelFunc
	dead   atomic.Bool
	naps   atomic.Int64 // how often it was frozen
	up     atomic.Bool
	over   chan struct{} // its annealer has returned

	mu      sync.Mutex
	frozen  chan struct{} // closed when it wakes
	fuse    int           // commits until it is killed; 0 = none
	late    bool          // it is killed after that commit was made, not before
	commits int
	works   map[string]*crowbar.Work // role@node -> the run under way
	parents map[string][][2]string   // role@node -> role and node of each parent
}

// start begins a life: hold, import, reclaim, anneal. It is false if that life ended on the way.
func (w *world) start(c *crowbar.Catalog) (*daemon, bool) {
	w.mu.Lock()
	w.lives++
	d := &daemon{w: w, name: fmt.Sprintf("d%d", w.lives), works: map[string]*crowbar.Work{}, parents: map[string][][2]string{}, over: make(chan struct{})}
	w.mu.Unlock()
	d.ctx, d.cancel = context.WithCancel(context.Background())
	if !w.calm.Load() && w.dice(4, "fuse", d.name) == 0 {
		d.fuse, d.late = 1+w.dice(60, "fuse", d.name, 1), w.dice(2, "late", d.name) == 0
	}
	d.Engine = engine.New(engine.Config{Store: &gate{d}, PKI: w.pki, Owner: d.name, Log: silent})
	w.commits.Lock()
	if w.lone {
		clear(w.roll)
	}
	w.roll[d] = w.lives
	w.commits.Unlock()
	w.note("%s starts, fuse %d", d.name, d.fuse)
	conf := annealer.Config{Engine: eyes{d, d.Engine, d.Engine}, Owner: d.name, Jigs: map[string]jig.Jig{"ssh": &wire{d}, "noop": &wire{d}}, LogDir: w.logDir, Parallel: 2 + w.dice(6, "parallel", d.name), Log: silent,
		Roles: func(name string) (role.Role, error) { return work{d, name}, nil }}
	first := []func() error{func() error { return d.Import(d.ctx, c) }, func() error { return d.Reclaim(d.ctx) }}
	if !w.lone {
		first = first[:1] // a leader sees to it
	}
	for _, do := range first {
		if err := do(); err != nil {
			w.note("%s does not start: %s", d.name, err)
			d.kill("it did not start")
			close(d.over)
			return nil, false
		}
	}
	d.up.Store(true)
	loops := []*annealer.Annealer{annealer.New(conf)}
	if w.bug == "two" {
		blind := conf
		blind.Engine = eyes{d, d.Engine, engine.New(engine.Config{Store: liar{&gate{d}}, Owner: d.name, Log: silent})}
		loops = append(loops, annealer.New(blind))
	}
	var all sync.WaitGroup
	for _, a := range loops {
		all.Go(func() { _ = a.Run(d.ctx) })
	}
	if !w.lone {
		all.Go(d.lead)
	}
	go func() {
		all.Wait()
		d.up.Store(false)
		if !w.lone && !d.dead.Load() {
			d.leave()
		}
		close(d.over)
	}()
	return d, true
}

// lease is how long the registration of a daemon outlives it.
const lease = 5 * time.Second

// leave ends the daemon's registration: it may not write any more.
func (d *daemon) leave() {
	d.w.commits.Lock()
	defer d.w.commits.Unlock()
	delete(d.w.roll, d)
}

// lead is what the leader does, which is the one that has been registered for the longest time: it takes back the runs of
// those that are registered no more.
func (d *daemon) lead() {
	for i := 0; sleep(d.ctx, time.Second+time.Duration(d.w.dice(100_000_000, "lead", d.name, i))) == nil && d.step(); i++ {
		d.w.commits.Lock()
		first := d
		for other, since := range d.w.roll {
			if since < d.w.roll[first] {
				first = other
			}
		}
		d.w.commits.Unlock()
		if first != d {
			continue
		}
		gone := map[string]bool{} // who had runs before it was asked who is there
		for nr := range d.View().NodeRoles() {
			if nr.State == crowbar.Transition {
				gone[nr.Owner] = true
			}
		}
		if sleep(d.ctx, time.Duration(d.w.dice(50, "ask", d.name, i))*time.Millisecond) != nil || !d.step() {
			return
		}
		d.w.commits.Lock()
		for other := range d.w.roll {
			delete(gone, other.name)
		}
		d.w.commits.Unlock()
		if len(gone) > 0 {
			err := d.ReclaimFrom(d.ctx, func(owner string) bool { return gone[owner] })
			d.w.note("%s takes back the runs of %v: %v", d.name, slices.Sorted(maps.Keys(gone)), err)
		}
	}
}

// kill ends everything that the daemon does, between two instructions.
func (d *daemon) kill(why string) {
	if !d.dead.Swap(true) {
		d.w.note("%s is killed: %s", d.name, why)
		d.up.Store(false)
		d.cancel()
		if !d.w.lone {
			time.AfterFunc(lease, d.leave)
		}
	}
}

// freeze stops every step of the daemon until it is thawed; its hold is lost meanwhile.
func (d *daemon) freeze() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.naps.Add(1)
	if d.frozen == nil {
		d.frozen = make(chan struct{})
	}
	ch := d.frozen
	if !d.w.lone {
		time.AfterFunc(lease, func() {
			select {
			case <-ch:
			default:
				d.leave()
			}
		})
	}
}

// thaw wakes the daemon, which takes a while to notice that it lost its hold, if it did.
func (d *daemon) thaw(notice time.Duration) {
	d.mu.Lock()
	ch := d.frozen
	d.frozen = nil
	d.mu.Unlock()
	if ch != nil {
		close(ch)
		time.AfterFunc(notice, func() {
			if !d.holds() {
				d.cancel()
			}
		})
	}
}

// step is passed by everything that a daemon does to the outside: it waits while frozen, and is false once killed.
func (d *daemon) step() bool {
	for {
		d.mu.Lock()
		ch := d.frozen
		d.mu.Unlock()
		if ch == nil {
			return !d.dead.Load()
		}
		<-ch
	}
}

func (d *daemon) holds() bool {
	d.w.commits.Lock()
	defer d.w.commits.Unlock()
	return d.w.roll[d] > 0 && !d.dead.Load()
}

// gate is the state as a daemon reaches it: its commits fail, get lost on their way back, or are its last ones.
type gate struct{ d *daemon }

func (g *gate) View() *crowbar.Snapshot {
	s := g.d.w.mem.View()
	if g.d.w.bug == "exclusive" {
		for r := range s.Roles() {
			c := *r
			c.Exclusive = nil
			s = s.Apply(s.Rev(), crowbar.Change{Put: &c})
		}
	}
	return s
}

func (g *gate) Watch(ctx context.Context) <-chan *crowbar.Snapshot { return g.d.w.mem.Watch(ctx) }

func (g *gate) Commit(ctx context.Context, at crowbar.Rev, changes ...crowbar.Change) error {
	d, w := g.d, g.d.w
	if !d.step() {
		return crowbar.Errorf(crowbar.Unavailable, "killed")
	}
	w.commits.Lock()
	defer w.commits.Unlock()
	if w.roll[d] == 0 {
		return crowbar.Errorf(crowbar.Unavailable, "this daemon no longer holds the state")
	}
	d.commits++
	w.count++
	last, late := d.fuse == d.commits && !w.calm.Load(), d.late
	if w.count == w.cut {
		last, late = true, w.cutLate
	}
	if last && !late {
		d.kill("before a commit")
		return crowbar.Errorf(crowbar.Unavailable, "killed")
	}
	fate := 100
	if !w.calm.Load() && d.up.Load() {
		fate = w.dice(100, "commit", d.name, d.commits)
	}
	if fate == 0 {
		w.note("%s: a commit fails", d.name)
		return crowbar.Errorf(crowbar.Unavailable, "etcd does not answer")
	}
	if w.bug == "lost" && fate == 7 {
		return nil
	}
	if w.bug == "early" {
		changes = early(changes)
	}
	before := w.mem.View()
	if err := w.mem.Commit(ctx, at, changes...); err != nil {
		return err
	}
	w.moved(before, w.mem.View(), d)
	if last {
		d.kill("after a commit")
		return crowbar.Errorf(crowbar.Unavailable, "killed")
	}
	if fate == 1 {
		w.note("%s: a commit's answer is lost", d.name)
		return crowbar.Errorf(crowbar.Unavailable, "etcd does not answer")
	}
	return nil
}

// eyes is the engine as the annealer has it; what it was told is compared with what was committed.
type eyes struct {
	d *daemon
	*engine.Engine
	starts *engine.Engine
}

// View is what the annealer looks at to see what can run.
func (e eyes) View() *crowbar.Snapshot { return e.starts.View() }

func (e eyes) Begin(ctx context.Context, id crowbar.ID) (*crowbar.Work, error) {
	d, w := e.d, e.d.w
	n := uint64(0)
	if nr := e.View().NodeRole(id); nr != nil {
		n = nr.Attempt
	}
	// No two runs begin at one moment, so that a seed is one history.
	if err := sleep(ctx, time.Duration(w.dice(1_000_000, "begin", d.name, id, n))); err != nil {
		return nil, err
	}
	work, err := e.starts.Begin(ctx, id)
	if err != nil {
		return work, err
	}
	at := label(w.mem.View(), &work.NodeRole)
	if !w.has(w.begun, attempt{id, work.Attempt}) {
		w.wrong("%s was told that attempt %d of %s began, and it is not in the state", d.name, work.Attempt, at)
	}
	var parents [][2]string
	s := w.mem.View()
	for _, l := range work.NodeRole.Parents {
		if p := s.NodeRole(l.ID); p != nil {
			parents = append(parents, [2]string{s.Role(p.Role).Name, s.Node(p.Node).Short()})
		}
	}
	d.mu.Lock()
	d.works[at], d.parents[at] = work, parents
	d.mu.Unlock()
	return work, nil
}

func (e eyes) Finish(ctx context.Context, id crowbar.ID, n uint64, o crowbar.Outcome) error {
	if e.d.ctx.Err() != nil && strings.Contains(o.Failure, context.Canceled.Error()) && !o.Lost {
		e.d.w.wrong("%s stops, and attempt %d of node-role %d has failed by that: %s", e.d.name, n, id, o.Failure)
	}
	err := e.Engine.Finish(ctx, id, n, o)
	if err == nil && !e.d.w.has(e.d.w.ended, attempt{id, n}) {
		e.d.w.wrong("%s was told that attempt %d of node-role %d ended, and that is not in the state", e.d.name, n, id)
	}
	return err
}

func (w *world) has(m map[attempt]bool, a attempt) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return m[a]
}

// bugs are the rules that can be broken, each in one of the sim's own wrappers.
var bugs = []string{"early", "exclusive", "two", "lost", "unfenced"}

// early lets go what waits for its parents.
func early(changes []crowbar.Change) []crowbar.Change {
	out := make([]crowbar.Change, len(changes))
	for i, c := range changes {
		if nr, ok := c.Put.(*crowbar.NodeRole); ok && nr.State == crowbar.Blocked {
			n := *nr
			n.State = crowbar.Todo
			c.Put = &n
		}
		out[i] = c
	}
	return out
}

// liar is the state without what runs on nodes at present.
type liar struct{ *gate }

func (l liar) View() *crowbar.Snapshot {
	s := l.gate.View()
	for nr := range s.NodeRoles() {
		if nr.State == crowbar.Transition && nr.ID%2 == 0 {
			c := *nr
			c.State = crowbar.Active
			s = s.Apply(s.Rev(), crowbar.Change{Put: &c})
		}
	}
	return s
}
