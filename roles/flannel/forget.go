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
	to, all, err := leased(ctx, on, c)
	if err != nil {
		return nil, err
	}
	defer to.Close()
	for _, l := range all {
		if l.address != address {
			continue
		}
		on.Logf("flannel: give back the lease %s of %s", l.key, address)
		if err := giveBack(ctx, to, l.key); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// holding is one lease in etcd. Without an address it is of nobody who can be told.
type holding struct{ key, address string }

// leased is all leases in the order of their keys; the client is to be closed.
func leased(ctx context.Context, on role.Target, c config) (*clientv3.Client, []holding, error) {
	to, err := etcdclient.First(ctx, on.Conn, c.Leaf, c.Endpoints...)
	if err != nil {
		return nil, nil, fmt.Errorf("read flannel's leases: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, etcdclient.Answer)
	defer cancel()
	found, err := to.Get(ctx, c.Prefix+"/subnets/", clientv3.WithPrefix())
	if err != nil {
		to.Close()
		return nil, nil, fmt.Errorf("read flannel's leases: %w", err)
	}
	var all []holding
	for _, kv := range found.Kvs {
		var l struct{ PublicIP string }
		_ = json.Unmarshal(kv.Value, &l)
		all = append(all, holding{string(kv.Key), l.PublicIP})
	}
	return to, all, nil
}

func giveBack(ctx context.Context, to *clientv3.Client, key string) error {
	ctx, cancel := context.WithTimeout(ctx, etcdclient.Answer)
	defer cancel()
	if _, err := to.Delete(ctx, key); err != nil {
		return fmt.Errorf("give the lease %s back: %w", key, err)
	}
	return nil
}
