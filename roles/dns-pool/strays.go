package dnspool

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// Act says which addresses the name servers give for the pool that are of no master; it asks all of them from this node. That
// they leave one out is no stray: they do so with one that is not well.
func (pool) Act(ctx context.Context, on role.Target, _ role.Action) (crowbar.Data, error) {
	c, err := configure(on)
	if err != nil {
		return nil, err
	}
	var masters []string
	for _, p := range on.PeersOf("k8s-master") {
		masters = append(masters, p.Address)
	}
	var out []role.Stray
	var silent []error
	asked := 0
	for _, p := range on.Holders("dns-pool") {
		if !p.Settled {
			continue
		}
		asked++
		told, err := c.told(ctx, on, p.Address)
		if err != nil {
			silent = append(silent, fmt.Errorf("%s: %w", p.Node, err))
			continue
		}
		for _, ip := range told {
			if a := ip.Unmap().String(); !slices.Contains(masters, a) {
				out = append(out, role.Stray{What: "address in the pool", Name: a, Node: p.Node, Address: a, Mend: crowbar.MendRerun,
					Says: fmt.Sprintf("%s tells it for %s, and no node with role k8s-master has it", p.Node, c.Pool)})
			}
		}
	}
	if asked > 0 && len(silent) == asked {
		return nil, crowbar.Errorf(crowbar.Unavailable, "no name server tells the addresses of %s: %w", c.Pool, errors.Join(silent...))
	}
	return role.Found(out)
}

// told is what one name server answers for the pool.
func (c config) told(ctx context.Context, on role.Target, server string) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	r := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return on.Conn.Dial(ctx, "tcp", net.JoinHostPort(server, strconv.Itoa(c.Port)))
	}}
	got, err := r.LookupNetIP(ctx, "ip", c.Pool+".")
	if missing := (*net.DNSError)(nil); errors.As(err, &missing) && missing.IsNotFound {
		return nil, nil
	}
	return got, err
}
