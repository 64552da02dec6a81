// Command upgrade takes a real cluster under load from one version of etcd and Kubernetes to the next, and then to one that does
// not work, and prints how the load fared and how long each node took. It does not know how a role does it.
//
// The cluster is a lab of its own, which is taken down at the end. Run it as root from the top of the source tree, on a
// quiet machine: make upgrade.
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

// The versions that the cluster begins with, those that it is taken to, and one that does not work.
const (
	oldEtcd, newEtcd = "v3.6.16", "v3.7.3"
	oldKube, newKube = "v1.36.3", "v1.37.2"
	badKube          = "v1.37.99"
)

type config struct {
	dir, network, cache string
	only                string
	keep, check         bool
	nodes               int
	timeout             time.Duration
}

func main() {
	var c config
	flag.StringVar(&c.dir, "dir", ".lab-upgrade", "folder of the cluster; it is removed")
	flag.StringVar(&c.network, "network", "10.206.0.0/16", "network of the nodes")
	flag.StringVar(&c.cache, "cache", "", "folder of artifacts and lab images")
	flag.StringVar(&c.only, "only", "", "one step alone, by its name")
	flag.IntVar(&c.nodes, "nodes", 3, "how many nodes; the first three are masters, all run pods")
	flag.BoolVar(&c.keep, "keep", false, "leave the cluster, and use one that is there")
	flag.BoolVar(&c.check, "check", false, "end with 1 where a request failed")
	flag.DurationVar(&c.timeout, "timeout", 30*time.Minute, "give up after this time")
	flag.Parse()
	site.Main("upgrade", c.timeout, func(ctx context.Context) error { return measure(ctx, c) })
}

func measure(ctx context.Context, c config) (err error) {
	if c.dir, err = filepath.Abs(c.dir); err != nil {
		return err
	}
	t := trial{Cluster: site.Cluster{Dir: c.dir, Name: "kcupgr", Network: c.network, Cache: c.cache}, check: c.check}
	if !c.keep {
		if err := t.Down(ctx); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, t.Down(context.WithoutCancel(ctx))) }()
	}
	end, err := catalogue(c.dir + ".catalogue")
	if err != nil {
		return err
	}
	defer end()
	if _, err := os.Stat(c.dir); err != nil {
		fmt.Fprintf(os.Stderr, "make a cluster of %d nodes with Kubernetes %s and etcd %s\n", c.nodes, oldKube, oldEtcd)
		if err := t.Up(ctx, c.nodes, 3, "--set", "kubernetes-version="+oldKube, "--set", "etcd-version="+oldEtcd); err != nil {
			return err
		}
	}
	if t.load, err = t.StartLoad(ctx, "n1"); err != nil {
		return err
	}
	defer t.load.Stop()
	for _, s := range steps {
		if c.only != "" && c.only != s.name {
			continue
		}
		if err := t.step(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}
