// Command restore loses what a real cluster stands on, in one way after another, brings it back by the documented verbs, and
// looks whether everything is there that a program had been told was written. It does not know how any of that is done.
//
// The cluster is a lab of its own, which is taken down at the end. Run it as root from the top of the source tree: make restore.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/test/site"
)

type config struct {
	only   string
	seed   uint64
	rounds int
}

// trial is the cluster and what the losses have in common.
type trial struct {
	site.Cluster
	load   *site.Load
	chance *rand.Rand
	rounds int
}

var nodes = []string{"n1", "n2", "n3"} // all of them masters

type loss struct {
	name string
	do   func(s *trial, ctx context.Context) error
}

// losses are done in this order.
var losses = []loss{
	{"cold-start", (*trial).coldStart},
	{"one-disk", (*trial).loseDisk},
	{"two-of-three", (*trial).loseTwo},
	{"two-away", (*trial).sleepTwo},
	{"everything", (*trial).loseAll},
}

func main() {
	var c config
	flag.StringVar(&c.only, "only", "", "some losses alone, with commas between them: cold-start, one-disk, two-of-three, two-away, everything")
	flag.Uint64Var(&c.seed, "seed", uint64(time.Now().UnixNano()), "what comes by chance, such as the order of boots")
	flag.IntVar(&c.rounds, "rounds", 3, "power cuts")
	site.Main("restore", "kcrest", "10.203.0.0/16", 40*time.Minute, func(ctx context.Context, on site.Cluster) error { return lose(ctx, on, c) })
}

func lose(ctx context.Context, on site.Cluster, c config) error {
	only, err := chosen(c.only)
	if err != nil {
		return err
	}
	s := &trial{Cluster: on, chance: rand.New(rand.NewPCG(c.seed, 0)), rounds: c.rounds}
	fmt.Printf("seed %d\n", c.seed)
	if err := s.Up(ctx, len(nodes), len(nodes)); err != nil {
		return err
	}
	if s.load, err = s.StartLoad(ctx, nodes[0]); err != nil {
		return err
	}
	defer func() { s.load.Stop() }()
	for _, l := range losses {
		if only != nil && !slices.Contains(only, l.name) {
			continue
		}
		if err := l.do(s, ctx); err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
	}
	return nil
}

// chosen is the names of the losses that are wanted; nil = all.
func chosen(only string) ([]string, error) {
	if only == "" {
		return nil, nil
	}
	names := strings.Split(only, ",")
	for _, n := range names {
		if !slices.ContainsFunc(losses, func(l loss) bool { return l.name == n }) {
			return nil, fmt.Errorf("-only %s: there is no loss %q", only, n)
		}
	}
	return names, nil
}

// kept is an error unless the cluster has all that was acknowledged.
func (s *trial) kept(ctx context.Context, acked map[string]int) error {
	lost, err := s.load.Lost(ctx, acked)
	if err != nil {
		return err
	}
	if len(lost) > 0 {
		return fmt.Errorf("%d of %d acknowledged writes are lost: %v", len(lost), len(acked), lost)
	}
	return nil
}

// wrote waits until every program of the load has been answered since the call, and gives the time that took.
func (s *trial) wrote(ctx context.Context, limit time.Duration) (time.Duration, error) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		if s.load.Fresh(began) {
			return time.Since(began), nil
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("not every program was answered within %s: %s; %v", limit, s.load.Seen(), s.load.Seen().Errors)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
