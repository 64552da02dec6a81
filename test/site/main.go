package site

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// Main is a program that does something to a cluster of its own, which is not made yet: the folder is gone, and what is left
// there at the end is taken away. It declares the flags that all of them have, next to those that are declared before, and ends
// the program with 1 where the work failed. It is told to stop by signals, and where the limit is over.
func Main(name, prefix, network string, limit time.Duration, work func(context.Context, Cluster) error) {
	c := Cluster{Name: prefix}
	flag.StringVar(&c.Dir, "dir", ".lab-"+name, "folder of the cluster; it is removed")
	flag.StringVar(&c.Network, "network", network, "network of the nodes")
	flag.StringVar(&c.Cache, "cache", "", "folder of artifacts and lab images")
	keep := flag.Bool("keep", false, "leave the cluster, and use one that is there")
	flag.DurationVar(&limit, "timeout", limit, "give up after this time")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	ctx, cancel := context.WithTimeout(ctx, limit)
	err := c.lent(ctx, *keep, work)
	cancel()
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, name+":", err)
		os.Exit(1)
	}
}

func (c Cluster) lent(ctx context.Context, keep bool, work func(context.Context, Cluster) error) (err error) {
	if c.Dir, err = filepath.Abs(c.Dir); err != nil {
		return err
	}
	if c.Cache, err = filepath.Abs(c.Cache); err != nil {
		return err
	}
	if keep {
		return work(ctx, c)
	}
	if err := c.Down(ctx); err != nil {
		return err
	}
	return errors.Join(work(ctx, c), c.Down(context.WithoutCancel(ctx)))
}
