// Package k8sminion makes a node run pods: kubelet, kube-proxy, and the balancer through which both reach the API.
// It does not know how the container engine, the overlay network or the masters came to be.
package k8sminion

import (
	"context"

	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
)

type minion struct{}

// New is the role.
func New() role.Role { return minion{} }

// Describe is what the role says of itself.
func (minion) Describe() role.Info {
	return role.Info{Name: "k8s-minion", Version: "1.0", Wants: wants, Actions: []string{role.Forget, role.Strays}}
}

// Apply makes the node a minion and waits until the cluster sees it ready.
func (minion) Apply(ctx context.Context, on role.Target) (role.Result, error) {
	s, err := configure(on)
	if err != nil {
		return role.Result{}, err
	}
	have, err := linux.Read(ctx, on, sketch(s), probes()...)
	if err != nil {
		return role.Result{}, err
	}
	todo, err := linux.Compare(ctx, on, desired(s, hostOf(have)), have)
	if err != nil {
		return role.Result{}, err
	}
	changes, err := provide(ctx, on, imagesOf(have)) // before the kubelet starts: the sandbox of every pod is one of them
	if err != nil {
		return role.Result{}, err
	}
	changes = append(changes, todo.Changes...)
	if on.DryRun {
		return role.Result{Changes: changes}, nil
	}
	n, err := converge(ctx, on, s, todo)
	if err != nil {
		return role.Result{}, err
	}
	if n.leaves() || n.isUpgrading() {
		changes = append(changes, role.Change{What: "node", Name: on.Node, Do: "uncordon"})
		if err := welcome(ctx, on, s, n); err != nil {
			return role.Result{}, err
		}
	}
	return role.Result{Changes: changes, Wall: map[string]any{"k8s-node": on.Node, "kubelet-version": n.Status.NodeInfo.KubeletVersion}}, nil
}

// converge makes the changes and waits until the node is ready.
func converge(ctx context.Context, on role.Target, s settings, todo linux.Todo) (node, error) {
	if todo.Replaces(bin+"kubelet") && len(s.Masters) > 0 {
		return upgrade(ctx, on, s, todo)
	}
	if err := linux.Make(ctx, on, todo); err != nil {
		return node{}, linux.Explain(ctx, on.Conn, err, balancer, kubelet, proxy)
	}
	n, err := awaitReady(ctx, on, s, !todo.Empty())
	if err != nil {
		return n, linux.Explain(ctx, on.Conn, err, balancer, kubelet, proxy)
	}
	return n, nil
}

// Check says what Apply would do.
func (m minion) Check(ctx context.Context, on role.Target) (role.Drift, error) {
	on.DryRun = true
	r, err := m.Apply(ctx, on)
	return role.Drift{Changes: r.Changes}, err
}
