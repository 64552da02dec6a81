// Package k8smaster runs an API server, a controller manager and a scheduler on a node; every master is like any other.
// It does not know who dials them, nor how etcd got its members.
package k8smaster

import (
	"context"
	"net"
	"strconv"

	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/kube"
	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
)

type master struct{}

// New is the role.
func New() role.Role { return master{} }

// Describe is what the role says of itself.
func (master) Describe() role.Info {
	return role.Info{Name: "k8s-master", Version: "1.0", Wants: wants}
}

// Apply makes the node a master, waits until it serves, and lets API servers speak to kubelets.
func (master) Apply(ctx context.Context, on role.Target) (role.Result, error) {
	s, err := configure(on)
	if err != nil {
		return role.Result{}, err
	}
	have, changes, err := linux.Converge(ctx, on, desired(s), probes()...)
	if err != nil {
		return role.Result{}, kube.Explain(ctx, on.Conn, err, apiserver, manager, scheduler)
	}
	if len(changes) > 0 || !serves(have) || !granted(have) {
		more, err := finish(ctx, on, s, granted(have))
		if err != nil {
			return role.Result{}, kube.Explain(ctx, on.Conn, err, apiserver, manager, scheduler)
		}
		changes = append(changes, more...)
	}
	url := "https://" + net.JoinHostPort(s.Address, strconv.Itoa(s.Port))
	return role.Result{Changes: changes, Wall: map[string]any{"k8s-master-url": url, "k8s-version": have.Artifacts["kubernetes/kube-apiserver"].Version}}, nil
}

// finish waits for the three programs and makes the binding; a dry run only says so.
func finish(ctx context.Context, on role.Target, s settings, granted bool) ([]role.Change, error) {
	made := []role.Change{{What: "clusterrolebinding", Name: rule, Do: "create"}}
	if on.DryRun {
		if granted {
			return nil, nil
		}
		return made, nil
	}
	api, err := administrator(on, s)
	if err != nil {
		return nil, err
	}
	defer api.Close()
	if err := awaitAll(ctx, on, s, api); err != nil {
		return nil, err
	}
	if changed, err := grant(ctx, api); err != nil || !changed {
		return nil, err
	}
	return made, nil
}

// Check says what Apply would do.
func (m master) Check(ctx context.Context, on role.Target) (role.Drift, error) {
	on.DryRun = true
	r, err := m.Apply(ctx, on)
	return role.Drift{Changes: r.Changes}, err
}
