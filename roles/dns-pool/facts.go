package dnspool

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// answers waits until the name server answers for the pool, asked over TCP from the node itself.
func (c config) answers(ctx context.Context, on jig.Conn) error {
	r := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return on.Dial(ctx, "tcp", c.listen())
	}}
	return role.Await(ctx, fmt.Sprintf("%s to answer for %s", c.listen(), c.Pool), 20*time.Second, func(ctx context.Context) (bool, error) {
		one, cancel := context.WithTimeout(ctx, 3*time.Second)
		defer cancel()
		ips, err := r.LookupNetIP(one, "ip", c.Pool+".")
		if len(c.members) == 0 {
			dnsErr, ok := err.(*net.DNSError)
			return ok && dnsErr.IsNotFound, err
		}
		return err == nil && len(ips) > 0, err
	})
}
