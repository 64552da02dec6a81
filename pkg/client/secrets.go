package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// UnsetAttrib takes back what was set of one attrib of a carrier.
func (c *Client) UnsetAttrib(ctx context.Context, k crowbar.Kind, key, attrib string) error {
	return c.do(ctx, http.MethodDelete, path(k, key)+"/attribs/"+url.PathEscape(attrib), nil, nil)
}

// Explain says where the values come from that a node-role is given; with an attrib's name, of that one alone.
func (c *Client) Explain(ctx context.Context, nodeRole, attrib string) (out []crowbar.Explanation, err error) {
	return out, c.do(ctx, http.MethodGet, path(crowbar.KindNodeRole, nodeRole)+"/explain?attrib="+url.QueryEscape(attrib), nil, &out)
}

// Uses says who uses an attrib.
func (c *Client) Uses(ctx context.Context, attrib string) (out crowbar.AttribUse, err error) {
	return out, c.do(ctx, http.MethodGet, path(crowbar.KindAttrib, attrib)+"/uses", nil, &out)
}

// SealStatus says which keys seal how many secrets.
func (c *Client) SealStatus(ctx context.Context) (out crowbar.SealStatus, err error) {
	return out, c.do(ctx, http.MethodGet, "/api/v2/secrets/status", nil, &out)
}

// RotateKeys has every secret sealed anew, by a new key or by the one that is first in the daemon's key file.
func (c *Client) RotateKeys(ctx context.Context, given bool) (out crowbar.SealStatus, err error) {
	return out, c.do(ctx, http.MethodPost, "/api/v2/secrets/rotate", map[string]bool{"given": given}, &out)
}

// ForgetKey takes a key that seals nothing any more out of the daemon's key file.
func (c *Client) ForgetKey(ctx context.Context, id string) (out crowbar.SealStatus, err error) {
	return out, c.do(ctx, http.MethodPost, "/api/v2/secrets/forget", map[string]string{"key": id}, &out)
}
