// Command upgrade takes a real cluster under load from one version of etcd and Kubernetes to the next, and then to one that does
// not work, and prints how the load fared and how long each node took. It does not know how a role does it.
//
// The cluster is a lab of its own, which is taken down at the end. Run it as root from the top of the source tree, on a
// quiet machine: make upgrade.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
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
	only  string
	check bool
	nodes int
}

func main() {
	var c config
	flag.StringVar(&c.only, "only", "", "one step alone, by its name")
	flag.IntVar(&c.nodes, "nodes", 3, "how many nodes; the first three are masters, all run pods")
	flag.BoolVar(&c.check, "check", false, "end with 1 where a request failed")
	site.Main("upgrade", "kcupgr", "10.206.0.0/16", 30*time.Minute, func(ctx context.Context, on site.Cluster) error { return measure(ctx, on, c) })
}

func measure(ctx context.Context, on site.Cluster, c config) error {
	t := trial{Cluster: on, check: c.check}
	end, err := catalogue(on.Dir + ".catalogue")
	if err != nil {
		return err
	}
	defer end()
	if _, err := os.Stat(on.Dir); err != nil {
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
