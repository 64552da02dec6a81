package k8smaster

import (
	"context"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// Act takes out what a master was that is gone, since its API server's identity lease would stand for another hour; or it says
// which of those leases are of nobody.
func (master) Act(ctx context.Context, on role.Target, do role.Action) (crowbar.Data, error) {
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
	node, _, err := do.Gone()
	if err != nil {
		return nil, err
	}
	return nil, dropLeases(ctx, api, node)
}
