package client

import (
	"context"
	"net/http"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Certificates is every authority, leaf and key of the clusters.
func (c *Client) Certificates(ctx context.Context) (out []crowbar.Certificate, err error) {
	return out, c.do(ctx, http.MethodGet, "/api/v2/certificates", nil, &out)
}

// Renew has leaves made anew, and gives their names.
func (c *Client) Renew(ctx context.Context, w crowbar.RenewWish) (names []string, err error) {
	return names, c.do(ctx, http.MethodPost, "/api/v2/certificates/renew", w, &names)
}

// Rotate begins to replace authorities and keys, or with Plan says how that would be done.
func (c *Client) Rotate(ctx context.Context, w crowbar.RotateWish) (steps []crowbar.RotationStep, err error) {
	return steps, c.do(ctx, http.MethodPost, "/api/v2/certificates/rotate", w, &steps)
}
