// Package store keeps the state in etcd and its newest snapshot in memory: each commit is one transaction, all of it or
// none. It does not know what the objects mean nor which changes are allowed.
//
// One key, head, is written by every commit and guards it: a commit says which revision it was computed from, and is
// refused with a Conflict if head has moved. A change set that exceeds the server's limit of operations (128 in a server
// that was not set up for us) is written as one compressed journal key together with head, which is as atomic, and is
// folded into the objects' own keys afterwards; until then readers lay the journal over the objects. What exceeds the limit
// of bytes even so is written in parts before, which the journal key then names.
package store

import (
	"context"
	"crypto/rand"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Config says where the state is.
type Config struct {
	Client   *clientv3.Client // stays the caller's to close
	MaxOps   int              // operations the server allows in one transaction; 0 = etcd's default, 128
	MaxBytes int              // of one request; 0 = etcd's default, 1.5 MiB
	// Alone says that something stronger than a lease (the lock on an embedded server's folder) keeps other daemons off:
	// Hold then takes over at once and its registration does not end by itself.
	Alone bool
	TTL   time.Duration // of a registration; 0 = 5 s
	Log   *slog.Logger  // nil = silent
	// Program is the version of this program, which the state remembers. Reforms are the steps between the forms of the state;
	// nil = crowbar's.
	Program string
	Reforms []crowbar.Reform
}

// Store is the state. All methods are safe for concurrent use.
type Store struct {
	cfg Config
	kv  *clientv3.Client
	id  string // of this store among the writers

	schema int64 // mod revision of the key of the state's form when it was opened; 0 = none

	log  *slog.Logger
	stop context.CancelFunc
	done sync.WaitGroup
	turn chan struct{} // held by the one commit that is on its way to etcd

	newest atomic.Pointer[crowbar.Snapshot] // view, for readers: they do not wait while the next one is made

	mu        sync.Mutex
	view      *crowbar.Snapshot
	journal   int64         // mod revision of an unfolded journal, 0 = none
	moved     chan struct{} // closed and replaced when view moves
	watches   map[chan *crowbar.Snapshot]struct{}
	followers map[*follower]struct{}
	closed    bool
	held      *registration // nil = not held
	commits   uint64        // tried under held
	roll
	again chan struct{} // tells follow to read everything anew
}

// Open loads the state and keeps it in step until Close. ctx limits the loading alone. A state of an older form is brought
// to this program's; one of a newer form is Invalid.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	s := bare(cfg)
	if err := s.settle(ctx, s.cfg.newest()); err != nil {
		return nil, err
	}
	l, err := s.load(ctx)
	if err != nil {
		return nil, err
	}
	// gofail: var afterLoad struct{}
	s.view, s.journal, s.roll = l.view, l.journal, l.roll
	s.newest.Store(s.view)
	s.count()
	run, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.done.Go(func() { s.follow(run, l.from) })
	return s, nil
}

// bare is a store that has read nothing yet.
func bare(cfg Config) *Store {
	if cfg.MaxOps == 0 {
		cfg.MaxOps = 128
	}
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = 1536 << 10
	}
	// gofail: var maxOps int
	// cfg.MaxOps = maxOps
	if cfg.TTL == 0 {
		cfg.TTL = 5 * time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Store{cfg: cfg, kv: cfg.Client, id: rand.Text(), log: cfg.Log, turn: make(chan struct{}, 1), moved: make(chan struct{}),
		again: make(chan struct{}, 1), watches: map[chan *crowbar.Snapshot]struct{}{}, followers: map[*follower]struct{}{}}
}

// Close gives the registration back and ends all watches. The client stays open.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	for f := range s.followers {
		f.end()
	}
	s.mu.Unlock()
	err := s.release()
	// gofail: var afterRelease struct{}
	s.stop()
	s.done.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	for ch := range s.watches {
		delete(s.watches, ch)
		close(ch)
	}
	return err
}

// View is the newest state.
func (s *Store) View() *crowbar.Snapshot { return s.newest.Load() }

// Watch gives the state now and again whenever it has moved or daemons have come or gone; a reader that is slow misses what lies between, never the
// newest. The channel is closed when ctx or the store ends.
func (s *Store) Watch(ctx context.Context) <-chan *crowbar.Snapshot {
	ch := make(chan *crowbar.Snapshot, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || ctx.Err() != nil {
		close(ch)
		return ch
	}
	ch <- s.view
	s.watches[ch] = struct{}{}
	context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if _, open := s.watches[ch]; open {
			delete(s.watches, ch)
			close(ch)
		}
	})
	return ch
}

// advance moves the view on to rev, if it is not there yet.
func (s *Store) advance(rev crowbar.Rev, journal int64, next func(*crowbar.Snapshot) *crowbar.Snapshot) {
	s.move(rev, journal, false, next)
}

// move is advance; lost says that there may have been revisions in between.
func (s *Store) move(rev crowbar.Rev, journal int64, lost bool, next func(*crowbar.Snapshot) *crowbar.Snapshot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.view.Rev() >= rev {
		return
	}
	was := s.view
	s.view, s.journal = next(was), journal
	s.newest.Store(s.view)
	for f := range s.followers {
		f.push(crowbar.Moved{Was: was, Now: s.view, Lost: lost})
	}
	close(s.moved)
	s.moved = make(chan struct{})
	s.tell()
}

// tell hands the newest view to all watches; with mu held.
func (s *Store) tell() {
	for ch := range s.watches {
		select {
		case <-ch:
		default:
		}
		ch <- s.view
	}
}

// await waits until the view has left rev, for a second at most: whoever was refused computes again from what refused it.
// Where nothing comes by then, the watch may hang on a member that is frozen or cut off, and everything is read anew.
func (s *Store) await(ctx context.Context, rev crowbar.Rev) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	for {
		s.mu.Lock()
		now, moved := s.view.Rev(), s.moved
		s.mu.Unlock()
		if now > rev {
			return
		}
		select {
		case <-moved:
		case <-ctx.Done():
			select {
			case s.again <- struct{}{}:
			default:
			}
			return
		}
	}
}
