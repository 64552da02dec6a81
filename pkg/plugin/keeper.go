package plugin

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

const (
	startLimit  = 15 * time.Second
	stopLimit   = 5 * time.Second
	firstPause  = 100 * time.Millisecond
	longPause   = 30 * time.Second
	crashLimit  = 5 // within crashWindow: broken
	crashWindow = 60 * time.Second
)

// keeper keeps one role's process: starts it, and after a crash a new one, ever more slowly.
type keeper struct {
	host *Host
	name string
	quit chan struct{} // closed when the host is

	starting chan struct{} // holds one token
	mu       sync.Mutex
	now      *running
	old      map[*running]bool // taken out of use, not gone yet
	crashes  []time.Time
	words    string // last lines of the process that crashed last
	closed   bool
}

func newKeeper(h *Host, name string) *keeper {
	k := &keeper{host: h, name: name, starting: make(chan struct{}, 1), quit: make(chan struct{}), old: map[*running]bool{}}
	k.starting <- struct{}{}
	return k
}

// process gives the running process, and starts one if there is none.
func (k *keeper) process(ctx context.Context) (*running, error) {
	select {
	case <-k.starting:
	case <-ctx.Done():
		return nil, fmt.Errorf("start role %s: %w", k.name, context.Cause(ctx))
	}
	defer func() { k.starting <- struct{}{} }()
	for {
		if p := k.alive(); p != nil {
			return p, nil
		}
		wait, err := k.mayStart()
		if err != nil && k.mended() {
			continue
		}
		if err != nil {
			return nil, err
		}
		if wait <= 0 {
			break
		}
		select {
		case <-time.After(wait):
		case <-k.quit:
		case <-ctx.Done():
			return nil, crowbar.Errorf(crowbar.Unavailable, "start role %s: it crashed before, and the next start is in %s: %w", k.name, wait.Round(time.Millisecond), context.Cause(ctx))
		}
	}
	p, err := k.start(ctx)
	if err != nil {
		return nil, err
	}
	go k.watch(p)
	return p, nil
}

// mended says that a broken role's program is another one now: it begins with a clean sheet.
func (k *keeper) mended() bool {
	path, _, err := k.host.find(k.name)
	if err != nil {
		return false
	}
	before, now, yes := k.host.sums.replaced(k.name, path)
	k.mu.Lock()
	defer k.mu.Unlock()
	if !yes || k.closed {
		return false
	}
	k.host.cfg.Log.Warn("the program of a broken role was replaced: it is tried", "role", k.name, "program", path, "sha256", now, "before", before)
	k.crashes, k.words = nil, ""
	return true
}

func (k *keeper) alive() *running {
	k.mu.Lock()
	p := k.now
	k.mu.Unlock()
	if p == nil {
		return nil
	}
	select {
	case <-p.child.ended:
		<-p.noted // or the next start would be too early
		return nil
	default:
		return p
	}
}

// mayStart says how long to wait before the next start, or why there is none.
func (k *keeper) mayStart() (time.Duration, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return 0, crowbar.Errorf(crowbar.Unavailable, "role %s: the plugin host is closed", k.name)
	}
	recent := k.crashes[:0]
	for _, t := range k.crashes {
		if time.Since(t) < crashWindow {
			recent = append(recent, t)
		}
	}
	k.crashes = recent
	if len(recent) == 0 {
		return 0, nil
	}
	if len(recent) >= crashLimit {
		return 0, crowbar.Errorf(crowbar.Unavailable, "role %s is broken: its process crashed %d times within %s%s; replace its program, or try again in %s%s",
			k.name, len(recent), crashWindow, because(reason(k.words)), time.Until(recent[0].Add(crashWindow)).Round(time.Second), quoted(k.words))
	}
	pause := min(firstPause<<(2*(len(recent)-1)), longPause)
	return time.Until(recent[len(recent)-1].Add(pause)), nil
}

func (k *keeper) start(ctx context.Context) (*running, error) {
	path, args, err := k.host.find(k.name)
	if err != nil {
		return nil, err
	}
	prog, err := k.host.sums.open(k.name, path)
	if err != nil {
		return nil, err
	}
	defer prog.file.Close()
	wanted := ctx
	ctx, cancel := context.WithTimeoutCause(ctx, k.host.cfg.StartLimit, fmt.Errorf("it did not say hello within %s", k.host.cfg.StartLimit))
	defer cancel()
	log := k.host.cfg.Log.With("role", k.name)
	p := newRunning(log, k.host.cfg.Mask)
	p.child = newProcess(k.host.threads, prog, k.host.cfg.Limits, p.said)
	p.client = k.client(p, args)
	// gofail: var beforeStart struct{}
	if err := p.connect(ctx, k); err != nil {
		return nil, k.startError(path, p, err, wanted.Err() == nil)
	}
	p.can.program = prog.sum
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		p.client.Kill()
		return nil, crowbar.Errorf(crowbar.Unavailable, "role %s: the plugin host is closed", k.name)
	}
	// gofail: var started struct{}
	k.now = p
	log.Debug("role's process started", "pid", p.child.ID(), "program", path, "sha256", prog.sum, "version", p.can.info.Version)
	return p, nil
}

// client is go-plugin's, set up so that nothing the process says or does reaches the daemon unseen.
func (k *keeper) client(p *running, args []string) *goplugin.Client {
	return goplugin.NewClient(&goplugin.ClientConfig{
		HandshakeConfig:     handshake,
		VersionedPlugins:    plugins(ourEnd{}),
		AllowedProtocols:    []goplugin.Protocol{goplugin.ProtocolGRPC},
		AutoMTLS:            true,
		GRPCBrokerMultiplex: true,
		GRPCDialOptions:     clientLimits(),
		SkipHostEnv:         true,
		StartTimeout:        k.host.cfg.StartLimit,
		Stderr:              p.said,
		SyncStdout:          p.said,
		SyncStderr:          p.said,
		Logger:              hclog.New(&hclog.LoggerOptions{Level: hclog.Off}),
		UnixSocketConfig:    &goplugin.UnixSocketConfig{TempDir: k.host.sockets},
		RunnerFunc: func(_ hclog.Logger, spec *exec.Cmd, sockets string) (runner.Runner, error) {
			p.child.sockets = sockets
			var err error
			if p.child.group, err = k.host.groups.open(k.name, k.host.cfg.Limits); err != nil {
				return nil, err
			}
			p.child.prepare(args, append(k.environ(), spec.Env...))
			return p.child, nil
		},
	})
}

// environ is all that a role's process is given.
func (k *keeper) environ() []string {
	env := append([]string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "HOME=/", "TMPDIR=" + os.TempDir()}, k.host.cfg.Limits.environ()...)
	return append(env, k.host.cfg.Env...)
}

// startError counts as a crash, unless the start was called off, and says what the process said.
func (k *keeper) startError(path string, p *running, err error, blame bool) error {
	byItself := p.child.runs() && p.gone()
	p.client.Kill()
	how := p.child.cleared()
	if !byItself || how == "signal: killed" { // it was this host that ended it
		how = ""
	}
	words := p.said.tail()
	text := fmt.Sprintf("start role %s (%s): %s%s", k.name, path, plainly(err), because(how))
	if blame {
		k.crashed(words)
	}
	kind := crowbar.KindOf(err)
	switch {
	case how == fmt.Sprintf("exit status %d", NoSuchRole):
		kind = crowbar.NotFound
	case kind == crowbar.Internal:
		kind = crowbar.Unavailable
	}
	return crowbar.Errorf(kind, "%s%s%s", text, because(reason(words)), quoted(words))
}

func (k *keeper) crashed(words string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.crashes = append(k.crashes, time.Now())
	k.words = words
}

// watch notes an end that nobody asked for.
func (k *keeper) watch(p *running) {
	<-p.child.ended
	k.mu.Lock()
	asked := k.closed
	k.mu.Unlock()
	if !asked {
		p.drained()
		k.crashed(p.said.tail())
	}
	close(p.noted)
	p.client.Kill() // takes its socket away
	k.mu.Lock()
	delete(k.old, p)
	k.mu.Unlock()
	close(p.cleared)
	if asked {
		return
	}
	k.host.cfg.Log.Warn("role's process ended", "role", k.name, "pid", p.child.ID(), "how", p.how())
}

// retire takes a process out of use, a call of which did not end when it was told to. Other calls in it go on to their end;
// then it is killed.
func (k *keeper) retire(p *running, why string) {
	k.mu.Lock()
	if k.now == p {
		k.now = nil
		k.old[p] = true
	}
	k.mu.Unlock()
	p.stuck(why)
}

// close ends the processes, also one that is just starting.
func (k *keeper) close() {
	k.mu.Lock()
	k.closed = true
	close(k.quit)
	k.mu.Unlock()
	<-k.starting // and nobody starts one any more
	k.mu.Lock()
	all := slices.Collect(maps.Keys(k.old))
	if k.now != nil {
		all = append(all, k.now)
	}
	k.mu.Unlock()
	k.starting <- struct{}{}
	for _, p := range all {
		p.client.Kill()
		<-p.cleared
	}
}

// brokenNow says why the role is broken; "" = it is not.
func (k *keeper) brokenNow() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	n := 0
	for _, t := range k.crashes {
		if time.Since(t) < crashWindow {
			n++
		}
	}
	if n < crashLimit {
		return ""
	}
	return fmt.Sprintf("role %s is broken: its process crashed %d times within %s%s", k.name, n, crashWindow, because(reason(k.words)))
}
