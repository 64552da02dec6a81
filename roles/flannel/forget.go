package flannel

import (
	"context"
	"encoding/json"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/roles/etcd/etcdclient"
)

// Act gives back the lease of a node that is gone, or says whose leases there are.
func (flannel) Act(ctx context.Context, on role.Target, do role.Action) (crowbar.Data, error) {
	c, err := configure(on)
	if err != nil {
		return nil, err
	}
	if do.Name == role.Strays {
		return strays(ctx, on, c)
	}
	_, address, err := do.Gone()
	if err != nil {
		return nil, err
	}
	to, err := etcdclient.First(ctx, on.Conn, c.Leaf, c.Endpoints...)
	if err != nil {
		return nil, fmt.Errorf("read flannel's leases: %w", err)
	}
	defer to.Close()
	ctx, cancel := context.WithTimeout(ctx, etcdclient.Answer)
	defer cancel()
	found, err := to.Get(ctx, c.Prefix+"/subnets/", clientv3.WithPrefix())
	if err != nil {
		return nil, fmt.Errorf("read flannel's leases: %w", err)
	}
	for _, kv := range found.Kvs {
		var lease struct{ PublicIP string }
		if json.Unmarshal(kv.Value, &lease) != nil || lease.PublicIP != address {
			continue
		}
		on.Logf("flannel: give back the lease %s of %s", kv.Key, address)
		if _, err := to.Delete(ctx, string(kv.Key)); err != nil {
			return nil, fmt.Errorf("give the lease %s back: %w", kv.Key, err)
		}
	}
	return nil, nil
}
