// Command certs has every authority and key of a real cluster rotated under load. It prints what the load saw. It does not know
// how anything is renewed.
//
// The cluster is a lab of its own, which is taken down at the end. Run it as root from the top of the source tree, on a
// quiet machine: make certs.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/kubeclamp/kubeclamp/test/site"
)

func main() {
	check := flag.Bool("check", false, "end with 1 where a request failed or something is not as it has to be")
	site.Main("certs", "kccerts", "10.204.0.0/16", 30*time.Minute, func(ctx context.Context, on site.Cluster) error {
		err := certs(ctx, on)
		if err != nil && !*check {
			fmt.Println(err)
			return nil
		}
		return err
	})
}

// masters are all three nodes.
var masters = []string{"n1", "n2", "n3"}

// trial is one cluster and the load on it.
type trial struct {
	site.Cluster
	load *site.Load
}

func (t *trial) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format(time.TimeOnly)+" "+format+"\n", args...)
}

func certs(ctx context.Context, on site.Cluster) (err error) {
	t := &trial{Cluster: on}
	t.say("make a cluster of three nodes, all of them masters")
	if err := t.Up(ctx, len(masters), len(masters)); err != nil {
		return err
	}
	if t.load, err = t.StartLoad(ctx, "n1"); err != nil {
		return err
	}
	defer t.load.Stop()
	return t.load.During(ctx, on, "rotate", func(ctx context.Context) (string, error) {
		what, err := t.rotate(ctx)
		if err == nil {
			err = t.Well(ctx, masters...)
		}
		return what, err
	})
}
