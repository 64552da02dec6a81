package store

import (
	"cmp"
	"context"
	"encoding/json"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// schema is what the schema key holds: the version of the form that the state has, who wrote it, and, while the state is
// on its way to another version, to which and how far it has come. States of version 1 have no such key.
type schema struct {
	Version int    `json:"version"`
	To      int    `json:"to,omitempty"`
	After   string `json:"after,omitempty"` // the last key that has the new form
	By      string `json:"by,omitempty"`    // version of the program

	rev int64 // mod revision of the key, 0 = there is none
	old bool  // there is a state
}

func (c Config) newest() int { return len(c.reforms()) + 1 }

func (c Config) reforms() []crowbar.Reform {
	if c.Reforms != nil {
		return c.Reforms
	}
	return crowbar.Reforms()
}

// readSchema asks which form the state has.
func (s *Store) readSchema(ctx context.Context) (now schema, err error) {
	var resp *clientv3.TxnResponse
	err = s.insist(ctx, func(ctx context.Context) (err error) {
		resp, err = s.kv.Txn(ctx).Then(clientv3.OpGet(schemaKey), clientv3.OpGet(headKey)).Commit()
		return err
	})
	if err != nil {
		return now, trouble("read", err)
	}
	now = schema{Version: 1, old: len(resp.Responses[1].GetResponseRange().Kvs) > 0}
	for _, kv := range resp.Responses[0].GetResponseRange().Kvs {
		if err := json.Unmarshal(kv.Value, &now); err != nil || now.Version < 1 {
			return now, crowbar.Errorf(crowbar.Internal, "state: what says its version is damaged: %s", kv.Value)
		}
		now.rev = kv.ModRevision
	}
	return now, nil
}

// settle gives the state the form that this program knows: a new one has it from the start, an older one is brought to it,
// and one that a newer program has written is left alone.
func (s *Store) settle(ctx context.Context, want int) error {
	for try := 1; ; try++ {
		now, err := s.readSchema(ctx)
		if err != nil {
			return err
		}
		known := s.cfg.newest()
		switch {
		case max(now.Version, now.To) > known:
			return tooNew(now, known)
		case now.rev == 0 && !now.old:
			_, err = s.mark(ctx, now, schema{Version: want}, nil)
		case now.To == 0 && now.Version == want:
			s.schema = now.rev
			return nil
		default:
			err = s.reform(ctx, now, want)
		}
		if err != nil && (crowbar.KindOf(err) != crowbar.Conflict || try == 5) {
			return err
		}
	}
}

// sameForm is the guard that the state has the form in which it was opened.
func (s *Store) sameForm() clientv3.Cmp {
	return clientv3.Compare(clientv3.ModRevision(schemaKey), "=", s.schema)
}

// replaced looks at the schema key, and says whether somebody has given the state another form since it was opened.
func (s *Store) replaced(kvs []*mvccpb.KeyValue) error {
	if len(kvs) == 0 && s.schema == 0 || len(kvs) > 0 && kvs[0].ModRevision == s.schema {
		return nil
	}
	return crowbar.Errorf(crowbar.Unavailable, "the form of the state has been changed for another version of kubeclampd: this one may not write; start it again")
}

func tooNew(now schema, known int) error {
	by := ""
	if now.By != "" {
		by = ", " + now.By + ","
	}
	return crowbar.Errorf(crowbar.Invalid, "the state has the form of version %d, written by a newer kubeclampd%s and this one knows forms up to %d: start that program again, or have it take the state back by one version with `kubeclampd schema downgrade`, with no daemon at work",
		max(now.Version, now.To), by, known)
}

// mark writes the schema key on condition that it is as it was seen, with more operations in the same transaction; its new
// mod revision is the answer. Somebody else's hand on it is a Conflict.
func (s *Store) mark(ctx context.Context, seen, next schema, more []clientv3.Op) (int64, error) {
	next.By = s.cfg.Program
	text, err := json.Marshal(next)
	if err != nil {
		return 0, err
	}
	write := clientv3.OpPut(schemaKey, string(text))
	if next.Version == 1 && next.To == 0 { // as a program of version 1 leaves it
		write = clientv3.OpDelete(schemaKey)
	}
	guards := []clientv3.Cmp{clientv3.Compare(clientv3.ModRevision(schemaKey), "=", seen.rev)}
	if !seen.old {
		guards = append(guards, clientv3.Compare(clientv3.ModRevision(headKey), "=", 0))
	}
	if !s.cfg.Alone && seen.old {
		guards = append(guards, clientv3.Compare(clientv3.CreateRevision(daemonPrefix), "=", 0).WithPrefix())
	}
	var resp *clientv3.TxnResponse
	err = s.insist(ctx, func(ctx context.Context) (err error) {
		resp, err = s.kv.Txn(ctx).If(guards...).Then(append(more, write)...).Else(clientv3.OpGet(daemonPrefix, clientv3.WithPrefix())).Commit()
		return err
	})
	if err != nil {
		return 0, trouble("write", err)
	}
	if resp.Succeeded {
		return resp.Header.Revision, nil
	}
	if kvs := resp.Responses[0].GetResponseRange().Kvs; len(kvs) > 0 && seen.old && !s.cfg.Alone {
		var names []string
		for _, kv := range kvs {
			var d crowbar.Daemon
			_ = json.Unmarshal(kv.Value, &d) // an older one may say it otherwise; the key will do
			names = append(names, cmp.Or(d.Name, strings.TrimPrefix(string(kv.Key), daemonPrefix)))
		}
		return 0, crowbar.Errorf(crowbar.Unavailable, "the state must be brought from version %d of its form to another, and daemons are at work on it: %s; stop them all, then start one of the new version", seen.Version, strings.Join(names, ", "))
	}
	return 0, crowbar.Errorf(crowbar.Conflict, "another daemon is changing the form of the state at this moment")
}

// reform brings the state one version nearer to the wanted one, or to the end of the step that was cut off before. Each
// object is written in its new form together with how far it has come, so each is reformed once.
func (s *Store) reform(ctx context.Context, now schema, want int) error {
	if now.To == 0 {
		s.schema = now.rev
		if err := s.foldAny(ctx); err != nil {
			return err
		}
		next := schema{Version: now.Version, To: now.Version + 1}
		if want < now.Version {
			next.To = now.Version - 1
		}
		s.log.Info("state: its form is changed", "from", next.Version, "to", next.To, "what", s.cfg.reforms()[min(next.Version, next.To)-1].What)
		rev, err := s.mark(ctx, now, next, nil)
		if err != nil {
			return err
		}
		next.rev, next.old = rev, true
		now = next
	}
	step := s.cfg.reforms()[min(now.Version, now.To)-1]
	turn := step.Up
	if now.To < now.Version {
		turn = step.Down
	}
	for turn != nil {
		ops, last, err := s.reformed(ctx, now.After, turn)
		if err != nil {
			return err
		}
		if last == "" {
			break
		}
		next := schema{Version: now.Version, To: now.To, After: last}
		if next.rev, err = s.mark(ctx, now, next, ops); err != nil {
			return err
		}
		next.old = true
		now = next
	}
	_, err := s.mark(ctx, now, schema{Version: now.To}, nil)
	return err
}

// reformed is the next objects behind a key in their new form, as many as one transaction takes, and the key of the last
// one; "" when there are no more.
func (s *Store) reformed(ctx context.Context, after string, turn func(crowbar.Kind, []byte) ([]byte, error)) (ops []clientv3.Op, last string, err error) {
	from := prefix
	if after != "" {
		from = after + "\x00"
	}
	var resp *clientv3.GetResponse
	err = s.insist(ctx, func(ctx context.Context) (err error) {
		resp, err = s.kv.Get(ctx, from, clientv3.WithRange(clientv3.GetPrefixRangeEnd(prefix)), clientv3.WithLimit(int64(min(page, s.cfg.MaxOps-1))))
		return err
	})
	if err != nil {
		return nil, "", trouble("read", err)
	}
	size := 0
	for _, kv := range resp.Kvs {
		key := string(kv.Key)
		kind, id, ok := objectOf(key)
		if !ok {
			last = key
			continue
		}
		value, err := turn(kind, kv.Value)
		if err != nil {
			return nil, "", crowbar.Errorf(crowbar.Internal, "state: %s %d does not take its new form: %w", kind, id, err)
		}
		if size += len(value) + 200; size > s.cfg.MaxBytes/2 && len(ops) > 0 {
			return ops, last, nil
		}
		op := clientv3.OpDelete(key)
		if value != nil {
			op = clientv3.OpPut(key, string(value))
		}
		ops, last = append(ops, op), key
	}
	return ops, last, nil
}

// foldAny folds a journal that is there.
func (s *Store) foldAny(ctx context.Context) error {
	var resp *clientv3.GetResponse
	err := s.insist(ctx, func(ctx context.Context) (err error) {
		resp, err = s.kv.Get(ctx, journalKey, clientv3.WithKeysOnly())
		return err
	})
	if err != nil {
		return trouble("read", err)
	}
	if len(resp.Kvs) == 0 {
		return nil
	}
	return s.fold(ctx, resp.Kvs[0].ModRevision)
}

// SchemaVersion is the version of the form in which a state is kept, and of the newest one that this program knows; a state
// that is on its way from one to another says so by the error.
func SchemaVersion(ctx context.Context, c Config) (now, known int, err error) {
	s := bare(c)
	is, err := s.readSchema(ctx)
	if err == nil && is.To != 0 {
		err = crowbar.Errorf(crowbar.Unavailable, "the state is on its way from version %d to %d of its form: the next start, or `kubeclampd schema downgrade`, goes on with it", is.Version, is.To)
	}
	if err == nil && !is.old && is.rev == 0 {
		is.Version = s.cfg.newest()
	}
	return is.Version, s.cfg.newest(), err
}

// Downgrade takes a state back to the version before this program's, for the program that wrote that. No daemon may be at
// work on it.
func Downgrade(ctx context.Context, c Config) (to int, err error) {
	s := bare(c)
	to = s.cfg.newest() - 1
	now, err := s.readSchema(ctx)
	switch {
	case err != nil:
		return 0, err
	case now.rev == 0 && !now.old:
		return 0, crowbar.Errorf(crowbar.Invalid, "there is no state here")
	case max(now.Version, now.To) > s.cfg.newest():
		return 0, tooNew(now, s.cfg.newest())
	case now.Version < to || now.Version == to && now.To == 0:
		return 0, crowbar.Errorf(crowbar.Conflict, "the state has version %d of its form already", now.Version)
	}
	if now.To > now.Version { // an upgrade that was cut off: to its end first
		if err := s.settle(ctx, now.To); err != nil {
			return 0, err
		}
	}
	return to, s.settle(ctx, to)
}
