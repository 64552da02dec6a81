// Package k8saddons is the role that puts CoreDNS into the cluster, through kubectl on a master.
// It does not know how the cluster came to be, nor who resolves names in it.
package k8saddons

import (
	"context"
	"fmt"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/kube"
)

// New is the role.
func New() role.Role { return addons{} }

type addons struct{}

// Describe says what the role reads.
func (addons) Describe() role.Info {
	return role.Info{Name: "k8s-addons", Version: "1", Wants: []string{"kubernetes-dns-ip", "kubernetes-cluster-domain",
		"k8s-addons-dns-replicas", "k8s-addons-dns-image", "k8s-addons-dns-upstream"}}
}

// Apply brings the objects and waits until their pods serve.
func (addons) Apply(ctx context.Context, on role.Target) (role.Result, error) {
	c, err := configure(on)
	if err != nil {
		return role.Result{}, err
	}
	if err := on.Beside("k8s-master", "whose kubectl and kubeconfig this role uses"); err != nil {
		return role.Result{}, err
	}
	if on.DryRun && !on.Again {
		return foresee(ctx, on, c)
	}
	have, err := read(ctx, on, c)
	res := role.Result{Changes: have.Diff, Wall: crowbar.Data{"k8s-addons-dns": c.IP}}
	if err != nil || on.DryRun || len(have.Diff) == 0 && have.Deployment.done() {
		return res, err
	}
	if len(have.Diff) > 0 {
		if err := put(ctx, on, c, have.Resolver); err != nil {
			return role.Result{}, err
		}
	}
	return res, rolledOut(ctx, on)
}

// Check says what was changed by hand.
func (addons) Check(ctx context.Context, on role.Target) (role.Drift, error) {
	on.DryRun = true
	res, err := addons{}.Apply(ctx, on)
	return role.Drift{Changes: res.Changes}, err
}

// Remove deletes the objects, unless the role stays on another node.
func (addons) Remove(ctx context.Context, on role.Target) error {
	for _, p := range on.PeersOf("k8s-addons") {
		if p.Node != on.Node && p.Settled {
			return nil
		}
	}
	c, err := configure(on)
	if err != nil {
		return err
	}
	text, err := c.manifest(false)
	if err != nil {
		return err
	}
	if _, err := kube.Kubectl(ctx, on.Conn, text, "delete", "--ignore-not-found", "--wait", "--timeout=2m", "-f", "-"); err != nil {
		return fmt.Errorf("delete cluster DNS: %w", err)
	}
	return nil
}
