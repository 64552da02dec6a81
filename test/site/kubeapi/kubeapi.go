// Package kubeapi is how programs of the tests reach a Kubernetes API: as a client that carries a kubeconfig's certificates and
// keeps one HTTP/2 connection, as client-go does. It does not know what is asked.
package kubeapi

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// Identity is the certificates that a kubeconfig carries, for a server of this name.
func Identity(kubeconfig []byte, name string) (*tls.Config, error) {
	var doc struct {
		Clusters []struct {
			Cluster struct {
				CA string `yaml:"certificate-authority-data"`
			}
		}
		Users []struct {
			User struct {
				Cert string `yaml:"client-certificate-data"`
				Key  string `yaml:"client-key-data"`
			}
		}
	}
	if err := yaml.Unmarshal(kubeconfig, &doc); err != nil {
		return nil, err
	}
	if len(doc.Clusters) == 0 || len(doc.Users) == 0 {
		return nil, errors.New("the kubeconfig names no cluster or no user")
	}
	var pem [3][]byte
	var err error
	for i, b := range []string{doc.Clusters[0].Cluster.CA, doc.Users[0].User.Cert, doc.Users[0].User.Key} {
		if pem[i], err = base64.StdEncoding.DecodeString(b); err != nil {
			return nil, err
		}
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem[0])
	pair, err := tls.X509KeyPair(pem[1], pem[2])
	return &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}, ServerName: name, MinVersion: tls.VersionTLS12}, err
}

// Transport keeps one HTTP/2 connection, and finds out that it is dead as late as client-go does.
func Transport(conf *tls.Config, dial func(context.Context, string, string) (net.Conn, error)) *http.Transport {
	return &http.Transport{DialContext: dial, TLSClientConfig: conf.Clone(), TLSHandshakeTimeout: 10 * time.Second, ForceAttemptHTTP2: true,
		HTTP2: &http.HTTP2Config{SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second}}
}

// Client makes HTTP clients, each with a connection of its own.
type Client struct {
	TLS  *tls.Config
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// New is one more client. Requests to https://kubernetes/ reach the API.
func (c Client) New() *http.Client { return &http.Client{Transport: Transport(c.TLS, c.Dial)} }

const mostTries = 5 // of a request that the server asks to be sent again later, as client-go does

// Apply makes an object what the body says, by server-side apply.
func Apply(ctx context.Context, c *http.Client, path, body string) error {
	_, err := Ask(ctx, c, http.MethodPatch, path+"?fieldManager=kubeclamp-test&force=true", "application/apply-patch+yaml", body)
	return err
}

// Ask is one request and its whole answer. An answer that is no success is an error that has its text.
func Ask(ctx context.Context, c *http.Client, method, path, kind, body string) ([]byte, error) {
	for try := 1; ; try++ {
		req, err := http.NewRequestWithContext(ctx, method, "https://kubernetes"+path, strings.NewReader(body))
		if err != nil {
			return nil, err
		}
		if kind != "" {
			req.Header.Set("Content-Type", kind)
		}
		text, wait, err := once(c, req)
		if err == nil || wait == 0 || try == mostTries {
			return text, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w, after: %w", ctx.Err(), err)
		case <-time.After(wait):
		}
	}
}

// once sends a request; where wait is not 0, the server asks for it again after that time.
func once(c *http.Client, req *http.Request) (text []byte, wait time.Duration, err error) {
	resp, err := c.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	if text, err = io.ReadAll(resp.Body); err != nil {
		return nil, 0, fmt.Errorf("%s %s: %w", req.Method, req.URL.Path, err)
	}
	if resp.StatusCode < 300 {
		return text, 0, nil
	}
	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && (resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= 500) {
		wait = max(time.Duration(s)*time.Second, time.Millisecond)
	}
	return nil, wait, fmt.Errorf("%s %s: %s: %.300s", req.Method, req.URL.Path, resp.Status, text)
}
