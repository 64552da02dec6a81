// Package annealer runs what can run, node by node, until nothing can. It does not decide what that is, and does not change
// the state but by the engine's Begin, Status and Finish.
//
// There is no barrier: a node goes on as soon as its own parents are active, and one dead node stops its own children alone.
package annealer

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/graph"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// Engine is what the annealer needs of the engine.
type Engine interface {
	View() *crowbar.Snapshot
	Watch(ctx context.Context) <-chan *crowbar.Snapshot
	Begin(ctx context.Context, id crowbar.ID) (*crowbar.Work, error)
	Finish(ctx context.Context, id crowbar.ID, attempt uint64, o crowbar.Outcome) error
	Again(ctx context.Context, id crowbar.ID, attempt uint64) error
	Status(ctx context.Context, id crowbar.ID, text string) error
	UpdateNode(ctx context.Context, id crowbar.ID, edit func(*crowbar.Node) error) (*crowbar.Node, error)
}

// Artifacts is the host's catalogue of binaries and images, for an architecture (GOARCH).
type Artifacts interface {
	Stat(ctx context.Context, name, arch string) (crowbar.Artifact, error)
	Open(ctx context.Context, name, arch string) (io.ReadCloser, crowbar.Artifact, error)
}

// Config is what the annealer stands on.
type Config struct {
	Engine    Engine
	Jigs      map[string]jig.Jig
	Roles     func(name string) (role.Role, error)
	Artifacts Artifacts
	Owner     string                     // the engine's; says which runs on record are this daemon's
	Mine      func(node crowbar.ID) bool // whether this daemon starts runs on a node; nil = on all
	// Before is called with each run that is about to begin on its node, which it may make a backup before. Its error is noted
	// in the run's log, and the run begins all the same: it may be what mends the reason. nil = nothing is done.
	Before func(ctx context.Context, w *crowbar.Work) (crowbar.Backup, error)
	// Acting gives a node-role that has been applied, for an action. nil = runs cannot have others wait.
	Acting   func(ctx context.Context, id crowbar.ID) (*crowbar.Work, error)
	LogDir   string        // run logs: LogDir/<node-role / 64>/<node-role>-<attempt>.log
	KeepLogs int           // runs of a node-role that keep their log; 0 = 5
	Parallel int           // nodes at once; 0 = 30
	Timeout  time.Duration // of one run whose role says nothing; 0 = 10 min
	Linger   time.Duration // how long an unused connection stays open; 0 = 60 s
	Hush     *Hush         // learns the secrets of the runs; nil = nobody else asks for them
	Log      *slog.Logger  // nil = silent
}

// Annealer runs node-roles.
type Annealer struct {
	Config
	conns *conns
	logs  *logs
	memos *memos

	mu   sync.Mutex
	lost map[crowbar.ID]losses
	runs map[crowbar.ID]underway
}

// losses counts runs in a row that did not come to an end.
type losses struct{ link, plugin int }

// New makes an annealer; Run starts it.
func New(c Config) *Annealer {
	if c.Parallel == 0 {
		c.Parallel = 30
	}
	if c.Timeout == 0 {
		c.Timeout = 10 * time.Minute
	}
	if c.Linger == 0 {
		c.Linger = time.Minute
	}
	if c.KeepLogs == 0 {
		c.KeepLogs = 5
	}
	if c.Hush == nil {
		c.Hush = &Hush{}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Annealer{Config: c, conns: newConns(c.Linger), logs: newLogs(c.LogDir, c.KeepLogs), memos: newMemos(), lost: map[crowbar.ID]losses{}, runs: map[crowbar.ID]underway{}}
}

// Run starts whatever becomes runnable, at most one run a node, until ctx ends; then it waits for the runs under way, which
// are told to stop and go back to todo. It is an error if the state's watch ends before ctx.
func (a *Annealer) Run(ctx context.Context) error {
	watch := a.Engine.Watch(ctx)
	ended := make(chan crowbar.ID)
	busy := map[crowbar.ID]bool{} // nodes
	var next graph.Frontier
	defer a.conns.closeAll()
	var beside sync.WaitGroup
	defer beside.Wait()
	beside.Go(func() { a.attend(ctx) })
	for watch != nil || len(busy) > 0 {
		select {
		case _, open := <-watch:
			if !open {
				watch = nil
			}
		case node := <-ended:
			delete(busy, node)
		}
		if ctx.Err() != nil {
			watch = nil
			continue
		}
		if len(busy) >= a.Parallel {
			continue // what has changed meanwhile is looked at once there is room
		}
		next.Move(a.Engine.View())
		for nr := range next.Runnable() {
			if len(busy) >= a.Parallel {
				break
			}
			if busy[nr.Node] || a.Mine != nil && !a.Mine(nr.Node) {
				continue
			}
			busy[nr.Node] = true
			go func() {
				a.run(ctx, nr)
				ended <- nr.Node
			}()
		}
	}
	if ctx.Err() == nil {
		return crowbar.Errorf(crowbar.Unavailable, "anneal: the state was closed")
	}
	return nil
}
