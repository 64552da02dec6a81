package store

import (
	"context"
	"errors"
	"strconv"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// write is one transaction of a commit, which may have to be sent more than once.
type write struct {
	at     crowbar.Rev
	guards []clientv3.Cmp
	then   []clientv3.Op
	done   string // key in which a registered daemon counts its commits; "" = none
	number string
}

// registered is the guards that the state has the form in which it was opened, and that this process's registration is
// there, once it has one; with mu held.
func (s *Store) registered() []clientv3.Cmp {
	guards := []clientv3.Cmp{s.sameForm()}
	if s.held != nil {
		guards = append(guards, clientv3.Compare(clientv3.CreateRevision(s.held.key), "=", s.held.rev))
	}
	return guards
}

// guarded puts the guards on: head is where the caller saw it, no journal waits, this daemon is registered. On a shared etcd
// the commit carries its number, by which it is known again when its answer was lost.
func (s *Store) guarded(at crowbar.Rev, ops []clientv3.Op) write {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := write{at: at, then: ops, guards: append(s.registered(),
		clientv3.Compare(clientv3.ModRevision(headKey), "=", int64(at)),
		clientv3.Compare(clientv3.ModRevision(journalKey), "=", 0))}
	if s.held != nil && s.held.lease != 0 {
		s.commits++
		w.done, w.number = donePrefix+s.held.owner, strconv.FormatUint(s.commits, 10)
		w.then = append(w.then, clientv3.OpPut(w.done, w.number, clientv3.WithLease(s.held.lease)))
	}
	return w
}

// transact writes under the guards and gives the new revision. A member of a shared etcd may die, freeze or be cut off with
// our request in its hands: it is then sent again, for as long as we are registered, and counts once.
func (s *Store) transact(ctx context.Context, at crowbar.Rev, ops []clientv3.Op) (int64, error) {
	w := s.guarded(at, ops)
	for {
		resp, err := s.send(ctx, w)
		if err == nil {
			return s.judge(ctx, w, resp)
		}
		if leaseGone(err) {
			return 0, expelled(nil)
		}
		if w.done == "" || ctx.Err() != nil || !transient(err) || s.expired() {
			return 0, trouble("write", err)
		}
		s.log.Debug("state: a commit is sent again", "error", err)
		pause(ctx, s.cfg.TTL/100)
	}
}

func (s *Store) send(ctx context.Context, w write) (*clientv3.TxnResponse, error) {
	if w.done != "" {
		try, cancel := context.WithTimeout(ctx, s.cfg.TTL/3)
		defer cancel()
		ctx = try
	}
	look := []clientv3.Op{clientv3.OpGet(headKey, clientv3.WithKeysOnly()), clientv3.OpGet(journalKey, clientv3.WithKeysOnly()),
		clientv3.OpGet(daemonPrefix, clientv3.WithPrefix()), clientv3.OpGet(schemaKey, clientv3.WithKeysOnly())}
	if w.done != "" {
		look = append(look, clientv3.OpGet(w.done))
	}
	return s.kv.Txn(ctx).If(w.guards...).Then(w.then...).Else(look...).Commit()
}

// judge says what a transaction that etcd has answered came to.
func (s *Store) judge(ctx context.Context, w write, resp *clientv3.TxnResponse) (int64, error) {
	if resp.Succeeded {
		return resp.Header.Revision, nil
	}
	found := make([]*clientv3.GetResponse, len(resp.Responses))
	for i, r := range resp.Responses {
		found[i] = (*clientv3.GetResponse)(r.GetResponseRange())
	}
	if w.done != "" && len(found[4].Kvs) > 0 && string(found[4].Kvs[0].Value) == w.number {
		return found[4].Kvs[0].ModRevision, nil // sent before, and only its answer was lost
	}
	if err := s.replaced(found[3].Kvs); err != nil {
		return 0, err
	}
	s.mu.Lock()
	r := s.held
	s.mu.Unlock()
	if r != nil && !holds(found[2], r) {
		return 0, expelled(found[2].Kvs)
	}
	now := int64(0)
	if kvs := found[0].Kvs; len(kvs) > 0 {
		now = kvs[0].ModRevision
	}
	if kvs := found[1].Kvs; len(kvs) > 0 && now == int64(w.at) {
		s.mu.Lock()
		s.journal = kvs[0].ModRevision // folded by the next try
		s.mu.Unlock()
		return 0, conflict(w.at, now)
	}
	s.await(ctx, w.at)
	return 0, conflict(w.at, now)
}

func holds(daemons *clientv3.GetResponse, r *registration) bool {
	for _, kv := range daemons.Kvs {
		if string(kv.Key) == r.key && kv.CreateRevision == r.rev {
			return true
		}
	}
	return false
}

// expired says whether the registration's lease is known to have ended.
func (s *Store) expired() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held == nil || s.held.gone == nil {
		return false
	}
	select {
	case <-s.held.gone:
		return true
	default:
		return s.closed
	}
}

// transient says whether an error may go away by itself, or by asking another member.
func transient(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, rpctypes.ErrTooManyRequests) {
		return true
	}
	var known rpctypes.EtcdError
	if errors.As(err, &known) {
		return known.Code() == codes.Unavailable
	}
	return status.Code(err) == codes.Unavailable
}

// leaseGone says that etcd does not know the lease any more.
func leaseGone(err error) bool { return errors.Is(err, rpctypes.ErrLeaseNotFound) }

// insist makes a request that may be repeated. On a shared etcd each try is limited, and made again, of another member,
// while the trouble is of a kind that passes.
func (s *Store) insist(ctx context.Context, request func(context.Context) error) error {
	if s.cfg.Alone {
		return request(ctx)
	}
	for try := 1; ; try++ {
		limited, cancel := context.WithTimeout(ctx, s.cfg.TTL/3)
		err := request(limited)
		cancel()
		if err == nil || ctx.Err() != nil || !transient(err) || try == 6 {
			return err
		}
		pause(ctx, s.cfg.TTL/100)
	}
}
