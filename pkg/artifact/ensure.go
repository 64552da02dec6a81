package artifact

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Phase is what happens to a component.
type Phase string

// The phases, in order; a component goes through some of the middle ones.
const (
	Waiting  Phase = "waiting" // for another process that makes the same, or for a free slot
	Fetching Phase = "fetching"
	Building Phase = "building"
	Packing  Phase = "packing" // an image
	Ready    Phase = "ready"
	Failed   Phase = "failed"
)

// Event is one step of Ensure, and comes once a second while something is being made.
type Event struct {
	Component string // its name; images are named "images/FILE"
	Version   string
	Arch      string
	Phase     Phase
	Elapsed   time.Duration // since work on this component began
	Expected  time.Duration // what it takes on this machine when nothing is cached; 0 = unknown
	Done      int           // components that are finished
	Total     int           // components that were missing
	Spent     time.Duration // since Ensure began
	Left      time.Duration // what is expected for all that is not finished
}

// Ensure brings the named components ("etcd") or artifacts ("etcd/etcd") into the cache, and what they are made from; no
// name means everything but what is on demand. It does the missing ones only, and says so through progress, which may be nil and is never called
// twice at once. When one fails the others are stopped.
func (a *Cache) Ensure(ctx context.Context, arch string, progress func(Event), names ...string) error {
	arch = orHost(arch)
	picked, err := a.cat.pick(names)
	if err != nil {
		return err
	}
	var todo []*Component
	for _, c := range picked {
		ok, err := a.has(c, arch)
		if err != nil {
			return err
		}
		if !ok {
			todo = append(todo, c)
		}
	}
	if len(todo) == 0 {
		return nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	b := &board{report: progress, total: len(todo), start: time.Now(), jobs: map[*Component]*job{}}
	for _, c := range todo {
		b.jobs[c] = &job{c: c, arch: arch, expected: expected(c), done: make(chan struct{}), board: b}
	}
	stop := b.tick()
	defer stop()
	var all sync.WaitGroup
	slots := make(chan struct{}, a.Parallel)
	for _, c := range todo {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
		all.Go(func() {
			defer func() { <-slots }()
			j := b.jobs[c]
			if err := a.make(ctx, j); err != nil {
				j.to(Failed)
				cancel(fmt.Errorf("artifact %s %s for %s: %w", c.title(), c.Version, arch, err))
				return
			}
			j.to(Ready)
			close(j.done)
		})
	}
	all.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return nil
}

// has says whether every file of a component is in the cache.
func (a *Cache) has(c *Component, arch string) (bool, error) {
	dir, err := a.dir(c, arch)
	if err != nil {
		return false, err
	}
	return !slices.ContainsFunc(c.Files, func(f File) bool { _, ok := read(c, f, dir); return !ok }), nil
}

// expected is how long a component takes on this machine from nothing.
func expected(c *Component) time.Duration {
	return time.Duration(float64(c.CPU) / (0.9 * float64(runtime.NumCPU())) * float64(time.Second))
}

// make brings one component into the cache, from the first source that has it.
func (a *Cache) make(ctx context.Context, j *job) error {
	c := j.c
	for _, other := range j.board.jobs {
		if c.needs(other.c) {
			select {
			case <-other.done:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	dir, err := a.dir(c, j.arch)
	if err != nil {
		return err
	}
	hash, err := a.hashOf(c, j.arch)
	if err != nil {
		return err
	}
	unlock, err := a.lock(ctx, func() { j.to(Waiting) }, c.Name+"-"+c.Version+"-"+hash+"-"+j.arch)
	if err != nil {
		return err
	}
	defer unlock()
	if ok, err := a.has(c, j.arch); ok || err != nil { // another process did it meanwhile
		return err
	}
	tmp, done, err := a.scratch()
	if err != nil {
		return err
	}
	defer done()
	made, err := a.source(ctx, j, tmp)
	if err != nil {
		return err
	}
	for _, f := range c.Files {
		if err := a.keep(made[f.Name], dir, f.Name); err != nil {
			return err
		}
	}
	a.Log.Info("artifact is ready", "component", c.Name, "version", c.Version, "arch", j.arch, "seconds", int(j.elapsed().Seconds()))
	return nil
}

// source makes every file of a component in tmp, and gives their paths by name.
func (a *Cache) source(ctx context.Context, j *job, tmp string) (map[string]string, error) {
	made, err := a.fetch(ctx, j, tmp)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return made, err
	}
	switch c := j.c; {
	case c.Image != nil:
		return a.image(ctx, j, tmp)
	case c.Own != "":
		return a.own(ctx, j, tmp)
	case c.Build != nil:
		return a.build(ctx, j, tmp)
	}
	return nil, crowbar.Errorf(crowbar.NotFound, "no source has it: %w", err)
}
