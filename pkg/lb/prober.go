package lb

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Probing says how servers are asked whether they are well.
type Probing struct {
	Name    string         // that their certificates must have
	Port    int            // TCP
	CA      *x509.CertPool // that must have signed them
	Path    string         // "" = /readyz
	Every   time.Duration  // 0 = 500 ms
	Timeout time.Duration  // of one probe; 0 = 1 s
	Strikes int            // failures in a row that make one unwell; 0 = 2
	Returns int            // successes in a row that make it well again; 0 = 3
	// Changed is told of each change of mind, one at a time; err is the last failure, which Leaving understands. It is told once
	// more of a server that was leaving and now does not answer.
	Changed func(address string, well bool, err error)
}

// Prober asks servers again and again. A probe begins every Every, whether or not the one before has ended: a server that
// hangs is found out after Timeout + (Strikes-1) * Every.
type Prober struct {
	mu      sync.Mutex
	probing Probing
	client  *http.Client
	wanted  []string
	targets map[string]*target
	poke    chan struct{} // wanted has changed
}

// target is one server.
type target struct {
	stop   context.CancelFunc
	known  bool // some probe has ended
	well   bool
	newest uint64 // probe whose end was heard last
	good   int    // successes in a row
	bad    int    // failures in a row
	leaves bool   // the last failure was that it is about to stop
}

// Leaving says that a probe's failure is a server that is about to stop and still serves: it will end its connections by itself,
// one request after the other.
func Leaving(err error) bool {
	no := (*refusal)(nil)
	return errors.As(err, &no) && strings.Contains(no.body, "[-]shutdown") && !strings.Contains(no.body, "[-]etcd")
}

// refusal is the answer of a server that is not ready.
type refusal struct{ path, status, body string }

func (r *refusal) Error() string {
	return fmt.Sprintf("%s answers %s: %.200q", r.path, r.status, r.body)
}

// NewProber makes a prober that has nothing to ask yet.
func NewProber(p Probing) *Prober {
	pr := &Prober{targets: map[string]*target{}, poke: make(chan struct{}, 1)}
	pr.Set(p)
	return pr
}

// Set takes another way of probing, from the next probe on.
func (p *Prober) Set(how Probing) {
	if how.Path == "" {
		how.Path = "/readyz"
	}
	for _, d := range []struct {
		at        *time.Duration
		otherwise time.Duration
	}{{&how.Every, 500 * time.Millisecond}, {&how.Timeout, time.Second}} {
		if *d.at <= 0 {
			*d.at = d.otherwise
		}
	}
	if how.Strikes <= 0 {
		how.Strikes = 2
	}
	if how.Returns <= 0 {
		how.Returns = 3
	}
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig:     &tls.Config{RootCAs: how.CA, ServerName: how.Name, MinVersion: tls.VersionTLS12},
		MaxIdleConnsPerHost: 1, IdleConnTimeout: 10 * time.Second, DisableCompression: true,
	}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	p.mu.Lock()
	old := p.client
	p.probing, p.client = how, client
	p.mu.Unlock()
	if old != nil {
		old.CloseIdleConnections()
	}
}

// Watch sets which addresses are asked.
func (p *Prober) Watch(addresses []string) {
	p.mu.Lock()
	p.wanted = addresses
	p.mu.Unlock()
	select {
	case p.poke <- struct{}{}:
	default:
	}
}

// Well says that a server answers, and known that it has been asked at all.
func (p *Prober) Well(address string) (well, known bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.targets[address]
	return t != nil && t.well, t != nil && t.known
}

// Run probes until the context ends.
func (p *Prober) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer func() {
		wg.Wait()
		p.mu.Lock()
		client := p.client
		p.mu.Unlock()
		client.CloseIdleConnections()
	}()
	for {
		p.adjust(ctx, &wg)
		select {
		case <-ctx.Done():
			return
		case <-p.poke:
		}
	}
}

// adjust starts and ends the loops of single servers.
func (p *Prober) adjust(ctx context.Context, wg *sync.WaitGroup) {
	p.mu.Lock()
	defer p.mu.Unlock()
	keep := map[string]bool{}
	for _, a := range p.wanted {
		keep[a] = true
		if p.targets[a] != nil {
			continue
		}
		one, stop := context.WithCancel(ctx)
		t := &target{stop: stop}
		p.targets[a] = t
		wg.Go(func() { p.loop(one, a, t) })
	}
	for a, t := range p.targets {
		if !keep[a] {
			t.stop()
			delete(p.targets, a)
		}
	}
}

func (p *Prober) loop(ctx context.Context, address string, t *target) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for n := uint64(1); ; n++ {
		p.mu.Lock()
		how, client := p.probing, p.client
		p.mu.Unlock()
		wg.Go(func() {
			err := probe(ctx, client, how, address)
			if ctx.Err() == nil {
				p.heard(address, t, n, err)
			}
		})
		select {
		case <-ctx.Done():
			return
		case <-time.After(how.Every):
		}
	}
}

func probe(ctx context.Context, client *http.Client, how Probing, address string) error {
	ctx, cancel := context.WithTimeout(ctx, how.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+net.JoinHostPort(address, strconv.Itoa(how.Port))+how.Path, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return &refusal{how.Path, resp.Status, string(body)}
	}
	return nil
}

// heard counts the end of a probe, unless a later one has been heard before.
func (p *Prober) heard(address string, t *target, n uint64, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n < t.newest || p.targets[address] != t {
		return
	}
	t.newest = n
	if err == nil {
		t.good, t.bad = t.good+1, 0
	} else {
		t.good, t.bad = 0, t.bad+1
	}
	well := t.well
	switch {
	case t.bad >= p.probing.Strikes:
		well = false
	case t.good >= p.probing.Returns, t.good > 0 && !t.known:
		well = true
	}
	left := t.leaves && err != nil && !Leaving(err) && !well
	t.leaves = Leaving(err)
	news := well != t.well || left || !t.known && (t.good > 0 || t.bad >= p.probing.Strikes)
	t.well, t.known = well, t.known || t.good > 0 || t.bad >= p.probing.Strikes
	if news && p.probing.Changed != nil {
		p.probing.Changed(address, well, err)
	}
}
