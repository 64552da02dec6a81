// Package lb is the node-local balancer of the Kubernetes API: TCP connections to one local port go on to whichever API
// server is well. It does not know what is spoken over them, who the clients are, or why a server is in the pool.
//
// Its servers are the answers of the pool's name servers, and, while none of them answers, the last good list on disk.
// They are probed; the live connections to one that fails are cut, because HTTP/2 clients would sit on them for most of a
// minute. It never forgets all servers: when none is well, all are tried.
package lb

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"
)

// Config is what a balancer is told.
type Config struct {
	Listen      string         // "127.0.0.1:6444"
	Pool        string         // name asked of the name servers, and the name that the servers' certificates must have
	Port        int            // of the servers
	NameServers []string       // host:port, asked directly
	CA          *x509.CertPool // of the servers' certificates
	Seeds       []string       // servers (host or host:port) to begin with, where there is no last good list
	StateFile   string         // holds the last good list; "" = none

	Probe   time.Duration // between probes of one server; 0 = 300 ms
	Timeout time.Duration // of a probe and of a dial; 0 = 1 s
	Resolve time.Duration // between questions to the name servers; 0 = 1 s
	Settle  time.Duration // within which connections are moved to a server that has come; 0 = 5 s
}

// Balancer is one listening port.
type Balancer struct {
	log    *slog.Logger
	prober *Prober
	poke   chan struct{} // the config has changed

	mu       sync.Mutex
	cfg      Config
	backends map[string]*backend // by address
	order    []string            // addresses in use, sorted
	address  net.Addr            // that it listens on
}

// backend is one server and the connections to it. One that has left the pool stays until its connections have ended.
type backend struct {
	conns  map[*pipe]struct{}
	away   bool // unwell, or known not to be well
	leaves bool // it said that it is about to stop
}

// New makes a balancer from a config.
func New(cfg Config, log *slog.Logger) (*Balancer, error) {
	b := &Balancer{log: log, poke: make(chan struct{}, 1), backends: map[string]*backend{}}
	b.prober = NewProber(Probing{})
	if err := b.Set(cfg); err != nil {
		return nil, err
	}
	return b, nil
}

// Set takes another config, all but Listen, without touching connections.
func (b *Balancer) Set(cfg Config) error {
	switch {
	case cfg.Listen == "":
		return errors.New("listen is empty: give the address and port to listen on, such as 127.0.0.1:6444")
	case cfg.Pool == "" || cfg.Port < 1 || cfg.Port > 65535:
		return fmt.Errorf("pool %q and port %d: give the pool's name and its servers' port", cfg.Pool, cfg.Port)
	case cfg.CA == nil:
		return errors.New("no certificate authority: give the one that signed the servers' certificates")
	}
	for _, d := range []struct {
		at        *time.Duration
		otherwise time.Duration
	}{{&cfg.Probe, 300 * time.Millisecond}, {&cfg.Timeout, time.Second}, {&cfg.Resolve, time.Second}, {&cfg.Settle, 5 * time.Second}} {
		if *d.at <= 0 {
			*d.at = d.otherwise
		}
	}
	b.mu.Lock()
	b.cfg = cfg
	order := slices.Clone(b.order)
	b.mu.Unlock()
	b.prober.Set(Probing{Name: cfg.Pool, Port: cfg.Port, CA: cfg.CA, Every: cfg.Probe, Timeout: cfg.Timeout, Changed: b.changed})
	b.use(begin(cfg, order)) // until a name server says otherwise
	select {
	case b.poke <- struct{}{}:
	default:
	}
	return nil
}

// Run serves until the context ends, which is no error.
func (b *Balancer) Run(ctx context.Context) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", b.config().Listen)
	if err != nil {
		return fmt.Errorf("balance the API: %w", err)
	}
	b.mu.Lock()
	b.address = l.Addr()
	b.mu.Unlock()
	ctx, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	defer context.AfterFunc(ctx, func() { l.Close(); b.cutAll() })()
	wg.Go(func() { b.prober.Run(ctx) })
	wg.Go(func() { b.resolve(ctx) })
	b.log.Info("balancing", "listen", l.Addr().String(), "pool", b.config().Pool)
	for {
		c, err := l.Accept()
		if ctx.Err() != nil {
			if err == nil {
				c.Close()
			}
			return nil
		}
		if err != nil {
			b.log.Warn("accept", "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(50 * time.Millisecond): // out of file descriptors: they come back
			}
			continue
		}
		wg.Go(func() { b.serve(ctx, c) })
	}
}

// Addr is where it listens; nil before Run does.
func (b *Balancer) Addr() net.Addr {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.address
}

// Status is one server for people and tests.
type Status struct {
	Address     string
	Well, Known bool
	Connections int
}

// Status tells of every server in use.
func (b *Balancer) Status() []Status {
	b.mu.Lock()
	var out []Status
	for _, a := range b.order {
		out = append(out, Status{Address: a, Connections: len(b.backends[a].conns)})
	}
	b.mu.Unlock()
	for i := range out {
		out[i].Well, out[i].Known = b.prober.Well(out[i].Address)
	}
	return out
}

func (b *Balancer) config() Config {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.cfg
}
