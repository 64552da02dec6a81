package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/kubeclamp/kubeclamp/jigs/local"
	"github.com/kubeclamp/kubeclamp/jigs/noop"
	"github.com/kubeclamp/kubeclamp/jigs/script"
	"github.com/kubeclamp/kubeclamp/jigs/ssh"
	"github.com/kubeclamp/kubeclamp/pkg/annealer"
	"github.com/kubeclamp/kubeclamp/pkg/api"
	"github.com/kubeclamp/kubeclamp/pkg/backup"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/engine"
	"github.com/kubeclamp/kubeclamp/pkg/graph"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/pki"
	"github.com/kubeclamp/kubeclamp/pkg/plugin"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/skew"
	"github.com/kubeclamp/kubeclamp/pkg/store"
)

// serve puts the daemon together and runs it until ctx ends.
func serve(ctx context.Context, c *config) (err error) {
	if err := os.MkdirAll(c.dataDir, 0o700); err != nil {
		return err
	}
	st, err := openState(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.close()) }()
	ctx, release, err := st.hold(ctx, c)
	if err != nil {
		return err
	}
	defer release()
	// gofail: var held struct{}
	eng, err := newEngine(c, st.Store, st.me.Owner)
	if err != nil {
		return err
	}
	hands, closeHands, err := newHands(c, eng)
	if err != nil {
		return err
	}
	defer closeHands()
	hush := &annealer.Hush{}
	host := plugin.NewHost(plugin.Config{Mask: hush.Mask, Shipped: c.plugin, Dir: c.plugins, SocketDir: filepath.Join(c.dataDir, "sockets"), Log: c.log,
		Limits: plugin.Limits{Memory: int64(c.memory) << 20, Processes: c.processes}})
	defer host.Close()
	// gofail: var beforeImport struct{}
	none, err := findMilestones(ctx, c.plugin, c.compat, host)
	if err != nil {
		return err
	}
	if err := importAll(ctx, c, eng, host, hands, none); err != nil {
		return err
	}
	if c.shared() {
		err = shareHost(ctx, c, eng)
	} else {
		if err = eng.Reclaim(ctx); err == nil {
			err = bootUser(ctx, c, eng) // of daemons that share a state none is the first: their users are made by the token's bearer
		}
	}
	if err != nil {
		return err
	}
	// gofail: var reclaimed struct{}
	cache, err := openArtifacts(c)
	if err != nil {
		return err
	}
	eng.Fit = func(s *crowbar.Snapshot, deployment crowbar.ID) ([]crowbar.ID, error) {
		return skew.Check(s, deployment, cache.Versions)
	}
	var ann *annealer.Annealer
	copies, err := openBackups(c, st, eng, func() *annealer.Annealer { return ann })
	if err != nil {
		return err
	}
	ann = annealer.New(annealer.Config{Engine: eng, Hush: hush, Owner: st.me.Owner, Jigs: hands, Artifacts: copies.With(cache), Before: copies.Before, Acting: eng.Acting, LogDir: filepath.Join(c.dataDir, "runs"), Parallel: c.parallel, KeepLogs: c.keepRuns, Log: c.log,
		Roles: func(name string) (role.Role, error) { return none.role(ctx, eng.View(), host, name) },
		Mine:  func(node crowbar.ID) bool { return graph.Share(st.Owners(), node) == st.me.Owner }})
	return run(ctx, c, st, eng, ann, copies, newCheckup(st, host))
}

// run has everything that loops go on until ctx or one of them ends.
func run(ctx context.Context, c *config, st *state, eng *engine.Engine, ann *annealer.Annealer, copies *backup.Backups, look *checkup) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	loops := map[string]func(context.Context) error{"annealer": ann.Run, "sealing": eng.KeepSealed, "tokens": eng.NoteUses, "backups": copies.Run, "health": look.run}
	pools := newNames(c, eng)
	loops["names"] = pools.run
	far := &logs{near: ann, st: st, file: c.adminFile()}
	srv, err := newServer(c, api.Config{Engine: eng, Users: eng, Logs: far, Ask: ann.Ask, Reboot: ann.Reboot, Daemons: st.Daemons, Health: look.health, Found: look.found, Pools: pools.health, Backups: copies, Act: acting(eng, ann), Actors: ann, Moves: st, Auditing: eng, Compat: api.Compat(c.compat), Log: c.log})
	if err != nil {
		return err
	}
	st.me.Endpoint = endpoint(c, srv.listener)
	if err := st.Announce(ctx, st.me); err != nil {
		return errors.Join(err, srv.close())
	}
	if st.near != nil {
		loops["state"] = (&keeper{st.near, eng, c}).run
	}
	loops["leader"] = func(ctx context.Context) error { return lead(ctx, c, st, eng, ann.Ask) }
	loops["API"] = srv.run
	ended := make(chan error, len(loops))
	for name, loop := range loops {
		go func() {
			err := loop(ctx)
			if err != nil && !errors.Is(err, context.Canceled) {
				err = fmt.Errorf("%s: %w", name, err)
			} else {
				err = nil
			}
			ended <- err
		}()
	}
	if left := eng.WithoutDigest(crowbar.RebarRealm); c.compat == string(api.CompatRebar) && len(left) > 0 {
		c.log.Warn("these users cannot sign in by HTTP digest as Digital Rebar's clients do until their passwords are set again: they were set by a daemon that did not know its realm", "users", left)
	}
	c.log.Info("ready", "api", srv.listener.Addr(), "nodes", eng.View().Count(crowbar.KindNode))
	// gofail: var ready struct{}
	_, _ = daemon.SdNotify(false, daemon.SdNotifyReady)
	first := <-ended
	// gofail: var stopping struct{}
	cancel()
	for range len(loops) - 1 {
		first = errors.Join(first, <-ended)
	}
	if cause := context.Cause(ctx); first == nil && cause != nil && !errors.Is(cause, context.Canceled) {
		first = cause
	}
	return first
}

func newEngine(c *config, st *store.Store, owner string) (*engine.Engine, error) {
	ring, err := openRing(c, st.View())
	if err != nil {
		return nil, err
	}
	keeper := pki.Over(ring)
	keeper.Lives = c.lives
	eng := engine.New(engine.Config{Store: st, PKI: keeper, Ring: ring, Owner: owner, Mac: ring.Mac, Parallel: c.parallel,
		KeepRuns: c.keepRuns, KeepFor: c.keepFor, KeepAudit: c.keepAudit, Log: c.log})
	return eng, eng.CheckSeals()
}

func newHands(c *config, eng *engine.Engine) (map[string]jig.Jig, func(), error) {
	conf := ssh.Config{KeyFiles: c.sshKeys, Record: eng.RecordHostKey, Log: c.log}
	if c.agent {
		conf.AgentSocket = os.Getenv("SSH_AUTH_SOCK")
	}
	hands := map[string]jig.Jig{"noop": noop.New()}
	if !c.shared() { // where there are several daemons, each is local to another host
		hands["local"] = local.New()
	}
	s := ssh.New(conf)
	hands["ssh"], hands[script.Name] = s, s // scripts reach a node as everything else does
	return hands, func() { _ = s.Close() }, nil
}

// newServer makes the HTTPS server, its certificate and the administrator's way in.
func newServer(c *config, conf api.Config) (*server, error) {
	served, authority, err := newServing(c)
	if err != nil {
		return nil, err
	}
	// gofail: var beforeListen struct{}
	listener, err := net.Listen("tcp", c.listen)
	if err != nil {
		return nil, fmt.Errorf("API: %w", err)
	}
	out := &server{listener: listener}
	if c.plainListen != "" {
		if out.plain, err = net.Listen("tcp", c.plainListen); err != nil {
			return nil, errors.Join(fmt.Errorf("API without TLS: %w", err), out.close())
		}
		c.log.Info("the API is there without TLS, for this machine alone", "at", out.plain.Addr())
	}
	way, err := admin(c.adminFile(), listener.Addr().String(), authority.PEM())
	if err != nil {
		return nil, errors.Join(err, out.close())
	}
	conf.Token = way.Token
	conf.Secret = sha256.Sum256([]byte("sessions of " + way.Token)) // all daemons that share a state have the token
	out.Server = &http.Server{Handler: api.New(conf), ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 64 << 10, IdleTimeout: 2 * time.Minute, ErrorLog: slog.NewLogLogger(c.log.Handler(), slog.LevelDebug),
		TLSConfig: served.config()}
	return out, nil
}

func random(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}
