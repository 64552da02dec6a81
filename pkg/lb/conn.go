package lb

import (
	"cmp"
	"context"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// pipe is a client's connection and the one to a server. Closing it ends both at once.
type pipe struct {
	client, server net.Conn
	said           atomic.Int64 // when something last went over it: see passed
	ended          atomic.Bool
}

var began = time.Now()

// passed is the time since the program began, in ns, whoever sets the machine's clock meanwhile.
func passed() int64 { return int64(time.Since(began)) }

// quiet is how long nothing was said over a pipe on which nobody waits for an answer, as far as one can tell who cannot look
// into it. Connections that are busier than that are moved by the servers: they ask one client in a thousand to come again.
const quiet = time.Second

// retire closes the pipe once it is quiet, so that no request is lost with it. After the limit it is left alone, or closed all
// the same if it must.
func (p *pipe) retire(after, limit time.Duration, must bool) {
	if after < quiet {
		after = quiet
	}
	end := time.Now().Add(limit)
	var look func()
	look = func() {
		still := time.Duration(passed() - p.said.Load())
		late := time.Now().After(end)
		switch {
		case still >= quiet || late && must:
			p.close()
		case !late && !p.ended.Load():
			time.AfterFunc(quiet-still, look)
		}
	}
	time.AfterFunc(after, look)
}

func (p *pipe) close() {
	p.ended.Store(true)
	p.client.Close()
	p.server.Close()
}

// serve joins a client to the first server that takes it.
func (b *Balancer) serve(ctx context.Context, client net.Conn) {
	defer client.Close()
	cfg := b.config()
	dialer := net.Dialer{Timeout: cfg.Timeout, KeepAlive: 15 * time.Second}
	for _, address := range b.candidates() {
		server, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(address, strconv.Itoa(cfg.Port)))
		if err != nil {
			b.log.Debug("server does not take a connection", "server", address, "error", err)
			continue
		}
		p := &pipe{client: client, server: server}
		p.said.Store(passed())
		if b.join(ctx, address, p) {
			p.copy()
			b.leave(address, p)
			return
		}
		server.Close()
	}
}

// candidates is every server in the order in which a new connection should try them: those that are well first, then
// those not heard of yet, then the rest; fewest connections first, and chance among equals.
func (b *Balancer) candidates() []string {
	all := b.Status()
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	rank := func(s Status) int {
		switch {
		case s.Well:
			return 0
		case !s.Known:
			return 1
		}
		return 2
	}
	slices.SortStableFunc(all, func(x, y Status) int {
		return cmp.Or(cmp.Compare(rank(x), rank(y)), cmp.Compare(x.Connections, y.Connections))
	})
	out := make([]string, len(all))
	for i, s := range all {
		out[i] = s.Address
	}
	return out
}

// join counts a pipe, unless the server left the pool while it was dialled.
func (b *Balancer) join(ctx context.Context, address string, p *pipe) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	be := b.backends[address]
	if be == nil || ctx.Err() != nil {
		return false
	}
	be.conns[p] = struct{}{}
	return true
}

func (b *Balancer) leave(address string, p *pipe) {
	b.mu.Lock()
	defer b.mu.Unlock()
	be := b.backends[address]
	if be == nil {
		return
	}
	delete(be.conns, p)
	b.tidy(address)
}

// tidy forgets a server that has left the pool once nothing is joined to it.
func (b *Balancer) tidy(address string) {
	if be := b.backends[address]; be != nil && len(be.conns) == 0 && !slices.Contains(b.order, address) {
		delete(b.backends, address)
	}
}

// copy passes bytes both ways until both are done; the end of one direction is passed on, an error ends both.
func (p *pipe) copy() {
	var wg sync.WaitGroup
	one := func(to, from net.Conn) {
		if _, err := io.Copy(to, heard{from, &p.said}); err != nil {
			p.close()
			return
		}
		if half, ok := to.(interface{ CloseWrite() error }); ok {
			half.CloseWrite()
		}
	}
	wg.Go(func() { one(p.server, p.client) })
	wg.Go(func() { one(p.client, p.server) })
	wg.Wait()
	p.close()
}

// heard notes when something was last read.
type heard struct {
	from io.Reader
	last *atomic.Int64
}

func (h heard) Read(b []byte) (int, error) {
	n, err := h.from.Read(b)
	h.last.Store(passed())
	return n, err
}

// changed is told by the prober of each change of mind. The connections to a server that has failed are cut at once; one that
// says that it is about to stop ends them by itself, and what is left when it has stopped ends as soon as nobody waits.
func (b *Balancer) changed(address string, well bool, err error) {
	b.mu.Lock()
	be := b.backends[address]
	var live []*pipe
	left := false
	if be != nil {
		left = be.leaves && !well
		be.away, be.leaves = !well, !well && Leaving(err)
		if !well && !be.leaves {
			live = slices.Collect(maps.Keys(be.conns))
		}
	}
	settle := b.cfg.Settle
	b.mu.Unlock()
	if well {
		b.log.Info("server is well", "server", address)
		b.rebalance(address)
		return
	}
	b.log.Warn("server is not well", "server", address, "error", err, "cut", len(live))
	for _, p := range live {
		if left {
			p.retire(0, settle, true)
		} else {
			p.close()
		}
	}
}

// rebalance closes a small share of the connections to other servers, spread over a moment, so that their clients come
// again and find the new one: of n servers that are well, each connection is closed with a chance of 1/n.
func (b *Balancer) rebalance(come string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	well := 0
	for _, a := range b.order {
		if !b.backends[a].away {
			well++
		}
	}
	if well < 2 {
		return
	}
	for _, a := range b.order {
		if a == come {
			continue
		}
		for p := range b.backends[a].conns {
			if rand.IntN(well) == 0 {
				p.retire(rand.N(b.cfg.Settle), b.cfg.Settle, false)
			}
		}
	}
}

func (b *Balancer) cutAll() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, be := range b.backends {
		for p := range be.conns {
			p.close()
		}
	}
}
