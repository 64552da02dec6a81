// Package kube is how a role speaks to a Kubernetes API server: a small client through the node's own network, and the text
// of kubeconfig files. It does not know which role asks, nor any Kubernetes type beyond JSON.
package kube

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
)

// Leaf is a certificate attrib as the host gives it: PEM each. CA is the authority that signed it.
type Leaf struct {
	Cert string `json:"cert"`
	Key  string `json:"key"`
	CA   string `json:"ca"`
}

// Complete says whether all three are there.
func (l Leaf) Complete() bool { return l.Cert != "" && l.Key != "" && l.CA != "" }

// Dialer opens a TCP stream from the node's network; a jig.Conn is one.
type Dialer interface {
	Dial(ctx context.Context, network, addr string) (net.Conn, error)
}

var _ Dialer = jig.Conn(nil)

// Client asks API servers one after another until one answers. Close it when done.
type Client struct {
	servers []string
	http    *http.Client
	trans   *http.Transport
}

// New makes a client of the API servers at host:port addresses. Each must show a certificate of leaf.CA that is valid for
// serverName. leaf.Cert and leaf.Key are this side's certificate; without them the client is anonymous.
func New(on Dialer, leaf Leaf, serverName string, servers ...string) (*Client, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(leaf.CA)) {
		return nil, crowbar.Errorf(crowbar.Invalid, "client of the Kubernetes API: the authority's certificate (attrib kubernetes-ca) is not PEM: cluster-pki says what is wrong with it")
	}
	conf := &tls.Config{RootCAs: roots, ServerName: serverName, MinVersion: tls.VersionTLS12}
	if leaf.Cert != "" {
		pair, err := tls.X509KeyPair([]byte(leaf.Cert), []byte(leaf.Key))
		if err != nil {
			return nil, fmt.Errorf("client of the Kubernetes API: own certificate: %w", err)
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	t := &http.Transport{
		DialContext:           on.Dial,
		TLSClientConfig:       conf,
		TLSHandshakeTimeout:   5 * time.Second,
		ResponseHeaderTimeout: 10 * time.Second,
		MaxIdleConnsPerHost:   1,
	}
	return &Client{servers: servers, trans: t, http: &http.Client{Transport: t, Timeout: 15 * time.Second}}, nil
}

// Close drops the connections.
func (c *Client) Close() { c.trans.CloseIdleConnections() }

// StatusError is an answer of the API server that is not a success.
type StatusError struct {
	Code    int    // HTTP
	Reason  string // "NotFound", "AlreadyExists"...
	Message string
}

// Error is the server's own message.
func (e *StatusError) Error() string {
	return fmt.Sprintf("API server: %d %s: %s", e.Code, e.Reason, e.Message)
}

// Code is the HTTP status of an error of Do; 0 if no server answered.
func Code(err error) int {
	var s *StatusError
	if errors.As(err, &s) {
		return s.Code
	}
	return 0
}

// Ready asks /readyz of the first server that answers.
func (c *Client) Ready(ctx context.Context) error {
	return c.Do(ctx, http.MethodGet, "/readyz", nil, nil)
}

// Do sends body as JSON (nil = none; a merge patch when the method is PATCH) and decodes the answer into into (nil = not).
// A server that does not answer is passed over for the next; an answer, good or bad, is final.
func (c *Client) Do(ctx context.Context, method, path string, body, into any) error {
	var raw []byte
	if body != nil {
		var err error
		if raw, err = json.Marshal(body); err != nil {
			return fmt.Errorf("%s %s: %w", method, path, err)
		}
	}
	var missed []error
	for _, s := range c.servers {
		err := c.ask(ctx, s, method, path, raw, into)
		if err == nil || Code(err) != 0 {
			return err
		}
		missed = append(missed, err)
	}
	if len(missed) == 0 {
		return crowbar.Errorf(crowbar.Unavailable, "%s %s: no API server is known: bind k8s-master to a node, or retry its node-roles that failed", method, path)
	}
	return errors.Join(missed...)
}

func (c *Client) ask(ctx context.Context, server, method, path string, body []byte, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, "https://"+server+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
		if method == http.MethodPatch {
			req.Header.Set("Content-Type", "application/merge-patch+json")
		}
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, req.URL, err)
	}
	if resp.StatusCode >= 400 {
		return status(resp.StatusCode, raw)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("%s %s: answer: %w", method, req.URL, err)
	}
	return nil
}

func status(code int, raw []byte) error {
	var s struct{ Reason, Message string }
	if json.Unmarshal(raw, &s) != nil || s.Message == "" {
		s.Message = strings.TrimSpace(string(raw))
	}
	return &StatusError{Code: code, Reason: s.Reason, Message: s.Message}
}
