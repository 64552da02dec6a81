package etcd

import (
	"context"
	"fmt"

	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
)

// depart takes this node's member out of the cluster, unless it is the last.
func (r *run) depart(ctx context.Context) error {
	to, list, err := reach(ctx, r.on, r.c)
	if err != nil {
		return r.lonely(err)
	}
	defer to.Close()
	me, ok := own(list, r.c.peerURL())
	if !ok {
		return nil
	}
	if err := allHealthy(ctx, r.on, r.c, list, me.ID); err != nil {
		return err
	}
	return leave(ctx, r.on, r.c, to, me, r.heirs(list))
}

// lonely says whether the node may go although no other member answers: it may, if there is none, or if it never was one.
func (r *run) lonely(why error) error {
	_, settled := others(r.on, r.c)
	switch {
	case !r.local.Data:
		return nil
	case len(r.local.Members) == 1 && r.local.Members[0].ID == r.local.ID:
		return nil
	case len(settled) == 0 && len(r.local.Members) == 0:
		return nil
	}
	return fmt.Errorf("remove etcd from %s: %w: bring a majority of the members back first, so that it can be taken out of the cluster", r.on.Node, why)
}

// clean stops the member and deletes its data and files.
func (r *run) clean(ctx context.Context) error {
	want := state(r.c, true)
	if err := linux.Remove(ctx, r.on, want); err != nil {
		return err
	}
	const text = `rm -rf -- "$2"; rm -rf -- "$1" 2>/dev/null || find "$1" -xdev -mindepth 1 -delete` // a mount point stays
	if _, err := jig.Run(ctx, r.on.Conn, jig.Script(text, r.c.DataDir, etcDir)); err != nil {
		return fmt.Errorf("delete etcd's data on %s: %w", r.on.Node, err)
	}
	return nil
}
