package engine

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/graph"
)

// patience is how often in a row the same node-role is mended. What is changed again after that somebody wants so.
const patience = 3

// relapses is how often in a row each node-role was found changed by hand.
type relapses struct {
	mu sync.Mutex
	of map[crowbar.ID]int
}

// count notes one look, and says how often in a row it was changed by now.
func (t *relapses) count(id crowbar.ID, changed bool) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !changed {
		delete(t.of, id)
		return 0
	}
	if t.of == nil {
		t.of = map[crowbar.ID]int{}
	}
	t.of[id]++
	return t.of[id]
}

// Mend looks for what was changed by hand in a deployment and has just that applied again. What a person holds is not looked
// at: see graph.Mendable. Where nothing was changed the state stays as it is.
func (e *Engine) Mend(ctx context.Context, deployment crowbar.ID, ask Asker) (*crowbar.Mending, error) {
	s := e.View()
	list, held, err := graph.Mendable(s, deployment)
	if err != nil {
		return nil, err
	}
	out := &crowbar.Mending{Deployment: s.Deployment(deployment).Name, Waits: held.Why, Busy: held.Busy, Mends: []string{}, Left: []crowbar.Left{}}
	if held.Why != "" {
		return out, nil
	}
	asked, of := e.toAsk(s, list, out)
	out.Asked = len(asked)
	attempt := map[crowbar.ID]uint64{} // of what was changed
	for i, ans := range ask(ctx, asked) {
		outlook, _, reason := told(ans)
		nr := of[i]
		if outlook == crowbar.CannotAsk {
			out.Left = append(out.Left, crowbar.Left{Place: spot(s, nr), Why: oneLine(reason)})
			continue
		}
		switch n := e.mended.count(nr.ID, outlook == crowbar.WillChange); {
		case n > patience:
			out.Left = append(out.Left, crowbar.Left{Place: spot(s, nr), Why: fmt.Sprintf("it was changed again after each of %d mendings: somebody wants it so; 'kubeclamp drift' says what, 'kubeclamp converge' mends it all the same", patience)})
		case n > 0:
			attempt[nr.ID] = nr.Attempt
		}
	}
	if err := ctx.Err(); err != nil || len(attempt) == 0 {
		return out, err
	}
	err = e.change(ctx, func(d *draft) error {
		out.Mends = []string{}
		list, held, err := graph.Mendable(d.s, deployment) // somebody may hold it by now
		if err != nil {
			return err
		}
		out.Waits, out.Busy = held.Why, held.Busy
		var ids []crowbar.ID
		for _, nr := range list {
			if at, changed := attempt[nr.ID]; changed && at == nr.Attempt {
				ids = append(ids, nr.ID)
				out.Mends = append(out.Mends, spot(d.s, nr))
			}
		}
		return d.add(graph.Refresh(d.s, ids), nil)
	})
	return out, err
}

// toAsk is the dry runs by which node-roles say what was changed by hand, without those that are to be given something else the
// next time: that is no change by hand.
func (e *Engine) toAsk(s *crowbar.Snapshot, list []*crowbar.NodeRole, out *crowbar.Mending) (asked []crowbar.DryRun, of []*crowbar.NodeRole) {
	for _, nr := range list {
		d := &draft{s: s}
		w, err := e.work(d, nr.ID)
		switch {
		case err != nil:
			out.Left = append(out.Left, crowbar.Left{Place: spot(s, nr), Why: oneLine(err.Error())})
		case len(d.changes) == 0:
			asked, of = append(asked, crowbar.DryRun{Work: w, Check: true}), append(of, nr)
		}
	}
	return asked, of
}

// KeepMended mends every deployment each so often, and whenever a node has come, come back, or has another address, until ctx
// ends: one daemon does it for all. While something runs in a deployment it waits for that.
func (e *Engine) KeepMended(ctx context.Context, every time.Duration, ask Asker) error {
	look := time.NewTicker(every)
	defer look.Stop()
	moves := e.Watch(ctx)
	nodes, due := answering(e.View()), map[crowbar.ID]bool{}
	all := func() {
		for dep := range e.View().Deployments() {
			due[dep.ID] = true
		}
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-look.C:
			all()
		case s, open := <-moves:
			if !open {
				return ctx.Err()
			}
			now := answering(s)
			for id, at := range now {
				if had, was := nodes[id]; !was || had != at {
					all()
				}
			}
			nodes = now
		}
		for id := range due {
			if busy := e.mendOne(ctx, id, ask); !busy {
				delete(due, id)
			}
		}
	}
}

// answering is where the nodes are that can be worked on.
func answering(s *crowbar.Snapshot) map[crowbar.ID]string {
	out := map[crowbar.ID]string{}
	for n := range s.Nodes() {
		if n.Alive && n.Available && !n.System {
			out[n.ID] = n.Address + " " + n.SSH.Host
		}
	}
	return out
}

// mendOne mends one deployment, and says whether it has to be looked at again once what runs there has ended.
func (e *Engine) mendOne(ctx context.Context, id crowbar.ID, ask Asker) (busy bool) {
	m, err := e.Mend(ctx, id, ask)
	if err != nil {
		if ctx.Err() == nil && crowbar.KindOf(err) != crowbar.NotFound {
			e.Log.Warn("mend what was changed by hand", "deployment", id, "error", err)
		}
		return false
	}
	if len(m.Mends) > 0 {
		e.Log.Info("mending what was changed by hand", "deployment", m.Deployment, "node-roles", m.Mends)
	}
	for _, l := range m.Left {
		e.Log.Warn("not mended", "deployment", m.Deployment, "node-role", l.Place, "why", l.Why)
	}
	return m.Busy
}
