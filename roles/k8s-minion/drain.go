package k8sminion

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/kube"
)

// pod is as much of a Pod as draining needs.
type pod struct {
	Metadata struct {
		Name            string            `json:"name"`
		Namespace       string            `json:"namespace"`
		Annotations     map[string]string `json:"annotations"`
		OwnerReferences []struct {
			Kind       string `json:"kind"`
			Controller bool   `json:"controller"`
		} `json:"ownerReferences"`
		DeletionTimestamp string `json:"deletionTimestamp"`
	} `json:"metadata"`
	Status struct {
		Phase string `json:"phase"`
	} `json:"status"`
}

func (p pod) path() string {
	return "/api/v1/namespaces/" + p.Metadata.Namespace + "/pods/" + p.Metadata.Name
}

// moves says whether the pod can live on elsewhere: not one of every node, not one of the kubelet's own, not one that ended.
func (p pod) moves() bool {
	for _, o := range p.Metadata.OwnerReferences {
		if o.Controller && (o.Kind == "DaemonSet" || o.Kind == "Node") {
			return false
		}
	}
	return p.Metadata.Annotations["kubernetes.io/config.mirror"] == "" && p.Status.Phase != "Succeeded" && p.Status.Phase != "Failed"
}

// patience is how long budgets of disruption are respected; patience2 how long pods may take to end after that.
const (
	patience  = 2 * time.Minute
	patience2 = 45 * time.Second
)

// drain empties a node: no new pods; those that can live elsewhere are evicted one by one, within their budgets of
// disruption; the rest is told to go. What does not go in time is named in the log and ends with the node.
func drain(ctx context.Context, on role.Target, api *kube.Client) error {
	n, err := change(ctx, api, on.Node, func(n *node) { n.Spec.Unschedulable = true })
	if kube.Code(err) == http.StatusNotFound {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cordon node %s: %w", on.Node, err)
	}
	on.Logf("evict the pods of node %s", on.Node)
	err = role.Await(ctx, "pods to leave node "+on.Node, patience, func(ctx context.Context) (bool, error) { return evict(ctx, api, on.Node) })
	if err != nil {
		on.Logf("%v; they end with the node", err)
	}
	if !n.leaves() {
		if _, err = change(ctx, api, on.Node, func(n *node) { n.Spec.Taints = append(n.Spec.Taints, leaving) }); err != nil {
			return fmt.Errorf("taint node %s: %w", on.Node, err)
		}
	}
	err = role.Await(ctx, "the last pods of node "+on.Node+" to end", patience2, func(ctx context.Context) (bool, error) {
		left, err := podsOn(ctx, api, on.Node)
		return err == nil && len(left) == 0, orNames(err, left)
	})
	if err != nil {
		on.Logf("%v; they end with the node", err)
	}
	return nil
}

// change reads a node, changes it and writes it back, again when somebody else was faster.
func change(ctx context.Context, api *kube.Client, name string, how func(*node)) (node, error) {
	var n node
	for {
		n = node{}
		if err := api.Do(ctx, http.MethodGet, nodePath(name), nil, &n); err != nil {
			return n, err
		}
		how(&n)
		err := mark(ctx, api, n, n.Spec.Unschedulable, n.Spec.Taints)
		if kube.Code(err) != http.StatusConflict {
			return n, err
		}
	}
}

// evict asks every pod that can live elsewhere to go; true when none is left. Where no other node takes pods, waiting for
// budgets would be waiting for ever: they are deleted.
func evict(ctx context.Context, api *kube.Client, name string) (bool, error) {
	pods, err := podsOn(ctx, api, name)
	if err != nil {
		return false, err
	}
	refuge, err := elsewhere(ctx, api, name)
	if err != nil {
		return false, err
	}
	var left []pod
	for _, p := range pods {
		if !p.moves() {
			continue
		}
		left = append(left, p)
		if p.Metadata.DeletionTimestamp != "" {
			continue
		}
		if err := send(ctx, api, p, refuge); err != nil && kube.Code(err) != http.StatusNotFound && kube.Code(err) != http.StatusTooManyRequests {
			return false, fmt.Errorf("evict pod %s/%s: %w", p.Metadata.Namespace, p.Metadata.Name, err)
		}
	}
	return len(left) == 0, orNames(nil, left)
}

func send(ctx context.Context, api *kube.Client, p pod, refuge bool) error {
	if !refuge {
		return api.Do(ctx, http.MethodDelete, p.path(), nil, nil)
	}
	return api.Do(ctx, http.MethodPost, p.path()+"/eviction", map[string]any{
		"apiVersion": "policy/v1", "kind": "Eviction",
		"metadata": map[string]any{"name": p.Metadata.Name, "namespace": p.Metadata.Namespace},
	}, nil)
}

func podsOn(ctx context.Context, api *kube.Client, name string) ([]pod, error) {
	var list struct {
		Items []pod `json:"items"`
	}
	q := url.Values{"fieldSelector": {"spec.nodeName=" + name}}
	err := api.Do(ctx, http.MethodGet, "/api/v1/pods?"+q.Encode(), nil, &list)
	return list.Items, err
}

// elsewhere says whether another node takes pods.
func elsewhere(ctx context.Context, api *kube.Client, name string) (bool, error) {
	var list struct {
		Items []node `json:"items"`
	}
	if err := api.Do(ctx, http.MethodGet, "/api/v1/nodes", nil, &list); err != nil {
		return false, err
	}
	for _, n := range list.Items {
		if n.Metadata.Name != name && !n.Spec.Unschedulable && n.ready() == nil {
			return true, nil
		}
	}
	return false, nil
}

// orNames is the error, or the names of the pods that are still there.
func orNames(err error, left []pod) error {
	if err != nil || len(left) == 0 {
		return err
	}
	var names []string
	for _, p := range left {
		names = append(names, p.Metadata.Namespace+"/"+p.Metadata.Name)
	}
	return fmt.Errorf("still there: %s", strings.Join(names, ", "))
}
