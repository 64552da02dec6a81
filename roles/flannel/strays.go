package flannel

import (
	"context"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// strays is the leases that are of no node, and the nodes without one. A lease is a node's by its subnet, which the node's run
// gave back, or by the address in it; of a node that never ran there is neither.
func strays(ctx context.Context, on role.Target, c config) (crowbar.Data, error) {
	to, all, err := leased(ctx, on, c)
	if err != nil {
		return nil, err
	}
	to.Close()
	leases := map[string]string{} // key -> address
	for _, l := range all {
		leases[l.key] = l.address
	}
	var out []role.Stray
	for _, p := range on.Holders("flannel") {
		if has := own(c, p, leases); len(has) == 0 && p.Settled && p.State == crowbar.Active {
			out = append(out, role.Stray{What: "lease of flannel", Name: p.Node, Node: p.Node, Address: p.Address,
				Says: "it has role flannel, and no lease of a subnet", Remedy: "run `systemctl restart " + unit + "` on it"})
		} else {
			for _, key := range has {
				delete(leases, key)
			}
		}
	}
	for _, l := range all { // in order
		if _, left := leases[l.key]; left {
			out = append(out, strange(c, l.key, l.address))
		}
	}
	return role.Found(out)
}

// own is the keys of a node's leases.
func own(c config, p role.Peer, leases map[string]string) []string {
	mine := map[string]bool{p.Address: true}
	if under, _ := p.Wall["flannel-underlay"].(string); under != "" { // "device address"
		mine[under[strings.LastIndex(under, " ")+1:]] = true
	}
	subnet, _ := p.Wall["flannel-subnet"].(string)
	by, _ := c.leaseKey(subnet) // "" where there is none
	var out []string
	for key, at := range leases {
		if key == by || mine[at] {
			out = append(out, key)
		}
	}
	return out
}

func strange(c config, key, address string) role.Stray {
	x := role.Stray{What: "lease of flannel", Name: strings.Replace(strings.TrimPrefix(key, c.Prefix+"/subnets/"), "-", "/", 1), Address: address,
		Says: "no node has leased it", Mend: crowbar.MendForget}
	if address != "" {
		x.Says = "it is leased to " + address + ", which is no node of flannel's"
	} else { // a peer takes leases out by their address
		x.Mend, x.Remedy = crowbar.MendByHand, "delete the key "+key+" from etcd; or wait a day, and it runs out"
	}
	return x
}
