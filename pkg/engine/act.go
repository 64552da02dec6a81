package engine

import (
	"context"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Acting is what an action of an applied node-role is given: what a run of it would be, while nothing of the state changes. One
// whose node is not alive is Unavailable.
func (e *Engine) Acting(_ context.Context, id crowbar.ID) (*crowbar.Work, error) {
	d := &draft{s: e.View()}
	nr := d.s.NodeRole(id)
	if nr == nil || nr.RunCount == 0 {
		return nil, crowbar.Errorf(crowbar.NotFound, "there is no node-role %s that has been applied", id)
	}
	w, err := e.work(d, id)
	if err != nil {
		return nil, err
	}
	if !w.Node.Alive {
		return nil, crowbar.Errorf(crowbar.Unavailable, "node %s is not alive", w.Node.Short())
	}
	return w, nil
}
