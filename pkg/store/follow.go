package store

import (
	"context"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// follow keeps the view in step with commits of others, in order of revisions, until ctx ends; where etcd has compacted
// what comes next, or the watch hangs, it loads everything again.
func (s *Store) follow(ctx context.Context, from int64) {
	for ctx.Err() == nil {
		s.watch(ctx, from)
		for wait := 100 * time.Millisecond; ctx.Err() == nil; wait = min(2*wait, 5*time.Second) {
			l, err := s.load(ctx)
			if err == nil {
				s.move(l.view.Rev(), l.journal, true, func(*crowbar.Snapshot) *crowbar.Snapshot { return l.view })
				s.enrol(func(r *roll) { *r = l.roll })
				from = l.from
				break
			}
			if ctx.Err() == nil {
				s.log.Warn("state: read", "error", err)
			}
			pause(ctx, wait)
		}
	}
}

// watch applies what comes, until it breaks, somebody asks for a new reading, or ctx ends. It has a stream of its own: one
// that hangs on a frozen member would be used again otherwise.
func (s *Store) watch(ctx context.Context, from int64) {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	watcher := clientv3.Watcher(s.kv)
	if s.kv.ActiveConnection() != nil {
		watcher = clientv3.NewWatcher(s.kv)
		defer watcher.Close()
	}
	events := watcher.Watch(ctx, prefix, clientv3.WithPrefix(), clientv3.WithRev(from))
	for {
		select {
		case resp, open := <-events:
			if !open {
				return
			}
			if err := resp.Err(); err != nil {
				s.log.Warn("state: watch broke, reading all of it again", "error", err)
				return
			}
			if err := s.events(ctx, resp.Events); err != nil {
				s.log.Error("state: watch", "error", err)
				return
			}
		case <-s.again:
			s.log.Warn("state: nothing comes from the watch, reading all of it again")
			return
		}
	}
}

// enrol changes the roll of daemons, and tells the watches, because who works on what follows from it.
func (s *Store) enrol(change func(*roll)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	owners := s.owners
	change(&s.roll)
	s.owners = owners
	s.count()
	s.tell()
}

// events applies whole revisions, one after the other. A revision without head (folding, the roll) changes no object.
func (s *Store) events(ctx context.Context, events []*clientv3.Event) error {
	if slices.ContainsFunc(events, func(ev *clientv3.Event) bool { return isRoll(string(ev.Kv.Key)) }) {
		s.enrol(func(r *roll) { r.take(events) })
	}
	for rev, of := range byRevision(events) {
		if err := s.revision(ctx, rev, of); err != nil {
			return err
		}
	}
	return nil
}

// byRevision yields the events of each revision together.
func byRevision(events []*clientv3.Event) iter.Seq2[int64, []*clientv3.Event] {
	return func(yield func(int64, []*clientv3.Event) bool) {
		for len(events) > 0 {
			rev, n := events[0].Kv.ModRevision, 1
			for n < len(events) && events[n].Kv.ModRevision == rev {
				n++
			}
			if !yield(rev, events[:n]) {
				return
			}
			events = events[n:]
		}
	}
}

func (s *Store) revision(ctx context.Context, rev int64, events []*clientv3.Event) error {
	if s.View().Rev() >= crowbar.Rev(rev) {
		return nil
	}
	t, err := s.taleOf(ctx, rev, events)
	if err != nil {
		return err
	}
	if !t.head {
		if s.foldedBy(events) {
			s.mu.Lock()
			s.journal = 0
			s.mu.Unlock()
		}
		return nil
	}
	s.advance(crowbar.Rev(rev), t.journal, func(v *crowbar.Snapshot) *crowbar.Snapshot {
		return v.Apply(crowbar.Rev(rev), t.changes...).Skip(crowbar.ID(t.next))
	})
	return nil
}

// tale is what the events of one revision say.
type tale struct {
	changes []crowbar.Change
	head    bool // it is a revision of the state
	next    uint64
	journal int64
}

func (s *Store) taleOf(ctx context.Context, rev int64, events []*clientv3.Event) (t tale, err error) {
	for _, ev := range events {
		key := string(ev.Kv.Key)
		var entries []entry
		switch {
		case key == headKey:
			t.head = true
			t.next, _ = strconv.ParseUint(string(ev.Kv.Value), 10, 64)
		case key == journalKey && ev.Type == mvccpb.PUT:
			if entries, err = s.readJournal(ctx, ev.Kv.Value, rev); err != nil {
				return t, err
			}
			t.journal = rev
		case strings.HasPrefix(key, prefix):
			kind, id, ok := objectOf(key)
			if !ok {
				continue
			}
			e := entry{Kind: kind, ID: id}
			if ev.Type == mvccpb.PUT {
				e.Value = ev.Kv.Value
			}
			entries = []entry{e}
		}
		for _, e := range entries {
			c, err := e.change()
			if err != nil {
				return t, err
			}
			t.changes = append(t.changes, c)
		}
	}
	return t, nil
}

func (s *Store) foldedBy(events []*clientv3.Event) bool {
	for _, ev := range events {
		if string(ev.Kv.Key) == journalKey && ev.Type == mvccpb.DELETE {
			return true
		}
	}
	return false
}
