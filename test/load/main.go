// Command load has many clients read and change the state of a real daemon at the same time, over TLS, and prints how long
// they waited; with --check it fails where a limit does not hold. It does not know how the daemon works.
//
// Each client has a connection of its own and sends one request after the other, with a pause of a random length between
// them. The fleet is made of roles that do nothing, so that what is measured is the daemon.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"
)

// The limits that --check holds.
const (
	limitRead = 50 * time.Millisecond // p99
	limitList = time.Second
)

// options is what the command was asked for.
type options struct {
	nodes, roles, clients int
	length, pause         time.Duration
	check                 bool
	programs              string
}

func main() {
	var o options
	flag.IntVar(&o.nodes, "nodes", 1000, "nodes of the fleet")
	flag.IntVar(&o.roles, "roles", 20, "roles on each node")
	flag.IntVar(&o.clients, "clients", 200, "clients at once")
	flag.DurationVar(&o.length, "for", time.Minute, "how long they work")
	flag.DurationVar(&o.pause, "pause", 100*time.Millisecond, "mean pause of a client between two requests")
	flag.BoolVar(&o.check, "check", false, "fail where a limit does not hold")
	flag.StringVar(&o.programs, "programs", "", "folder with kubeclampd and kubeclamp-role; default: they are built")
	flag.Parse()
	if err := run(context.Background(), o); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (err error) {
	dir, err := os.MkdirTemp("", "load")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	d, err := start(ctx, o, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.stop()) }()
	took, err := d.populate(ctx, o)
	if err != nil {
		return fmt.Errorf("make the fleet: %w", err)
	}
	fmt.Fprintf(os.Stderr, "%d nodes of %d roles, made and annealed in %s\n", o.nodes, o.roles, took.Round(time.Millisecond))
	lists, err := d.lists(ctx, o)
	if err != nil {
		return fmt.Errorf("list: %w", err)
	}
	t := d.storm(ctx, o)
	t.print(os.Stdout, o, lists)
	if o.check {
		return t.held(lists)
	}
	return nil
}
