package ssh

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// link is one SSH connection, shared by the Conns of a node. It closes when it has been unused for the jig's linger time.
type link struct {
	jig      *Jig
	to       target
	client   *ssh.Client
	tap      *tapped
	key      ssh.PublicKey
	sessions chan struct{} // slots
	spare    chan struct{} // one slot kept for killing

	mu     sync.Mutex
	users  int
	idle   *time.Timer
	closed chan struct{}
	why    error
}

func newLink(j *Jig, to target, c *ssh.Client, tap *tapped, key ssh.PublicKey) *link {
	l := &link{jig: j, to: to, client: c, tap: tap, key: key, users: 1,
		sessions: make(chan struct{}, maxSession), spare: make(chan struct{}, 1), closed: make(chan struct{})}
	go l.watch()
	go func() {
		err := c.Wait()
		l.fail(fmt.Errorf("the node closed it: %w", err))
	}()
	return l
}

// matches says whether the link was made to the key on record; none on record matches any.
func (l *link) matches(record string) bool {
	if record == "" {
		return true
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(record))
	return err == nil && line(key) == line(l.key)
}

// take counts one more user, unless the link is gone.
func (l *link) take() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.why != nil {
		return false
	}
	if l.idle != nil {
		l.idle.Stop()
		l.idle = nil
	}
	l.users++
	return true
}

func (l *link) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.users--
	if l.users == 0 && l.why == nil {
		l.idle = time.AfterFunc(l.jig.cfg.Linger, l.retire)
	}
}

// retire closes the link if nobody uses it.
func (l *link) retire() {
	l.mu.Lock()
	unused := l.users == 0
	l.mu.Unlock()
	if unused {
		l.fail(fmt.Errorf("it was unused"))
	}
}

// fail closes the link; the first reason stays.
func (l *link) fail(why error) {
	l.mu.Lock()
	if l.why != nil {
		l.mu.Unlock()
		return
	}
	l.why = why
	close(l.closed)
	l.mu.Unlock()
	l.client.Close()
	l.jig.cfg.Log.Debug("ssh connection ended", "node", l.to.name, "address", l.to.addr, "why", why)
}

// lost is the error of whatever was under way when the link broke.
func (l *link) lost(err error) error {
	l.mu.Lock()
	why := l.why
	l.mu.Unlock()
	if why == nil {
		why = err
	}
	return crowbar.Errorf(crowbar.Unavailable, "the connection to %s broke: %w", l.to, why)
}

func (l *link) broken() bool {
	select {
	case <-l.closed:
		return true
	default:
		return false
	}
}

// watch asks for a sign of life and closes the link when there is none.
func (l *link) watch() {
	answered := make(chan struct{}, 1)
	answered <- struct{}{}
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for {
		select {
		case <-l.closed:
			return
		case <-tick.C:
		}
		if q := l.tap.quiet(); q > silence {
			l.fail(fmt.Errorf("no byte from it for %s", q.Round(time.Second)))
			return
		}
		select {
		case <-answered:
			go func() {
				_, _, _ = l.client.SendRequest("keepalive@openssh.com", true, nil)
				answered <- struct{}{}
			}()
		default: // the last one is still under way
		}
	}
}

// open starts a session channel when there is a free slot; shut closes it, and the slot is free when the node has closed
// it too.
func (l *link) open(ctx context.Context, slots chan struct{}) (ch ssh.Channel, reqs <-chan *ssh.Request, shut func(), err error) {
	select {
	case slots <- struct{}{}:
	case <-l.closed:
		return nil, nil, nil, l.lost(nil)
	case <-ctx.Done():
		return nil, nil, nil, fmt.Errorf("wait for one of %d sessions to %s: %w", cap(slots), l.to, context.Cause(ctx))
	}
	type opened struct {
		ch   ssh.Channel
		reqs <-chan *ssh.Request
		err  error
	}
	got := make(chan opened, 1)
	go func() {
		ch, reqs, err := l.channel(ctx)
		got <- opened{ch, reqs, err}
	}()
	select {
	case o := <-got:
		if o.err != nil {
			<-slots
			return nil, nil, nil, o.err
		}
		return o.ch, passOn(o.reqs, func() { <-slots }), func() { o.ch.Close() }, nil
	case <-ctx.Done():
		go func() {
			if o := <-got; o.err == nil {
				o.ch.Close()
				ssh.DiscardRequests(o.reqs)
			}
			<-slots
		}()
		return nil, nil, nil, fmt.Errorf("open a session to %s: %w", l.to, context.Cause(ctx))
	}
}

// channel asks for a session again while the node is out of them: it frees one only when the command's last process has
// gone, which may be after we heard of its end.
func (l *link) channel(ctx context.Context) (ssh.Channel, <-chan *ssh.Request, error) {
	pause := 20 * time.Millisecond
	for limit := time.Now().Add(openLimit); ; pause = min(2*pause, time.Second) {
		ch, reqs, err := l.client.OpenChannel("session", nil)
		if err == nil {
			return ch, reqs, nil
		}
		refused, ok := errors.AsType[*ssh.OpenChannelError](err)
		if !ok || l.broken() {
			return nil, nil, l.lost(err)
		}
		if ctx.Err() != nil || time.Now().After(limit) {
			return nil, nil, crowbar.Errorf(crowbar.Unavailable, "open a session to %s: %w: does sshd there allow %d at once (MaxSessions)?", l.to, refused, maxSession+1)
		}
		time.Sleep(pause)
	}
}

// passOn passes requests on and calls done after the last.
func passOn(in <-chan *ssh.Request, done func()) <-chan *ssh.Request {
	out := make(chan *ssh.Request, 8)
	go func() {
		defer done()
		defer close(out)
		for r := range in {
			out <- r
		}
	}()
	return out
}
