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
	"time"

	"github.com/kubeclamp/kubeclamp/test/site"
)

// limit is the longest time that a client may go without an answer when a master is lost.
const limit = 3 * time.Second

type config struct {
	only   string
	check  bool
	window time.Duration
}

func main() {
	var c config
	flag.StringVar(&c.only, "only", "", "one loss alone, by its name")
	flag.BoolVar(&c.check, "check", false, "end with 1 where a limit does not hold")
	flag.DurationVar(&c.window, "window", 70*time.Second, "how long each loss is watched")
	site.Main("failover", "kcfail", "10.202.0.0/16", 30*time.Minute, func(ctx context.Context, on site.Cluster) error { return measure(ctx, on, c) })
}

func measure(ctx context.Context, on site.Cluster, c config) error {
	s := trial{on}
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
