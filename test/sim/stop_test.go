package sim

import (
	"slices"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// heeded is how long a daemon may take to end a run that was cancelled.
const heeded = 15 * time.Second

// cancel has a run stopped, or a retry that is due forgotten.
func (d *drive) cancel() {
	busy := slices.DeleteFunc(slices.Collect(d.mem.View().NodeRoles()), func(nr *crowbar.NodeRole) bool {
		_, again := nr.RetryAt()
		return nr.State != crowbar.Transition && !again && d.rng.IntN(8) > 0
	})
	nr, ok := pick(d, busy)
	if !ok {
		return
	}
	yes, _ := d.ask("cancel "+label(d.mem.View(), nr), func(e *daemon) error { return e.Cancel(e.ctx, nr.ID, "somebody") })
	if yes {
		d.stopped(nr.ID)
	}
}

// cancelAll has everything stopped that runs in a deployment, which is paused then.
func (d *drive) cancelAll() {
	dep := d.deployment()
	yes, _ := d.ask("cancel all of "+dep.Name, func(e *daemon) error { return e.CancelAll(e.ctx, dep.ID, "somebody") })
	if !yes {
		return
	}
	if !d.mem.View().Deployment(dep.ID).Paused {
		d.wrong("all of %s was cancelled, and it goes on", dep.Name)
	}
	for nr := range d.mem.View().NodeRoles() {
		if nr.Deployment == dep.ID {
			d.stopped(nr.ID)
		}
	}
}

// stopped looks at a node-role that was cancelled just now, and whether its run comes to an end.
func (d *drive) stopped(id crowbar.ID) {
	s := d.mem.View()
	nr := s.NodeRole(id)
	if nr == nil {
		return
	}
	if _, again := nr.RetryAt(); again || nr.State == crowbar.Transition && nr.Cancel == "" {
		d.wrong("%s was cancelled, and goes on", label(s, nr))
	}
	owner := d.registered(nr.Owner)
	if nr.State != crowbar.Transition || owner == nil {
		return
	}
	naps := owner.naps.Load()
	time.AfterFunc(heeded, func() {
		now := d.mem.View().NodeRole(id)
		if now != nil && now.State == crowbar.Transition && now.Attempt == nr.Attempt && owner.holds() && owner.up.Load() && owner.naps.Load() == naps {
			d.wrong("attempt %d of %s was cancelled %s ago, and %s still runs it", now.Attempt, label(d.mem.View(), now), heeded, owner.name)
		}
	})
}

// registered is the daemon of a name, if it may write.
func (w *world) registered(name string) *daemon {
	w.commits.Lock()
	defer w.commits.Unlock()
	for d := range w.roll {
		if d.name == name {
			return d
		}
	}
	return nil
}

// redeploy has a deployment, or a node, applied as if nothing had ever run.
func (d *drive) redeploy() {
	if n, ok := pick(d, d.servers()); ok && d.rng.IntN(2) == 0 {
		d.ask("redeploy "+n.Name, func(e *daemon) error { return e.RedeployNode(e.ctx, n.ID) })
		return
	}
	dep := d.deployment()
	d.ask("redeploy "+dep.Name, func(e *daemon) error { return e.Redeploy(e.ctx, dep.ID) })
}
