package k8sminion

import (
	"context"
	"fmt"
	"net/http"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/kube"
)

// strays is the Node objects that are of no minion, and the minions without one.
func strays(ctx context.Context, on role.Target, api *kube.Client) (crowbar.Data, error) {
	var list struct {
		Items []node `json:"items"`
	}
	if err := api.Do(ctx, http.MethodGet, "/api/v1/nodes", nil, &list); err != nil {
		return nil, fmt.Errorf("list the Nodes of the cluster: %w", err)
	}
	minions := map[string]bool{}
	for _, p := range on.Holders("k8s-minion") {
		minions[p.Node] = true
	}
	there := map[string]bool{}
	var out []role.Stray
	for _, n := range list.Items {
		name := n.Metadata.Name
		there[name] = true
		if minions[name] {
			continue
		}
		x := role.Stray{What: "Kubernetes Node", Name: name, Node: name, Says: "no node with role k8s-minion is it", Mend: crowbar.MendForget}
		if n.ready() == nil { // it would be back at once
			x.Says += ", and its kubelet is alive"
			x.Mend, x.Remedy = crowbar.MendByHand, "stop the kubelet there, or bind k8s-minion to it"
		}
		out = append(out, x)
	}
	for _, p := range on.Holders("k8s-minion") {
		if p.Settled && p.State == crowbar.Active && !there[p.Node] {
			out = append(out, role.Stray{What: "Kubernetes Node", Name: p.Node, Node: p.Node, Address: p.Address,
				Says: "it has role k8s-minion, and there is no Node of it", Remedy: "run `systemctl restart " + kubelet + "` on it"})
		}
	}
	return role.Found(out)
}
