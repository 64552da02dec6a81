package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Elder is another server than kubeclampd that speaks this API: OpenCrowbar, or Digital Rebar version 2.
type Elder struct {
	Kind    string `json:"kind"`    // OpenCrowbar or "Digital Rebar"
	Version string `json:"version"` // of its own barclamp; "" = it does not say
	Realm   string `json:"realm"`   // of HTTP digest
}

// Rebar says that it is Digital Rebar.
func (e *Elder) Rebar() bool { return e.Kind == kindRebar }

// Own is the name of the server's own barclamp, with which the names of its milestones begin.
func (e *Elder) Own() string {
	if e.Rebar() {
		return "rebar"
	}
	return "crowbar"
}

// String is what people call it.
func (e *Elder) String() string { return strings.TrimSpace(e.Kind + " " + e.Version) }

const (
	kindCrowbar = "OpenCrowbar"
	kindRebar   = "Digital Rebar"
)

// elder is the client's side of one.
type elder struct {
	sign signer

	mu    sync.Mutex
	known bool
	it    *Elder // nil = it is a kubeclampd after all
	seen  seen
}

// Elder says what answers: nil is a kubeclampd. Only who signs in by HTTP digest (Config.User) can meet another server.
func (c *Client) Elder(ctx context.Context) (*Elder, error) {
	if c.elder == nil {
		return nil, nil
	}
	c.elder.mu.Lock()
	defer c.elder.mu.Unlock()
	if c.elder.known {
		return c.elder.it, nil
	}
	it, err := c.meet(ctx)
	if err == nil {
		c.elder.it, c.elder.known = it, true
	}
	return it, err
}

// meet finds out what answers, by what it alone says: a kubeclampd has daemons, the others name themselves in content types.
func (c *Client) meet(ctx context.Context) (*Elder, error) {
	if resp, err := c.signed(ctx, http.MethodGet, "/api/v2/daemons", "", nil, ownMedia); err != nil {
		return nil, err
	} else if resp.Body.Close(); resp.StatusCode == http.StatusOK {
		return nil, nil
	} else if resp.StatusCode == http.StatusUnauthorized {
		return nil, crowbar.Errorf(crowbar.Invalid, "%s does not let user %s in: is the key (user:password) right?", c.conf.Endpoint, c.conf.User)
	}
	resp, err := c.signed(ctx, http.MethodGet, "/api/v2/barclamps", "", nil, "application/json")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fault(resp)
	}
	it := &Elder{Realm: c.elder.sign.realm()}
	switch kind := resp.Header.Get("Content-Type"); {
	case strings.HasPrefix(kind, "application/vnd.crowbar."):
		it.Kind = kindCrowbar
	case strings.HasPrefix(kind, "application/vnd.rebar."):
		it.Kind = kindRebar
	default:
		return nil, crowbar.Errorf(crowbar.Invalid, "%s is no OpenCrowbar and no Digital Rebar (version 2): its barclamps are %q", c.conf.Endpoint, kind)
	}
	var all []struct {
		Name    string
		Version any
	}
	if err := json.NewDecoder(resp.Body).Decode(&all); err != nil {
		return nil, fmt.Errorf("barclamps of %s: %w", c.conf.Endpoint, err)
	}
	for _, b := range all {
		if b.Name == it.Own() && b.Version != nil {
			it.Version = fmt.Sprint(b.Version)
		}
	}
	return it, nil
}

// ownMedia is asked for where kubeclampd answers: whole objects, and errors by their kind.
const ownMedia = "application/vnd.kubeclamp+json"

// signed sends a request with an answer to the server's challenge; one that was refused as too old is sent once more.
func (c *Client) signed(ctx context.Context, method, p, contentType string, body []byte, accept string) (*http.Response, error) {
	for again := false; ; again = true {
		if c.elder.sign.empty() {
			if err := c.challenged(ctx); err != nil {
				return nil, err
			}
		}
		req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.conf.Endpoint, "/")+p, bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		req.Header.Set("Authorization", c.elder.sign.header(c.conf.User, c.conf.Password, method, req.URL.RequestURI()))
		req.Header.Set("Accept", accept)
		if contentType != "" {
			req.Header.Set("Content-Type", contentType)
		}
		resp, err := c.http.Do(req)
		if err != nil {
			return nil, c.silent(ctx, err)
		}
		if resp.StatusCode != http.StatusUnauthorized || again {
			return resp, nil
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		c.elder.sign.forget()
	}
}

// challenged has the server say what it wants signed.
func (c *Client) challenged(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, strings.TrimSuffix(c.conf.Endpoint, "/")+"/api/v2/digest", nil)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return c.silent(ctx, err)
	}
	defer resp.Body.Close()
	if err := c.elder.sign.read(resp.Header.Values("WWW-Authenticate")); err != nil {
		return crowbar.Errorf(crowbar.Invalid, "%s answers HEAD /api/v2/digest with %s: %w; is it an OpenCrowbar or Digital Rebar (version 2) server?", c.conf.Endpoint, resp.Status, err)
	}
	return nil
}

func (c *Client) silent(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var unknown *tls.CertificateVerificationError
	hint := "is a server running there?"
	if errors.As(err, &unknown) {
		hint = "its certificate is not known: put it, or its authority's, into a file and say KUBECLAMP_CA=FILE"
	}
	return crowbar.Errorf(crowbar.Unavailable, "the server at %s does not answer: %w; %s", c.conf.Endpoint, err, hint)
}

// digested sends a request by HTTP digest, to whatever server it is.
func (c *Client) digested(ctx context.Context, method, p, contentType string, r io.Reader) (*http.Response, error) {
	var body []byte
	if r != nil {
		var err error
		if body, err = io.ReadAll(r); err != nil {
			return nil, err
		}
	}
	it, err := c.Elder(ctx)
	if err != nil {
		return nil, err
	}
	if it != nil {
		return c.toElder(ctx, it, method, p, contentType, body)
	}
	resp, err := c.signed(ctx, method, p, contentType, body, ownMedia)
	if err != nil || resp.StatusCode/100 == 2 {
		return resp, err
	}
	defer resp.Body.Close()
	return nil, fault(resp)
}

// toElder sends a request to a server that is no kubeclampd, or does here what its API has no words for. What it cannot do at all
// is refused before anything is sent.
func (c *Client) toElder(ctx context.Context, it *Elder, method, p, contentType string, body []byte) (*http.Response, error) {
	if made, err := c.instead(ctx, it, method, p); made != nil || err != nil {
		return made, err
	}
	p, err := c.spell(ctx, p)
	if err != nil {
		return nil, err
	}
	if err := it.can(method, p); err != nil {
		return nil, err
	}
	if body, err = c.words(ctx, it, method, p, body); err != nil {
		return nil, err
	}
	resp, err := c.signed(ctx, method, p, contentType, body, "application/json")
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, fault(resp)
}
