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
	ops, err := s.ops(entries)
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

// transact runs the operations under the guards: head is where the caller saw it, no journal waits, the hold is ours.
func (s *Store) transact(ctx context.Context, at crowbar.Rev, ops []clientv3.Op) (int64, error) {
	s.mu.Lock()
	owner, held := s.owner, s.lost != nil
	s.mu.Unlock()
	guards := []clientv3.Cmp{
		clientv3.Compare(clientv3.ModRevision(headKey), "=", int64(at)),
		clientv3.Compare(clientv3.ModRevision(journalKey), "=", 0),
	}
	if held {
		guards = append(guards, clientv3.Compare(clientv3.ModRevision(ownerKey), "=", owner))
	}
	resp, err := s.kv.Txn(ctx).If(guards...).Then(ops...).
		Else(clientv3.OpGet(headKey, clientv3.WithKeysOnly()), clientv3.OpGet(ownerKey),
			clientv3.OpGet(journalKey, clientv3.WithKeysOnly())).Commit()
	if err != nil {
		return 0, trouble("write", err)
	}
	if resp.Succeeded {
		return resp.Header.Revision, nil
	}
	if kvs := resp.Responses[1].GetResponseRange().Kvs; held && (len(kvs) == 0 || kvs[0].ModRevision != owner) {
		return 0, crowbar.Errorf(crowbar.Unavailable, "this daemon no longer holds the state (%s): it may not write; start it again", holder(kvs))
	}
	now := int64(0)
	if kvs := resp.Responses[0].GetResponseRange().Kvs; len(kvs) > 0 {
		now = kvs[0].ModRevision
	}
	if kvs := resp.Responses[2].GetResponseRange().Kvs; len(kvs) > 0 && now == int64(at) {
		s.mu.Lock()
		s.journal = kvs[0].ModRevision // folded by the next try
		s.mu.Unlock()
		return 0, conflict(at, now)
	}
	s.await(ctx, at)
	return 0, conflict(at, now)
}

// ops is one operation for each entry, or the one that writes them all to the journal.
func (s *Store) ops(entries []entry) ([]clientv3.Op, error) {
	size := 0
	ops := make([]clientv3.Op, 0, len(entries)+1)
	for _, e := range entries {
		size += len(e.Value) + 200
		ops = append(ops, e.op())
	}
	if len(entries)+1 <= s.cfg.MaxOps && size <= s.cfg.MaxBytes {
		return ops, nil
	}
	b, err := pack(entries)
	if err != nil {
		return nil, err
	}
	if len(b)+1024 > s.cfg.MaxBytes {
		return nil, crowbar.Errorf(crowbar.Invalid, "this change of %d objects takes %d bytes in one request, and the state's etcd allows %d: do it in smaller steps, or raise etcd's --max-request-bytes",
			len(entries), len(b), s.cfg.MaxBytes)
	}
	return []clientv3.Op{clientv3.OpPut(journalKey, string(b))}, nil
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
	resp, err := s.kv.Get(ctx, journalKey)
	if err != nil {
		return trouble("read", err)
	}
	if len(resp.Kvs) == 0 || resp.Kvs[0].ModRevision != journal {
		return s.folded(journal)
	}
	entries, err := unpack(resp.Kvs[0].Value)
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
	if err := s.foldTxn(ctx, journal, []clientv3.Op{clientv3.OpDelete(journalKey)}); err != nil {
		return err
	}
	// gofail: var afterFold struct{}
	return s.folded(journal)
}

func (s *Store) foldTxn(ctx context.Context, journal int64, ops []clientv3.Op) error {
	_, err := s.kv.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(journalKey), "=", journal)).Then(ops...).Commit()
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
