// Package dnspool is the role that makes a node a name server of the API servers' shared name. It does not know who asks,
// nor how an API server is set up: it reads which ones there are from its peers.
package dnspool

import (
	"context"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
)

// New makes the role.
func New() role.Role { return pool{} }

type pool struct{}

// Describe says what it is and reads.
func (pool) Describe() role.Info {
	return role.Info{Name: "dns-pool", Version: "1.0", Wants: []string{
		"dns-pool-port", "dns-pool-ttl", "dns-pool-upstream", "kubernetes-pool-name", "kubernetes-api-port", "kubernetes-ca"}, Actions: []string{role.Strays}}
}

// Apply installs the name server with the present members and waits until it answers.
func (pool) Apply(ctx context.Context, on role.Target) (role.Result, error) {
	c, err := configure(on)
	if err != nil {
		return role.Result{}, err
	}
	_, changes, err := linux.Converge(ctx, on, c.state())
	if err == nil && !on.DryRun {
		err = c.answers(ctx, on.Conn)
	}
	if err != nil {
		return role.Result{Changes: changes}, linux.Explain(ctx, on.Conn, err, unitName)
	}
	if on.DryRun {
		return role.Result{Changes: changes}, nil
	}
	return role.Result{Changes: changes, Wall: crowbar.Data{"dns-pool-server": c.listen()}}, nil
}

// Check says what was changed by hand.
func (p pool) Check(ctx context.Context, on role.Target) (role.Drift, error) {
	on.DryRun = true
	res, err := p.Apply(ctx, on)
	return role.Drift{Changes: res.Changes}, err
}

// Remove stops the name server and takes its files away.
func (pool) Remove(ctx context.Context, on role.Target) error {
	return linux.Remove(ctx, on, config{}.state())
}
