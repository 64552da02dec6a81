// Package k8sready is the role that proves a cluster: pods of different nodes talk to each other over the overlay, a
// Service answers, cluster DNS answers. It does not know how any of them was made.
package k8sready

import (
	"context"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/kube"
)

// New is the role.
func New() role.Role { return ready{} }

type ready struct{}

// Describe says what the role reads.
func (ready) Describe() role.Info {
	return role.Info{Name: "k8s-ready", Version: "1", Wants: []string{"kubernetes-dns-ip", "kubernetes-cluster-domain",
		"kubernetes-pod-cidr", "flannel-backend", "k8s-ready-image"}}
}

// Apply proves the cluster, unless the last proof is of the same nodes and settings.
func (ready) Apply(ctx context.Context, on role.Target) (role.Result, error) {
	c, err := configure(on)
	if err != nil {
		return role.Result{}, err
	}
	if err := on.Beside("k8s-master", "whose kubectl and kubeconfig this role uses"); err != nil {
		return role.Result{}, err
	}
	r := &run{on: on, c: c}
	steps := []func(context.Context) error{r.read, r.deploy, r.await, r.overlay, r.service, r.dns, r.record, r.tidy}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return role.Result{Changes: r.changes}, err
		}
		if r.done {
			break
		}
	}
	return role.Result{Changes: r.changes, Wall: crowbar.Data{"k8s-ready-proof": r.proof}}, nil
}

// Remove takes the test servers and the record away, unless the role stays on another node.
func (ready) Remove(ctx context.Context, on role.Target) error {
	for _, p := range on.PeersOf("k8s-ready") {
		if p.Node != on.Node && p.Settled {
			return nil
		}
	}
	r := &run{on: on}
	if err := r.tidy(ctx); err != nil {
		return err
	}
	_, err := kube.Kubectl(ctx, r.on.Conn, "", "-n", recordSpace, "delete", "configmap", recordName, "--ignore-not-found")
	return err
}
