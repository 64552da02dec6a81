package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
)

// registration is this process's entry among the daemons. Every write is guarded by it: once it is gone, nothing that this
// process still has on its way can change the state.
type registration struct {
	owner, key string
	rev        int64 // create revision of the key
	lease      clientv3.LeaseID
	stop       context.CancelFunc // of the renewal
	gone       chan struct{}      // closed when the lease has ended
}

// Hold registers this process as a daemon that works on the state. From then on no commit of it passes once its entry is
// gone, which closes the channel. Where the store is Alone, entries of others are what dead processes left, and go; else the
// entry lives as long as its lease is renewed, and a name that is in use is a Conflict.
func (s *Store) Hold(ctx context.Context, d crowbar.Daemon) (lost <-chan struct{}, err error) {
	d.Leader = s.cfg.Alone
	if d.Since.IsZero() {
		d.Since = time.Now().UTC()
	}
	value, err := json.Marshal(d)
	if err != nil {
		return nil, err
	}
	// gofail: var beforeHold struct{}
	r := &registration{owner: d.Owner, key: daemonPrefix + d.Owner, gone: make(chan struct{})}
	if s.cfg.Alone {
		err = s.takeOver(ctx, r, string(value))
	} else {
		err = s.register(ctx, r, string(value))
	}
	if err != nil {
		return nil, err
	}
	// gofail: var afterHold struct{}
	s.mu.Lock()
	s.held = r
	s.mu.Unlock()
	return r.gone, nil
}

// takeOver: what holds this state exclusively needs no lease, and nobody else's entry is alive.
func (s *Store) takeOver(ctx context.Context, r *registration, value string) error {
	if _, err := s.kv.Delete(ctx, daemonPrefix, clientv3.WithPrefix()); err != nil {
		return trouble("hold", err)
	}
	resp, err := s.kv.Put(ctx, r.key, value)
	if err != nil {
		return trouble("hold", err)
	}
	r.rev = resp.Header.Revision
	return nil
}

func (s *Store) register(ctx context.Context, r *registration, value string) error {
	grant, err := s.kv.Grant(ctx, int64((s.cfg.TTL+time.Second-1)/time.Second))
	if err != nil {
		return trouble("hold", err)
	}
	r.lease = grant.ID
	// One whose form of the state has been replaced since it opened it could write nothing, and nodes would wait for it in vain.
	resp, err := s.kv.Txn(ctx).If(clientv3.Compare(clientv3.CreateRevision(r.key), "=", 0), s.sameForm()).
		Then(clientv3.OpPut(r.key, value, clientv3.WithLease(r.lease))).Else(clientv3.OpGet(schemaKey, clientv3.WithKeysOnly())).Commit()
	if err == nil && !resp.Succeeded {
		s.revoke(r.lease)
		if err := s.replaced(resp.Responses[0].GetResponseRange().Kvs); err != nil {
			return err
		}
		return crowbar.Errorf(crowbar.Conflict, "a daemon named %q works on this state already: no two may have one name", r.owner)
	}
	if err != nil {
		return trouble("hold", err)
	}
	r.rev = resp.Header.Revision
	renew, stop := context.WithCancel(context.Background())
	r.stop = stop
	s.done.Go(func() {
		s.renew(renew, r.lease)
		close(r.gone)
	})
	return nil
}

// renew keeps a lease alive until it cannot be, or ctx ends. Each renewal is a request of its own with its own limit, so
// that a frozen member of the cluster, which neither answers nor breaks the connection, costs one try and not the lease.
// It ends a fifth of the lease before etcd ends that, so that our runs are told to stop before others begin them anew.
func (s *Store) renew(ctx context.Context, lease clientv3.LeaseID) {
	every := s.cfg.TTL / 5
	last := time.Now()
	for wait := every; ; {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
		began := time.Now()
		left := s.cfg.TTL - every - began.Sub(last)
		try, cancel := context.WithTimeout(ctx, min(every, max(left, 0)))
		resp, err := s.kv.KeepAliveOnce(try, lease)
		cancel()
		switch {
		case err == nil && resp.TTL > 0:
			last, wait = began, every
			continue
		case leaseGone(err), time.Since(last) >= s.cfg.TTL-every:
			if ctx.Err() == nil {
				s.log.Error("state: this daemon's registration has ended", "last_renewed", time.Since(last).Round(time.Millisecond), "error", err)
			}
			return
		}
		wait = every / 10
	}
}

// Lead waits until this daemon is the one that does what only one may do, and does it; both end with ctx. What a leader
// writes after it has lost its registration is refused like any other write of it.
func (s *Store) Lead(ctx context.Context, work func(context.Context) error) error {
	if s.cfg.Alone {
		return work(ctx)
	}
	s.mu.Lock()
	r := s.held
	s.mu.Unlock()
	if r == nil {
		return crowbar.Errorf(crowbar.Internal, "only a daemon that holds the state can lead")
	}
	session, err := concurrency.NewSession(s.kv, concurrency.WithLease(r.lease), concurrency.WithContext(ctx))
	if err != nil {
		return trouble("lead", err)
	}
	for ctx.Err() == nil {
		election := concurrency.NewElection(session, leaderPrefix)
		// A limit, because a wait on a frozen member would never hear of its turn.
		try, cancel := context.WithTimeout(ctx, 2*s.cfg.TTL)
		err := election.Campaign(try, r.owner)
		cancel()
		if err == nil {
			s.log.Info("state: this daemon leads", "owner", r.owner)
			return work(ctx)
		}
		if try.Err() == nil {
			s.log.Warn("state: election", "error", err)
			pause(ctx, s.cfg.TTL/5)
		}
	}
	return ctx.Err()
}

// Announce says what has changed of this daemon since Hold, such as where it answers.
func (s *Store) Announce(ctx context.Context, d crowbar.Daemon) error {
	s.mu.Lock()
	r, guards := s.held, s.registered()
	s.mu.Unlock()
	if r == nil || r.owner != d.Owner {
		return crowbar.Errorf(crowbar.Internal, "daemon %q is not registered", d.Owner)
	}
	d.Leader = s.cfg.Alone
	value, err := json.Marshal(d)
	if err != nil {
		return err
	}
	return s.insist(ctx, func(ctx context.Context) error {
		resp, err := s.kv.Txn(ctx).If(guards...).Then(clientv3.OpPut(r.key, string(value), clientv3.WithIgnoreLease())).Commit()
		switch {
		case err != nil:
			return trouble("announce", err)
		case !resp.Succeeded:
			return expelled(nil)
		}
		return nil
	})
}

// Owners is the owners among Daemons; the slice is a new one whenever they have changed, and not to be written to.
func (s *Store) Owners() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.owners
}

// Daemons is who works on the state, as this store has last heard.
func (s *Store) Daemons() []crowbar.Daemon {
	s.mu.Lock()
	defer s.mu.Unlock()
	return sortedDaemons(s.daemons, s.leaders)
}

// Registered asks etcd who works on the state now, in order of names.
func (s *Store) Registered(ctx context.Context) ([]crowbar.Daemon, error) {
	var resp *clientv3.TxnResponse
	err := s.insist(ctx, func(ctx context.Context) (err error) {
		resp, err = s.kv.Txn(ctx).Then(clientv3.OpGet(daemonPrefix, clientv3.WithPrefix()), clientv3.OpGet(leaderPrefix, clientv3.WithPrefix())).Commit()
		return err
	})
	if err != nil {
		return nil, trouble("read", err)
	}
	found := roll{}
	for _, part := range resp.Responses {
		for _, kv := range part.GetResponseRange().Kvs {
			found.put(kv)
		}
	}
	return sortedDaemons(found.daemons, found.leaders), nil
}

// release gives the registration back, so that others need not wait.
func (s *Store) release() error {
	s.mu.Lock()
	r := s.held
	s.mu.Unlock()
	if r == nil {
		return nil
	}
	// gofail: var beforeRelease struct{}
	if r.lease != 0 {
		r.stop()
		s.revoke(r.lease)
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if _, err := s.kv.Delete(ctx, r.key); err != nil {
		return trouble("release", err)
	}
	return nil
}

func (s *Store) revoke(lease clientv3.LeaseID) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if _, err := s.kv.Revoke(ctx, lease); err != nil && !leaseGone(err) {
		s.log.Warn("state: the registration ends by itself", "after", s.cfg.TTL, "error", err)
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// expelled is the error of a write whose guard found the registration gone.
func expelled(kvs []*mvccpb.KeyValue) error {
	now := "nobody is"
	if len(kvs) > 0 {
		var d crowbar.Daemon
		if json.Unmarshal(kvs[0].Value, &d) == nil {
			now = fmt.Sprintf("%q is, since %s", d.Owner, d.Since.Format(time.RFC3339))
		}
	}
	return crowbar.Errorf(crowbar.Unavailable, "this daemon is no longer registered on the state (%s): it may not write; start it again", now)
}
