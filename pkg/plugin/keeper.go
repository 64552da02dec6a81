package plugin

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	rolev1 "github.com/kubeclamp/kubeclamp/proto/role/v1"
)

const (
	startLimit  = 15 * time.Second
	firstPause  = 100 * time.Millisecond
	longPause   = 30 * time.Second
	crashLimit  = 5 // within crashWindow: broken
	crashWindow = 60 * time.Second
)

// keeper keeps one role's process: starts it, and after a crash a new one, ever more slowly.
type keeper struct {
	host *Host
	name string

	starting chan struct{} // holds one token
	mu       sync.Mutex
	now      *running
	crashes  []time.Time
	words    string // last lines of the process that crashed last
	closed   bool
}

// running is one process that answers.
type running struct {
	child  *process
	client *goplugin.Client
	wire   wire
	can    ability
	said   *lines
	meet   chan struct{} // one token: brokered connections are made one after the other
	noted  chan struct{} // closed when its end has been counted
}

func newKeeper(h *Host, name string) *keeper {
	k := &keeper{host: h, name: name, starting: make(chan struct{}, 1)}
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
		if err != nil {
			return nil, err
		}
		if wait <= 0 {
			break
		}
		select {
		case <-time.After(wait):
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
		return 0, crowbar.Errorf(crowbar.Unavailable, "role %s is broken: its process crashed %d times within %s; it may be tried again in %s. Its last lines:\n%s",
			k.name, len(recent), crashWindow, time.Until(recent[0].Add(crashWindow)).Round(time.Second), k.words)
	}
	pause := min(firstPause<<(2*(len(recent)-1)), longPause)
	return time.Until(recent[len(recent)-1].Add(pause)), nil
}

func (k *keeper) start(ctx context.Context) (*running, error) {
	path, args, err := k.host.find(k.name)
	if err != nil {
		return nil, err
	}
	file, sum, err := k.host.sums.open(k.name, path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	log := k.host.cfg.Log.With("role", k.name)
	p := &running{said: &lines{log: log}, meet: make(chan struct{}, 1), noted: make(chan struct{})}
	p.meet <- struct{}{}
	p.client = goplugin.NewClient(&goplugin.ClientConfig{
		HandshakeConfig:     handshake,
		VersionedPlugins:    plugins(ourEnd{}),
		AllowedProtocols:    []goplugin.Protocol{goplugin.ProtocolGRPC},
		AutoMTLS:            true,
		GRPCBrokerMultiplex: true,
		GRPCDialOptions:     clientLimits(),
		SkipHostEnv:         true,
		StartTimeout:        startLimit,
		Stderr:              p.said,
		SyncStdout:          p.said,
		SyncStderr:          p.said,
		Logger:              hclog.New(&hclog.LoggerOptions{Level: hclog.Off}),
		UnixSocketConfig:    &goplugin.UnixSocketConfig{TempDir: k.host.sockets},
		RunnerFunc: func(_ hclog.Logger, spec *exec.Cmd, _ string) (runner.Runner, error) {
			spec.Env = append(k.environ(), spec.Env...)
			p.child = newProcess(k.host.threads, file, args, spec)
			return p.child, nil
		},
	})
	// gofail: var beforeStart struct{}
	if err := p.connect(ctx, k.name); err != nil {
		p.client.Kill()
		return nil, k.startError(path, p, err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		go p.client.Kill()
		return nil, crowbar.Errorf(crowbar.Unavailable, "role %s: the plugin host is closed", k.name)
	}
	// gofail: var started struct{}
	k.now = p
	log.Debug("role's process started", "pid", p.child.ID(), "program", path, "sha256", sum, "version", p.can.info.Version)
	return p, nil
}

// environ is all that a role's process is given.
func (k *keeper) environ() []string {
	return append([]string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "HOME=/", "TMPDIR=" + os.TempDir()}, k.host.cfg.Env...)
}

func (p *running) connect(ctx context.Context, name string) error {
	proto, err := p.client.Client()
	if err != nil {
		return err
	}
	raw, err := proto.Dispense(roleName)
	if err != nil {
		return err
	}
	p.wire = raw.(wire)
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	d, err := p.wire.Describe(ctx, &rolev1.DescribeRequest{})
	if err != nil {
		return fmt.Errorf("describe: %w", statusIn(err))
	}
	p.can = infoIn(d)
	if p.can.info.Name != name {
		return crowbar.Errorf(crowbar.Invalid, "it says that it is role %q", p.can.info.Name)
	}
	return nil
}

// startError counts as a crash, and says what the process said.
func (k *keeper) startError(path string, p *running, err error) error {
	words := p.said.tail()
	k.crashed(words)
	how := ""
	if p.child != nil && p.child.cmd.Process != nil {
		<-p.child.ended
		how = " (" + p.child.how + ")"
	}
	text := fmt.Sprintf("start role %s (%s)%s: %s", k.name, path, how, strings.TrimSpace(err.Error()))
	if words = p.said.tail(); words != "" {
		text += "; it said:\n" + words
	}
	kind := crowbar.KindOf(err)
	if kind == crowbar.Internal {
		kind = crowbar.Unavailable
	}
	return crowbar.Errorf(kind, "%s", text)
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
	if asked {
		return
	}
	k.host.cfg.Log.Warn("role's process ended", "role", k.name, "pid", p.child.ID(), "how", p.child.how)
}

func (k *keeper) close() {
	k.mu.Lock()
	k.closed = true
	p := k.now
	k.mu.Unlock()
	if p != nil {
		p.client.Kill()
	}
}

// gone waits a moment for the news of an end: the wire breaks before the kernel tells.
func (p *running) gone() bool {
	select {
	case <-p.child.ended:
		p.drained()
		return true
	case <-time.After(2 * time.Second):
		return false
	}
}

// drained waits until all that the ended process said is read.
func (p *running) drained() {
	for limit := time.Now().Add(2 * time.Second); !p.client.Exited() && time.Now().Before(limit); {
		time.Sleep(5 * time.Millisecond)
	}
}
