package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// ownership is the value of the owner's key.
type ownership struct {
	Owner string    `json:"owner"`
	Since time.Time `json:"since"`
}

// Hold makes this process the one that works on the state, under the name of owner; from then on no commit of it passes
// once the hold is lost, which closes the channel. A hold that a dead process left ends by itself within its TTL, which is
// waited for; a living one is a Conflict that names its owner.
func (s *Store) Hold(ctx context.Context, owner string) (lost <-chan struct{}, err error) {
	value, err := json.Marshal(ownership{Owner: owner, Since: time.Now().UTC()})
	if err != nil {
		return nil, err
	}
	var lease clientv3.LeaseID
	var put []clientv3.OpOption
	if !s.cfg.Alone {
		grant, err := s.kv.Grant(ctx, int64((s.cfg.TTL+time.Second-1)/time.Second))
		if err != nil {
			return nil, trouble("hold", err)
		}
		lease = grant.ID
		put = append(put, clientv3.WithLease(lease))
	}
	// gofail: var beforeHold struct{}
	rev, err := s.take(ctx, clientv3.OpPut(ownerKey, string(value), put...))
	if err != nil {
		if lease != 0 {
			s.revoke(lease)
		}
		return nil, err
	}
	// gofail: var afterHold struct{}
	gone := make(chan struct{})
	s.mu.Lock()
	s.owner, s.lease, s.lost = rev, lease, gone
	s.mu.Unlock()
	if lease != 0 {
		return gone, s.keep(lease, gone)
	}
	return gone, nil
}

// take puts the owner's key, as soon as nobody else has it.
func (s *Store) take(ctx context.Context, put clientv3.Op) (int64, error) {
	deadline := time.Now().Add(s.cfg.TTL + 2*time.Second)
	seen := int64(0) // mod revision of the key that may be taken over
	for {
		resp, err := s.kv.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(ownerKey), "=", seen)).
			Then(put).Else(clientv3.OpGet(ownerKey)).Commit()
		if err != nil {
			return 0, trouble("hold", err)
		}
		if resp.Succeeded {
			return resp.Header.Revision, nil
		}
		kvs := resp.Responses[0].GetResponseRange().Kvs
		if s.cfg.Alone {
			seen = 0
			if len(kvs) > 0 {
				seen = kvs[0].ModRevision
			}
			continue
		}
		if time.Now().After(deadline) {
			return 0, crowbar.Errorf(crowbar.Conflict, "the state is in use by another daemon (%s): stop that one first; if it is gone for good, its hold ends %s later", holder(kvs), s.cfg.TTL)
		}
		select {
		case <-time.After(s.cfg.TTL / 20):
		case <-ctx.Done():
			return 0, fmt.Errorf("wait for the daemon that holds the state (%s): %w", holder(kvs), ctx.Err())
		}
	}
}

func (s *Store) keep(lease clientv3.LeaseID, gone chan struct{}) error {
	ctx, cancel := context.WithCancel(context.Background())
	alive, err := s.kv.KeepAlive(ctx, lease)
	if err != nil {
		cancel()
		return trouble("hold", err)
	}
	s.done.Go(func() {
		defer cancel()
		for range alive {
		}
		close(gone)
	})
	return nil
}

// release gives the hold back, so that the next daemon need not wait.
func (s *Store) release() error {
	s.mu.Lock()
	owner, lease, held := s.owner, s.lease, s.lost != nil
	s.mu.Unlock()
	if !held {
		return nil
	}
	if lease != 0 {
		s.revoke(lease)
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	// gofail: var beforeRelease struct{}
	_, err := s.kv.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(ownerKey), "=", owner)).Then(clientv3.OpDelete(ownerKey)).Commit()
	if err != nil {
		return trouble("release", err)
	}
	return nil
}

func (s *Store) revoke(lease clientv3.LeaseID) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if _, err := s.kv.Revoke(ctx, lease); err != nil {
		s.log.Warn("state: the hold ends by itself", "after", s.cfg.TTL, "error", err)
	}
}

func holder(kvs []*mvccpb.KeyValue) string {
	var o ownership
	if len(kvs) == 0 || json.Unmarshal(kvs[0].Value, &o) != nil {
		return "nobody holds it now"
	}
	return fmt.Sprintf("held by %q since %s", o.Owner, o.Since.Format(time.RFC3339))
}
