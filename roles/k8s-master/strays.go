package k8smaster

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/kube"
)

// identity is the label of the leases by which API servers are known to each other; each renews its own every ten seconds.
const (
	identity = "apiserver.kubernetes.io/identity"
	hostname = "kubernetes.io/hostname"
	stale    = 2 * time.Minute
)

// strays is the API servers that the cluster knows and that are of no master.
func strays(ctx context.Context, on role.Target, api *kube.Client) (crowbar.Data, error) {
	var list struct {
		Items []struct {
			Metadata struct {
				Name   string            `json:"name"`
				Labels map[string]string `json:"labels"`
			} `json:"metadata"`
			Spec leaseSpec `json:"spec"`
		} `json:"items"`
	}
	which := url.Values{"labelSelector": {identity + "=kube-apiserver"}}
	if err := api.Do(ctx, http.MethodGet, leases+"?"+which.Encode(), nil, &list); err != nil {
		return nil, fmt.Errorf("list the API servers that the cluster knows: %w", err)
	}
	masters := map[string]bool{}
	for _, p := range on.Holders("k8s-master") {
		masters[p.Node] = true
	}
	var out []role.Stray
	for _, l := range list.Items {
		host := l.Metadata.Labels[hostname]
		if host == "" || l.Metadata.Labels[identity] != "kube-apiserver" || masters[host] {
			continue
		}
		x := role.Stray{What: "API server", Name: l.Metadata.Name, Node: host, Says: "its lease is of " + host + ", which is no node with role k8s-master", Mend: crowbar.MendForget}
		if time.Since(l.Spec.Renewed) < stale {
			x.Says += ", and it is alive"
			x.Mend, x.Remedy = crowbar.MendByHand, "stop kube-apiserver.service there, or bind k8s-master to it"
		}
		out = append(out, x)
	}
	return role.Found(out)
}
