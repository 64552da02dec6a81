// Package storetest holds what every store of the state must do, as a suite of tests, and a store in memory that passes it.
// It does not know etcd.
package storetest

import (
	"context"
	"encoding/json"
	"sync"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Memory is a store that forgets everything with its process.
type Memory struct {
	mu      sync.Mutex
	view    *crowbar.Snapshot
	watches map[chan *crowbar.Snapshot]struct{}
	past    []crowbar.Moved
	moved   chan struct{} // closed and replaced when view moves
	// Keep is how many revisions it remembers, for Moves and Since; 0 = 1000, which followers must not fall behind.
	Keep int
	// Refuse, if set, is asked before each commit; its error is the commit's.
	Refuse func(at crowbar.Rev, changes []crowbar.Change) error
}

// NewMemory is an empty store.
func NewMemory() *Memory {
	return &Memory{view: crowbar.NewSnapshot(), watches: map[chan *crowbar.Snapshot]struct{}{}, moved: make(chan struct{})}
}

// View is the newest state.
func (m *Memory) View() *crowbar.Snapshot {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.view
}

// Commit makes all changes or none.
func (m *Memory) Commit(ctx context.Context, at crowbar.Rev, changes ...crowbar.Change) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(changes) == 0 {
		return nil
	}
	clean := make([]crowbar.Change, len(changes))
	for i, c := range changes {
		var err error
		if clean[i], err = copied(c); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.Refuse != nil {
		if err := m.Refuse(at, changes); err != nil {
			return err
		}
	}
	if m.view.Rev() != at {
		return crowbar.Errorf(crowbar.Conflict, "the state moved on from revision %d to %d: look again and repeat", at, m.view.Rev())
	}
	was := m.view
	m.view = was.Apply(at+1, clean...)
	m.remember(crowbar.Moved{Was: was, Now: m.view})
	for ch := range m.watches {
		select {
		case <-ch:
		default:
		}
		ch <- m.view
	}
	return nil
}

// copied is the change as it would come back from a disk.
func copied(c crowbar.Change) (crowbar.Change, error) {
	if (c.Put == nil) == (c.Drop == nil) {
		return c, crowbar.Errorf(crowbar.Invalid, "exactly one of put and drop must be set")
	}
	if c.Drop != nil {
		return c, nil
	}
	fresh := crowbar.New(c.Put.Kind())
	if fresh == nil || c.Put.Key() == 0 {
		return c, crowbar.Errorf(crowbar.Invalid, "no object has kind %q and id %d", c.Put.Kind(), c.Put.Key())
	}
	b, err := json.Marshal(c.Put)
	if err != nil {
		return c, crowbar.Errorf(crowbar.Invalid, "write %s %d: %w", c.Put.Kind(), c.Put.Key(), err)
	}
	return crowbar.Change{Put: fresh}, json.Unmarshal(b, fresh)
}

// Watch gives the state now and whenever it has moved, the newest only; closed when ctx ends.
func (m *Memory) Watch(ctx context.Context) <-chan *crowbar.Snapshot {
	ch := make(chan *crowbar.Snapshot, 1)
	m.mu.Lock()
	defer m.mu.Unlock()
	ch <- m.view
	m.watches[ch] = struct{}{}
	context.AfterFunc(ctx, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.watches, ch)
		close(ch)
	})
	return ch
}
