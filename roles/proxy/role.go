// Package proxy is the role that makes package managers, container engines and shells of a node use an HTTP proxy. It does
// not know who runs that proxy.
package proxy

import (
	"context"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
)

// New makes the role.
func New() role.Role { return proxy{} }

type proxy struct{}

// Describe says what it is and reads.
func (proxy) Describe() role.Info {
	return role.Info{Name: "proxy", Version: "1.0", Wants: []string{"proxy-url", "proxy-no-proxy", "node-network",
		"kubernetes-pod-cidr", "kubernetes-service-cidr", "kubernetes-cluster-domain", "kubernetes-pool-name"}}
}

// Apply sets the proxy everywhere, or takes it out everywhere where there is none.
func (proxy) Apply(ctx context.Context, on role.Target) (role.Result, error) {
	s, err := decode(on)
	if err != nil {
		return role.Result{}, err
	}
	_, changes, err := converge(ctx, on, s)
	res := role.Result{Changes: changes}
	if err == nil && !on.DryRun {
		res.Wall = crowbar.Data{"proxy-used-url": s.url, "proxy-used-no-proxy": strings.Join(s.direct, ",")}
	}
	return res, err
}

// Check says what was changed by hand.
func (p proxy) Check(ctx context.Context, on role.Target) (role.Drift, error) {
	on.DryRun = true
	res, err := p.Apply(ctx, on)
	return role.Drift{Changes: res.Changes}, err
}

// Remove takes the proxy out everywhere.
func (proxy) Remove(ctx context.Context, on role.Target) error {
	_, _, err := converge(ctx, on, settings{})
	return err
}

func converge(ctx context.Context, on role.Target, s settings) (linux.Facts, []role.Change, error) {
	return linux.ConvergeAfter(ctx, on, sketch, func(have linux.Facts) (linux.State, error) { return state(s, have), nil }, probes...)
}
