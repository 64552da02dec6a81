package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Backups is the copies of clusters that the daemon keeps, oldest first.
func (c *Client) Backups(ctx context.Context) (out []crowbar.Backup, err error) {
	return out, c.do(ctx, http.MethodGet, "/api/v2/backups", nil, &out)
}

// BackUp makes a copy of a deployment's cluster.
func (c *Client) BackUp(ctx context.Context, deployment string) (out crowbar.Backup, err error) {
	return out, c.do(ctx, http.MethodPost, "/api/v2/backups", map[string]string{"deployment": deployment}, &out)
}

// VerifyBackup restores a copy into an etcd of its own, in the daemon, and sees that it is whole.
func (c *Client) VerifyBackup(ctx context.Context, name string) (out crowbar.Backup, err error) {
	return out, c.do(ctx, http.MethodPut, "/api/v2/backups/"+url.PathEscape(name)+"/verify", nil, &out)
}

// DeleteBackup drops a copy.
func (c *Client) DeleteBackup(ctx context.Context, name string) error {
	return c.do(ctx, http.MethodDelete, "/api/v2/backups/"+url.PathEscape(name), nil, nil)
}

// Act has the role of a node-role ("node/role", or its id) do one of its actions on the node.
func (c *Client) Act(ctx context.Context, nodeRole, action string, args crowbar.Data) (out crowbar.Data, err error) {
	return out, c.do(ctx, http.MethodPut, path(crowbar.KindNodeRole, nodeRole)+"/act", map[string]any{"action": action, "args": args}, &out)
}
