package flannel

import (
	"context"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
	"github.com/kubeclamp/kubeclamp/roles/etcd/etcdclient"
)

// stop comes before the lease is given back: flanneld would take it again.
func (r *run) stop(ctx context.Context) error {
	if !r.facts.Units[unit].Loaded {
		return nil
	}
	if _, err := jig.Run(ctx, r.on.Conn, jig.Cmd{Argv: []string{"systemctl", "stop", unit}}); err != nil {
		return fmt.Errorf("stop flannel on node %s: %w", r.on.Node, err)
	}
	return nil
}

// release deletes the node's lease, and with the last node the network config. Without etcd the lease runs out by itself
// within a day.
func (r *run) release(ctx context.Context) error {
	to, err := etcdclient.First(ctx, r.on.Conn, r.c.Leaf, r.c.Endpoints...)
	if err != nil {
		r.on.Logf("flannel: the lease of %s is left to run out: %v", r.lease.Subnet, err)
		return nil
	}
	defer to.Close()
	ctx, cancel := context.WithTimeout(ctx, etcdclient.Answer)
	defer cancel()
	if key, err := r.c.leaseKey(r.lease.Subnet); err == nil {
		if _, err := to.Delete(ctx, key); err != nil {
			return fmt.Errorf("give the lease %s back: %w", key, err)
		}
	}
	if !r.on.Last {
		return nil
	}
	if _, err := to.Delete(ctx, r.c.Prefix+"/", clientv3.WithPrefix()); err != nil {
		return fmt.Errorf("delete flannel's network config: %w", err)
	}
	return nil
}

// cleanText deletes what flannel made in the kernel, and files. $1 the pods' network, $2 Docker's options, then other files.
// Docker remembers the subnet of its bridge over restarts, and another node may lease it: so it is started once with its
// own default.
const cleanText = `
pods=$1
env=$2
shift 2
for dev in flannel.1 flannel0 flannel-wg cni0; do
	ip link show dev "$dev" >/dev/null 2>&1 && ip link delete dev "$dev"
done
ip -4 route flush root "$pods" scope global 2>/dev/null
if command -v iptables >/dev/null; then
	iptables -w -t filter -D FORWARD -m comment --comment 'flanneld forward' -j FLANNEL-FWD 2>/dev/null
	iptables -w -t nat -D POSTROUTING -m comment --comment 'flanneld masq' -j FLANNEL-POSTRTG 2>/dev/null
	iptables -w -D DOCKER-USER -s "$pods" -d "$pods" -j ACCEPT 2>/dev/null
	for c in 'filter FLANNEL-FWD' 'nat FLANNEL-POSTRTG'; do
		iptables -w -t "${c% *}" -F "${c#* }" 2>/dev/null && iptables -w -t "${c% *}" -X "${c#* }" 2>/dev/null
	done
fi
rm -rf -- "$@"
if [ -f "$env" ] && systemctl is-active --quiet docker.service; then
	echo DOCKER_NETWORK_OPTIONS=--bip=172.17.0.1/16 >"$env"
	ip -4 address flush dev docker0 2>/dev/null
	systemctl restart docker.service || exit 1
fi
rm -f -- "$env"
`

// clean takes files, devices, routes and rules off the node.
func (r *run) clean(ctx context.Context) error {
	args := []string{r.c.Pods, dockerEnv, conflist, "/run/flannel", "/run/kubeclamp/cni"}
	if _, err := jig.Run(ctx, r.on.Conn, jig.Script(cleanText, args...)); err != nil {
		return fmt.Errorf("clean up after flannel on node %s: %w", r.on.Node, err)
	}
	return linux.Remove(ctx, r.on, state(r.c, r.on.Address))
}
