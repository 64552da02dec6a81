package linux

import (
	"context"
	"fmt"
	"slices"

	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// Replaces says that a binary is put in the place of another version of it.
func (t Todo) Replaces(path string) bool { return slices.Contains(t.Replaced, path) }

// Back puts the binaries back that a Todo replaced, and starts the units with them. It can be said again.
func Back(ctx context.Context, on role.Target, t Todo, units ...Unit) error {
	var ops []Op
	for _, p := range t.Replaced {
		ops = append(ops, Op{"back", p, stampFile(StateDir, p), keptFile(p)})
	}
	for _, u := range units {
		ops = append(ops, Op{"restart", u.Name}, Op{"await", u.Name, wait(u.Limit)}, Op{"unmark", u.Name})
	}
	if err := do(ctx, on, ops); err != nil {
		return fmt.Errorf("put the previous version back: %w", err)
	}
	return nil
}
