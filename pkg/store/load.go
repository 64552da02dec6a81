package store

import (
	"context"
	"runtime"
	"strconv"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

const page = 4096

// loaded is the whole state as read: the view, an unfolded journal's revision, and the revision to follow from.
type loaded struct {
	view    *crowbar.Snapshot
	journal int64
	from    int64
	roll    roll
}

// loading is a state that is being read: pages come one after the other, and are decoded as they come, on all processors.
type loading struct {
	loaded
	at     int64
	head   int64
	next   uint64
	over   []entry
	chunks []*chunk
	slots  chan struct{} // taken by each page that is being decoded
}

// chunk is the objects of a page.
type chunk struct {
	puts []crowbar.Change
	err  error
	done chan struct{}
}

// load reads the newest state.
func (s *Store) load(ctx context.Context) (loaded, error) { return s.loadAt(ctx, 0) }

// loadAt reads the state as it was at a revision, 0 for the newest.
func (s *Store) loadAt(ctx context.Context, at int64) (loaded, error) {
	l := &loading{at: at, slots: make(chan struct{}, runtime.GOMAXPROCS(0))}
	err := l.pages(ctx, s)
	view := crowbar.NewSnapshot().Fork()
	for _, c := range l.chunks { // also after an error: none of them may go on by itself
		<-c.done
		if err == nil {
			err = c.err
		}
		view.Change(c.puts...)
		c.puts = nil
	}
	if err != nil {
		return l.loaded, err
	}
	over := make([]crowbar.Change, len(l.over))
	for i, e := range l.over {
		if over[i], err = e.change(); err != nil {
			return l.loaded, err
		}
	}
	l.view = view.Apply(crowbar.Rev(l.head), over...).Skip(crowbar.ID(l.next))
	l.from = l.at + 1
	return l.loaded, nil
}

func (l *loading) pages(ctx context.Context, s *Store) error {
	key := prefix
	options := []clientv3.OpOption{clientv3.WithRange(clientv3.GetPrefixRangeEnd(prefix)), clientv3.WithLimit(page)}
	if l.at != 0 {
		options = append(options, clientv3.WithRev(l.at))
	}
	for more := true; more; {
		var resp *clientv3.GetResponse
		err := s.insist(ctx, func(ctx context.Context) (err error) {
			resp, err = s.kv.Get(ctx, key, options...)
			return err
		})
		if err != nil {
			return trouble("read", err)
		}
		if l.at == 0 {
			l.at = resp.Header.Revision
			options = append(options, clientv3.WithRev(l.at))
		}
		if err := l.page(ctx, s, resp.Kvs); err != nil {
			return err
		}
		if n := len(resp.Kvs); n > 0 {
			key = string(resp.Kvs[n-1].Key) + "\x00"
		}
		more = resp.More
	}
	return nil
}

// page takes in what is no object, and has the objects decoded.
func (l *loading) page(ctx context.Context, s *Store, kvs []*mvccpb.KeyValue) (err error) {
	for _, kv := range kvs {
		switch key := string(kv.Key); {
		case key == headKey:
			l.head = kv.ModRevision
			l.next, _ = strconv.ParseUint(string(kv.Value), 10, 64)
		case key == journalKey:
			l.journal = kv.ModRevision
			if l.over, err = s.readJournal(ctx, kv.Value, l.at); err != nil {
				return err
			}
		case isRoll(key):
			l.roll.put(kv)
		}
	}
	c := &chunk{done: make(chan struct{})}
	l.chunks = append(l.chunks, c)
	l.slots <- struct{}{}
	go func() {
		c.decode(kvs)
		<-l.slots
		close(c.done)
	}()
	return nil
}

func (c *chunk) decode(kvs []*mvccpb.KeyValue) {
	c.puts = make([]crowbar.Change, 0, len(kvs))
	for _, kv := range kvs {
		kind, id, ok := objectOf(string(kv.Key))
		if !ok {
			continue
		}
		o, err := decode(kind, id, kv.Value)
		if err != nil {
			c.err = err
			return
		}
		c.puts = append(c.puts, crowbar.Change{Put: o})
	}
}
