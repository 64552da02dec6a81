package lab

import (
	"context"
	"errors"
)

// Heal undoes every fault of nodes, all of them where none is named, and switches on those that are off.
func (l *Lab) Heal(ctx context.Context, names ...string) error {
	rec, err := l.load()
	if err != nil {
		return err
	}
	if len(names) == 0 {
		for _, n := range rec.Nodes {
			names = append(names, n.Name)
		}
	}
	var all []error
	for _, name := range names {
		all = append(all, l.Fault(ctx, Fault{Kind: FaultHeal, Node: name}))
	}
	return errors.Join(append(all, l.Power(ctx, PowerOn, names...))...)
}
