package store

import (
	"context"
	"errors"
	"sync"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// mostMoves is how many revisions wait for a follower; what comes then is told as one.
const mostMoves = 4096

// follower is somebody who wants every revision.
type follower struct {
	end   context.CancelFunc
	more  chan struct{}
	mu    sync.Mutex
	queue []crowbar.Moved
}

func (f *follower) push(m crowbar.Moved) {
	f.mu.Lock()
	if n := len(f.queue); n >= mostMoves {
		f.queue[n-1] = crowbar.Moved{Was: f.queue[n-1].Was, Now: m.Now, Lost: true}
	} else {
		f.queue = append(f.queue, m)
	}
	f.mu.Unlock()
	select {
	case f.more <- struct{}{}:
	default:
	}
}

func (f *follower) take() []crowbar.Moved {
	f.mu.Lock()
	defer f.mu.Unlock()
	q := f.queue
	f.queue = nil
	return q
}

// Moves gives the state now, and every revision from then on, one by one; the channel is closed when ctx or the store ends.
// A follower that is slow holds nobody up: what is too much for it to be told one by one is told as Lost.
func (s *Store) Moves(ctx context.Context) (*crowbar.Snapshot, <-chan crowbar.Moved) {
	ctx, end := context.WithCancel(ctx)
	f := &follower{end: end, more: make(chan struct{}, 1)}
	out := make(chan crowbar.Moved)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		end()
		close(out)
		return s.view, out
	}
	s.followers[f] = struct{}{}
	s.done.Go(func() {
		defer close(out)
		defer s.forget(f)
		for {
			for _, m := range f.take() {
				select {
				case out <- m:
				case <-ctx.Done():
					return
				}
			}
			select {
			case <-f.more:
			case <-ctx.Done():
				return
			}
		}
	})
	return s.view, out
}

func (s *Store) forget(f *follower) {
	f.end()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.followers, f)
}

// Since gives every revision after one, up to the newest there is when it is called, as long as each wants more. It is
// NotFound if etcd has compacted them away, or never had them.
func (s *Store) Since(ctx context.Context, after crowbar.Rev, each func(crowbar.Moved) bool) error {
	until := s.View().Rev()
	if after >= until {
		return nil
	}
	gone := crowbar.Errorf(crowbar.NotFound, "what happened since revision %d is not known any more", after)
	if after <= 0 {
		return gone
	}
	l, err := s.loadAt(ctx, int64(after))
	if isGone(err) {
		return gone
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	view := l.view
	for resp := range s.kv.Watch(ctx, prefix, clientv3.WithPrefix(), clientv3.WithRev(int64(after)+1)) {
		if err := resp.Err(); isGone(err) {
			return gone
		} else if err != nil {
			return trouble("follow", err)
		}
		for rev, events := range byRevision(resp.Events) {
			t, err := s.taleOf(ctx, rev, events)
			if isGone(err) {
				return gone
			} else if err != nil {
				return err
			}
			if !t.head {
				continue
			}
			was := view
			view = view.Apply(crowbar.Rev(rev), t.changes...).Skip(crowbar.ID(t.next))
			if !each(crowbar.Moved{Was: was, Now: view}) || view.Rev() >= until {
				return nil
			}
		}
	}
	return ctx.Err()
}

func isGone(err error) bool {
	return errors.Is(err, rpctypes.ErrCompacted) || errors.Is(err, rpctypes.ErrFutureRev)
}

// Read is the newest state as etcd has it, read anew: the view is worked out of what changed, and does not see what somebody
// else has written past the daemons.
func (s *Store) Read(ctx context.Context) (*crowbar.Snapshot, error) {
	l, err := s.load(ctx)
	return l.view, err
}
