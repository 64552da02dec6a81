// Package jig is the contract of how a role's hands reach a node: run a command, write and read a file, open a TCP stream.
// It does not know what is run or why, nor what wire lies between.
package jig

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"net"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Jig opens connections to nodes.
type Jig interface {
	// Dial connects to the node. Errors are of kind Unavailable, and say address, cause and what to do; a changed host key
	// is of kind Conflict.
	Dial(ctx context.Context, n *crowbar.Node) (Conn, error)
}

// Conn is one node, reached. All methods are safe for concurrent use.
type Conn interface {
	// Exec runs a command as root. err: it did not run (or the link broke). Exit.Code: it ran and said so.
	Exec(ctx context.Context, c Cmd) (Exit, error)
	// Put writes a file atomically (temporary file in the same folder, fsync, rename); parents must exist. Owner is root.
	Put(ctx context.Context, path string, mode fs.FileMode, r io.Reader) error
	// Get reads a file; the error satisfies errors.Is(err, fs.ErrNotExist) where there is none.
	Get(ctx context.Context, path string) (io.ReadCloser, error)
	// Dial opens a TCP stream that starts in the node's own network.
	Dial(ctx context.Context, network, addr string) (net.Conn, error)
	Close() error
}

// Guarded is a Conn that can have each of its commands, and its writing of files, started by a command of the caller's:
// argv, followed by what it would have run. So a check and what it guards are one step on the node.
type Guarded interface {
	Under(argv ...string) Conn
}

// Cmd is a command for Exec. Argv is passed as it is: nothing in it is ever read by a shell, unless Argv[0] is one.
type Cmd struct {
	Argv    []string
	Env     map[string]string
	Stdin   io.Reader     // nil = empty
	Stdout  io.Writer     // nil = kept in Exit.Stdout
	Stderr  io.Writer     // nil = kept in Exit.Stderr
	Timeout time.Duration // 0 = the context's
	// Reads says that it changes nothing, whatever it finds: it may be run in a dry run. What does not say so may not.
	Reads bool
	// Secret keeps stdin and both outputs out of the run log.
	Secret bool
}

// Exit is how a command ended. Stdout and Stderr hold at most 16 MiB each.
type Exit struct {
	Code   int
	Stdout []byte
	Stderr []byte
}

// Script is a POSIX shell script given on stdin; args become $1, $2... and so need no quoting.
func Script(text string, args ...string) Cmd {
	return Cmd{Argv: append([]string{"/bin/sh", "-s", "--"}, args...), Stdin: strings.NewReader(text)}
}

// Look is a Script that changes nothing.
func Look(text string, args ...string) Cmd {
	c := Script(text, args...)
	c.Reads = true
	return c
}

// Run is Exec for a command that must end with 0: any other end is an error with its whole stderr.
func Run(ctx context.Context, on Conn, c Cmd) (string, error) {
	exit, err := on.Exec(ctx, c)
	if err != nil {
		return "", err
	}
	if exit.Code != 0 {
		return string(exit.Stdout), &ExitError{Argv: c.Argv, Exit: exit}
	}
	return string(exit.Stdout), nil
}

// ExitError is a command that ran and ended badly.
type ExitError struct {
	Argv []string
	Exit Exit
}

// Error names the command, its code and its whole stderr.
func (e *ExitError) Error() string {
	out := strings.TrimSpace(string(e.Exit.Stderr))
	if out == "" {
		out = strings.TrimSpace(string(e.Exit.Stdout))
	}
	return fmt.Sprintf("%s ended with %d: %s", strings.Join(e.Argv, " "), e.Exit.Code, out)
}
