package etcd

import (
	"context"
	"fmt"

	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/roles/etcd/etcdclient"
)

// Turn is for where no engine lets one member join at a time: nil once those before this one are voting members. A member that
// serves here already has had its turn.
func (etcd) Turn(ctx context.Context, on role.Target, before []role.Peer) error {
	if len(before) == 0 {
		return nil
	}
	c, err := configure(on)
	if err != nil {
		return err
	}
	to, list, err := reach(ctx, on, c)
	if err != nil {
		return err
	}
	defer to.Close()
	if m, ok := own(list, c.peerURL()); ok && !m.IsLearner && m.Name != "" {
		return nil
	}
	for _, p := range before {
		m, ok := own(list, etcdclient.Endpoint(p.Address, c.PeerPort))
		switch {
		case !ok:
			return fmt.Errorf("%s is no member of etcd yet", p.Node)
		case m.IsLearner:
			return fmt.Errorf("%s has not caught up yet", p.Node)
		}
	}
	return nil
}
