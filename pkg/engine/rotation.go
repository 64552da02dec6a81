package engine

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/graph"
)

// The phases of a rotation move for all authorities and keys of a state together: one run of a node-role serves them all, and
// nothing restarts twice.

// does is what is done in each phase, in words.
var does = map[string]string{
	crowbar.PhaseTrust:   "the new one is trusted beside the old one",
	crowbar.PhaseReissue: "the new one signs; the old one is still trusted",
	crowbar.PhaseDrop:    "the old one is trusted by nobody any more",
}

var phases = []string{crowbar.PhaseTrust, crowbar.PhaseReissue, crowbar.PhaseDrop}

// Rotate begins to replace authorities and keys; with Plan it only says how. What is being replaced already goes on, with the
// new hold if there is one. A node-role that uses one and is not active is a Conflict: no phase could be known to be over.
func (e *Engine) Rotate(ctx context.Context, w crowbar.RotateWish) (steps []crowbar.RotationStep, err error) {
	err = e.change(ctx, func(d *draft) error {
		u, err := usersOf(d.s)
		if err != nil {
			return err
		}
		list, err := rotated(d.s, u, w.Names)
		if err != nil {
			return err
		}
		if !w.Plan {
			if err := e.rotate(d, u, list, w.Hold); err != nil {
				return err
			}
		}
		steps = stepsOf(d.s, u, list)
		return nil
	})
	return steps, err
}

func (e *Engine) rotate(d *draft, u users, list []*crowbar.Secret, hold *crowbar.Duration) error {
	var runs []crowbar.ID
	for _, sec := range list {
		switch {
		case sec.Rotation != nil && hold == nil:
		case sec.Rotation != nil:
			c, r := *sec, *sec.Rotation
			r.Hold, c.Rotation = *hold, &r
			d.put(&c)
		default:
			if left := waits(d.s, u.of[sec.ID]); len(left) > 0 {
				return crowbar.Errorf(crowbar.Conflict, "rotate %s: it begins when all that use it are active: %s", sec.Name, strings.Join(left, "; "))
			}
			if !mayBegin(d.s, u.of[sec.ID]) {
				return crowbar.Errorf(crowbar.Conflict, "rotate %s: nothing that uses it may run now: commit or resume the deployment, or let its plan end", sec.Name)
			}
			if err := d.add(e.PKI.Turn(d.s, sec, u.kinds[sec.ID], hold)); err != nil {
				return err
			}
			runs = append(runs, u.of[sec.ID]...)
		}
	}
	return d.add(graph.Refresh(d.s, runs), nil)
}

// rotated finds authorities and keys by name; without names it is all that can be rotated and are in use.
func rotated(s *crowbar.Snapshot, u users, names []string) ([]*crowbar.Secret, error) {
	var out []*crowbar.Secret
	for sec := range s.Secrets() {
		what, name, _ := strings.Cut(sec.Name, "/")
		can := what == "authority" || strings.HasPrefix(u.kinds[sec.ID], "ring-")
		if len(u.of[sec.ID]) > 0 && (what == "authority" || what == "generate") && (len(names) == 0 && can || slices.Contains(names, name) || slices.Contains(names, sec.Name)) {
			out = append(out, sec)
		}
	}
	slices.SortFunc(out, func(a, b *crowbar.Secret) int { return strings.Compare(a.Name, b.Name) })
	for _, n := range names {
		if !slices.ContainsFunc(out, func(sec *crowbar.Secret) bool { return sec.Name == n || strings.HasSuffix(sec.Name, "/"+n) }) {
			return nil, crowbar.Errorf(crowbar.NotFound, "rotate: there is no authority or key %q in use: 'kubeclamp certs list' names them", n)
		}
	}
	return out, nil
}

func stepsOf(s *crowbar.Snapshot, u users, list []*crowbar.Secret) []crowbar.RotationStep {
	out := []crowbar.RotationStep{}
	for _, sec := range list {
		now := -1
		if sec.Rotation != nil {
			now = slices.Index(phases, sec.Rotation.Phase)
		}
		for i, phase := range phases {
			step := crowbar.RotationStep{Name: sec.Name, Phase: phase, Does: does[phase], State: "to come", NodeRoles: []string{}}
			switch {
			case i < now:
				step.State = "done"
			case i == now:
				step.State = "now"
			}
			for _, id := range u.of[sec.ID] {
				step.NodeRoles = append(step.NodeRoles, spelled(s, s.NodeRole(id)))
			}
			out = append(out, step)
		}
	}
	return out
}

// turnAll moves every rotation one phase on, if all that use what is rotated have been applied in the present one and the old
// ones have stayed as long as was wished. It says whether any is under way.
func (e *Engine) turnAll(ctx context.Context) (busy bool, err error) {
	err = e.change(ctx, func(d *draft) error {
		var list []*crowbar.Secret
		for sec := range d.s.Secrets() {
			if sec.Rotation != nil {
				list = append(list, sec)
			}
		}
		if busy = len(list) > 0; !busy {
			return nil
		}
		u, err := usersOf(d.s)
		if err != nil {
			return err
		}
		for _, sec := range list {
			if len(graph.Unsettled(d.s, u.of[sec.ID])) > 0 || len(u.of[sec.ID]) > 0 && !mayBegin(d.s, u.of[sec.ID]) {
				return nil
			}
		}
		if e.reissued(d, list) {
			return nil
		}
		var runs []crowbar.ID
		for _, sec := range list {
			if err := d.add(e.PKI.Turn(d.s, sec, u.kinds[sec.ID], nil)); err != nil {
				return err
			}
			if d.s.SecretNamed(sec.Deployment, sec.Name).Rotation != nil { // with its last turn nothing changes for anybody
				runs = append(runs, u.of[sec.ID]...)
			}
		}
		return d.add(graph.Refresh(d.s, runs), nil)
	})
	return busy, err
}

// reissued notes when all has been reissued, and says whether something is still held.
func (e *Engine) reissued(d *draft, list []*crowbar.Secret) (held bool) {
	now := e.Now().UTC()
	for _, sec := range list {
		r := *sec.Rotation
		if r.Phase != crowbar.PhaseReissue {
			continue
		}
		if r.Settled.IsZero() {
			c := *sec
			r.Settled, c.Rotation = now, &r
			d.put(&c)
		}
		held = held || now.Before(r.Settled.Add(time.Duration(r.Hold)))
	}
	return held
}
