package etcd

import (
	"context"
	"fmt"

	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/roles/etcd/etcdclient"
)

// forget takes the member of a node that is gone out of the cluster; this node's own member has it done.
func forget(ctx context.Context, on role.Target, c config, do role.Action) error {
	node, address, err := do.Gone()
	if err != nil {
		return err
	}
	to, err := etcdclient.Answers(ctx, on.Conn, c.Admin, c.clientURL())
	if err != nil {
		return fmt.Errorf("take the member of %s out of etcd: %w: bring a majority of the members back first, or see 'kubeclamp etcd recover'", node, err)
	}
	defer to.Close()
	list, err := list(ctx, to)
	if err != nil {
		return err
	}
	gone, is := own(list, etcdclient.Endpoint(address, c.PeerPort))
	if !is {
		return nil
	}
	if err := allHealthy(ctx, on, c, list, gone.ID); err != nil {
		return err
	}
	on.Logf("etcd: remove member %s", gone.label())
	if err := expel(ctx, to, gone.ID); err != nil {
		return fmt.Errorf("remove %s from etcd: %w", gone.label(), err)
	}
	return nil
}
