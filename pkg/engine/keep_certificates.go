package engine

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/graph"
)

// KeepCertificates renews what is due and moves rotations on, until ctx ends: one daemon does it for all. It looks every so
// often, and while it has something under way also whenever nothing runs any more.
func (e *Engine) KeepCertificates(ctx context.Context, every time.Duration) error {
	look := time.NewTicker(every)
	defer look.Stop()
	moves := e.Watch(ctx)
	for {
		busy, err := e.keepCertificates(ctx)
		if err != nil && ctx.Err() == nil {
			e.Log.Warn("certificates", "error", err)
		}
		for quiet := false; !quiet; {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-look.C:
				quiet = true
			case s, open := <-moves:
				if !open {
					return ctx.Err()
				}
				quiet = busy && atRest(s)
			}
		}
	}
}

// atRest says that nothing runs or is about to.
func atRest(s *crowbar.Snapshot) bool {
	for nr := range s.NodeRoles() {
		if runs(nr) {
			return false
		}
	}
	return true
}

func runs(nr *crowbar.NodeRole) bool {
	return nr.State == crowbar.Todo || nr.State == crowbar.Transition
}

// keepCertificates looks once, and says whether something is under way.
func (e *Engine) keepCertificates(ctx context.Context) (busy bool, err error) {
	rotates, err := e.turnAll(ctx)
	renews, bad := e.renewDue(ctx)
	begins, worse := e.rotateDue(ctx)
	return rotates || renews || begins, errors.Join(err, bad, worse)
}

// renewDue has those applied that have leaves that are due: a few nodes at a time, and those whose leaves end first.
func (e *Engine) renewDue(ctx context.Context) (busy bool, err error) {
	if !slices.ContainsFunc(slices.Collect(e.View().Secrets()), func(sec *crowbar.Secret) bool { return isLeaf(sec) && e.PKI.Due(sec) }) {
		return false, nil
	}
	err = e.change(ctx, func(d *draft) error {
		u, err := usersOf(d.s)
		if err != nil {
			return err
		}
		due := e.wished(d.s, crowbar.RenewWish{})
		slices.SortStableFunc(due, func(a, b *crowbar.Secret) int { return a.NotAfter.Compare(b.NotAfter) })
		at := map[crowbar.ID]bool{} // nodes that are at it
		for _, sec := range due {
			for _, id := range u.of[sec.ID] {
				if nr := d.s.NodeRole(id); runs(nr) {
					at[nr.Node] = true
				}
			}
		}
		var list []crowbar.ID
		for _, sec := range due {
			for _, id := range u.of[sec.ID] {
				nr := d.s.NodeRole(id)
				if nr.State != crowbar.Active || !graph.MayBegin(d.s, nr) || !at[nr.Node] && len(at) > d.s.Count(crowbar.KindNode)/50 {
					continue
				}
				at[nr.Node] = true
				list = append(list, id)
			}
		}
		busy = len(at) > 0
		return d.add(graph.Refresh(d.s, list), nil)
	})
	return busy, err
}

// rotateDue begins to rotate the authorities of which two thirds of their life are over: all at once if that can be, so that
// they go through their phases together, and nothing restarts twice. Where something that uses one is not active, it begins
// later; leaves that the authority signs end with it, so that people hear of it long before.
func (e *Engine) rotateDue(ctx context.Context) (busy bool, err error) {
	var names []string
	for sec := range e.View().Secrets() {
		if isAuthority(sec) && sec.Rotation == nil && e.PKI.Due(sec) {
			names = append(names, sec.Name)
		}
	}
	if len(names) == 0 {
		return false, nil
	}
	steps, bad := e.Rotate(ctx, crowbar.RotateWish{Names: names})
	if bad == nil || len(names) == 1 {
		return len(steps) > 0, unless(bad)
	}
	for _, name := range names {
		steps, bad := e.Rotate(ctx, crowbar.RotateWish{Names: []string{name}})
		busy, err = busy || len(steps) > 0, errors.Join(err, unless(bad))
	}
	return busy, err
}

// unless is an error but for those that say to try again later: what uses an authority runs or is out of order, or nothing does.
func unless(err error) error {
	switch crowbar.KindOf(err) {
	case crowbar.Conflict, crowbar.NotFound:
		return nil
	}
	return err
}

func isAuthority(sec *crowbar.Secret) bool {
	return strings.HasPrefix(sec.Name, crowbar.AuthoritySecret(""))
}

func isLeaf(sec *crowbar.Secret) bool { return strings.HasPrefix(sec.Name, "leaf/") }
