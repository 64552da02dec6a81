// Command certs has every authority and key of a real cluster rotated under load, then lets certificates that live for minutes
// run out again and again, while the daemon renews them, and last waits until it replaces authorities that live for minutes. It prints what the load saw. It does not know how anything is
// renewed.
//
// The cluster is a lab of its own, which is taken down at the end. Run it as root from the top of the source tree, on a
// quiet machine: make certs.
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

type config struct {
	dir, network, cache, only string
	keep, check               bool
	leaf, authority           time.Duration
	longLeaf                  time.Duration
	renewals                  int
	timeout                   time.Duration
}

func main() {
	var c config
	flag.StringVar(&c.dir, "dir", ".lab-certs", "folder of the cluster; it is removed")
	flag.StringVar(&c.network, "network", "10.204.0.0/16", "network of the nodes")
	flag.StringVar(&c.cache, "cache", "", "folder of artifacts and lab images")
	flag.StringVar(&c.only, "only", "", "parts alone, by their names with commas: rotate,years,due")
	flag.BoolVar(&c.keep, "keep", false, "leave the cluster, and use one that is there")
	flag.BoolVar(&c.check, "check", false, "end with 1 where a request failed or something is not as it has to be")
	flag.DurationVar(&c.leaf, "leaf-life", 150*time.Second, "part years: how long a certificate lives that stands for one of a year; the last third of it is for renewing those of all nodes")
	flag.DurationVar(&c.longLeaf, "due-leaf-life", 15*time.Minute, "part due: how long a certificate lives; the last third of it has to be longer than the replacing of all authorities, which takes minutes")
	flag.DurationVar(&c.authority, "authority-life", 20*time.Minute, "part due: how long an authority lives that stands for one of ten years")
	flag.IntVar(&c.renewals, "renewals", 11, "how often every certificate is renewed at the least")
	flag.DurationVar(&c.timeout, "timeout", 75*time.Minute, "give up after this time")
	flag.Parse()
	site.Main("certs", c.timeout, func(ctx context.Context) error { return certs(ctx, c) })
}

// masters are all three nodes.
var masters = []string{"n1", "n2", "n3"}

// trial is one cluster and the load on it.
type trial struct {
	site.Cluster
	conf config
	load *site.Load
	rows []string
	bad  []error
}

func (t *trial) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format(time.TimeOnly)+" "+format+"\n", args...)
}

func certs(ctx context.Context, c config) (err error) {
	if c.dir, err = filepath.Abs(c.dir); err != nil {
		return err
	}
	t := &trial{Cluster: site.Cluster{Dir: c.dir, Name: "kccerts", Network: c.network, Cache: c.cache}, conf: c}
	if !c.keep {
		if err := t.Down(ctx); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, t.Down(context.WithoutCancel(ctx))) }()
	}
	t.say("make a cluster of three nodes, all of them masters")
	if err := t.Up(ctx, len(masters), len(masters)); err != nil {
		return err
	}
	if t.load, err = t.StartLoad(ctx, "n1"); err != nil {
		return err
	}
	defer t.load.Stop()
	follow, stop := context.WithCancel(ctx)
	defer stop()
	go t.follow(follow)
	for _, p := range []struct {
		name string
		does func(context.Context) (string, error)
	}{{"rotate", t.rotate}, {"years", t.years}, {"due", t.due}} {
		if c.only != "" && !slices.Contains(strings.Split(c.only, ","), p.name) {
			continue
		}
		t.load.Reset()
		began := time.Now()
		what, err := p.does(ctx)
		if err == nil {
			err = t.Well(ctx, masters...)
		}
		seen := t.load.Seen()
		t.rows = append(t.rows, fmt.Sprintf("%-7s %4.0f s  %s\n        %s", p.name, time.Since(began).Seconds(), what, seen))
		if seen.Failed > 0 {
			t.bad = append(t.bad, fmt.Errorf("%s: %d requests failed: %s", p.name, seen.Failed, strings.Join(seen.Errors, "; ")))
		}
		if err != nil {
			t.bad = append(t.bad, fmt.Errorf("%s: %w", p.name, err))
			break
		}
	}
	fmt.Println(strings.Join(t.rows, "\n"))
	if err := errors.Join(t.bad...); c.check {
		return err
	} else if err != nil {
		fmt.Println(err)
	}
	return nil
}

// follow has the load take over new certificates, as a person's programs do who fetch their kubeconfig again.
func (t *trial) follow(ctx context.Context) {
	for tick := time.NewTicker(time.Second); ctx.Err() == nil; {
		if _, err := t.load.Renew(ctx, t.Cluster); err != nil && ctx.Err() == nil {
			t.say("the kubeconfig: %v", err)
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}
