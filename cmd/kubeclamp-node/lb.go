package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/kubeclamp/kubeclamp/pkg/lb"
)

// balancing is the config file of lb.
type balancing struct {
	Listen      string   `json:"listen"`
	Pool        string   `json:"pool"`
	Port        int      `json:"port"`
	NameServers []string `json:"name_servers"`
	CAFile      string   `json:"ca_file"`
	Seeds       []string `json:"seeds"`
	StateFile   string   `json:"state_file"`
}

func (c *balancing) config(file string) (lb.Config, error) {
	*c = balancing{}
	if err := load(file, c); err != nil {
		return lb.Config{}, err
	}
	ca, err := authority(c.CAFile)
	if err != nil {
		return lb.Config{}, err
	}
	return lb.Config{Listen: c.Listen, Pool: c.Pool, Port: c.Port, NameServers: c.NameServers, CA: ca, Seeds: c.Seeds, StateFile: c.StateFile}, nil
}

func balance(ctx context.Context, file string, log *slog.Logger) error {
	var c balancing
	cfg, err := c.config(file)
	if err != nil {
		return err
	}
	b, err := lb.New(cfg, log)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	ctx, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	listen := cfg.Listen
	wg.Go(func() {
		follow(ctx, func() []string { return []string{file, c.CAFile} }, func() error {
			cfg, err := c.config(file)
			if err != nil {
				return err
			}
			if cfg.Listen != listen {
				log.Info("another address to listen on: ending, to be started again")
				stop()
				return nil
			}
			return b.Set(cfg)
		}, log)
	})
	wg.Go(func() { when(ctx, func() bool { return b.Addr() != nil }, func() { ready(log) }) })
	return b.Run(ctx)
}
