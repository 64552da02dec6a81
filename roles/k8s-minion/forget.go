package k8sminion

import (
	"context"
	"fmt"
	"net/http"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/kube"
)

// Act takes a minion that is gone out of the cluster, or says which Nodes are of nobody.
func (minion) Act(ctx context.Context, on role.Target, do role.Action) (crowbar.Data, error) {
	s, err := configure(on)
	if err != nil {
		return nil, err
	}
	api, err := adminClient(on, s)
	if err != nil {
		return nil, err
	}
	defer api.Close()
	if do.Name == role.Strays {
		return strays(ctx, on, api)
	}
	return nil, forget(ctx, on, api, do)
}

// forget deletes the Node object; its pods go with it.
func forget(ctx context.Context, on role.Target, api *kube.Client, do role.Action) error {
	node, _, err := do.Gone()
	if err != nil {
		return err
	}
	if err := reach(ctx, on, api); err != nil {
		return err
	}
	if err := api.Do(ctx, http.MethodDelete, nodePath(node), nil, nil); err != nil && kube.Code(err) != http.StatusNotFound {
		return fmt.Errorf("delete node %s from the cluster: %w", node, err)
	}
	return nil
}
