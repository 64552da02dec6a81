package engine

import (
	"context"
	"fmt"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// trimBatch is how many records one commit drops.
const trimBatch = 1000

// Trim drops the records of runs that are older than KeepFor, but for the last one of each node-role.
func (e *Engine) Trim(ctx context.Context) error {
	for more := e.KeepFor > 0; more; {
		err := e.change(ctx, func(d *draft) error {
			more = false
			n, before := 0, e.Now().Add(-e.KeepFor)
			var old []*crowbar.Run
			for r := range d.s.Runs() {
				nr := d.s.NodeRole(r.NodeRole)
				if r.Finished.IsZero() || r.Finished.After(before) || nr != nil && nr.Run == r.ID {
					continue
				}
				if n++; n > trimBatch {
					more = true
					break
				}
				old = append(old, r)
			}
			for _, r := range old {
				d.drop(r)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("trim the history of runs: %w", err)
		}
	}
	return nil
}
