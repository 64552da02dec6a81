// Package k8smaster runs an API server, a controller manager and a scheduler on a node; every master is like any other.
// It does not know who dials them, nor how etcd got its members.
package k8smaster

import (
	"context"
	"net"
	"strconv"

	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
)

type master struct{}

// New is the role.
func New() role.Role { return master{} }

// Describe is what the role says of itself.
func (master) Describe() role.Info {
	return role.Info{Name: "k8s-master", Version: "1.0", Wants: wants, Actions: []string{role.Forget, role.Strays, role.Hold, role.Release}}
}

// Apply makes the node a master, waits until it serves, and lets API servers speak to kubelets.
func (master) Apply(ctx context.Context, on role.Target) (role.Result, error) {
	s, err := configure(on)
	if err != nil {
		return role.Result{}, err
	}
	version, err := s.versions(ctx, on)
	if err != nil {
		return role.Result{}, err
	}
	want := desired(s)
	have, err := linux.Read(ctx, on, want, probes()...)
	if err != nil {
		return role.Result{}, err
	}
	todo, err := linux.Compare(ctx, on, want, have)
	if err != nil {
		return role.Result{}, err
	}
	url := "https://" + net.JoinHostPort(s.Address, strconv.Itoa(s.Port))
	r := role.Result{Changes: todo.Changes, Wall: map[string]any{"k8s-master-url": url, wallServer: version, wallFollow: followed(have, s)}}
	switch {
	case on.DryRun && !granted(have):
		r.Changes = append(r.Changes, made)
	case on.DryRun || todo.Empty() && serves(have) && granted(have):
	default:
		more, err := change(ctx, on, s, todo, version, serves(have))
		if err != nil {
			return role.Result{}, linux.Explain(ctx, on.Conn, err, apiserver, manager, scheduler)
		}
		r.Changes = append(r.Changes, more...)
	}
	return r, nil
}

// Check says what Apply would do.
func (m master) Check(ctx context.Context, on role.Target) (role.Drift, error) {
	on.DryRun = true
	r, err := m.Apply(ctx, on)
	return role.Drift{Changes: r.Changes}, err
}
