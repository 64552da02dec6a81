// Command scale anneals a simulated fleet with the real pieces (etcd with fsync, store, engine, annealer, noop jig) and prints
// what that takes at each size; with --check it fails where a limit does not hold. It does not know real nodes. The etcd is
// the one inside the process, or, with --external, one in a process of its own, over TLS.
//
// Each size runs in a process of its own, so that memory is that of one fleet; that process ends by kill -9 in the middle
// of a rerun, and another one takes its state up again.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// options is what the command was asked for.
type options struct {
	nodes    string
	roles    int
	parallel int
	check    bool
	dir      string // of one process
	one      int    // nodes of the fleet that this process is for; 0 = this is the parent
	resume   bool
	outside  bool
	etcd     bool // this process is the etcd
	profile  string
}

func main() {
	var o options
	flag.StringVar(&o.nodes, "nodes", "20,100,1000,10000", "sizes of fleets, smallest first")
	flag.IntVar(&o.roles, "roles", 20, "roles on each node")
	flag.IntVar(&o.parallel, "parallel", 512, "nodes to work on at once")
	flag.BoolVar(&o.check, "check", false, "fail where a limit does not hold")
	flag.StringVar(&o.profile, "profile", "", "write cpu and heap profiles of each size into this folder")
	flag.StringVar(&o.dir, "dir", "", "folder for the state; default: a new one in the temporary folder")
	flag.IntVar(&o.one, "one", 0, "used by the command itself")
	flag.BoolVar(&o.outside, "external", false, "keep the state in an etcd process of its own, over TLS")
	flag.BoolVar(&o.etcd, "etcd", false, "used by the command itself")
	flag.BoolVar(&o.resume, "resume", false, "used by the command itself")
	flag.Parse()
	if err := run(context.Background(), o); err != nil {
		fmt.Fprintln(os.Stderr, "scale:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	switch {
	case o.etcd:
		return serveEtcd(o)
	case o.resume:
		return takeUp(ctx, o)
	case o.one > 0:
		return grow(ctx, o)
	}
	var rows []figures
	for word := range strings.SplitSeq(o.nodes, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(word))
		if err != nil || n < 10 { // three are masters
			return fmt.Errorf("--nodes %s: want numbers of at least 10", o.nodes)
		}
		row, err := measure(ctx, o, n)
		if err != nil {
			return fmt.Errorf("%d nodes: %w", n, err)
		}
		rows = append(rows, row)
		fmt.Fprintln(os.Stderr, row.progress())
	}
	if o.outside {
		fmt.Println("the state is in an external etcd")
	}
	print(os.Stdout, rows)
	if o.check {
		return check(rows)
	}
	return nil
}

// measure has one process build and anneal a fleet of n nodes and be killed in its rerun, and another one take it up.
func measure(ctx context.Context, o options, n int) (figures, error) {
	var row figures
	dir, err := os.MkdirTemp(o.dir, "scale")
	if err != nil {
		return row, err
	}
	defer os.RemoveAll(dir)
	o.one, o.dir = n, dir
	if err := child(ctx, o, &row); err != nil {
		return row, err
	}
	o.resume = true
	return row, child(ctx, o, &row)
}

// child runs this program again; its figures are added to the row.
func child(ctx context.Context, o options, row *figures) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	c := exec.CommandContext(ctx, self, "-one", strconv.Itoa(o.one), "-roles", strconv.Itoa(o.roles), "-parallel", strconv.Itoa(o.parallel), "-dir", o.dir,
		"-resume="+strconv.FormatBool(o.resume), "-external="+strconv.FormatBool(o.outside), "-profile", o.profile)
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, os.Stderr
	err = c.Run()
	var exit *exec.ExitError
	killed := errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL
	if err != nil && !(killed && !o.resume) { // it kills itself once its figures are out
		return err
	}
	if err := json.Unmarshal(out.Bytes(), row); err != nil {
		return fmt.Errorf("the process for %d nodes gave no figures: %w", o.one, err)
	}
	return nil
}

// path is a place in the process's folder.
func (o options) path(name string) string { return filepath.Join(o.dir, name) }
