package main

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/engine"
	"github.com/kubeclamp/kubeclamp/pkg/lb"
	"github.com/kubeclamp/kubeclamp/pkg/nameserver"
	"github.com/kubeclamp/kubeclamp/pkg/zone"
)

// names looks after the pools of the newest state. Where the daemon has an address for it, it answers DNS for them, and for
// filtered names, and probes the members; membership itself is a view of the state.
type names struct {
	eng    *engine.Engine
	log    *slog.Logger
	server *nameserver.Server // nil = it does not answer
	wg     sync.WaitGroup

	mu      sync.Mutex
	pools   []zone.Pool
	probers map[asked]*lb.Prober // nil for one that cannot be believed
	history map[asked][]crowbar.PoolTurn
}

// asked is what makes one prober another one than the next.
type asked struct {
	deployment crowbar.ID
	name       string
	port       int
}

// mostTurns is how many changes of mind about the members of a pool are remembered.
const mostTurns = 100

func newNames(c *config, eng *engine.Engine) *names {
	n := &names{eng: eng, log: c.log, probers: map[asked]*lb.Prober{}, history: map[asked][]crowbar.PoolTurn{}}
	if c.dnsListen != "" {
		n.server = nameserver.New(nameserver.Config{Listen: []string{c.dnsListen}, Log: c.log})
	}
	return n
}

func (n *names) run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer n.wg.Wait()
	defer stop()
	if n.server != nil {
		n.wg.Go(func() { n.follow(ctx) })
		return n.server.Run(ctx)
	}
	n.follow(ctx)
	return nil
}

func (n *names) follow(ctx context.Context) {
	for s := range n.eng.Watch(ctx) {
		n.take(ctx, s)
	}
}

func (n *names) take(ctx context.Context, s *crowbar.Snapshot) {
	var served []nameserver.Pool
	pools := zone.Pools(s)
	n.mu.Lock()
	n.pools = pools
	for _, p := range pools {
		if n.server == nil {
			continue
		}
		prober := n.prober(ctx, s, p)
		if prober == nil {
			continue
		}
		prober.Watch(p.Addresses())
		served = append(served, nameserver.Pool{Pool: p, Well: func(address string) bool {
			well, known := prober.Well(address)
			return well || !known
		}})
	}
	n.mu.Unlock()
	if n.server != nil {
		n.server.Set(served, zone.Filled(s)...)
	}
}

// prober is the one of a pool's deployment; nil while the deployment has no authority, and so no API server that could be
// believed. The caller holds mu.
func (n *names) prober(ctx context.Context, s *crowbar.Snapshot, p zone.Pool) *lb.Prober {
	key := asked{p.Deployment, p.Name, p.Port}
	if had := n.probers[key]; had != nil {
		return had
	}
	value, made, err := n.eng.PKI.Value(s, crowbar.Computed{Deployment: p.Deployment, Attrib: "kubernetes-ca", Authority: "kubernetes"})
	ca := x509.NewCertPool()
	if text, _ := value.(string); err != nil || len(made) > 0 || !ca.AppendCertsFromPEM([]byte(text)) {
		return nil
	}
	prober := lb.NewProber(lb.Probing{Name: p.Name, Port: p.Port, CA: ca, Changed: func(address string, well bool, err error) {
		n.log.Info("pool member", "pool", p.Name, "address", address, "well", well, "error", err)
		n.note(key, address, well, err)
	}})
	n.probers[key] = prober
	n.wg.Go(func() { prober.Run(ctx) })
	return prober
}

func (n *names) note(key asked, address string, well bool, err error) {
	t := crowbar.PoolTurn{At: time.Now(), Address: address, Well: well}
	if at := new(url.Error); errors.As(err, &at) {
		err = at.Err // whom it asked is known
	}
	if err != nil && !well {
		t.Error = err.Error()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range n.pools {
		if p.Deployment == key.deployment {
			t.Node = memberAt(p, address)
		}
	}
	all := append([]crowbar.PoolTurn{t}, n.history[key]...)
	n.history[key] = all[:min(len(all), mostTurns)]
}

func memberAt(p zone.Pool, address string) string {
	for _, m := range p.Members {
		if m.Address == address {
			return m.Node
		}
	}
	return ""
}

// health is how all pools do by what is known already; nobody is asked anything.
func (n *names) health() []crowbar.PoolHealth {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := []crowbar.PoolHealth{}
	for _, p := range n.pools {
		key := asked{p.Deployment, p.Name, p.Port}
		h := crowbar.PoolHealth{Deployment: p.Deployment, Name: p.Name, Port: p.Port, TTL: p.TTL, History: slices.Clone(n.history[key])}
		for _, o := range p.Servers {
			h.Servers = append(h.Servers, crowbar.PoolServer{Node: o.Node, Address: o.Address})
		}
		prober := n.probers[key]
		if o := slices.IndexFunc(n.pools, func(o zone.Pool) bool { return o.Name == p.Name && o.Deployment != p.Deployment }); o >= 0 {
			h.Clash = n.pools[o].Deployment
		}
		if n.server == nil {
			h.Trouble = "Members are looked at by daemons that answer DNS: start this one with --dns-listen."
		} else if prober == nil {
			h.Trouble = "The deployment has no authority of its own yet, so that no API server could be believed."
		}
		for _, m := range p.Members {
			h.Members = append(h.Members, member(m, prober, h.History))
		}
		if n.server != nil {
			for _, a := range n.server.Addrs() {
				h.At = append(h.At, a.String())
			}
			h.Answers = n.server.Served(p.Name)
		}
		out = append(out, h)
	}
	return out
}

func member(m zone.Host, prober *lb.Prober, history []crowbar.PoolTurn) crowbar.PoolMember {
	out := crowbar.PoolMember{Node: m.Node, Address: m.Address}
	if prober != nil {
		out.Well, out.Known = prober.Well(m.Address)
	}
	if i := slices.IndexFunc(history, func(t crowbar.PoolTurn) bool { return t.Address == m.Address }); i >= 0 {
		out.Since, out.Error = history[i].At, history[i].Error
	}
	return out
}
