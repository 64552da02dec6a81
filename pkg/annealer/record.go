package annealer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
)

// recorder is a role's connection: everything that goes over it is written to the run log, and it is fenced before it can
// change anything.
type recorder struct {
	log     *runLog
	fence   *fence
	seen    witness
	version string // of the role's code

	mu     sync.Mutex
	conn   jig.Conn
	redial func(ctx context.Context) (jig.Conn, error) // once, for a kept connection that turns out to be dead; else nil
	looked bool                                        // the first command, which changes nothing, has been
	cut    error                                       // the link broke
	at     string                                      // the step in which the run was told to stop
}

func (r *recorder) link() jig.Conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.conn
}

// look runs the first command of a run. A connection that was kept from an earlier run may have died since: then the look,
// which is repeatable, is done over a new one.
func (r *recorder) look(ctx context.Context, c jig.Cmd) (jig.Exit, error) {
	exit, err := r.link().Exec(ctx, c)
	r.mu.Lock()
	defer r.mu.Unlock()
	redial := r.redial
	r.redial = nil
	if err == nil || redial == nil || ctx.Err() != nil || crowbar.KindOf(err) != crowbar.Unavailable || !rewound(c.Stdin) {
		return exit, err
	}
	r.log.line("the kept connection is dead (%s): connecting anew", err)
	conn, err := redial(ctx)
	if err != nil {
		return exit, err
	}
	r.conn = conn
	return conn.Exec(ctx, c)
}

// rewound sets an input back to its beginning, if it can.
func rewound(r io.Reader) bool {
	if r == nil {
		return true
	}
	s, ok := r.(io.Seeker)
	if !ok {
		return false
	}
	_, err := s.Seek(0, io.SeekStart)
	return err == nil
}

// broken is the error with which the link broke; nil while it holds.
func (r *recorder) broken() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cut
}

// saw looks whether an error means that the link is gone.
func (r *recorder) saw(ctx context.Context, err error) {
	if err == nil || ctx.Err() != nil || crowbar.KindOf(err) != crowbar.Unavailable {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cut == nil {
		r.cut = err
	}
}

// pass makes sure that no newer attempt has been on the node.
func (r *recorder) pass(ctx context.Context) error {
	if r.fence == nil {
		return nil
	}
	err := r.fence.pass(ctx, r.link())
	r.saw(ctx, err)
	return err
}

// Exec runs a command. The first of a run is a look; from the second on, commands are fenced.
func (r *recorder) Exec(ctx context.Context, c jig.Cmd) (jig.Exit, error) {
	r.mu.Lock()
	first := !r.looked
	r.looked = true
	r.mu.Unlock()
	do, told := r.look, func(jig.Exit, error) {}
	if first && r.fence != nil {
		c, told = r.seen.watch(c)
	}
	if !first {
		r.seen.step()
		if err := r.pass(ctx); err != nil {
			return jig.Exit{}, err
		}
		do = r.fence.guard(r.link()).Exec
	}
	if r.fence != nil {
		c.Env = withClock(c.Env)
		c.Env["KUBECLAMP_FENCE"] = r.fence.String()
	}
	began := time.Now()
	// gofail: var beforeExec struct{}
	exit, err := do(ctx, c)
	// gofail: var afterExec struct{}
	told(exit, err)
	r.told(ctx, began, "exec "+strings.Join(c.Argv, " "))
	if err == nil && exit.Code == 75 && r.fence != nil && !first {
		err = r.fence.refused(string(exit.Stderr))
	}
	r.saw(ctx, err)
	r.log.exec(c, exit, err, time.Since(began))
	return exit, err
}

// Put writes a file.
func (r *recorder) Put(ctx context.Context, path string, mode fs.FileMode, from io.Reader) error {
	r.seen.step()
	if err := r.pass(ctx); err != nil {
		return err
	}
	began := time.Now()
	counted := &counter{r: from}
	// gofail: var beforePut struct{}
	err := r.fence.guard(r.link()).Put(ctx, path, mode, counted)
	if err != nil && r.fence != nil && r.fence.refused(err.Error()) != nil {
		err = r.fence.refused(err.Error())
	}
	// gofail: var afterPut struct{}
	r.told(ctx, began, "put "+path)
	if own := counted.failed(); own != nil { // the source broke off, not the link
		err = fmt.Errorf("put %s: %w", path, own)
	} else {
		r.saw(ctx, err)
	}
	r.log.step(began, err, "put %s %04o, %d bytes", path, mode.Perm(), counted.bytes())
	return err
}

// Get reads a file.
func (r *recorder) Get(ctx context.Context, path string) (io.ReadCloser, error) {
	r.seen.step()
	began := time.Now()
	rc, err := r.link().Get(ctx, path)
	r.told(ctx, began, "get "+path)
	r.saw(ctx, err)
	r.log.step(began, err, "get %s", path)
	return rc, err
}

// Dial opens a stream from the node. What it cannot reach is no fault of the link.
func (r *recorder) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	r.seen.step()
	began := time.Now()
	c, err := r.link().Dial(ctx, network, addr)
	r.told(ctx, began, "dial "+network+" "+addr)
	r.log.step(began, err, "dial %s %s", network, addr)
	return c, err
}

// Close does nothing: the connection serves the next run as well.
func (r *recorder) Close() error { return nil }

// counter counts what is read through it, and keeps the error that broke it off.
type counter struct {
	r   io.Reader
	mu  sync.Mutex
	n   int64
	err error
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		c.err = err
	}
	return n, err
}

func (c *counter) bytes() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

func (c *counter) failed() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

func since(t time.Time) time.Duration { return time.Since(t).Round(time.Millisecond) }

// tail is the last part of an output, at most so many bytes and lines.
func tail(out string, bytes, lines int) string {
	out = strings.TrimRight(out, "\n")
	cut := false
	if len(out) > bytes {
		out, cut = out[len(out)-bytes:], true
	}
	if l := strings.Split(out, "\n"); len(l) > lines {
		out, cut = strings.Join(l[len(l)-lines:], "\n"), true
	}
	if cut {
		out = "[...] " + out
	}
	return out
}
