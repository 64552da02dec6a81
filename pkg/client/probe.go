package client

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"time"
)

// Probe is what one request tells of a daemon and the way to it.
type Probe struct {
	Took    time.Duration
	Skew    time.Duration // by how much the daemon's clock is ahead of ours, to a second; 0 where it does not say
	Expires time.Time     // of the daemon's certificate
	TLS     string        // version, such as "TLS 1.3"
}

// Probe asks for the list of daemons, which takes the lowest right, and looks at the way there and back.
func (c *Client) Probe(ctx context.Context) (p Probe, err error) {
	began := time.Now()
	resp, err := c.send(ctx, http.MethodGet, "/api/v2/daemons", nil)
	if err != nil {
		return p, err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	p.Took = time.Since(began)
	if at, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		if skew := at.Sub(began.Add(p.Took / 2)); skew > time.Second || skew < -2*time.Second { // it is cut to whole seconds
			p.Skew = skew.Round(time.Second)
		}
	}
	if resp.TLS != nil && len(resp.TLS.PeerCertificates) > 0 {
		p.Expires, p.TLS = resp.TLS.PeerCertificates[0].NotAfter, tls.VersionName(resp.TLS.Version)
	}
	return p, nil
}
