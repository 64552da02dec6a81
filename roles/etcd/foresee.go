package etcd

import (
	"context"
	"fmt"
	"slices"

	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
)

// foresee says what the run would do, in its order: the files, the membership, the unit.
func (r *run) foresee(ctx context.Context) error {
	all, err := linux.Compare(ctx, r.on, state(r.c, true), r.facts)
	if err != nil {
		return err
	}
	var files []role.Change
	if !r.seat.stays() {
		plan, err := linux.Compare(ctx, r.on, state(r.c, false), r.facts)
		if err != nil {
			return err
		}
		files = plan.Changes
	}
	r.changes = append(r.changes, files...)
	r.seated()
	defer r.stamped()
	for _, c := range all.Changes {
		if !slices.Contains(files, c) {
			r.changes = append(r.changes, c)
		}
	}
	return nil
}

// stamped notes that the node's own record of its member was changed by hand.
func (r *run) stamped() {
	if r.seat.stays() && r.local.Running && r.local.Stamp != r.local.ID {
		r.changed("file", idFile, "change", "content")
	}
}

// seated notes what the seat changes.
func (r *run) seated() {
	if r.seat.Aside {
		r.changed("data", r.c.DataDir+"/member", "move", "it belongs to no member of this cluster")
	}
	if r.seat.Remove != 0 {
		r.changed("member", r.on.Node, "remove", fmt.Sprintf("%x: its data is gone", r.seat.Remove))
	}
	if r.seat.Found {
		diff := r.c.peerURL()
		if r.c.Restore != "" {
			diff += ", with backup " + r.c.Restore
		}
		r.changed("member", r.on.Node, "found", diff)
	}
	if r.seat.Join {
		r.changed("member", r.on.Node, "join", r.c.peerURL())
	}
}

func (r *run) changed(what, name, do, diff string) {
	r.changes = append(r.changes, role.Change{What: what, Name: name, Do: do, Diff: diff})
}
