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
	"slices"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/test/site"
)

// noQuorum is the longest that no member of etcd may answer with a majority behind it: an election.
const noQuorum = 2 * time.Second

type config struct {
	only    string
	check   bool
	seed    uint64
	changes int
}

func main() {
	var c config
	flag.StringVar(&c.only, "only", "", "parts alone, by their names with commas: "+strings.Join(names(), ","))
	flag.BoolVar(&c.check, "check", false, "end with 1 where something is not as it has to be")
	flag.Uint64Var(&c.seed, "seed", 1, "of the random walk")
	flag.IntVar(&c.changes, "changes", 30, "least changes of membership of the walk")
	site.Main("rinse", "kcrinse", "10.209.0.0/16", 30*time.Minute, func(ctx context.Context, on site.Cluster) error { return rinse(ctx, on, c) })
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

func rinse(ctx context.Context, on site.Cluster, c config) error {
	t := &trial{Cluster: on, conf: c}
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
