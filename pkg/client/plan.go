package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Plan foresees what is left to do, everything once more, or applying a document, and changes nothing. With diff the roles
// are asked what they would change; that takes its time.
func (c *Client) Plan(ctx context.Context, want crowbar.PlanFor, diff bool) (p crowbar.Plan, err error) {
	if want.Deployment == "" && want.Document != nil {
		want.Deployment = want.Document.Deployment
	}
	q := url.Values{}
	for name, on := range map[string]bool{"rerun": want.Rerun, "force": want.Force, "seal": want.Seal, "diff": diff} {
		if on {
			q.Set(name, "true")
		}
	}
	at := path(crowbar.KindDeployment, want.Deployment) + "/plan"
	if len(q) > 0 {
		at += "?" + q.Encode()
	}
	if want.Document == nil {
		return p, c.do(ctx, http.MethodGet, at, nil, &p)
	}
	return p, c.do(ctx, http.MethodPost, at, want.Document, &p)
}

// CarryOut has done what a plan says, and nothing else. document is needed where the plan was made for one with secrets.
func (c *Client) CarryOut(ctx context.Context, p crowbar.Plan, document *crowbar.Cluster) error {
	body := struct {
		Plan     crowbar.Plan     `json:"plan"`
		Document *crowbar.Cluster `json:"document,omitempty"`
	}{p, document}
	return c.do(ctx, http.MethodPut, path(crowbar.KindDeployment, p.Deployment)+"/plan", body, nil)
}

// Drift asks what is on the nodes otherwise than as it was applied, and changes nothing.
func (c *Client) Drift(ctx context.Context, deployment string) (d crowbar.Drift, err error) {
	return d, c.do(ctx, http.MethodGet, path(crowbar.KindDeployment, deployment)+"/drift", nil, &d)
}

// Mend has what was changed by hand on the nodes of a deployment applied again, but what a person holds. It does not wait for
// the runs.
func (c *Client) Mend(ctx context.Context, deployment string) (m crowbar.Mending, err error) {
	return m, c.do(ctx, http.MethodPut, path(crowbar.KindDeployment, deployment)+"/mend", nil, &m)
}

// Strays asks what there is in a deployment's cluster that is of no node, and what a node lacks there; with mend, what can be
// mended is.
func (c *Client) Strays(ctx context.Context, deployment string, mend bool) (s crowbar.Strays, err error) {
	method := http.MethodGet
	if mend {
		method = http.MethodPut
	}
	return s, c.do(ctx, method, path(crowbar.KindDeployment, deployment)+"/strays", nil, &s)
}

// Document is a deployment as the document with which Apply makes it. What is secret is left out, and named.
func (c *Client) Document(ctx context.Context, deployment string) (e crowbar.Exported, err error) {
	return e, c.do(ctx, http.MethodGet, path(crowbar.KindDeployment, deployment)+"/document", nil, &e)
}
