package engine

import (
	"context"
	"fmt"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/graph"
)

// leap is more attempts than a node-role has between a copy of the state and its return.
const leap = 1 << 20

// Leap is for a state that has come back from a copy: nodes may have seen later runs than it knows, so attempts go on from far
// above, where no node refuses them as old; and what a node was left with is not taken as known. Runs that were under way then
// are lost.
func (e *Engine) Leap(ctx context.Context) error {
	err := e.change(ctx, func(d *draft) error { return d.add(leapt(d.s), nil) })
	if err != nil {
		return fmt.Errorf("make a copy of the state the state: %w", err)
	}
	return nil
}

func leapt(s *crowbar.Snapshot) []crowbar.Change {
	changes := graph.Orphans(s, func(string) bool { return true })
	s = s.Apply(s.Rev(), changes...)
	for nr := range s.NodeRoles() {
		if nr.State == crowbar.Proposed && nr.Attempt == 0 {
			continue // never committed
		}
		c := *nr
		c.Attempt += leap
		c.Given = ""
		changes = append(changes, crowbar.Change{Put: &c})
	}
	return changes
}
