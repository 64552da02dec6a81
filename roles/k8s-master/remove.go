package k8smaster

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/kube"
	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
)

// tidy removes what the controller manager itself wrote. The audit log stays: it is evidence.
const tidy = `rm -rf --one-file-system -- "$1"`

// Remove takes the node out of the control plane; other masters, if there are any, go on.
func (master) Remove(ctx context.Context, on role.Target) error {
	s, err := configure(on)
	if err != nil && s.Address == "" {
		return err
	}
	// Units stop from the last to the first, the API server at the end, while etcd still serves.
	if err := linux.Remove(ctx, on, desired(s)); err != nil {
		return fmt.Errorf("remove the master from %s: %w", on.Node, err)
	}
	if _, err := jig.Run(ctx, on.Conn, jig.Script(tidy, state)); err != nil {
		return fmt.Errorf("remove the master from %s: %w", on.Node, err)
	}
	forget(ctx, on, s)
	return nil
}

// forget tells the masters that stay that this one is gone: its identity lease would stand for another hour. The API
// server itself gave up its place among the endpoints of the Service when it stopped.
func forget(ctx context.Context, on role.Target, s settings) {
	var others []string
	for _, p := range on.PeersOf("k8s-master") {
		if p.Node != on.Node && p.Settled {
			others = append(others, net.JoinHostPort(p.Address, strconv.Itoa(s.Port)))
		}
	}
	if len(others) == 0 {
		return
	}
	ctx, stop := context.WithTimeout(ctx, 20*time.Second)
	defer stop()
	leaf := s.Admin
	leaf.CA = s.CA
	api, err := kube.New(on.Conn, leaf, s.Pool, others...)
	if err != nil {
		on.Logf("leases of %s stay until they end: %v", on.Node, err)
		return
	}
	defer api.Close()
	if err := dropLeases(ctx, api, on.Node); err != nil {
		on.Logf("leases of %s stay until they end: %v", on.Node, err)
	}
}

func dropLeases(ctx context.Context, api *kube.Client, node string) error {
	which := url.Values{"labelSelector": {identity + "=kube-apiserver," + hostname + "=" + node}}
	if err := api.Do(ctx, http.MethodDelete, leases+"?"+which.Encode(), nil, nil); err != nil {
		return crowbar.Errorf(crowbar.Unavailable, "delete the API server's lease: %w", err)
	}
	return nil
}
