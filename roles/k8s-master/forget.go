package k8smaster

import (
	"context"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// Act does one of the role's actions.
func (master) Act(ctx context.Context, on role.Target, do role.Action) (crowbar.Data, error) {
	switch do.Name {
	case role.Hold:
		return nil, hold(ctx, on)
	case role.Release:
		return nil, release(ctx, on)
	}
	s, err := configure(on)
	if err != nil {
		return nil, err
	}
	api, err := administrator(on, s)
	if err != nil {
		return nil, err
	}
	defer api.Close()
	if do.Name == role.Strays {
		return strays(ctx, on, api)
	}
	// Forget: its API server's identity lease would stand for another hour.
	node, _, err := do.Gone()
	if err != nil {
		return nil, err
	}
	return nil, dropLeases(ctx, api, node)
}
