package embedded

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/store"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/etcdutl/v3/snapshot"
	"go.uber.org/zap"
)

// The folders of etcd's files within the state's folder: the one in use, one that a restore is at work on, and one that is
// complete and waits for the first to make room.
const (
	current   = "etcd"
	restoring = "etcd.restoring"
	restored  = "etcd.restored"
)

// later is added to the revision of a restored state, so that none that anybody has seen comes again.
const later = 1_000_000_000

// Restore makes the folder hold the state of a snapshot. settle gets that state before it counts: what it refuses, or a
// process that is killed, leaves the folder as it was. A state that is there already is a Conflict, unless replace is set; it
// then stays beside the new one, in the folder whose name is the answer.
func Restore(ctx context.Context, c Config, file string, replace bool, settle func(context.Context, store.Config) error) (aside string, err error) {
	if _, err := Verify(file); err != nil {
		return "", err
	}
	if err := private(c.Dir); err != nil {
		return "", fmt.Errorf("state folder %s: %w", c.Dir, err)
	}
	lock, err := lockFolder(c.Dir)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	at := func(name string) string { return filepath.Join(c.Dir, name) }
	had, err := exists(at(current))
	if err != nil {
		return "", err
	}
	if had && !replace {
		return "", crowbar.Errorf(crowbar.Conflict, "there is a state in %s: give --replace to move it aside, or another --data-dir", c.Dir)
	}
	if err := errors.Join(os.RemoveAll(at(restoring)), os.RemoveAll(at(restored))); err != nil {
		return "", err
	}
	if err := build(ctx, c, file, at(restoring), settle); err != nil {
		return "", errors.Join(err, os.RemoveAll(at(restoring)))
	}
	if err := errors.Join(os.Rename(at(restoring), at(restored)), syncFolder(c.Dir)); err != nil {
		return "", err
	}
	if had {
		aside = at(current + ".before-" + time.Now().UTC().Format("20060102T150405Z"))
		if err := errors.Join(os.Rename(at(current), aside), syncFolder(c.Dir)); err != nil {
			return "", err
		}
	}
	return aside, errors.Join(os.Rename(at(restored), at(current)), syncFolder(c.Dir))
}

// build makes etcd's files out of the snapshot, and lets settle at them.
func build(ctx context.Context, c Config, file, dir string, settle func(context.Context, store.Config) error) error {
	cfg := config(c)
	err := snapshot.NewV3(zap.NewNop()).Restore(snapshot.RestoreConfig{SnapshotPath: file, OutputDataDir: dir, Name: cfg.Name,
		PeerURLs: []string{cfg.AdvertisePeerUrls[0].String()}, InitialCluster: cfg.InitialCluster, InitialClusterToken: cfg.InitialClusterToken,
		RevisionBump: later, MarkCompacted: true})
	if err != nil {
		return fmt.Errorf("restore %s: %w", file, err)
	}
	cfg.Dir = dir
	s, err := run(ctx, cfg, c.Log)
	if err != nil {
		return err
	}
	return errors.Join(settle(ctx, s.Store()), s.Close())
}

// Rehearse restores a snapshot, of this etcd or of any other, into a member of its own in a folder that is gone afterwards,
// starts that, and says what it has.
func Rehearse(ctx context.Context, file string, log *slog.Logger) (got Snapshot, err error) {
	was, err := Verify(file)
	if err != nil {
		return got, err
	}
	dir, err := os.MkdirTemp(filepath.Dir(file), ".rehearsal-")
	if err != nil {
		return got, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	cfg := config(Config{Dir: dir, Log: log, Unsafe: true})
	cfg.TickMs, cfg.ElectionMs = 10, 100 // it is alone, and elects itself at once
	err = snapshot.NewV3(zap.NewNop()).Restore(snapshot.RestoreConfig{SnapshotPath: file, OutputDataDir: cfg.Dir, Name: cfg.Name,
		PeerURLs: []string{cfg.AdvertisePeerUrls[0].String()}, InitialCluster: cfg.InitialCluster, InitialClusterToken: cfg.InitialClusterToken})
	if err != nil {
		return got, crowbar.Errorf(crowbar.Invalid, "%s cannot be restored: %w", file, err)
	}
	s, err := run(ctx, cfg, log)
	if err != nil {
		return got, crowbar.Errorf(crowbar.Invalid, "%s was restored, and etcd does not start on it: %w", file, err)
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	has, err := s.client.Get(ctx, "", clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		return got, crowbar.Errorf(crowbar.Invalid, "%s was restored, and cannot be read: %w", file, err)
	}
	if has.Header.Revision < was.Revision {
		return got, crowbar.Errorf(crowbar.Invalid, "%s was restored, and is at revision %d instead of %d", file, has.Header.Revision, was.Revision)
	}
	return Snapshot{File: file, Bytes: was.Bytes, Revision: was.Revision, Keys: int(has.Count)}, nil
}

// finish ends a restore that was killed when the old state had made room; what was left of one that had not come that far
// goes.
func finish(dir string) error {
	ready, err := exists(filepath.Join(dir, restored))
	if err != nil {
		return err
	}
	had, err := exists(filepath.Join(dir, current))
	if err != nil {
		return err
	}
	if ready && !had {
		return errors.Join(os.Rename(filepath.Join(dir, restored), filepath.Join(dir, current)), syncFolder(dir))
	}
	return errors.Join(os.RemoveAll(filepath.Join(dir, restored)), os.RemoveAll(filepath.Join(dir, restoring)))
}

func exists(path string) (bool, error) {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
