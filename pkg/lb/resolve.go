package lb

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// resolve asks the name servers for the pool's members for as long as the context lives.
func (b *Balancer) resolve(ctx context.Context) {
	for {
		cfg := b.config()
		if found := ask(ctx, cfg); len(found) > 0 {
			b.use(found)
		}
		select {
		case <-ctx.Done():
			return
		case <-b.poke:
		case <-time.After(cfg.Resolve):
		}
	}
}

// ask is what all name servers that answer know together: one that is behind the others hides nobody, and whom it still
// names is probed anyway.
func ask(ctx context.Context, cfg Config) []string {
	ctx, cancel := context.WithTimeout(ctx, cfg.Timeout)
	defer cancel()
	var mu sync.Mutex
	var wg sync.WaitGroup
	var found []string
	for _, ns := range cfg.NameServers {
		if _, _, err := net.SplitHostPort(ns); err != nil {
			ns = net.JoinHostPort(ns, "53")
		}
		wg.Go(func() {
			dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, ns)
			}
			r := net.Resolver{PreferGo: true, Dial: dial}
			ips, err := r.LookupNetIP(ctx, "ip4", cfg.Pool+".")
			if err != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			for _, ip := range ips {
				found = append(found, ip.Unmap().String())
			}
		})
	}
	wg.Wait()
	slices.Sort(found)
	return slices.Compact(found)
}

// use makes a list of addresses the servers. What it loses gets no new connections; the live ones end soon after.
func (b *Balancer) use(addresses []string) {
	b.mu.Lock()
	if slices.Equal(addresses, b.order) {
		b.mu.Unlock()
		return
	}
	was := b.order
	b.order = addresses
	for _, a := range addresses {
		if b.backends[a] == nil {
			b.backends[a] = &backend{conns: map[*pipe]struct{}{}, away: true}
		}
	}
	for _, a := range was {
		if slices.Contains(addresses, a) {
			continue
		}
		for p := range b.backends[a].conns {
			p.retire(b.cfg.Settle, 12*b.cfg.Settle, true)
		}
		b.tidy(a)
	}
	file := b.cfg.StateFile
	b.mu.Unlock()
	b.log.Info("servers", "now", addresses, "before", was)
	b.prober.Watch(addresses)
	if err := save(file, addresses); err != nil {
		b.log.Warn("the last good list was not saved", "file", file, "error", err)
	}
}

// last is the form of the state file.
type last struct {
	Servers []string `json:"servers"`
}

// begin is the servers to begin with: those in use, or else the last good list; and the seeds.
func begin(cfg Config, out []string) []string {
	if b, err := os.ReadFile(cfg.StateFile); err == nil && len(out) == 0 {
		var l last
		_ = json.Unmarshal(b, &l) // what is broken is replaced by the next good list
		out = l.Servers
	}
	for _, s := range cfg.Seeds {
		if host, _, err := net.SplitHostPort(s); err == nil {
			s = host
		}
		out = append(out, s)
	}
	out = slices.DeleteFunc(out, func(a string) bool { return net.ParseIP(a) == nil })
	slices.Sort(out)
	return slices.Compact(out)
}

func save(file string, addresses []string) error {
	if file == "" {
		return nil
	}
	b, err := json.Marshal(last{addresses})
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if _, err = f.Write(append(b, '\n')); err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), file)
}
