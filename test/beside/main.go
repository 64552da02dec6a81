// Command beside has kubeclamp and Ansible do the same work on the same nodes, one after the other, and prints how long both
// take for the first run and for those that find everything in order. It does not know how either of them works.
//
// The nodes are a lab of its own, which is taken down at the end, whatever that is; what a run that was killed has left is
// taken down by the next. Run it as root from the top of the source tree, on a quiet machine: make bench-ansible.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/lab"
)

// labName is what the nodes' network namespaces and control groups are called by.
const labName = "kcbench"

type config struct {
	nodes                int
	network, dir, images string
	strategy             string
	check, noAnsible     bool
	limit                time.Duration
}

func main() {
	var c config
	flag.IntVar(&c.nodes, "nodes", 20, "how many nodes")
	flag.StringVar(&c.network, "network", "10.201.0.0/16", "network of the nodes")
	flag.StringVar(&c.dir, "dir", ".lab-beside", "folder of the nodes and of both tools' files; it is removed")
	flag.StringVar(&c.images, "image-cache", "", "folder of lab images that is kept")
	flag.StringVar(&c.strategy, "strategy", "linear", "Ansible's strategy: linear, free or host_pinned")
	flag.BoolVar(&c.check, "check", false, "end with 1 where a limit does not hold")
	flag.BoolVar(&c.noAnsible, "no-ansible", false, "measure kubeclamp alone")
	flag.DurationVar(&c.limit, "timeout", 20*time.Minute, "give up after this time")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	ctx, cancel := context.WithTimeout(ctx, c.limit)
	err := bench(ctx, c)
	cancel()
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "beside:", err)
		os.Exit(1)
	}
}

// bench makes the nodes, has the tools compared, and takes the nodes down.
func bench(ctx context.Context, c config) (err error) {
	prefix, err := netip.ParsePrefix(c.network)
	if err != nil {
		return err
	}
	self, err := filepath.Abs("bin/kubeclamp")
	if err != nil {
		return err
	}
	if c.dir, err = filepath.Abs(c.dir); err != nil {
		return err
	}
	l, err := lab.Open(lab.Config{Dir: filepath.Join(c.dir, "lab"), Images: c.images, Name: labName, Network: prefix, Packages: []string{"python3"},
		Self: []string{self, "lab", "inside"}, Progress: say})
	if err != nil {
		return err
	}
	alone, err := lock("/run/kubeclamp-beside.lock")
	if err != nil {
		return err
	}
	defer alone.Close()
	down := func() error {
		if err := l.Down(context.WithoutCancel(ctx), true); err != nil {
			return err // the folder is how the next run finds what is left
		}
		return os.RemoveAll(c.dir)
	}
	if err := down(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, down()) }()
	var specs []lab.NodeSpec
	for i := range c.nodes {
		specs = append(specs, lab.NodeSpec{Name: fmt.Sprintf("n%d", i+1)})
	}
	if err := l.Up(ctx, specs...); err != nil {
		return err
	}
	inv, err := l.Inventory()
	if err != nil {
		return err
	}
	return compare(ctx, c, inv, filepath.Join(l.Dir(), "known_hosts"))
}

// lock lets one comparison run on a machine: the next would take the nodes of the first down. It ends with the process.
func lock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w: another comparison runs on this machine: wait for its end", path, err), f.Close())
	}
	return f, nil
}

func say(p lab.Progress) {
	if p.Done < 0 {
		fmt.Fprintf(os.Stderr, "%s: %s\n", p.Subject, p.Text)
	}
}
