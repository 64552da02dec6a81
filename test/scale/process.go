package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/kubeclamp/kubeclamp/jigs/noop"
	"github.com/kubeclamp/kubeclamp/pkg/annealer"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/engine"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/store"
	"github.com/kubeclamp/kubeclamp/pkg/store/embedded"
)

// process is a daemon without its API, and the roles that it runs.
type process struct {
	options
	store      *counted
	engine     *engine.Engine
	annealer   *annealer.Annealer
	deployment crowbar.ID
	alive      io.Closer // while it is open, the etcd of its own process is there

	mu    sync.Mutex
	runs  map[string]int       // by node
	ended map[string]time.Time // of the last run, by node
	gaps  []time.Duration
}

// counted counts commits.
type counted struct {
	*store.Store
	mu sync.Mutex
	n  int64
}

// Commit makes the changes.
func (c *counted) Commit(ctx context.Context, at crowbar.Rev, changes ...crowbar.Change) error {
	c.mu.Lock()
	c.n++
	c.mu.Unlock()
	return c.Store.Commit(ctx, at, changes...)
}

func (c *counted) commits() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

func open(ctx context.Context, o options) (*process, error) {
	p := &process{options: o, runs: map[string]int{}, ended: map[string]time.Time{}}
	where, err := p.state(ctx)
	if err != nil {
		return nil, err
	}
	st, err := store.Open(ctx, where)
	if err != nil {
		return nil, err
	}
	owner := fmt.Sprintf("scale-%d", os.Getpid())
	if _, err := st.Hold(ctx, crowbar.Daemon{Owner: owner}); err != nil {
		return nil, err
	}
	p.store = &counted{Store: st}
	p.engine = engine.New(engine.Config{Store: p.store, Owner: owner})
	p.annealer = annealer.New(annealer.Config{Engine: p.engine, Jigs: map[string]jig.Jig{"noop": noop.New()}, Parallel: o.parallel, LogDir: o.path("runs"),
		Roles: func(name string) (role.Role, error) { return nothing{p, name}, nil }})
	return p, nil
}

// state is where the state is kept.
func (p *process) state(ctx context.Context) (store.Config, error) {
	if p.outside {
		return p.external(ctx)
	}
	s, err := embedded.Start(ctx, embedded.Config{Dir: p.path("etcd")})
	if err != nil {
		return store.Config{}, err
	}
	return s.Store(), nil
}

// nothing is a role that finds everything as it should be.
type nothing struct {
	p    *process
	name string
}

// Describe names the role.
func (n nothing) Describe() role.Info { return role.Info{Name: n.name} }

// Apply looks at the node, as every role does, and changes nothing.
func (n nothing) Apply(ctx context.Context, on role.Target) (role.Result, error) {
	began := time.Now()
	_, err := on.Conn.Exec(ctx, jig.Cmd{Argv: []string{"look"}, Reads: true})
	p := n.p
	p.mu.Lock()
	defer p.mu.Unlock()
	if last, ok := p.ended[on.Node]; ok && p.runs[on.Node] > 0 {
		p.gaps = append(p.gaps, began.Sub(last))
	}
	p.runs[on.Node]++
	p.ended[on.Node] = time.Now()
	return role.Result{}, err
}

// forget clears what is known of runs, and gives how many there were, by node.
func (p *process) forget() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	was := p.runs
	p.runs, p.ended, p.gaps = map[string]int{}, map[string]time.Time{}, nil
	return was
}

// percentile of the gaps between runs of a node.
func (p *process) percentile(share float64) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.gaps) == 0 {
		return 0
	}
	slices.Sort(p.gaps)
	return p.gaps[int(share*float64(len(p.gaps)-1))]
}

// rest waits until nothing of the deployment has anything left to do.
func (p *process) rest(ctx context.Context) error {
	watch, cancel := context.WithCancel(ctx)
	defer cancel()
	at := crowbar.ID(0) // all node-roles below are active
	for s := range p.engine.Watch(watch) {
		active := true
		for nr := range s.NodeRoles() {
			if nr.State == crowbar.Error {
				return fmt.Errorf("node-role %d is in error: %s", nr.ID, nr.Failure)
			}
			if nr.State != crowbar.Active {
				active, at = false, nr.ID
				break
			}
		}
		if active {
			return nil
		}
		for s := range p.engine.Watch(watch) { // until that one is active there is nothing to count
			if nr := s.NodeRole(at); nr == nil || nr.State == crowbar.Active || nr.State == crowbar.Error {
				break
			}
		}
	}
	return fmt.Errorf("the state was closed")
}

// grow builds a fleet, anneals it, and dies in the middle of its rerun.
func grow(ctx context.Context, o options) error {
	p, err := open(ctx, o)
	if err != nil {
		return err
	}
	if err := p.engine.Import(ctx, catalog(o.roles)); err != nil {
		return err
	}
	f := figures{Nodes: o.one}
	took := func(to *time.Duration, do func() error) error {
		began := time.Now()
		err := do()
		*to = time.Since(began)
		return err
	}
	stop := o.cpuProfile("build")
	if err := took(&f.Bind, func() error { return p.build(ctx, o.one) }); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	if err := took(&f.Commit, func() error { return p.engine.Commit(ctx, p.deployment) }); err != nil {
		return err
	}
	stop()
	f.NodeRoles = p.engine.View().Count(crowbar.KindNodeRole)
	stop = o.cpuProfile("plan")
	steps := 0
	if err := took(&f.Plan, func() error {
		plan, err := p.engine.Foresee(ctx, crowbar.PlanFor{Deployment: "fleet"}, nil)
		if err == nil {
			steps = len(plan.Steps)
		}
		return err
	}); err != nil {
		return err
	}
	stop()
	if steps != f.NodeRoles {
		return fmt.Errorf("the plan has %d steps for %d node-roles", steps, f.NodeRoles)
	}
	if err := p.anneal(ctx, &f, took); err != nil {
		return err
	}
	_, f.MaxRSS = spent()
	f.State = size(o.path("etcd"))
	if err := p.anew(ctx, f.NodeRoles); err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(f); err != nil {
		return err
	}
	return syscall.Kill(os.Getpid(), syscall.SIGKILL)
}

// anneal runs everything; then it adds a node, and, to small fleets, runs all once more.
func (p *process) anneal(ctx context.Context, f *figures, took func(*time.Duration, func() error) error) error {
	go func() { _ = p.annealer.Run(ctx) }()
	stop := p.cpuProfile("anneal")
	cpu, _ := spent()
	commits := p.store.commits()
	if err := took(&f.Wall, func() error { return p.rest(ctx) }); err != nil {
		return err
	}
	after, _ := spent()
	stop()
	f.CPU, f.Commits, f.P50, f.P99 = after-cpu, p.store.commits()-commits, p.percentile(0.5), p.percentile(0.99)
	p.heapProfile()
	p.forget()
	n, err := p.node(ctx, p.one)
	if err != nil {
		return err
	}
	if _, err := p.engine.Bind(ctx, p.engine.View().RoleNamed("worker").ID, n, p.deployment); err != nil {
		return err
	}
	if err := p.engine.Commit(ctx, p.deployment); err != nil {
		return err
	}
	if err := p.rest(ctx); err != nil {
		return err
	}
	for node, runs := range p.forget() {
		if node != p.engine.View().Node(n).Short() {
			f.Touched += runs
		}
	}
	if p.one > 1000 {
		return nil
	}
	return took(&f.Rerun, func() error {
		if err := p.engine.Rerun(ctx, p.deployment); err != nil {
			return err
		}
		return p.rest(ctx)
	})
}

// anew begins to run everything again, and comes back in the middle of it.
func (p *process) anew(ctx context.Context, nodeRoles int) error {
	p.forget()
	if err := p.engine.Rerun(ctx, p.deployment); err != nil {
		return err
	}
	watch, cancel := context.WithCancel(ctx)
	defer cancel()
	for range p.engine.Watch(watch) {
		p.mu.Lock()
		n := 0
		for _, runs := range p.runs {
			n += runs
		}
		p.mu.Unlock()
		if n > min(nodeRoles/4, 5000) {
			return nil
		}
	}
	return fmt.Errorf("the state was closed")
}

// takeUp starts on a state whose daemon was killed.
func takeUp(ctx context.Context, o options) error {
	began := time.Now()
	defer o.cpuProfile("resume")()
	p, err := open(ctx, o)
	if err != nil {
		return err
	}
	var f figures
	for nr := range p.engine.View().NodeRoles() {
		if nr.State == crowbar.Transition {
			f.Reclaimed++
		}
	}
	if err := p.engine.Reclaim(ctx); err != nil {
		return err
	}
	go func() { _ = p.annealer.Run(ctx) }()
	watch, cancel := context.WithCancel(ctx)
	defer cancel()
	for range p.engine.Watch(watch) {
		p.mu.Lock()
		n := len(p.runs)
		p.mu.Unlock()
		if n > 0 {
			break
		}
	}
	f.Resume = time.Since(began)
	return json.NewEncoder(os.Stdout).Encode(struct {
		Resume    time.Duration `json:"resume"`
		Reclaimed int           `json:"reclaimed"`
	}{f.Resume, f.Reclaimed})
}

func size(dir string) (bytes int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			if i, err := d.Info(); err == nil {
				bytes += i.Size()
			}
		}
		return nil
	})
	return bytes
}

func (o options) cpuProfile(of string) (stop func()) {
	if o.profile == "" {
		return func() {}
	}
	f, err := os.Create(filepath.Join(o.profile, fmt.Sprintf("%s-%d.cpu", of, o.one)))
	if err != nil {
		return func() {}
	}
	_ = pprof.StartCPUProfile(f)
	return func() { pprof.StopCPUProfile(); f.Close() }
}

func (o options) heapProfile() {
	if o.profile == "" {
		return
	}
	f, err := os.Create(filepath.Join(o.profile, fmt.Sprintf("anneal-%d.heap", o.one)))
	if err != nil {
		return
	}
	defer f.Close()
	runtime.GC()
	_ = pprof.Lookup("heap").WriteTo(f, 0)
}
