// Package flannel is the role that puts a node on the overlay network, whose leases are in etcd, and hands the node's
// subnet down to CNI and Docker. It does not know who uses that network.
package flannel

import (
	"context"

	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// New is the role.
func New() role.Role { return flannel{} }

type flannel struct{}

// Describe says what the role reads.
func (flannel) Describe() role.Info {
	return role.Info{Name: "flannel", Version: "1", Wants: []string{"flannel-version", "flannel-backend", "flannel-subnet-length", "flannel-etcd-prefix",
		"flannel-port", "flannel-leaf", "etcd-client-port", "kubernetes-pod-cidr", "node-network"}, Actions: []string{role.Forget, role.Strays}}
}

// Apply brings the node its lease.
func (flannel) Apply(ctx context.Context, on role.Target) (role.Result, error) {
	c, err := configure(on)
	if err != nil {
		return role.Result{}, err
	}
	r := &run{on: on, c: c}
	for _, step := range []func(context.Context) error{r.read, r.preflight, r.plan, r.agree, r.make, r.obtain} {
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
func (flannel) Check(ctx context.Context, on role.Target) (role.Drift, error) {
	on.DryRun = true
	res, err := flannel{}.Apply(ctx, on)
	return role.Drift{Changes: res.Changes}, err
}

// Remove gives the lease back and takes the overlay off the node; the last node takes the network config with it.
func (flannel) Remove(ctx context.Context, on role.Target) error {
	c, err := configure(on)
	if err != nil {
		return err
	}
	r := &run{on: on, c: c}
	for _, step := range []func(context.Context) error{r.read, r.stop, r.release, r.clean} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}
