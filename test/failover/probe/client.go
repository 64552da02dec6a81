package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/kubeclamp/kubeclamp/test/site/kubeapi"
)

// Seen is how clients of one sort fared: the longest time without an answer, the longest that one request took, the requests
// that failed, and an error of one.
type Seen struct {
	GapMS   int64  `json:"gap_ms"`
	SlowMS  int64  `json:"slow_ms"`
	Answers int    `json:"answers"`
	Failed  int    `json:"failed"`
	Error   string `json:"error,omitempty"`
}

func (s Seen) worse(o Seen) Seen {
	o.Answers, o.Failed = o.Answers+s.Answers, o.Failed+s.Failed
	if o.Error == "" {
		o.Error = s.Error
	}
	o.GapMS, o.SlowMS = max(o.GapMS, s.GapMS), max(o.SlowMS, s.SlowMS)
	return o
}

// client asks again and again, over one connection for as long as that lives.
type client struct {
	road, sort string
	space      string
	lease      string
	http       *http.Client

	mu   sync.Mutex
	last time.Time
	seen Seen
}

func newClient(road, sort, lease string, c config, conf *tls.Config, dial func(context.Context, string, string) (net.Conn, error)) *client {
	return &client{road: road, sort: sort, space: c.space, lease: lease, last: time.Now(), http: &http.Client{Transport: kubeapi.Transport(conf, dial)}}
}

const (
	beatEvery = 200 * time.Millisecond
	mostBeats = 64
	beatLimit = 10 * time.Second       // a kubelet's, for its lease
	backOff   = 800 * time.Millisecond // a reflector's first, after an error
)

// answered is told of an answer, and when it was asked for.
func (c *client) answered(asked time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	c.seen.GapMS = max(c.seen.GapMS, now.Sub(c.last).Milliseconds())
	c.seen.SlowMS = max(c.seen.SlowMS, now.Sub(asked).Milliseconds())
	c.seen.Answers++
	c.last = now
}

func (c *client) failed(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen.Failed++
	c.seen.Error = err.Error()
}

func (c *client) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen, c.last = Seen{}, time.Now()
}

func (c *client) report() Seen {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.seen
	s.GapMS = max(s.GapMS, time.Since(c.last).Milliseconds())
	return s
}

func (c *client) forever(once func() error) {
	for {
		c.once(once)
	}
}

func (c *client) once(once func() error) {
	if err := once(); err != nil {
		c.failed(err)
	}
}

// often begins a request at every tick, whether or not those before have ended: a kubelet has many on its one connection.
func (c *client) often(once func() error) {
	places := make(chan struct{}, mostBeats)
	for range time.Tick(beatEvery) {
		select {
		case places <- struct{}{}:
			go func() {
				c.once(once)
				<-places
			}()
		default: // all of them hang
		}
	}
}

func (c *client) url() string {
	return "https://kubernetes/apis/coordination.k8s.io/v1/namespaces/" + c.space + "/leases"
}

// beat renews the lease once, and makes it where there is none.
func (c *client) beat() error {
	ctx, cancel := context.WithTimeout(context.Background(), beatLimit)
	defer cancel()
	body := fmt.Sprintf(`{"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":%q},"spec":{"renewTime":%q}}`, c.lease, time.Now().UTC().Format("2006-01-02T15:04:05.000000Z07:00"))
	req, err := http.NewRequestWithContext(ctx, http.MethodPatch, c.url()+"/"+c.lease+"?fieldManager=probe&force=true", strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/apply-patch+yaml")
	asked := time.Now()
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		return fmt.Errorf("%s: %.200s", resp.Status, text)
	}
	c.answered(asked)
	return nil
}

// watch hears what the writers do, until the stream ends.
func (c *client) watch() error {
	resp, err := c.http.Get(c.url() + "?watch=1")
	if err != nil {
		time.Sleep(backOff)
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		time.Sleep(backOff)
		return fmt.Errorf("watch: %s", resp.Status)
	}
	events := bufio.NewScanner(resp.Body)
	events.Buffer(nil, 1<<20)
	for events.Scan() {
		c.answered(time.Now())
	}
	return events.Err()
}
