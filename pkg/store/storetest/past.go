package storetest

import (
	"cmp"
	"context"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// remember keeps a revision for those who follow; with mu held.
func (m *Memory) remember(what crowbar.Moved) {
	m.past = append(m.past, what)
	if keep := cmp.Or(m.Keep, 1000); len(m.past) > 2*keep {
		m.past = append([]crowbar.Moved{}, m.past[len(m.past)-keep:]...)
	}
	close(m.moved)
	m.moved = make(chan struct{})
}

// after is what is remembered of the time after a revision, and what is closed when there is more; ok is false where that is
// not all there was.
func (m *Memory) after(rev crowbar.Rev) (all []crowbar.Moved, more <-chan struct{}, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, p := range m.past {
		if p.Was.Rev() >= rev {
			return m.past[i:], m.moved, p.Was.Rev() == rev
		}
	}
	return nil, m.moved, rev == m.view.Rev()
}

// Moves gives the state now, and every revision from then on.
func (m *Memory) Moves(ctx context.Context) (*crowbar.Snapshot, <-chan crowbar.Moved) {
	out := make(chan crowbar.Moved)
	at := m.View()
	go func() {
		defer close(out)
		for rev := at.Rev(); ; {
			all, more, _ := m.after(rev)
			for _, p := range all {
				p.Lost = p.Was.Rev() != rev
				rev = p.Now.Rev()
				select {
				case out <- p:
				case <-ctx.Done():
					return
				}
			}
			if len(all) > 0 {
				continue
			}
			select {
			case <-more:
			case <-ctx.Done():
				return
			}
		}
	}()
	return at, out
}

// Since gives every revision after one, as long as each wants more.
func (m *Memory) Since(ctx context.Context, after crowbar.Rev, each func(crowbar.Moved) bool) error {
	all, _, ok := m.after(after)
	if !ok && after < m.View().Rev() {
		return crowbar.Errorf(crowbar.NotFound, "what happened since revision %d is not known any more", after)
	}
	for _, p := range all {
		if ctx.Err() != nil || !each(p) {
			break
		}
	}
	return ctx.Err()
}

// Forget forgets the past, as etcd does when it is compacted.
func (m *Memory) Forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.past = nil
}
