// Package ssh is the jig that reaches nodes over SSH: one multiplexed connection a node, shared by all runs, with the
// node's host key pinned. It does not know what is run over it, nor where host keys are kept.
package ssh

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
)

// Config is what the jig is given. Either KeyFiles, Signers or AgentSocket must hold a key that the nodes accept.
type Config struct {
	KeyFiles    []string     // private keys, read at each new connection; others must not be able to read them
	Signers     []ssh.Signer // private keys in memory
	AgentSocket string       // socket of an ssh-agent that may be used; "" = none

	// Record stores the host key seen at the first contact with a node (authorized_keys form). Nothing is run before it
	// has returned well. nil refuses nodes whose key is not known yet.
	Record func(ctx context.Context, node crowbar.ID, key string) error

	Linger time.Duration // how long an unused connection stays open; 0 = 1 min
	Log    *slog.Logger  // nil = silent
}

const (
	dialLimit  = 15 * time.Second // TCP and SSH handshake together
	beat       = 5 * time.Second  // between keepalives
	silence    = 15 * time.Second // without a byte from the node, after which it counts as gone
	openLimit  = 15 * time.Second // during which a node may be out of sessions
	maxSession = 8                // sessions at once; OpenSSH's MaxSessions is 10, and killing needs one more
	maxCapture = 16 << 20         // bytes kept of each output
	maxCommand = 96 << 10         // bytes of one command line
)

// Jig is jig.Jig over SSH.
type Jig struct {
	cfg   Config
	mu    sync.Mutex
	doors map[target]*door
}

// New makes the jig; it opens no connection.
func New(cfg Config) *Jig {
	if cfg.Linger == 0 {
		cfg.Linger = time.Minute
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Jig{cfg: cfg, doors: map[target]*door{}}
}

// target is where a connection goes; nodes that differ in any of it never share one.
type target struct {
	id         crowbar.ID
	name       string
	addr, user string
}

func targetOf(n *crowbar.Node) target {
	t := target{id: n.ID, name: n.Short(), user: n.SSH.User}
	host, port := n.SSH.Host, n.SSH.Port
	if host == "" {
		host = n.Address
	}
	if port == 0 {
		port = 22
	}
	if t.user == "" {
		t.user = "root"
	}
	if t.name == "" {
		t.name = host
	}
	t.addr = net.JoinHostPort(host, strconv.Itoa(port))
	return t
}

// String names the node and its address, for errors.
func (t target) String() string { return t.name + " (" + t.addr + ")" }

// door is the one way to a target: its lock is held while a connection is made.
type door struct {
	making chan struct{} // holds one token; a channel, so that waiting ends with the context
	link   *link
}

// Dial connects to the node, or shares the connection that is there. Several calls may be made at once.
func (j *Jig) Dial(ctx context.Context, n *crowbar.Node) (jig.Conn, error) {
	to := targetOf(n)
	if n.SSH.Host == "" && n.Address == "" {
		return nil, crowbar.Errorf(crowbar.Invalid, "node %s has no address: set one with `kubeclamp nodes update %s --address IP`", n.Name, n.Name)
	}
	d := j.door(to)
	select {
	case <-d.making:
	case <-ctx.Done():
		return nil, crowbar.Errorf(crowbar.Unavailable, "connect to %s: %w", to, context.Cause(ctx))
	}
	defer func() { d.making <- struct{}{} }()
	if d.link != nil && d.link.matches(n.SSH.HostKey) && d.link.take() {
		return &conn{link: d.link, closed: new(atomic.Bool)}, nil
	}
	l, err := j.connect(ctx, n, to)
	if err != nil {
		return nil, err
	}
	if d.link != nil {
		d.link.retire()
	}
	d.link = l
	return &conn{link: l, closed: new(atomic.Bool)}, nil
}

func (j *Jig) door(to target) *door {
	j.mu.Lock()
	defer j.mu.Unlock()
	d := j.doors[to]
	if d == nil {
		d = &door{making: make(chan struct{}, 1)}
		d.making <- struct{}{}
		j.doors[to] = d
	}
	return d
}

// Close ends every connection.
func (j *Jig) Close() error {
	j.mu.Lock()
	doors := j.doors
	j.doors = map[target]*door{}
	j.mu.Unlock()
	for _, d := range doors {
		<-d.making
		if d.link != nil {
			d.link.fail(fmt.Errorf("the daemon closed it"))
		}
		d.making <- struct{}{}
	}
	return nil
}
