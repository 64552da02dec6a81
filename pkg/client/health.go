package client

import (
	"context"
	"net/http"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Health is what the daemon finds when it looks at itself.
func (c *Client) Health(ctx context.Context) (all []crowbar.Finding, err error) {
	return all, c.do(ctx, http.MethodGet, "/api/v2/health", nil, &all)
}
