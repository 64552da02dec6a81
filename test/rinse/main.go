// Command rinse changes who is what in a real cluster under load: members of etcd, masters, minions and name servers come and
// go, the very first master among them, and every node is removed and added again. It prints what the load saw, what etcd's
// members were meanwhile, and what is left over that nobody owns. It does not know how a change is made.
//
// The cluster is a lab of its own, which is taken down at the end. Run it as root from the top of the source tree, on a
// quiet machine: make rinse.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/test/site"
)

// noQuorum is the longest that no member of etcd may answer with a majority behind it: an election.
const noQuorum = 2 * time.Second

type config struct {
	dir, network, cache string
	only                string
	keep, check         bool
	seed                uint64
	changes             int
	timeout             time.Duration
}

func main() {
	var c config
	flag.StringVar(&c.dir, "dir", ".lab-rinse", "folder of the cluster; it is removed")
	flag.StringVar(&c.network, "network", "10.209.0.0/16", "network of the nodes")
	flag.StringVar(&c.cache, "cache", "", "folder of artifacts and lab images")
	flag.StringVar(&c.only, "only", "", "parts alone, by their names with commas: "+strings.Join(names(), ","))
	flag.BoolVar(&c.keep, "keep", false, "leave the cluster, and use one that is there")
	flag.BoolVar(&c.check, "check", false, "end with 1 where something is not as it has to be")
	flag.Uint64Var(&c.seed, "seed", 1, "of the random walk")
	flag.IntVar(&c.changes, "changes", 30, "least changes of membership of the walk")
	flag.DurationVar(&c.timeout, "timeout", 30*time.Minute, "give up after this time")
	flag.Parse()
	site.Main("rinse", c.timeout, func(ctx context.Context) error { return rinse(ctx, c) })
}

// part is one thing that is done to the cluster; those after it find the cluster as it left it.
type part struct {
	name    string
	does    func(t *trial, ctx context.Context) error
	planned bool // nothing is broken: no request may fail
}

var parts = []part{
	{"first", (*trial).first, true},
	{"minion", (*trial).minion, true},
	{"disk", (*trial).disk, false},
	{"forget", (*trial).forget, false},
	{"walk", (*trial).walk, true},
}

func names() []string {
	var out []string
	for _, p := range parts {
		out = append(out, p.name)
	}
	return out
}

func rinse(ctx context.Context, c config) (err error) {
	if c.dir, err = filepath.Abs(c.dir); err != nil {
		return err
	}
	t := &trial{Cluster: site.Cluster{Dir: c.dir, Name: "kcrinse", Network: c.network, Cache: c.cache}, conf: c}
	if !c.keep {
		if err := t.Down(ctx); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, t.Down(context.WithoutCancel(ctx))) }()
	}
	t.say("make a cluster of five nodes, three of them masters")
	if err := t.Up(ctx, nodes, 3); err != nil {
		return err
	}
	if err := t.begin(ctx); err != nil {
		return err
	}
	defer t.end()
	for _, p := range parts {
		if c.only != "" && !slices.Contains(strings.Split(c.only, ","), p.name) {
			continue
		}
		if err := t.measure(ctx, p); err != nil {
			t.table(os.Stdout)
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	bad := append(t.table(os.Stdout), t.leftOver(ctx)...)
	if err := errors.Join(bad...); c.check {
		return err
	} else if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return nil
}
