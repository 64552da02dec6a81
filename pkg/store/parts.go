package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// parts is what the journal key holds of a journal that is too large for one request: where the rest of it lies. They are
// written one by one before the commit, and mean nothing until the journal names them. Their keys begin with the revision
// that the commit was computed from, so that those of a commit that never came about are known by an old one.
type parts struct {
	Prefix string `json:"prefix"`
	Count  int    `json:"count"`
	Bytes  int    `json:"bytes"`
}

func (p parts) key(i int) string { return fmt.Sprintf("%s%06d", p.Prefix, i) }

// journalled is the operation that writes entries to the journal, after their parts where they take more than one request.
func (s *Store) journalled(ctx context.Context, at crowbar.Rev, entries []entry) (clientv3.Op, error) {
	b, err := pack(entries)
	if err != nil {
		return clientv3.Op{}, err
	}
	if len(b)+1024 <= s.cfg.MaxBytes {
		return clientv3.OpPut(journalKey, string(b)), nil
	}
	if err := s.sweep(ctx, at); err != nil {
		return clientv3.Op{}, err
	}
	share := s.cfg.MaxBytes - 1024
	p := parts{Prefix: fmt.Sprintf("%s%s/", partsBefore(int64(at)), s.id), Count: (len(b) + share - 1) / share, Bytes: len(b)}
	for i := range p.Count {
		piece := b[i*share : min(len(b), (i+1)*share)]
		s.mu.Lock()
		guards := s.registered()
		s.mu.Unlock()
		var resp *clientv3.TxnResponse
		err := s.insist(ctx, func(ctx context.Context) (err error) {
			resp, err = s.kv.Txn(ctx).If(guards...).Then(clientv3.OpPut(p.key(i), string(piece))).Commit()
			return err
		})
		if err != nil {
			return clientv3.Op{}, trouble("write", err)
		}
		if !resp.Succeeded {
			return clientv3.Op{}, expelled(nil)
		}
	}
	text, err := json.Marshal(p)
	return clientv3.OpPut(journalKey, string(text)), err
}

// sweep drops the parts of commits before at that never came about; none of them can, because head has moved on.
func (s *Store) sweep(ctx context.Context, at crowbar.Rev) error {
	err := s.insist(ctx, func(ctx context.Context) error {
		_, err := s.kv.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(headKey), "=", int64(at)), clientv3.Compare(clientv3.ModRevision(journalKey), "=", 0)).
			Then(clientv3.OpDelete(partsPrefix, clientv3.WithRange(partsBefore(int64(at))))).Commit()
		return err
	})
	if err != nil {
		return trouble("sweep", err)
	}
	return nil
}

// readJournal reads the entries that a journal key's value stands for, at the revision at which that was read.
func (s *Store) readJournal(ctx context.Context, value []byte, rev int64) ([]entry, error) {
	p, ok := inParts(value)
	if !ok {
		return unpack(value)
	}
	b := make([]byte, 0, p.Bytes)
	for i := range p.Count {
		err := s.insist(ctx, func(ctx context.Context) error {
			resp, err := s.kv.Get(ctx, p.key(i), clientv3.WithRev(rev))
			if err == nil && len(resp.Kvs) == 0 {
				return crowbar.Errorf(crowbar.Internal, "part %d of %d is not there", i, p.Count)
			}
			if err == nil {
				b = append(b, resp.Kvs[0].Value...)
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("state: journal: %w", trouble("read", err))
		}
	}
	return unpack(b)
}

// inParts says whether a journal's value is a list of parts; a packed one never begins like that.
func inParts(value []byte) (p parts, ok bool) {
	if len(value) == 0 || value[0] != '{' {
		return p, false
	}
	return p, json.Unmarshal(value, &p) == nil && strings.HasPrefix(p.Prefix, partsPrefix)
}
