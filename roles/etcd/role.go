// Package etcd is the role that makes a node a member of the cluster's etcd, with mutual TLS from the first member on.
// It does not know what is kept in etcd, nor who else waits for its turn: the engine lets one run at a time.
package etcd

import (
	"context"

	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// New is the role.
func New() role.Role { return etcd{} }

type etcd struct{}

// Describe says what the role reads.
func (etcd) Describe() role.Info {
	return role.Info{Name: "etcd", Version: "1", Wants: []string{"etcd-version", "etcd-client-port", "etcd-peer-port", "etcd-data-dir",
		"etcd-cluster-token", "etcd-restore", "etcd-server-leaf", "etcd-peer-leaf", "etcd-admin-leaf"}, Actions: []string{actSnapshot, actLook, actHalt, actRevive, role.Forget, role.Strays}}
}

// Apply makes the node a voting member.
func (etcd) Apply(ctx context.Context, on role.Target) (role.Result, error) {
	c, err := configure(on)
	if err != nil {
		return role.Result{}, err
	}
	r := &run{on: on, c: c}
	steps := []func(context.Context) error{r.read, r.sit, r.prepare, r.enter, r.converge, r.promote, r.serve, r.settle}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return role.Result{Changes: r.changes}, err
		}
		if r.done {
			break
		}
	}
	return role.Result{Changes: r.changes, Wall: r.wall()}, nil
}

// Check says what was changed by hand.
func (etcd) Check(ctx context.Context, on role.Target) (role.Drift, error) {
	on.DryRun = true
	res, err := etcd{}.Apply(ctx, on)
	return role.Drift{Changes: res.Changes}, err
}

// Remove takes the member out of the cluster, if it is not the last one, and everything off the node.
func (etcd) Remove(ctx context.Context, on role.Target) error {
	c, err := configure(on)
	if err != nil {
		return err
	}
	r := &run{on: on, c: c}
	if err := r.read(ctx); err != nil {
		return err
	}
	if err := r.depart(ctx); err != nil {
		return err
	}
	return r.clean(ctx)
}
