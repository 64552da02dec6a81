package jig

import (
	"context"
	"io"
	"io/fs"
	"strings"
)

// Onlook gives a connection of a dry run: over it a node is looked at and not changed. A command that does not say that it
// reads, and any writing of a file, goes to refuse and not to the node; what is in words of what was tried ("writes /etc/x"),
// and its error is the answer. A stream that Dial opens is not looked into.
func Onlook(on Conn, refuse func(what string) error) Conn { return onlooker{on, refuse} }

type onlooker struct {
	Conn
	refuse func(what string) error
}

// Exec runs what reads.
func (o onlooker) Exec(ctx context.Context, c Cmd) (Exit, error) {
	if !c.Reads {
		return Exit{}, o.refuse("runs " + brief(c.Argv) + ", which does not say that it only reads (jig.Cmd.Reads)")
	}
	return o.Conn.Exec(ctx, c)
}

// Put is refused.
func (o onlooker) Put(_ context.Context, path string, _ fs.FileMode, _ io.Reader) error {
	return o.refuse("writes " + path)
}

// Close does nothing: the connection is not the dry run's to close.
func (o onlooker) Close() error { return nil }

// brief is as much of a command as tells it from others.
func brief(argv []string) string {
	const most = 100
	words := strings.Join(strings.Fields(strings.Join(argv, " ")), " ")
	if r := []rune(words); len(r) > most {
		words = string(r[:most]) + "..."
	}
	return "`" + words + "`"
}
