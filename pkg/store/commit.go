package store

import (
	"context"
	"errors"
	"strconv"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Commit makes the changes, all of them or none. It is a Conflict if the state has moved past at; View has the newer state
// by then. After an error of another kind the changes may or may not have been made: look at View before trying again.
func (s *Store) Commit(ctx context.Context, at crowbar.Rev, changes ...crowbar.Change) error {
	if len(changes) == 0 {
		return nil
	}
	entries, clean, err := encode(changes)
	if err != nil {
		return err
	}
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := ctx.Err(); err != nil { // the embedded server does not look at it
		return err
	}
	s.mu.Lock()
	view, journal, closed := s.view, s.journal, s.closed
	s.mu.Unlock()
	if closed {
		return crowbar.Errorf(crowbar.Unavailable, "the state is closed")
	}
	if view.Rev() != at {
		return conflict(at, int64(view.Rev()))
	}
	if journal != 0 {
		if err := s.fold(ctx, journal); err != nil {
			return err
		}
	}
	next := view.Next()
	for _, e := range entries {
		next = max(next, e.ID+1) // also of an object that came and went
	}
	ops, err := s.ops(ctx, at, entries)
	if err != nil {
		return err
	}
	packed := len(ops) == 1 && string(ops[0].KeyBytes()) == journalKey
	ops = append(ops, clientv3.OpPut(headKey, strconv.FormatUint(uint64(next), 10)))
	// gofail: var beforeCommit struct{}
	rev, err := s.transact(ctx, at, ops)
	if err != nil {
		return err
	}
	// gofail: var afterCommit struct{}
	if packed {
		journal = rev
	} else {
		journal = 0
	}
	s.advance(crowbar.Rev(rev), journal, func(v *crowbar.Snapshot) *crowbar.Snapshot {
		return v.Apply(crowbar.Rev(rev), clean...).Skip(next)
	})
	if journal != 0 {
		if err := s.fold(ctx, journal); err != nil {
			s.log.Warn("state: the journal is folded at the next commit", "error", err)
		}
	}
	return nil
}

func conflict(at crowbar.Rev, now int64) error {
	return crowbar.Errorf(crowbar.Conflict, "the state moved on from revision %d to %d: look again and repeat", at, now)
}

// ops is one operation for each entry, or the one that writes them all to the journal.
func (s *Store) ops(ctx context.Context, at crowbar.Rev, entries []entry) ([]clientv3.Op, error) {
	size := 0
	ops := make([]clientv3.Op, 0, len(entries)+1)
	for _, e := range entries {
		if len(e.Value)+1024 > s.cfg.MaxBytes {
			return nil, crowbar.Errorf(crowbar.Invalid, "%s %d takes %d bytes, and the state's etcd allows %d in one request: make it smaller, or raise etcd's --max-request-bytes",
				e.Kind, e.ID, len(e.Value), s.cfg.MaxBytes)
		}
		size += len(e.Value) + 200
		ops = append(ops, e.op())
	}
	if len(entries)+2 <= s.cfg.MaxOps && // with head, and the number of a daemon's last commit
		size <= s.cfg.MaxBytes {
		return ops, nil
	}
	op, err := s.journalled(ctx, at, entries)
	return []clientv3.Op{op}, err
}

func (e entry) op() clientv3.Op {
	if e.Value == nil {
		return clientv3.OpDelete(keyOf(e.Kind, e.ID))
	}
	return clientv3.OpPut(keyOf(e.Kind, e.ID), string(e.Value))
}

// fold writes the journal's entries to their own keys, in as many transactions as it takes, and then drops the journal.
// It can be cut off anywhere and done again: no commit happens while there is a journal.
func (s *Store) fold(ctx context.Context, journal int64) error {
	// gofail: var beforeFold struct{}
	var resp *clientv3.GetResponse
	err := s.insist(ctx, func(ctx context.Context) (err error) {
		resp, err = s.kv.Get(ctx, journalKey)
		return err
	})
	if err != nil {
		return trouble("read", err)
	}
	if len(resp.Kvs) == 0 || resp.Kvs[0].ModRevision != journal {
		return s.folded(journal)
	}
	entries, err := s.readJournal(ctx, resp.Kvs[0].Value, journal)
	if err != nil {
		return err
	}
	for len(entries) > 0 {
		n, size := 0, 0
		var ops []clientv3.Op
		for n < len(entries) && n < s.cfg.MaxOps && (n == 0 || size+len(entries[n].Value) < s.cfg.MaxBytes/2) {
			ops = append(ops, entries[n].op())
			size += len(entries[n].Value) + 200
			n++
		}
		// gofail: var betweenFolds struct{}
		entries = entries[n:]
		if err := s.foldTxn(ctx, journal, ops); err != nil {
			return err
		}
	}
	// gofail: var beforeJournalDrop struct{}
	drop := []clientv3.Op{clientv3.OpDelete(journalKey)}
	if p, ok := inParts(resp.Kvs[0].Value); ok {
		drop = append(drop, clientv3.OpDelete(p.Prefix, clientv3.WithPrefix()))
	}
	if err := s.foldTxn(ctx, journal, drop); err != nil {
		return err
	}
	// gofail: var afterFold struct{}
	return s.folded(journal)
}

func (s *Store) foldTxn(ctx context.Context, journal int64, ops []clientv3.Op) error {
	s.mu.Lock()
	guards := append(s.registered(), clientv3.Compare(clientv3.ModRevision(journalKey), "=", journal))
	s.mu.Unlock()
	err := s.insist(ctx, func(ctx context.Context) error {
		_, err := s.kv.Txn(ctx).If(guards...).Then(ops...).Commit()
		return err
	})
	if err != nil {
		return trouble("fold", err)
	}
	return nil
}

func (s *Store) folded(journal int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.journal == journal {
		s.journal = 0
	}
	return nil
}

// trouble names an error of etcd.
func trouble(doing string, err error) error {
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, rpctypes.ErrNoSpace):
		return crowbar.Errorf(crowbar.Unavailable, "%s state: etcd has used up its quota: compact and defragment it, then `etcdctl alarm disarm`: %w", doing, err)
	case errors.Is(err, rpctypes.ErrTooManyOps), errors.Is(err, rpctypes.ErrRequestTooLarge):
		return crowbar.Errorf(crowbar.Invalid, "%s state: etcd allows less in one transaction than the configuration says: %w", doing, err)
	}
	return crowbar.Errorf(crowbar.Unavailable, "%s state: etcd does not answer: %w", doing, err)
}
