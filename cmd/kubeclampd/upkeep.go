package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/engine"
	"github.com/kubeclamp/kubeclamp/pkg/store/embedded"
)

// The names of snapshots, which sort by time.
const (
	snapshotName = "state-20060102T150405.000Z.db"
	snapshotLook = "state-*.db"
)

// lookAfter is how often the keeper looks whether there is something to do.
const lookAfter = time.Minute

// keeper looks after the embedded etcd: its snapshots and its space.
type keeper struct {
	server *embedded.Server
	eng    *engine.Engine
	c      *config
}

func (k *keeper) dir() string { return filepath.Join(k.c.dataDir, "snapshots") }

// run goes on until ctx ends. What it cannot do it says, and tries again.
func (k *keeper) run(ctx context.Context) error {
	every := lookAfter
	if k.c.snapshotEvery > 0 {
		every = min(every, k.c.snapshotEvery)
	}
	look := time.NewTicker(every)
	defer look.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-look.C:
		}
		var err error
		if n%10 == 0 {
			err = k.server.Upkeep(ctx, len(k.eng.Owners()) == 0)
		}
		if k.c.snapshotEvery > 0 {
			err = errors.Join(err, k.snapshot(ctx, time.Now().UTC()))
		}
		if err != nil && ctx.Err() == nil {
			k.c.log.Warn("state", "error", err)
		}
	}
}

// snapshot makes one if the last is old enough, and drops those that are too many.
func (k *keeper) snapshot(ctx context.Context, now time.Time) error {
	had, err := k.snapshots()
	if err != nil {
		return err
	}
	if n := len(had); n > 0 {
		last, err := time.Parse(snapshotName, filepath.Base(had[n-1]))
		if err == nil && now.Sub(last) < k.c.snapshotEvery && !last.After(now) {
			return nil
		}
	}
	if err := os.MkdirAll(k.dir(), 0o700); err != nil {
		return err
	}
	got, err := k.server.Snapshot(ctx, filepath.Join(k.dir(), now.Format(snapshotName)))
	if err != nil {
		return err
	}
	k.c.log.Info("state: snapshot", "file", got.File, "bytes", got.Bytes)
	if had, err = k.snapshots(); err != nil {
		return err
	}
	for len(had) > k.c.snapshotKeep {
		err, had = errors.Join(err, os.Remove(had[0])), had[1:]
	}
	return err
}

// snapshots is those that there are, oldest first; files that were cut off are swept.
func (k *keeper) snapshots() ([]string, error) {
	all, err := os.ReadDir(k.dir())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var out []string
	for _, e := range all {
		path := filepath.Join(k.dir(), e.Name())
		if whole, cut := strings.CutSuffix(e.Name(), ".part"); cut {
			if ours, _ := filepath.Match(snapshotLook, whole); ours {
				err = errors.Join(err, os.Remove(path))
			}
		} else if ours, _ := filepath.Match(snapshotLook, e.Name()); ours {
			out = append(out, path)
		}
	}
	slices.Sort(out)
	return out, err
}
