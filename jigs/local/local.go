// Package local is the jig of the machine that the daemon itself runs on. It does not know of other nodes.
package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
)

// Jig is jig.Jig on this machine.
type Jig struct{}

// New makes the jig.
func New() *Jig { return &Jig{} }

// Dial refuses where the daemon is not root: roles change the machine.
func (*Jig) Dial(ctx context.Context, n *crowbar.Node) (jig.Conn, error) {
	if os.Geteuid() != 0 {
		return nil, crowbar.Errorf(crowbar.Unavailable, "node %s is this machine, and changing it takes root: run the daemon as root, or reach the node with jig ssh", n.Name)
	}
	return conn{}, ctx.Err()
}

type conn struct{}

const maxCapture = 16 << 20

// Exec runs a command in a process group of its own. When the context ends it is killed, and Exec returns when all of it is
// gone.
func (conn) Exec(ctx context.Context, c jig.Cmd) (jig.Exit, error) {
	if len(c.Argv) == 0 || c.Argv[0] == "" {
		return jig.Exit{}, crowbar.Errorf(crowbar.Invalid, "a command without a name")
	}
	if c.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, c.Timeout, fmt.Errorf("no end within %s: %w", c.Timeout, context.DeadlineExceeded))
		defer cancel()
	}
	if err := ctx.Err(); err != nil {
		return jig.Exit{}, context.Cause(ctx)
	}
	cmd := exec.CommandContext(ctx, c.Argv[0], c.Argv[1:]...)
	cmd.Env = environ(c.Env)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var ending sync.WaitGroup
	cmd.Cancel = func() error {
		ending.Go(func() { makeEnd(cmd.Process.Pid) })
		return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
	}
	cmd.WaitDelay = 2 * time.Second
	kill := func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	stdin := &source{Reader: c.Stdin, spoiled: kill}
	if c.Stdin != nil {
		cmd.Stdin = stdin
	}
	out, errOut := &capture{to: c.Stdout, spoiled: kill}, &capture{to: c.Stderr, spoiled: kill}
	cmd.Stdout, cmd.Stderr = out, errOut
	err := cmd.Run()
	ending.Wait()
	if ctx.Err() != nil {
		return jig.Exit{}, fmt.Errorf("%s: %w", c.Argv[0], context.Cause(ctx))
	}
	if stdin.err != nil {
		return jig.Exit{}, fmt.Errorf("input of %s: %w", c.Argv[0], stdin.err)
	}
	if bad := errors.Join(out.err, errOut.err); bad != nil {
		return jig.Exit{}, fmt.Errorf("output of %s: %w", c.Argv[0], bad)
	}
	exit := jig.Exit{Stdout: out.buf.Bytes(), Stderr: errOut.buf.Bytes()}
	return ended(exit, c.Argv[0], err)
}

// makeEnd kills what is still left of a process group two seconds after it was asked to end, and returns when it is gone. A
// process that the kernel cannot end, since it waits for a device, is not waited for.
func makeEnd(group int) {
	gone := func() bool {
		for range 20 {
			time.Sleep(100 * time.Millisecond)
			if syscall.Kill(-group, 0) != nil {
				return true
			}
		}
		return false
	}
	if gone() {
		return
	}
	_ = syscall.Kill(-group, syscall.SIGKILL)
	gone()
}

// ended gives the codes that a shell gives: 127 no such command, 126 not executable, 128+n killed by signal n.
func ended(exit jig.Exit, name string, err error) (jig.Exit, error) {
	var bad *exec.ExitError
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay):
		return exit, nil
	case errors.As(err, &bad):
		exit.Code = bad.ExitCode()
		if s, ok := bad.Sys().(syscall.WaitStatus); ok && s.Signaled() {
			exit.Code = 128 + int(s.Signal())
		}
		return exit, nil
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		exit.Code, exit.Stderr = 127, []byte(name+": not found\n")
		return exit, nil
	case errors.Is(err, fs.ErrPermission):
		exit.Code, exit.Stderr = 126, []byte(name+": not executable\n")
		return exit, nil
	}
	return jig.Exit{}, fmt.Errorf("%s: %w", name, err)
}

func environ(extra map[string]string) []string {
	env := []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "HOME=/root", "USER=root", "LOGNAME=root", "SHELL=/bin/sh"}
	for k, v := range extra {
		env = append(env, k+"="+v)
	}
	return env
}

// source ends the command when its stdin cannot be read: an input cut short must not look like a whole one.
type source struct {
	io.Reader
	err     error
	spoiled func()
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
		s.spoiled()
	}
	return n, err
}

// capture keeps an output, or hands it to the caller's writer; the command ends when that refuses.
type capture struct {
	to      io.Writer
	buf     bytes.Buffer
	err     error
	spoiled func()
}

func (c *capture) Write(p []byte) (int, error) {
	if c.to != nil {
		n, err := c.to.Write(p)
		if err != nil {
			c.err = err
			c.spoiled()
		}
		return n, err
	}
	if room := maxCapture - c.buf.Len(); room > 0 {
		c.buf.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

// Put writes a temporary file in the same folder, syncs it, and renames it.
func (conn) Put(ctx context.Context, path string, mode fs.FileMode, r io.Reader) (err error) {
	if !filepath.IsAbs(path) {
		return crowbar.Errorf(crowbar.Invalid, "put %q: the path must be absolute", path)
	}
	dir := filepath.Dir(path)
	tmp, err := os.CreateTemp(dir, ".kubeclamp-put.*")
	if errors.Is(err, fs.ErrNotExist) {
		return crowbar.Errorf(crowbar.NotFound, "put %s: there is no folder %s: make it first: %w", path, dir, fs.ErrNotExist)
	}
	if err != nil {
		return fmt.Errorf("put %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			tmp.Close()
			os.Remove(tmp.Name())
		}
	}()
	for _, step := range []func() error{
		func() error { _, err := io.Copy(tmp, reader{ctx, r}); return err },
		func() error { return tmp.Chmod(mode) },
		tmp.Sync,
		tmp.Close,
		func() error { return os.Rename(tmp.Name(), path) },
		func() error { return syncDir(dir) },
	} {
		if err := step(); err != nil {
			return fmt.Errorf("put %s: %w%s", path, err, room(dir, err))
		}
	}
	return nil
}

func room(dir string, err error) string {
	var s unix.Statfs_t
	if !errors.Is(err, syscall.ENOSPC) || unix.Statfs(dir, &s) != nil {
		return ""
	}
	return fmt.Sprintf(": the disk is full (%d KiB free at %s): make room and retry", s.Bavail*uint64(s.Bsize)>>10, dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// reader stops when the context ends.
type reader struct {
	ctx context.Context
	io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.Reader.Read(p)
}

// Get opens a file.
func (conn) Get(ctx context.Context, path string) (io.ReadCloser, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, crowbar.Errorf(crowbar.NotFound, "get %s: %w", path, fs.ErrNotExist)
	}
	if err != nil {
		return nil, err
	}
	if i, err := f.Stat(); err == nil && i.IsDir() {
		f.Close()
		return nil, fmt.Errorf("get %s: it is a folder", path)
	}
	return f, ctx.Err()
}

// Dial opens a stream from this machine.
func (conn) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	if err != nil {
		return nil, crowbar.Errorf(crowbar.Unavailable, "dial %s: %w", addr, err)
	}
	return c, nil
}

// Close does nothing: nothing is held.
func (conn) Close() error { return nil }
