// Package client is OpenCrowbar's REST API v2 from the caller's side; the CLI has no other way in. It does not know what
// the daemon does with a request.
package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Config says where the daemon is and who asks.
type Config struct {
	Endpoint string `json:"endpoint"` // https://host:port
	Token    string `json:"token"`
	CA       string `json:"ca"` // PEM of the authority of the daemon's certificate; "" = the system's
	// Name is that of the daemon's certificate; "" = the endpoint's.
	Name string `json:"name,omitempty"`
	// Cert and Key are the caller's own certificate in PEM, instead of a token.
	Cert string `json:"cert,omitempty"`
	Key  string `json:"key,omitempty"`
	// User and Password sign in by HTTP digest, instead of a token: to a kubeclampd, or to an OpenCrowbar or Digital Rebar server.
	User     string `json:"user,omitempty"`
	Password string `json:"password,omitempty"`
}

// Client talks to one daemon. It is safe for concurrent use.
type Client struct {
	conf  Config
	http  *http.Client
	elder *elder // nil = it is a kubeclampd
}

// New makes a client; nothing is sent yet.
func New(c Config) (*Client, error) {
	u, err := url.Parse(c.Endpoint)
	plain := err == nil && u.Scheme == "http" && c.User != "" // OpenCrowbar's has no TLS; digest sends no password
	if err != nil || u.Scheme != "https" && !plain || u.Host == "" {
		return nil, crowbar.Errorf(crowbar.Invalid, "endpoint %q: want https://host:port", c.Endpoint)
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.Name}
	if c.Cert != "" {
		pair, err := tls.X509KeyPair([]byte(c.Cert), []byte(c.Key))
		if err != nil {
			return nil, crowbar.Errorf(crowbar.Invalid, "the client certificate for endpoint %s: %w", c.Endpoint, err)
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	if c.CA != "" {
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM([]byte(c.CA)) {
			return nil, crowbar.Errorf(crowbar.Invalid, "the CA of endpoint %s is not a PEM certificate", c.Endpoint)
		}
	}
	// Answers may take their time (a status waits for news, a log for its run's end), a handshake may not.
	dial := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second}
	out := &Client{conf: c, http: &http.Client{Transport: &http.Transport{TLSClientConfig: conf, ForceAttemptHTTP2: true, Proxy: nil,
		DialContext: dial.DialContext, TLSHandshakeTimeout: 10 * time.Second, IdleConnTimeout: time.Minute}}}
	if c.User != "" && c.Token == "" && c.Cert == "" {
		out.elder = &elder{}
	}
	return out, nil
}

// Endpoint is the daemon's address.
func (c *Client) Endpoint() string { return c.conf.Endpoint }

// List reads all objects of a kind into a slice.
func (c *Client) List(ctx context.Context, k crowbar.Kind, into any) error {
	return c.do(ctx, http.MethodGet, "/api/v2/"+string(k), nil, into)
}

// Show reads one object by id or natural key.
func (c *Client) Show(ctx context.Context, k crowbar.Kind, key string, into any) error {
	return c.do(ctx, http.MethodGet, path(k, key), nil, into)
}

// Create makes an object from its JSON form and reads back what became of it.
func (c *Client) Create(ctx context.Context, k crowbar.Kind, body, into any) error {
	return c.do(ctx, http.MethodPost, "/api/v2/"+string(k), body, into)
}

// Update changes some keys of an object.
func (c *Client) Update(ctx context.Context, k crowbar.Kind, key string, body, into any) error {
	return c.do(ctx, http.MethodPut, path(k, key), body, into)
}

// Destroy removes an object; force forgets a node that cannot be reached any more.
func (c *Client) Destroy(ctx context.Context, k crowbar.Kind, key string, force bool) error {
	p := path(k, key)
	if force {
		p += "?force=true"
	}
	return c.do(ctx, http.MethodDelete, p, nil, nil)
}

// Do is a verb on an object, such as PUT deployments/:id/commit.
func (c *Client) Do(ctx context.Context, k crowbar.Kind, key, verb string, into any) error {
	return c.do(ctx, http.MethodPut, path(k, key)+"/"+verb, nil, into)
}

// Bind binds a role to a node in a deployment ("" = the node's), all by name or id.
func (c *Client) Bind(ctx context.Context, role, node, deployment string) (nr crowbar.NodeRole, err error) {
	body := map[string]string{"role": role, "node": node, "deployment": deployment}
	return nr, c.do(ctx, http.MethodPost, "/api/v2/node_roles", body, &nr)
}

// Attrib reads one attrib of a carrier.
func (c *Client) Attrib(ctx context.Context, k crowbar.Kind, key, attrib string) (value any, err error) {
	var a struct {
		Value any `json:"value"`
	}
	err = c.do(ctx, http.MethodGet, path(k, key)+"/attribs/"+url.PathEscape(attrib), nil, &a)
	return a.Value, err
}

// SetAttrib sets one attrib of a carrier.
func (c *Client) SetAttrib(ctx context.Context, k crowbar.Kind, key, attrib string, value any) error {
	return c.do(ctx, http.MethodPut, path(k, key)+"/attribs/"+url.PathEscape(attrib), map[string]any{"value": value}, nil)
}

// Apply makes the deployment what the document says, all of it or nothing; with dry it says only whether it could.
func (c *Client) Apply(ctx context.Context, doc crowbar.Cluster, dry bool) error {
	p := "/api/v2/deployments/" + url.PathEscape(doc.Deployment) + "/apply"
	if dry {
		p += "?dry_run=true"
	}
	return c.do(ctx, http.MethodPut, p, doc, nil)
}

// ApplyForced is Apply, after which everything in the deployment runs, also where nothing has changed.
func (c *Client) ApplyForced(ctx context.Context, doc crowbar.Cluster) error {
	return c.do(ctx, http.MethodPut, path(crowbar.KindDeployment, doc.Deployment)+"/apply?force=true", doc, nil)
}

// Rerun has everything in a deployment run again; with force also where nothing has changed since its last run.
func (c *Client) Rerun(ctx context.Context, deployment string, force bool) error {
	p := path(crowbar.KindDeployment, deployment) + "/rerun"
	if force {
		p += "?force=true"
	}
	return c.do(ctx, http.MethodPut, p, nil, nil)
}

// Status reads the state of a deployment; with after > 0 it waits (at most 30 s) until there is a revision after that one.
func (c *Client) Status(ctx context.Context, deployment string, after crowbar.Rev) (s crowbar.Status, err error) {
	p := path(crowbar.KindDeployment, deployment) + "/status"
	if after > 0 {
		p += "?after=" + strconv.FormatInt(int64(after), 10)
	}
	return s, c.do(ctx, http.MethodGet, p, nil, &s)
}

// Report says where the time went since a moment.
func (c *Client) Report(ctx context.Context, deployment string, since time.Time) (r crowbar.Report, err error) {
	return r, c.do(ctx, http.MethodGet, path(crowbar.KindDeployment, deployment)+"/report?since="+url.QueryEscape(since.UTC().Format(time.RFC3339Nano)), nil, &r)
}

// Why is the one-line reason that a node-role waits.
func (c *Client) Why(ctx context.Context, nodeRole string) (string, error) {
	var w struct {
		Why string `json:"why"`
	}
	err := c.do(ctx, http.MethodGet, path(crowbar.KindNodeRole, nodeRole)+"/why", nil, &w)
	return w.Why, err
}

// WhyAll is what keeps a deployment from being done, by root cause.
func (c *Client) WhyAll(ctx context.Context, deployment string) (all crowbar.Reasons, err error) {
	return all, c.do(ctx, http.MethodGet, path(crowbar.KindDeployment, deployment)+"/why", nil, &all)
}

// Kubeconfig is the administrator's kubeconfig of a deployment.
func (c *Client) Kubeconfig(ctx context.Context, deployment string) ([]byte, error) {
	resp, err := c.send(ctx, http.MethodPost, path(crowbar.KindDeployment, deployment)+"/kubeconfig", nil)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

// Log copies the run log of a node-role; with follow it goes on until the run ends. Attempt 0 is the newest.
func (c *Client) Log(ctx context.Context, nodeRole string, attempt uint64, follow bool, w io.Writer) error {
	p := fmt.Sprintf("%s/log?attempt=%d&follow=%t", path(crowbar.KindNodeRole, nodeRole), attempt, follow)
	resp, err := c.send(ctx, http.MethodGet, p, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(w, resp.Body)
	return err
}

func path(k crowbar.Kind, key string) string {
	return "/api/v2/" + string(k) + "/" + url.PathEscape(key)
}

func (c *Client) do(ctx context.Context, method, p string, body, into any) error {
	resp, err := c.send(ctx, method, p, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if into == nil {
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	}
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return fmt.Errorf("answer of %s %s: %w", method, p, err)
	}
	return nil
}

func (c *Client) send(ctx context.Context, method, p string, body any) (*http.Response, error) {
	if body == nil {
		return c.stream(ctx, method, p, "", nil)
	}
	b, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	kind := "application/json"
	if _, is := body.(jsonPatch); is {
		kind = "application/json-patch+json"
	}
	return c.stream(ctx, method, p, kind, bytes.NewReader(b))
}

// stream sends a body as it is; "" = there is none.
func (c *Client) stream(ctx context.Context, method, p, contentType string, r io.Reader) (*http.Response, error) {
	if c.elder != nil {
		return c.digested(ctx, method, p, contentType, r)
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.conf.Endpoint, "/")+p, r)
	if err != nil {
		return nil, err
	}
	if c.conf.Token != "" || c.conf.Cert == "" {
		req.Header.Set("Authorization", "Bearer "+c.conf.Token)
	}
	req.Header.Set("Accept", ownMedia)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, crowbar.Errorf(crowbar.Unavailable, "the daemon at %s does not answer: %w; is kubeclampd running there?", c.conf.Endpoint, err)
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, fault(resp)
}

func fault(resp *http.Response) error {
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	var e struct {
		Message string `json:"message"`
		Kind    string `json:"kind"`
	}
	if json.Unmarshal(b, &e) != nil || e.Message == "" {
		e.Message = resp.Status + " " + strings.TrimSpace(string(b))
	}
	kind, said := map[string]crowbar.ErrorKind{"invalid": crowbar.Invalid, "not_found": crowbar.NotFound, "conflict": crowbar.Conflict,
		"unavailable": crowbar.Unavailable}[e.Kind]
	if said {
		return crowbar.Errorf(kind, "%s", e.Message)
	}
	switch resp.StatusCode {
	case http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusRequestEntityTooLarge:
		kind = crowbar.Invalid
	case http.StatusNotFound:
		kind = crowbar.NotFound
	case http.StatusConflict:
		kind = crowbar.Conflict
	case http.StatusServiceUnavailable, http.StatusBadGateway:
		kind = crowbar.Unavailable
	}
	return crowbar.Errorf(kind, "%s", e.Message)
}
