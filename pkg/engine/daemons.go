package engine

import (
	"context"
	"fmt"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Shared gives a value that all daemons on the state have in common, sealed in it: the one that is there, or else mine.
func (e *Engine) Shared(ctx context.Context, name, mine string) (value string, err error) {
	err = e.change(ctx, func(d *draft) error {
		v, changes, err := e.PKI.Shared(d.s, name, mine)
		value = v
		return d.add(changes, err)
	})
	if err != nil {
		return "", fmt.Errorf("what all daemons have in common, %q: %w", name, err)
	}
	return value, nil
}

// ShareAnew puts another value in the place of one that Shared gives.
func (e *Engine) ShareAnew(ctx context.Context, name, value string) error {
	err := e.change(ctx, func(d *draft) error {
		if was := d.s.SecretNamed(0, name); was != nil {
			d.drop(was)
		}
		_, changes, err := e.PKI.Shared(d.s, name, value)
		return d.add(changes, err)
	})
	if err != nil {
		return fmt.Errorf("what all daemons have in common, %q: %w", name, err)
	}
	return nil
}

// Owners is the owners of runs under way.
func (e *Engine) Owners() map[string]bool {
	out := map[string]bool{}
	for nr := range e.View().NodeRoles() {
		if nr.State == crowbar.Transition {
			out[nr.Owner] = true
		}
	}
	return out
}
