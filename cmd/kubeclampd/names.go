package main

import (
	"context"
	"crypto/x509"
	"log/slog"
	"sync"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/engine"
	"github.com/kubeclamp/kubeclamp/pkg/lb"
	"github.com/kubeclamp/kubeclamp/pkg/nameserver"
	"github.com/kubeclamp/kubeclamp/pkg/zone"
)

// names answers DNS for the pools and filtered names of the newest state; members are probed, membership itself is a view of the state.
type names struct {
	eng     *engine.Engine
	log     *slog.Logger
	server  *nameserver.Server
	probers map[asked]*lb.Prober
	wg      sync.WaitGroup
}

// asked is what makes one prober another one than the next.
type asked struct {
	deployment crowbar.ID
	name       string
	port       int
}

func serveNames(ctx context.Context, c *config, eng *engine.Engine) error {
	ctx, stop := context.WithCancel(ctx)
	n := &names{eng: eng, log: c.log, probers: map[asked]*lb.Prober{}, server: nameserver.New(nameserver.Config{Listen: []string{c.dnsListen}, Log: c.log})}
	defer n.wg.Wait()
	defer stop()
	n.wg.Go(func() {
		for s := range eng.Watch(ctx) {
			n.take(ctx, s)
		}
	})
	return n.server.Run(ctx)
}

func (n *names) take(ctx context.Context, s *crowbar.Snapshot) {
	var pools []nameserver.Pool
	for _, p := range zone.Pools(s) {
		prober := n.prober(ctx, s, p)
		if prober == nil {
			continue
		}
		prober.Watch(p.Addresses())
		pools = append(pools, nameserver.Pool{Pool: p, Well: func(address string) bool {
			well, known := prober.Well(address)
			return well || !known
		}})
	}
	n.server.Set(pools, zone.Filled(s)...)
}

// prober is the one of a pool's deployment; nil while the deployment has no authority, and so no API server that could be
// believed.
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
	}})
	n.probers[key] = prober
	n.wg.Go(func() { prober.Run(ctx) })
	return prober
}
