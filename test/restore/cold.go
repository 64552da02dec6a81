package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/kubeclamp/kubeclamp/test/site"
)

// backLimit is how long the API may be away after the last boot.
const backLimit = time.Minute

// coldStart cuts the power of all nodes at once and boots them in an order that comes by chance.
func (s *trial) coldStart(ctx context.Context) error {
	for round := range s.rounds {
		if err := s.Well(ctx, nodes...); err != nil {
			return err
		}
		order := append([]string(nil), nodes...)
		s.chance.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		if _, err := s.Lab(ctx, "power", append([]string{"off"}, nodes...)...); err != nil {
			return err
		}
		alone := ""
		if round%2 == 0 { // every other time the daemon is gone as well, and stays so until all is well
			alone = ", without the daemon"
			if err := s.killDaemon(); err != nil {
				return err
			}
		}
		acked := s.load.Acknowledged()
		for i, n := range order {
			if i > 0 {
				if err := pause(ctx, time.Duration(s.chance.IntN(4000))*time.Millisecond); err != nil {
					return err
				}
			}
			if _, err := s.Lab(ctx, "power", "on", n); err != nil {
				return err
			}
		}
		last := time.Now()
		if _, err := s.wrote(ctx, backLimit); err != nil {
			return errors.Join(fmt.Errorf("booted in the order %s: %w", strings.Join(order, " "), err), s.tell(ctx))
		}
		back := time.Since(last)
		all, err := s.allReady(ctx, last, backLimit)
		if err != nil {
			return errors.Join(err, s.tell(ctx))
		}
		if err := s.kept(ctx, acked); err != nil {
			return err
		}
		if _, err := s.Lab(ctx, "daemon"); err != nil {
			return err
		}
		fmt.Printf("cold start %d: booted in the order %s%s; every program was answered %.1f s after the last boot, all nodes were ready after %.1f s; %d objects acknowledged before, 0 lost\n",
			round+1, strings.Join(order, " "), alone, back.Seconds(), all.Seconds(), len(acked))
	}
	return nil
}

// killDaemon ends the daemon as a crash would.
func (s *trial) killDaemon() error {
	b, err := os.ReadFile(filepath.Join(s.Dir, "daemon.pid"))
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return err
	}
	return syscall.Kill(pid, syscall.SIGKILL)
}

// allReady waits until each API server says that it is ready and all nodes are, and gives the time since then.
func (s *trial) allReady(ctx context.Context, since time.Time, limit time.Duration) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Until(since.Add(limit)))
	defer cancel()
	for {
		var err error
		for _, n := range nodes {
			_, one := s.SSH(ctx, n, "kubectl --kubeconfig "+site.Admin+" --request-timeout 3s get --raw /readyz && ! kubectl --kubeconfig "+site.Admin+" --request-timeout 3s get nodes --no-headers | grep -v ' Ready '")
			err = errors.Join(err, one)
		}
		if err == nil {
			return time.Since(since), nil
		}
		if perr := pause(ctx, 500*time.Millisecond); perr != nil {
			return 0, fmt.Errorf("not everything was ready %s after the last boot: %w", limit, err)
		}
	}
}

// tell is what the nodes say of their units, where something went wrong.
func (s *trial) tell(ctx context.Context) error {
	var all error
	for _, n := range nodes {
		text, err := s.SSH(ctx, n, "systemctl --no-pager list-units --all 'etcd*' 'kube*' 'docker*' 'flannel*' 'containerd*'; systemctl --failed --no-pager; journalctl -b --no-pager -n 10 -o cat -u etcd | cut -c-400; journalctl -b --no-pager -n 10 -o cat -u kube-apiserver -u kubeclamp-lb | cut -c-400")
		all = errors.Join(all, fmt.Errorf("%s:\n%s", n, text), err)
	}
	return all
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
