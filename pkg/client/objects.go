package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Match reads those objects of a kind that have these values into a slice.
func (c *Client) Match(ctx context.Context, k crowbar.Kind, values map[string]any, into any) error {
	return c.do(ctx, http.MethodPost, "/api/v2/"+string(k)+"/match", values, into)
}

// Sample reads an object of a kind as it would be where nothing is said.
func (c *Client) Sample(ctx context.Context, k crowbar.Kind, into any) error {
	return c.do(ctx, http.MethodGet, "/api/v2/"+string(k)+"/sample", nil, into)
}

// jsonPatch is a body that is a JSON patch.
type jsonPatch json.RawMessage

// MarshalJSON gives it as it is.
func (p jsonPatch) MarshalJSON() ([]byte, error) { return p, nil }

// Patch changes an object by a JSON patch (RFC 6902): a list of operations.
func (c *Client) Patch(ctx context.Context, k crowbar.Kind, key string, patch []byte, into any) error {
	return c.do(ctx, http.MethodPatch, path(k, key), jsonPatch(patch), into)
}

// Attribs reads every attrib with its value for an object into a slice; bucket "" is what counts.
func (c *Client) Attribs(ctx context.Context, k crowbar.Kind, key, bucket string, into any) error {
	return c.do(ctx, http.MethodGet, path(k, key)+"/attribs?bucket="+url.QueryEscape(bucket), nil, into)
}

// ValuedAttrib reads one attrib with its value for an object; bucket "" is what counts.
func (c *Client) ValuedAttrib(ctx context.Context, k crowbar.Kind, key, attrib, bucket string, into any) error {
	return c.do(ctx, http.MethodGet, path(k, key)+"/attribs/"+url.PathEscape(attrib)+"?bucket="+url.QueryEscape(bucket), nil, into)
}

// PutAttrib sets an attrib of an object, or notes it with bucket "note", and reads back what became of it.
func (c *Client) PutAttrib(ctx context.Context, k crowbar.Kind, key, attrib, bucket string, value, into any) error {
	return c.do(ctx, http.MethodPut, path(k, key)+"/attribs/"+url.PathEscape(attrib)+"?bucket="+url.QueryEscape(bucket), map[string]any{"value": value}, into)
}

// Join puts a node into a group, or takes it out.
func (c *Client) Join(ctx context.Context, group, node string, member bool) error {
	method := http.MethodDelete
	if member {
		method = http.MethodPost
	}
	return c.do(ctx, method, path(crowbar.KindGroup, group)+"/nodes/"+url.PathEscape(node), nil, nil)
}

// Import imports a barclamp's document.
func (c *Client) Import(ctx context.Context, document, into any) error {
	return c.do(ctx, http.MethodPost, "/api/v2/barclamps", map[string]any{"value": document}, into)
}

// Below reads what is listed below an object: deployments/:id/nodes into a slice of nodes, nodes/:id/power into one of words.
func (c *Client) Below(ctx context.Context, k crowbar.Kind, key, what string, into any) error {
	return c.do(ctx, http.MethodGet, path(k, key)+"/"+what, nil, into)
}

// Power does something with the power of a node: one of the words that are listed below it.
func (c *Client) Power(ctx context.Context, node, action string) error {
	return c.do(ctx, http.MethodPut, path(crowbar.KindNode, node)+"/power?poweraction="+url.QueryEscape(action), nil, nil)
}

// Inventory reads Ansible's inventory of a deployment.
func (c *Client) Inventory(ctx context.Context, deployment string, into any) error {
	return c.do(ctx, http.MethodGet, "/api/status/inventory/"+url.PathEscape(deployment), nil, into)
}
