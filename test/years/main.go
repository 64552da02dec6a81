// Command years lets eleven years go by in a real cluster under load, in steps of four weeks: the clock of every program moves, that
// of the daemon's too, which renews certificates and replaces authorities as they become due. It prints what the load saw. It does
// not know how anything is renewed.
//
// Programs that are linked statically cannot be lied to about the time from outside. So all are built once more, with a
// time.Now that adds what a file says: the first time that takes as long as make artifacts. The machine's own clock stays as it is.
//
// The cluster is a lab of its own, which is taken down at the end. Run it as root from the top of the source tree, on a
// quiet machine: make years.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/kubeclamp/kubeclamp/test/site"
)

const day = 24 * time.Hour

type config struct {
	check, built bool
	span, step   time.Duration
}

func main() {
	var c config
	flag.BoolVar(&c.check, "check", false, "end with 1 where a request failed or something is not as it has to be")
	flag.BoolVar(&c.built, "built", false, "this program is one of those with the other clock; it builds them otherwise, and becomes one")
	flag.DurationVar(&c.span, "span", 11*365*day, "how far the clock is moved")
	flag.DurationVar(&c.step, "step", 28*day, "how far at once: whole hours, less than the last third of a certificate's life")
	site.Main("years", "kcyears", "10.207.0.0/16", 90*time.Minute, func(ctx context.Context, on site.Cluster) error {
		if c.step <= 0 || c.step%time.Hour != 0 || c.span%time.Hour != 0 || c.span > furthest*time.Hour {
			return fmt.Errorf("--step %s, --span %s: give whole hours, and %d of them at the most", c.step, c.span, furthest)
		}
		if !c.built {
			return build(ctx, on)
		}
		err := years(ctx, on, c)
		if err != nil && !c.check {
			fmt.Println(err)
			return nil
		}
		return err
	})
}

func years(ctx context.Context, on site.Cluster, c config) (err error) {
	t := &trial{Cluster: on, span: c.span, step: c.step}
	_, err = os.Stat(on.Dir)
	if t.clock, err = newClock("bin", err == nil); err != nil {
		return err
	}
	say("make a cluster of three nodes, all of them masters")
	if err := t.Up(ctx, len(masters), len(masters)); err != nil {
		return err
	}
	if err := t.clock.nodes(ctx, on); err != nil {
		return err
	}
	if t.load, err = t.StartLoad(ctx, "n1"); err != nil {
		return err
	}
	defer t.load.Stop()
	beside, stop := context.WithCancel(ctx)
	defer stop()
	go t.wind(beside)
	return t.load.During(ctx, on, "years", t.live)
}
