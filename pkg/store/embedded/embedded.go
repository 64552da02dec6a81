// Package embedded runs a one-member etcd inside this process for a store of one daemon. It does not know what is stored.
//
// It listens nowhere: no TCP port, no socket. The client talks to the server by function calls, and the data folder is
// readable by its owner alone and locked against a second process.
package embedded

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/store"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

const (
	quota    = 8 << 30
	maxOps   = 20_000
	maxBytes = 10 << 20 // the most that etcd recommends; what is larger is packed into the journal
	// replay is how many entries of its log etcd goes through at most when it starts after a kill. From 5,000 on it refuses
	// its own first request meanwhile, and repeats that without a pause.
	replay = 2500
)

// Config says where the state lies.
type Config struct {
	Dir string       // made with mode 0700 if it is not there
	Log *slog.Logger // gets etcd's warnings and errors; nil = silent
	// Quota is how many bytes etcd's file may take; 0 = 8 GiB.
	Quota int64
	// Unsafe leaves out fsync; for tests alone.
	Unsafe bool
}

// Server is a running etcd.
type Server struct {
	etcd   *embed.Etcd
	client *clientv3.Client
	lock   *os.File // nil where the caller has it
	log    *slog.Logger
	quota  int64
	worth  int64
}

// Start runs etcd on the folder and returns once it answers. A folder that another process uses is a Conflict.
func Start(ctx context.Context, c Config) (*Server, error) {
	if err := private(c.Dir); err != nil {
		return nil, fmt.Errorf("state folder %s: %w", c.Dir, err)
	}
	lock, err := lockFolder(c.Dir)
	if err != nil {
		return nil, err
	}
	if err := finish(c.Dir); err != nil {
		lock.Close()
		return nil, fmt.Errorf("state folder %s: %w", c.Dir, err)
	}
	// gofail: var beforeStart struct{}
	s, err := run(ctx, config(c), c.Log)
	if err != nil {
		lock.Close()
		return nil, err
	}
	s.lock = lock
	// gofail: var afterStart struct{}
	return s, nil
}

// run is an etcd that answers.
func run(ctx context.Context, cfg *embed.Config, log *slog.Logger) (*Server, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	e, err := embed.StartEtcd(cfg)
	if err != nil {
		return nil, crowbar.Errorf(crowbar.Unavailable, "start etcd in %s: %w", cfg.Dir, err)
	}
	s := &Server{etcd: e, log: log, quota: cfg.QuotaBackendBytes, worth: worth}
	select {
	case <-e.Server.ReadyNotify():
	case err = <-e.Err():
	case <-e.Server.StopNotify():
		err = errors.New("it stopped")
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		s.stop()
		return nil, crowbar.Errorf(crowbar.Unavailable, "start etcd in %s: %w", cfg.Dir, err)
	}
	s.client = v3client.New(e.Server)
	return s, nil
}

// Store is the configuration of a store on this server.
func (s *Server) Store() store.Config {
	return store.Config{Client: s.client, MaxOps: maxOps, MaxBytes: maxBytes, Alone: true, Log: s.log}
}

// Client talks to this server without a wire.
func (s *Server) Client() *clientv3.Client { return s.client }

// Err gives an error if etcd ends by itself.
func (s *Server) Err() <-chan error { return s.etcd.Err() }

// Close stops etcd and unlocks the folder. Stores on it must be closed before.
func (s *Server) Close() error {
	// gofail: var beforeStop struct{}
	err := s.client.Close()
	s.stop()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func (s *Server) stop() {
	s.etcd.Close()
	// gofail: var afterStop struct{}
	if s.lock != nil {
		s.lock.Close()
	}
}

func config(c Config) *embed.Config {
	cfg := embed.NewConfig()
	cfg.Name = "kubeclamp"
	cfg.Dir = filepath.Join(c.Dir, current)
	cfg.ListenPeerUrls, cfg.ListenClientUrls = nil, nil
	nowhere := url.URL{Scheme: "http", Host: "127.0.0.1:1"} // a member must have an address; nothing listens there
	cfg.AdvertisePeerUrls, cfg.AdvertiseClientUrls = []url.URL{nowhere}, []url.URL{nowhere}
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	cfg.InitialClusterToken = "kubeclamp"
	cfg.QuotaBackendBytes = cmp.Or(c.Quota, quota)
	cfg.MaxTxnOps = maxOps
	cfg.MaxRequestBytes = maxBytes
	cfg.SnapshotCount, cfg.SnapshotCatchUpEntries = replay, replay/2 // there is no follower that would have to catch up
	cfg.AutoCompactionMode = embed.CompactorModePeriodic
	cfg.AutoCompactionRetention = "1h"
	cfg.TickMs, cfg.ElectionMs = 100, 1000
	cfg.UnsafeNoFsync = c.Unsafe
	log := c.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.New(core{log}))
	return cfg
}

func private(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return os.Chmod(dir, 0o700)
}

// Lock keeps other daemons off a folder, as Start does for its own, until it is given back or this process ends.
func Lock(dir string) (unlock func() error, err error) {
	if err := private(dir); err != nil {
		return nil, fmt.Errorf("data folder %s: %w", dir, err)
	}
	f, err := lockFolder(dir)
	if err != nil {
		return nil, err
	}
	return f.Close, nil
}

// lockFolder keeps a second daemon off; the kernel drops the lock when this process ends, however it ends.
func lockFolder(dir string) (*os.File, error) {
	path := filepath.Join(dir, "lock")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("state folder %s: %w", dir, err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		by, _ := os.ReadFile(path)
		f.Close()
		return nil, crowbar.Errorf(crowbar.Conflict, "state folder %s is in use by another daemon (%s): stop that one, or give this one its own folder", dir, strings.TrimSpace(string(by)))
	}
	if err := f.Truncate(0); err == nil {
		_, _ = fmt.Fprintf(f, "pid %d since %s\n", os.Getpid(), time.Now().UTC().Format(time.RFC3339))
	}
	return f, nil
}
