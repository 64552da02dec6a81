// Package engine holds the verbs: every change of the state is one of its methods, and one commit. It does not know how
// nodes are reached, what roles do, or who asks.
//
// What follows from what is decided by graph and attrib; the engine joins them with the store and the clock in one loop:
// look, compute, commit, and again if somebody was faster. Verbs that come at the same time share a commit.
package engine

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Store is where the state is.
type Store interface {
	View() *crowbar.Snapshot
	Commit(ctx context.Context, at crowbar.Rev, c ...crowbar.Change) error
	Watch(ctx context.Context) <-chan *crowbar.Snapshot
}

// PKI computes values of attribs that the host makes. Secrets to store come back as changes, with ids from s.Next().
type PKI interface {
	Value(s *crowbar.Snapshot, w crowbar.Computed) (value any, c []crowbar.Change, err error)
	// Shared is a value that all daemons on the state have in common: the stored one, or else mine.
	Shared(s *crowbar.Snapshot, name, mine string) (value string, c []crowbar.Change, err error)
	// Look is what may be known of an authority, a leaf or a key; ok is false for other secrets.
	Look(sec *crowbar.Secret) (c crowbar.Certificate, ok bool, err error)
	// Due says that two thirds of a certificate's life are over.
	Due(sec *crowbar.Secret) bool
	// Turn moves the rotation of an authority, or of a key that is generated as kind, one phase on; hold nil = as usual.
	Turn(s *crowbar.Snapshot, sec *crowbar.Secret, kind string, hold *crowbar.Duration) ([]crowbar.Change, error)
}

// Config is what the engine stands on.
type Config struct {
	Store Store
	PKI   PKI
	Ring  Ring   // nil: nobody can have a password, no secret value can be set, and none that is sealed can be used
	Owner string // this instance of the daemon; the same name is never used twice
	// Fit says whether what a deployment is to be goes together, and which of its node-roles have another version of what they put
	// on their nodes than they are to have: those take it over one after another. nil = everything goes together.
	Fit func(s *crowbar.Snapshot, deployment crowbar.ID) (behind []crowbar.ID, err error)
	// Mac is a keyed digest, with the same key on all daemons of one state: by it a plan is known again. nil = no plan can be
	// carried out.
	Mac      func(text []byte) []byte
	Parallel int              // nodes that the annealer works on at once, for forecasts; 0 = 30
	Now      func() time.Time // nil = time.Now
	Log      *slog.Logger     // nil = silent
	// KeepRuns is how many runs of a node-role stay on record; 0 = 5. KeepFor is how long, but for its last one; 0 = for ever.
	KeepRuns int
	KeepFor  time.Duration
	// HashCost is that of bcrypt, by which passwords are kept; 0 = 10. Tests take less.
	HashCost int
	// KeepAudit is how many records of what was done over the API are kept; 0 = 50000.
	KeepAudit int
}

// Engine changes the state. All methods are safe for concurrent use.
type Engine struct {
	Config
	queue  queue
	uses   uses
	mended relapses

	mu     sync.Mutex
	median *history

	reseal      chan struct{} // there is a key to seal everything anew by
	resealing   bool
	resealError string
}

// New makes an engine.
func New(c Config) *Engine {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.KeepRuns == 0 {
		c.KeepRuns = 5
	}
	return &Engine{Config: c, reseal: make(chan struct{}, 1), uses: uses{wake: make(chan struct{}, 1)}}
}

// View is the newest state.
func (e *Engine) View() *crowbar.Snapshot { return e.Store.View() }

// Watch gives the state now and whenever it has moved; newest wins.
func (e *Engine) Watch(ctx context.Context) <-chan *crowbar.Snapshot { return e.Store.Watch(ctx) }

// draft is the state with the changes of one verb so far.
type draft struct {
	s       *crowbar.Snapshot
	changes []crowbar.Change
}

// add takes the answer of a pure function in.
func (d *draft) add(changes []crowbar.Change, err error) error {
	if err != nil {
		return err
	}
	if len(changes) > 0 {
		d.s = d.s.Apply(d.s.Rev(), changes...)
		d.changes = append(d.changes, changes...)
	}
	return nil
}

func (d *draft) put(o crowbar.Object)  { _ = d.add([]crowbar.Change{{Put: o}}, nil) }
func (d *draft) drop(o crowbar.Object) { _ = d.add([]crowbar.Change{{Drop: o}}, nil) }

// The next find an object or say that there is none.

func (d *draft) node(id crowbar.ID) (*crowbar.Node, error) {
	if n := d.s.Node(id); n != nil {
		return n, nil
	}
	return nil, crowbar.Errorf(crowbar.NotFound, "there is no node %d", id)
}

func (d *draft) deployment(id crowbar.ID) (*crowbar.Deployment, error) {
	if o := d.s.Deployment(id); o != nil {
		return o, nil
	}
	return nil, crowbar.Errorf(crowbar.NotFound, "there is no deployment %d", id)
}

func (d *draft) nodeRole(id crowbar.ID) (*crowbar.NodeRole, error) {
	if o := d.s.NodeRole(id); o != nil {
		return o, nil
	}
	return nil, crowbar.Errorf(crowbar.NotFound, "there is no node-role %d", id)
}

func (d *draft) attrib(name string) (*crowbar.Attrib, error) {
	if a := d.s.AttribNamed(name); a != nil {
		return a, nil
	}
	return nil, crowbar.Errorf(crowbar.NotFound, "there is no attrib %q", name)
}
