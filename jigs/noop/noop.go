// Package noop is the jig of service roles and milestones: commands end well without being run and files go nowhere.
// It does not know any node.
package noop

import (
	"context"
	"io"
	"io/fs"
	"net"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
)

// Jig is jig.Jig without a node behind it.
type Jig struct{}

// New makes the jig.
func New() *Jig { return &Jig{} }

// Dial always succeeds.
func (*Jig) Dial(ctx context.Context, _ *crowbar.Node) (jig.Conn, error) { return conn{}, ctx.Err() }

type conn struct{}

// Exec takes stdin and ends with 0 and no output.
func (conn) Exec(ctx context.Context, c jig.Cmd) (jig.Exit, error) {
	if len(c.Argv) == 0 {
		return jig.Exit{}, crowbar.Errorf(crowbar.Invalid, "a command without a name")
	}
	if c.Stdin != nil {
		if _, err := io.Copy(io.Discard, c.Stdin); err != nil {
			return jig.Exit{}, err
		}
	}
	return jig.Exit{}, ctx.Err()
}

// Put reads r to its end.
func (conn) Put(ctx context.Context, _ string, _ fs.FileMode, r io.Reader) error {
	if _, err := io.Copy(io.Discard, r); err != nil {
		return err
	}
	return ctx.Err()
}

// Get finds no file.
func (conn) Get(_ context.Context, path string) (io.ReadCloser, error) {
	return nil, crowbar.Errorf(crowbar.NotFound, "get %s: %w", path, fs.ErrNotExist)
}

// Dial reaches nothing.
func (conn) Dial(_ context.Context, _, addr string) (net.Conn, error) {
	return nil, crowbar.Errorf(crowbar.Unavailable, "dial %s: a noop node has no network", addr)
}

// Close does nothing.
func (conn) Close() error { return nil }
