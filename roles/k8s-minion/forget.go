package k8sminion

import (
	"context"
	"fmt"
	"net/http"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/kube"
)

// Act takes a minion that is gone out of the cluster; its pods go with the Node object.
func (minion) Act(ctx context.Context, on role.Target, do role.Action) (crowbar.Data, error) {
	s, err := configure(on)
	if err != nil {
		return nil, err
	}
	node, _, err := do.Gone()
	if err != nil {
		return nil, err
	}
	api, err := adminClient(on, s)
	if err != nil {
		return nil, err
	}
	defer api.Close()
	if err := reach(ctx, on, api); err != nil {
		return nil, err
	}
	if err := api.Do(ctx, http.MethodDelete, nodePath(node), nil, nil); err != nil && kube.Code(err) != http.StatusNotFound {
		return nil, fmt.Errorf("delete node %s from the cluster: %w", node, err)
	}
	return nil, nil
}
