package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// act is one kind of request.
type act struct {
	name   string
	writes bool
	share  int // of a hundred
	do     func(c *caller, o options) error
}

// acts is what clients do: mostly looks at single objects, as programs do that wait for something.
var acts = []act{
	{"show node", false, 26, func(c *caller, o options) error { return c.get("/api/v2/nodes/" + c.node(o)) }},
	{"show node by short name", false, 14, func(c *caller, o options) error { return c.get("/api/v2/nodes/" + c.node(o)[:6]) }},
	{"show node-role", false, 22, func(c *caller, o options) error { return c.get("/api/v2/node_roles/" + c.node(o) + "%2Fworker") }},
	{"node-roles of a node", false, 14, func(c *caller, o options) error { return c.get("/api/v2/nodes/" + c.node(o) + "/node_roles") }},
	{"show attrib of a node", false, 6, func(c *caller, o options) error { return c.get("/api/v2/nodes/" + c.node(o) + "/attribs/load-00") }},
	{"why", false, 4, func(c *caller, o options) error {
		return c.get("/api/v2/node_roles/" + c.node(o) + "%2Fworker/why")
	}},
	{"show deployment", false, 2, func(c *caller, _ options) error { return c.get("/api/v2/deployments/" + fleet) }},
	{"list roles", false, 2, func(c *caller, _ options) error { return c.get("/api/v2/roles") }},
	{"update node", true, 8, func(c *caller, o options) error {
		return c.send(http.MethodPut, "/api/v2/nodes/"+c.node(o), map[string]any{"description": fmt.Sprintf("seen by %d at %d", c.number, rand.Int())})
	}},
	{"create and delete node", true, 2, func(c *caller, _ options) error {
		name := fmt.Sprintf("c%04d-%08x.load.internal", c.number, rand.Uint32())
		if err := c.send(http.MethodPost, "/api/v2/nodes", map[string]any{"name": name, "deployment": fleet}); err != nil {
			return err
		}
		return c.send(http.MethodDelete, "/api/v2/nodes/"+name, nil)
	}},
}

// caller is one client, with a connection of its own.
type caller struct {
	ctx    context.Context
	number int
	http   *http.Client
	base   string
	token  string
}

func (d *daemon) caller(ctx context.Context, number int) (*caller, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(d.conf.CA)) {
		return nil, fmt.Errorf("the daemon's CA is no certificate")
	}
	return &caller{ctx: ctx, number: number, base: d.conf.Endpoint, token: d.conf.Token,
		http: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}}}, nil
}

func (c *caller) node(o options) string { return nodeName(rand.IntN(o.nodes)) }

func (c *caller) get(path string) error { return c.send(http.MethodGet, path, nil) }

// send makes a request and reads the whole answer. Anything but a 2xx is an error.
func (c *caller) send(method, path string, body any) error {
	var from io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		from = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(c.ctx, method, c.base+path, from)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+c.token)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		said, _ := io.ReadAll(io.LimitReader(resp.Body, 400))
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, said)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// lists reads all node-roles of the fleet some times, alone, as old and as new clients do, and gives the longest time.
func (d *daemon) lists(ctx context.Context, o options) (longest time.Duration, err error) {
	c, err := d.caller(ctx, 0)
	if err != nil {
		return 0, err
	}
	for range 5 {
		for _, list := range []func() error{
			func() error { return c.get("/api/v2/node_roles") },
			func() error { return c.get("/api/v2/deployments/" + fleet + "/node_roles") },
		} {
			began := time.Now()
			if err := list(); err != nil {
				return 0, err
			}
			longest = max(longest, time.Since(began))
		}
	}
	return longest, nil
}

// storm has all clients at work for as long as was asked for.
func (d *daemon) storm(ctx context.Context, o options) *tally {
	t := &tally{waits: make([][]time.Duration, len(acts)), failed: make([]int, len(acts))}
	began := time.Now()
	var all sync.WaitGroup
	for i := range o.clients {
		all.Go(func() {
			c, err := d.caller(ctx, i)
			if err != nil {
				t.note(0, 0, err)
				return
			}
			pause(time.Duration(rand.Int64N(int64(2*o.pause + 1)))) // they do not all begin at once
			for time.Since(began) < o.length {
				k := pick()
				at := time.Now()
				err := acts[k].do(c, o)
				t.note(k, time.Since(at), err)
				pause(time.Duration(rand.Int64N(int64(2*o.pause + 1))))
			}
			c.http.CloseIdleConnections()
		})
	}
	all.Wait()
	t.length = time.Since(began)
	return t
}

func pause(d time.Duration) { time.Sleep(d) } // what a client does between two requests

// pick is one of the acts, by their shares.
func pick() int {
	n := rand.IntN(100)
	for i, a := range acts {
		if n -= a.share; n < 0 {
			return i
		}
	}
	return 0
}
