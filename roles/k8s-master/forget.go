package k8smaster

import (
	"context"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// Act takes out what a master was that is gone: its API server's identity lease would stand for another hour.
func (master) Act(ctx context.Context, on role.Target, do role.Action) (crowbar.Data, error) {
	s, err := configure(on)
	if err != nil {
		return nil, err
	}
	node, _, err := do.Gone()
	if err != nil {
		return nil, err
	}
	api, err := administrator(on, s)
	if err != nil {
		return nil, err
	}
	defer api.Close()
	return nil, dropLeases(ctx, api, node)
}
