package ssh

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Dial opens a TCP (or unix) stream from the node's own network.
func (c *conn) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if err := c.usable(); err != nil {
		return nil, err
	}
	inner, err := c.link.client.DialContext(ctx, network, addr)
	if err == nil {
		return newStream(inner), nil
	}
	var refused *ssh.OpenChannelError
	switch {
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case errors.As(err, &refused) && refused.Reason == ssh.Prohibited:
		return nil, crowbar.Errorf(crowbar.Unavailable, "dial %s from %s: %w: sshd there must have AllowTcpForwarding yes (or local)", addr, c.link.to, err)
	case c.link.broken() || strings.Contains(err.Error(), "EOF"):
		return nil, c.link.lost(err)
	}
	return nil, crowbar.Errorf(crowbar.Unavailable, "dial %s from %s: %w", addr, c.link.to, err)
}

// stream is a forwarded stream with the deadlines that an SSH channel lacks. Reads go through one goroutine that is at
// most one buffer ahead, so that the channel's window still holds the sender back.
type stream struct {
	net.Conn
	chunks chan []byte
	failed error // set before chunks is closed
	gone   chan struct{}
	once   sync.Once

	reading sync.Mutex
	left    []byte
	writing sync.Mutex
	in, out deadline
}

func newStream(c net.Conn) *stream {
	s := &stream{Conn: c, chunks: make(chan []byte), gone: make(chan struct{})}
	go s.pump()
	return s
}

func (s *stream) pump() {
	defer close(s.chunks)
	for bufs, i := [2][]byte{make([]byte, 32<<10), make([]byte, 32<<10)}, 0; ; i ^= 1 {
		n, err := s.Conn.Read(bufs[i])
		if n > 0 {
			select {
			case s.chunks <- bufs[i][:n]:
			case <-s.gone:
				return
			}
		}
		if err != nil {
			s.failed = err
			return
		}
	}
}

// Read gives what has arrived. The pump fills one buffer while the other is being read: it cannot hand over the second
// before the first is used up, because only Read takes from chunks.
func (s *stream) Read(p []byte) (int, error) {
	s.reading.Lock()
	defer s.reading.Unlock()
	if s.in.passed() {
		return 0, os.ErrDeadlineExceeded
	}
	if len(s.left) == 0 {
		late, stop := s.in.wait()
		defer stop()
		select {
		case b, ok := <-s.chunks:
			if !ok {
				return 0, firstOf(s.failed, io.EOF)
			}
			s.left = b
		case <-s.gone:
			return 0, net.ErrClosed
		case <-late:
			return 0, os.ErrDeadlineExceeded
		}
	}
	n := copy(p, s.left)
	s.left = s.left[n:]
	return n, nil
}

// Write sends. After a write that missed its deadline the stream is closed: nobody could say how much was sent.
func (s *stream) Write(p []byte) (int, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	if s.out.passed() {
		return 0, os.ErrDeadlineExceeded
	}
	type result struct {
		n   int
		err error
	}
	done := make(chan result, 1)
	data := append([]byte(nil), p...)
	go func() { n, err := s.Conn.Write(data); done <- result{n, err} }()
	late, stop := s.out.wait()
	defer stop()
	select {
	case r := <-done:
		return r.n, r.err
	case <-late:
		s.Close()
		return 0, os.ErrDeadlineExceeded
	}
}

// CloseWrite ends this side's sending.
func (s *stream) CloseWrite() error {
	if c, ok := s.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return errors.ErrUnsupported
}

func (s *stream) Close() error {
	err := error(net.ErrClosed)
	s.once.Do(func() { close(s.gone); err = s.Conn.Close() })
	return err
}

func (s *stream) SetDeadline(t time.Time) error      { s.in.set(t); s.out.set(t); return nil }
func (s *stream) SetReadDeadline(t time.Time) error  { s.in.set(t); return nil }
func (s *stream) SetWriteDeadline(t time.Time) error { s.out.set(t); return nil }

// deadline is a time that may move while somebody waits for it.
type deadline struct {
	mu     sync.Mutex
	at     time.Time
	waiter map[*waiter]struct{}
}

type waiter struct {
	late  chan struct{}
	timer *time.Timer
	fired bool
}

func (d *deadline) passed() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.at.IsZero() && !time.Now().Before(d.at)
}

func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.at = t
	for w := range d.waiter {
		d.arm(w)
	}
}

// wait gives a channel that is closed at the deadline; stop must be called.
func (d *deadline) wait() (late <-chan struct{}, stop func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	w := &waiter{late: make(chan struct{})}
	if d.waiter == nil {
		d.waiter = map[*waiter]struct{}{}
	}
	d.waiter[w] = struct{}{}
	d.arm(w)
	return w.late, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if w.timer != nil {
			w.timer.Stop()
		}
		delete(d.waiter, w)
	}
}

func (d *deadline) arm(w *waiter) {
	if w.timer != nil {
		w.timer.Stop()
		w.timer = nil
	}
	if d.at.IsZero() || w.fired {
		return
	}
	at := d.at
	w.timer = time.AfterFunc(time.Until(at), func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if !w.fired && d.at.Equal(at) {
			w.fired = true
			close(w.late)
		}
	})
}

func firstOf(a, b error) error {
	if a != nil {
		return a
	}
	return b
}
