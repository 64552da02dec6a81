package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"github.com/kubeclamp/kubeclamp/pkg/lb"
	"github.com/kubeclamp/kubeclamp/pkg/nameserver"
	"github.com/kubeclamp/kubeclamp/pkg/zone"
)

// naming is the config file of dns.
type naming struct {
	Listen   []string `json:"listen"`
	Upstream []string `json:"upstream"`
	Pools    []pooled `json:"pools"`
}

type pooled struct {
	Name    string      `json:"name"`
	Port    int         `json:"port"`
	TTL     int         `json:"ttl"`
	CAFile  string      `json:"ca_file"`
	Members []zone.Host `json:"members"`
	Servers []zone.Host `json:"servers"`
}

// server is the name server and one prober a pool.
type server struct {
	file    string
	log     *slog.Logger
	cfg     naming
	ns      *nameserver.Server
	probers map[string]*lb.Prober
	run     func(*lb.Prober)
}

func nameServer(ctx context.Context, file string, log *slog.Logger) error {
	ctx, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	s := &server{file: file, log: log, probers: map[string]*lb.Prober{}}
	s.run = func(p *lb.Prober) { wg.Go(func() { p.Run(ctx) }) }
	cfg, trust, err := s.read()
	if err != nil {
		return err
	}
	s.ns = nameserver.New(nameserver.Config{Listen: cfg.Listen, Upstream: cfg.Upstream, Log: log})
	s.take(cfg, trust)
	wg.Go(func() {
		follow(ctx, s.files, func() error {
			next, trust, err := s.read()
			if err != nil {
				return err
			}
			if !slices.Equal(next.Listen, s.cfg.Listen) || !slices.Equal(next.Upstream, s.cfg.Upstream) {
				log.Info("other addresses or upstreams: ending, to be started again")
				stop()
				return nil
			}
			s.take(next, trust)
			return nil
		}, log)
	})
	wg.Go(func() { when(ctx, func() bool { return len(s.ns.Addrs()) == len(cfg.Listen) }, func() { ready(log) }) })
	return s.ns.Run(ctx)
}

func (s *server) read() (naming, map[string]*x509.CertPool, error) {
	var cfg naming
	if err := load(s.file, &cfg); err != nil {
		return cfg, nil, err
	}
	if len(cfg.Listen) == 0 {
		return cfg, nil, errors.New(s.file + ": listen is empty: give at least one address:port")
	}
	trust := map[string]*x509.CertPool{}
	for _, p := range cfg.Pools {
		if p.Name == "" || p.Port < 1 || p.Port > 65535 {
			return cfg, nil, fmt.Errorf("%s: pool %q with port %d: give it a name and its servers' port", s.file, p.Name, p.Port)
		}
		ca, err := authority(p.CAFile)
		if err != nil {
			return cfg, nil, err
		}
		trust[p.Name] = ca
	}
	return cfg, trust, nil
}

func (s *server) files() []string {
	out := []string{s.file}
	for _, p := range s.cfg.Pools {
		out = append(out, p.CAFile)
	}
	return out
}

// take serves what a config says.
func (s *server) take(cfg naming, trust map[string]*x509.CertPool) {
	s.cfg = cfg
	var pools []nameserver.Pool
	for _, c := range cfg.Pools {
		how := lb.Probing{Name: c.Name, Port: c.Port, CA: trust[c.Name], Changed: func(address string, well bool, err error) {
			s.log.Info("member", "pool", c.Name, "address", address, "well", well, "error", err)
		}}
		p := s.probers[c.Name]
		if p == nil {
			p = lb.NewProber(how)
			s.probers[c.Name] = p
			s.run(p)
		} else {
			p.Set(how)
		}
		pool := zone.Pool{Name: c.Name, Port: c.Port, TTL: c.TTL, Members: c.Members, Servers: c.Servers}
		p.Watch(pool.Addresses())
		pools = append(pools, nameserver.Pool{Pool: pool, Well: func(address string) bool {
			well, known := p.Well(address)
			return well || !known
		}})
	}
	for name, p := range s.probers {
		if trust[name] == nil {
			p.Watch(nil)
		}
	}
	s.ns.Set(pools)
}
