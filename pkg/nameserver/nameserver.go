// Package nameserver answers DNS for pools with authority: the members that are well, rotated, with a short time to live.
// It does not know how membership came about or how health is found out.
//
// Each pool's name is the apex of a zone of its own, beside the zones that DNS name filters fill. Names outside the zones are REFUSED, or asked of upstream resolvers
// where there are any.
package nameserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"github.com/kubeclamp/kubeclamp/pkg/zone"
)

// Pool is a pool that is served, and how to tell which members are well.
type Pool struct {
	zone.Pool
	Well func(address string) bool // nil = all are
}

// Config is what a name server is told once.
type Config struct {
	Listen   []string // address:port each, UDP and TCP
	Upstream []string // resolvers (address or address:port) for names outside the zones; none = REFUSED
	Log      *slog.Logger
}

// Server is one name server.
type Server struct {
	cfg    Config
	zones  atomic.Pointer[zones]
	turn   atomic.Uint32 // which member comes first
	mu     sync.Mutex    // of Set
	serial uint32

	addrMu sync.Mutex
	addrs  []net.Addr
}

// New makes a server without zones.
func New(cfg Config) *Server {
	s := &Server{cfg: cfg}
	s.turn.Store(rand.Uint32())
	s.zones.Store(&zones{})
	return s
}

// zones is everything that is served, immutable.
type zones struct {
	pools []Pool
	names []zone.Names
	zones map[string]*apex // by canonical name
}

// apex is one zone.
type apex struct {
	pool    Pool
	members []netip.Addr
	hosts   map[string][]netip.Addr // names below the apex
	servers []string                // those of name servers, in order
	soa     dns.SOA
}

// Set serves these pools and names from now on. The serial grows when membership changed; health does not touch it.
func (s *Server) Set(pools []Pool, names ...zone.Names) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.zones.Load()
	same := slices.EqualFunc(old.pools, pools, func(a, b Pool) bool { return reflect.DeepEqual(a.Pool, b.Pool) })
	if !same || !slices.EqualFunc(old.names, names, func(a, b zone.Names) bool { return reflect.DeepEqual(a, b) }) {
		s.serial = max(s.serial+1, uint32(time.Now().Unix()))
	}
	next := &zones{pools: slices.Clone(pools), names: slices.Clone(names), zones: map[string]*apex{}}
	for _, p := range pools {
		a := newApex(p, s.serial)
		next.zones[a.soa.Hdr.Name] = a
	}
	for _, n := range names {
		a := next.zones[dns.CanonicalName(n.Zone)]
		if a == nil { // else a pool has the zone's own name
			a = newApex(Pool{Pool: zone.Pool{Name: n.Zone, TTL: 5}}, s.serial)
			next.zones[a.soa.Hdr.Name] = a
		}
		a.name(n)
	}
	s.zones.Store(next)
}

// name adds hosts below the apex.
func (a *apex) name(n zone.Names) {
	for host, list := range n.Hosts {
		name := dns.CanonicalName(host) + a.soa.Hdr.Name
		for _, text := range list {
			if ip, err := netip.ParseAddr(text); err == nil {
				a.hosts[name] = append(a.hosts[name], ip.Unmap())
			}
		}
	}
}

func newApex(p Pool, serial uint32) *apex {
	name := dns.CanonicalName(p.Name)
	a := &apex{pool: p, hosts: map[string][]netip.Addr{}}
	for _, m := range p.Members {
		if ip, err := netip.ParseAddr(m.Address); err == nil {
			a.members = append(a.members, ip.Unmap())
		}
	}
	for _, h := range p.Servers {
		ip, err := netip.ParseAddr(h.Address)
		if host := "ns-" + dns.CanonicalName(h.Node) + name; err == nil {
			a.hosts[host] = []netip.Addr{ip.Unmap()}
			a.servers = append(a.servers, host)
		}
	}
	if len(a.servers) == 0 {
		a.servers = []string{"ns." + name}
		a.hosts["ns."+name] = nil
	}
	ttl := a.ttl()
	a.soa = dns.SOA{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: ttl},
		Ns: a.servers[0], Mbox: "hostmaster." + name, Serial: serial, Refresh: 60, Retry: 10, Expire: 86400, Minttl: ttl}
	return a
}

func (a *apex) ttl() uint32 { return uint32(min(max(a.pool.TTL, 1), 5)) }

// Addrs is the addresses that it listens on, each for UDP and TCP; empty until Run listens.
func (s *Server) Addrs() []net.Addr {
	s.addrMu.Lock()
	defer s.addrMu.Unlock()
	return slices.Clone(s.addrs)
}

// Run serves until the context ends, which is no error.
func (s *Server) Run(ctx context.Context) error {
	var servers []*dns.Server
	closeAll := func() {
		for _, d := range servers {
			if d.Listener != nil {
				d.Listener.Close()
			} else {
				d.PacketConn.Close()
			}
		}
	}
	for _, address := range s.cfg.Listen {
		pair, err := s.listen(ctx, address)
		if err != nil {
			closeAll()
			return err
		}
		servers = append(servers, pair...)
	}
	if len(servers) == 0 {
		return errors.New("the name server has nothing to listen on: give at least one address:port")
	}
	return supervise(ctx, servers, closeAll)
}

// supervise runs the servers until the context or one of them ends.
func supervise(ctx context.Context, servers []*dns.Server, closeAll func()) error {
	ended, started := make(chan error, len(servers)), make(chan struct{}, len(servers))
	for _, d := range servers {
		d.NotifyStartedFunc = func() { started <- struct{}{} }
		go func() { ended <- d.ActivateAndServe() }()
	}
	running, up := len(servers), 0
	var err error
	for err == nil && running == len(servers) && (up < running || ctx.Err() == nil) { // one that has not started cannot be shut down
		done := ctx.Done()
		if up < running {
			done = nil
		}
		select {
		case <-started:
			up++
		case <-done:
		case err = <-ended:
			running--
		}
	}
	down, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	for _, d := range servers {
		_ = d.ShutdownContext(down) // one that has ended by itself says so
	}
	closeAll()
	for range running {
		<-ended
	}
	return err
}

// listen opens one address for UDP and TCP, on the same port even where that is left to the system.
func (s *Server) listen(ctx context.Context, address string) ([]*dns.Server, error) {
	var lc net.ListenConfig
	tcp, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("name server: %w", err)
	}
	udp, err := lc.ListenPacket(ctx, "udp", tcp.Addr().String())
	if err != nil {
		tcp.Close()
		return nil, fmt.Errorf("name server: %w", err)
	}
	s.addrMu.Lock()
	s.addrs = append(s.addrs, tcp.Addr())
	s.addrMu.Unlock()
	s.cfg.Log.Info("name server listens", "address", tcp.Addr().String())
	h := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		if m := s.answer(ctx, q, w.LocalAddr().Network() == "udp"); m != nil {
			_ = w.WriteMsg(m) // the client is gone: it will ask again
		}
	})
	return []*dns.Server{
		{PacketConn: udp, Handler: h, UDPSize: ednsSize, MsgAcceptFunc: accept},
		{Listener: tcp, Handler: h, ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second, IdleTimeout: func() time.Duration { return 10 * time.Second }, MsgAcceptFunc: accept},
	}, nil
}

// accept lets in what answer can say something about; answers are never answered.
func accept(h dns.Header) dns.MsgAcceptAction {
	if h.Bits&(1<<15) != 0 {
		return dns.MsgIgnore
	}
	if h.Qdcount != 1 {
		return dns.MsgReject
	}
	return dns.MsgAccept
}

// find is the zone that a canonical name lies in.
func (z *zones) find(name string) *apex {
	for {
		if a := z.zones[name]; a != nil {
			return a
		}
		_, rest, ok := strings.Cut(name, ".")
		if !ok || rest == "" {
			return nil
		}
		name = rest
	}
}
