// Command testrole is every role of the conformance tests that needs code: it serves the one that its first argument
// names, shipped roles among them. It does not know any node, and touches none.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/plugin"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// coded are the roles of jig noop that are more than milestones.
var coded = []string{"test-fails", "test-flaky", "test-slow", "test-destructive"}

type test string

// Describe names it.
func (t test) Describe() role.Info { return role.Info{Name: string(t), Version: "1"} }

// Apply does what the role's name says; most do nothing.
func (t test) Apply(ctx context.Context, on role.Target) (role.Result, error) {
	said := func(attrib string) string { return fmt.Sprint(on.Attribs[attrib]) }
	switch t {
	case "test-fails":
		return role.Result{}, errors.New("test-fails role always fails")
	case "test-flaky":
		if said("test-flaky-fails") == "true" {
			return role.Result{}, errors.New("test-flaky role fails as it was told")
		}
	case "test-slow":
		return role.Result{}, gate(ctx, filepath.Join(said("test-slow-gate"), on.Node))
	case "test-destructive":
		return role.Result{}, mark(said("test-destructive-file"))
	}
	return role.Result{}, nil
}

// Remove leaves nothing behind.
func (test) Remove(context.Context, role.Target) error { return nil }

// gate waits until there is a file.
func gate(ctx context.Context, file string) error {
	for {
		if _, err := os.Stat(file); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// mark adds a line to a file: the role was called.
func mark(file string) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, "applied")
	return errors.Join(err, f.Close())
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "testrole: want the name of a role, or --names")
		os.Exit(plugin.NoSuchRole)
	}
	if os.Args[1] == "--names" {
		fmt.Println(strings.Join(coded, "\n"))
		return
	}
	plugin.Serve(test(os.Args[1]))
}
