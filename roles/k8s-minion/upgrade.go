package k8sminion

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/kube"
	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
)

// upgrading keeps new pods from a node whose kubelet is about to be replaced. It is not a cordon: that is a person's to set and
// to take away.
var upgrading = taint{Key: "kubeclamp.io/upgrading", Effect: "NoSchedule"}

func (n node) isUpgrading() bool {
	return slices.ContainsFunc(n.Spec.Taints, func(t taint) bool { return t.Key == upgrading.Key })
}

// upgrade replaces the kubelet by one of another version: pods move elsewhere first, and where the node does not become ready
// with it, the version before it is put back.
func upgrade(ctx context.Context, on role.Target, s settings, todo linux.Todo) (node, error) {
	version := s.Version
	if a, err := on.Artifacts.Stat(ctx, role.At("kubernetes/kubelet", s.Version)); err == nil {
		version = a.Version
	}
	api, err := adminClient(on, s)
	if err != nil {
		return node{}, err
	}
	defer api.Close()
	if err := vacate(ctx, on, api); err != nil {
		return node{}, err
	}
	err = linux.Make(ctx, on, todo)
	var n node
	if err == nil {
		n, err = awaitVersion(ctx, on, s, version)
	}
	if err == nil {
		return n, nil
	}
	return n, back(ctx, on, s, todo, version, linux.Explain(ctx, on.Conn, err, balancer, kubelet, proxy))
}

// awaitVersion is awaitReady, and that the kubelet has told the API of itself.
func awaitVersion(ctx context.Context, on role.Target, s settings, version string) (node, error) {
	var n node
	err := role.Await(ctx, "node "+on.Node+" to be Ready with kubelet "+version, 3*time.Minute, func(ctx context.Context) (bool, error) {
		var err error
		if n, err = awaitReady(ctx, on, s, true); err != nil {
			return false, err
		}
		has := n.Status.NodeInfo.KubeletVersion
		return has == version, fmt.Errorf("it is ready with kubelet %s", has)
	})
	return n, err
}

// vacate lets pods that can live on another node move there, within their budgets of disruption. Those that do not go, or have
// nowhere to go, run on while the kubelet is replaced.
func vacate(ctx context.Context, on role.Target, api *kube.Client) error {
	_, err := change(ctx, api, on.Node, func(n *node) {
		if !n.isUpgrading() {
			n.Spec.Taints = append(n.Spec.Taints, upgrading)
		}
	})
	if kube.Code(err) == http.StatusNotFound {
		return nil
	}
	if err != nil {
		return fmt.Errorf("taint node %s before its upgrade: %w", on.Node, err)
	}
	refuge, err := elsewhere(ctx, api, on.Node)
	if err != nil {
		return fmt.Errorf("look for another node for the pods of %s: %w", on.Node, err)
	}
	if !refuge {
		on.Logf("no other node takes pods: those of node %s stay while its kubelet is replaced", on.Node)
		return nil
	}
	on.Logf("evict the pods of node %s before its upgrade", on.Node)
	err = role.Await(ctx, "pods to leave node "+on.Node, patience, func(ctx context.Context) (bool, error) { return evict(ctx, api, on.Node) })
	if err != nil {
		on.Logf("%v; they stay while the kubelet is replaced", err)
	}
	return nil
}

// back puts the previous version in the place of one that does not work, waits until the node is ready with it, and tells what
// happened.
func back(ctx context.Context, on role.Target, s settings, todo linux.Todo, version string, why error) error {
	on.Logf("kubelet %s does not work: put the previous version back", version)
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Minute)
	defer stop()
	err := linux.Back(ctx, on, todo, linux.Unit{Name: kubelet}, linux.Unit{Name: proxy})
	var n node
	if err == nil {
		n, err = awaitReady(ctx, on, s, true)
	}
	if err == nil {
		err = welcome(ctx, on, s, n)
	}
	if err != nil {
		return crowbar.Errorf(crowbar.Invalid, "Kubernetes %s does not work on %s, and neither does the version before it, which was put back (%w): look at the node. Why the new one did not: %w", version, on.Node, err, why)
	}
	return crowbar.Errorf(crowbar.Invalid, "Kubernetes %s does not work on %s: its version before that was put back there, and the node is ready. Set kubernetes-version to another version, or mend the cause and retry. Why it did not: %w",
		version, on.Node, why)
}
