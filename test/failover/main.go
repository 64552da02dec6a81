// Command failover breaks masters of a real cluster, one after another and each in another way, and prints how long the
// programs of the other nodes went without the API: through the node's balancer and, beside it, by plain DNS round robin.
// It does not know how the balancer or the pool works.
//
// The cluster is a lab of its own, which is taken down at the end. Run it as root from the top of the source tree, on a
// quiet machine: make failover.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/kubeclamp/kubeclamp/test/site"
)

// limit is the longest time that a client may go without an answer when a master is lost.
const limit = 3 * time.Second

type config struct {
	dir, network, cache string
	only                string
	keep, check         bool
	window              time.Duration
	timeout             time.Duration
}

func main() {
	var c config
	flag.StringVar(&c.dir, "dir", ".lab-failover", "folder of the cluster; it is removed")
	flag.StringVar(&c.network, "network", "10.202.0.0/16", "network of the nodes")
	flag.StringVar(&c.cache, "cache", "", "folder of artifacts and lab images")
	flag.StringVar(&c.only, "only", "", "one loss alone, by its name")
	flag.BoolVar(&c.keep, "keep", false, "leave the cluster, and use one that is there")
	flag.BoolVar(&c.check, "check", false, "end with 1 where a limit does not hold")
	flag.DurationVar(&c.window, "window", 70*time.Second, "how long each loss is watched")
	flag.DurationVar(&c.timeout, "timeout", 30*time.Minute, "give up after this time")
	flag.Parse()
	site.Main("failover", c.timeout, func(ctx context.Context) error { return measure(ctx, c) })
}

func measure(ctx context.Context, c config) (err error) {
	if c.dir, err = filepath.Abs(c.dir); err != nil {
		return err
	}
	s := trial{site.Cluster{Dir: c.dir, Name: "kcfail", Network: c.network, Cache: c.cache}}
	if !c.keep {
		if err := s.Down(ctx); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.Down(context.WithoutCancel(ctx))) }()
	}
	fmt.Fprintln(os.Stderr, "make a cluster of five nodes, three of them masters")
	if err := s.Up(ctx, 5, 3); err != nil {
		return err
	}
	probes, err := s.probes(ctx)
	if err != nil {
		return err
	}
	defer func() {
		for _, p := range probes {
			p.stop()
		}
	}()
	var rows []row
	for _, l := range losses {
		if c.only != "" && c.only != l.name {
			continue
		}
		r, err := s.lose(ctx, l, probes, c.window)
		if err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
		rows = append(rows, r)
	}
	bad := table(os.Stdout, rows)
	if c.check && len(bad) > 0 {
		return errors.Join(bad...)
	}
	return nil
}
