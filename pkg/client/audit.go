package client

import (
	"context"
	"fmt"
	"net/http"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// AuditLog is what was done over the API, newest first: at most limit entries (1000 at the most) from before a number on; 0 =
// from the newest.
func (c *Client) AuditLog(ctx context.Context, before uint64, limit int) (out []crowbar.AuditEntry, err error) {
	return out, c.do(ctx, http.MethodGet, fmt.Sprintf("/api/v2/audit?before=%d&limit=%d", before, limit), nil, &out)
}

// AuditVerify says whether the record of what was done is whole.
func (c *Client) AuditVerify(ctx context.Context) (out crowbar.AuditCheck, err error) {
	return out, c.do(ctx, http.MethodGet, "/api/v2/audit/verify", nil, &out)
}
