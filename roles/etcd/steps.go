package etcd

import (
	"context"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
	"github.com/kubeclamp/kubeclamp/roles/etcd/etcdclient"
)

const (
	promoteLimit = 5 * time.Minute
	serveLimit   = time.Minute
)

// run is one Apply or Remove under way.
type run struct {
	on      role.Target
	c       config
	facts   linux.Facts
	local   local
	seat    seat
	me      uint64 // this node's member; 0 = not known yet
	changes []role.Change
	done    bool
}

// read asks the node, in one Exec, and ends the run if there is nothing to do.
func (r *run) read(ctx context.Context) error {
	facts, err := linux.Read(ctx, r.on, state(r.c, true), probe(r.c))
	if err != nil {
		return err
	}
	r.facts = facts
	if r.local, err = readLocal(facts.Probe["etcd"]); err != nil {
		return fmt.Errorf("etcd on %s: %w", r.on.Node, err)
	}
	return nil
}

// sit finds out how the node gets its place. A member that serves keeps it; the others are asked only if it does not, or
// if it is going to be restarted.
func (r *run) sit(ctx context.Context) error {
	plan, err := linux.Plan(state(r.c, true), r.facts)
	if err != nil {
		return err
	}
	if r.local.serves(r.c.peerURL()) {
		r.me = r.local.ID
		r.done = plan.Empty() && !strangers(r.on, r.c, r.local.Members)
		if r.done {
			return nil
		}
		if restarts(plan.Changes) && !r.on.DryRun {
			if err := allHealthy(ctx, r.on, r.c, r.local.Members, r.me); err != nil {
				return err
			}
		}
	} else if err := r.choose(ctx); err != nil {
		return err
	}
	if r.on.DryRun {
		r.done = true
		return r.foresee(ctx)
	}
	return nil
}

func restarts(changes []role.Change) bool {
	for _, c := range changes {
		if c.What == "unit" && c.Name == unit && c.Do == "restart" {
			return true
		}
	}
	return false
}

func (r *run) choose(ctx context.Context) error {
	_, settled := others(r.on, r.c)
	v := view{First: r.on.First, Again: r.on.Again, Settled: settled, Local: r.local, PeerURL: r.c.peerURL(), Node: r.on.Node, Data: r.c.DataDir}
	to, list, err := reach(ctx, r.on, r.c)
	if err == nil {
		to.Close()
		v.Reached, v.Members = true, list
	}
	v.Unreached = err
	r.seat, err = choose(v)
	if err != nil && r.on.DryRun && !r.on.Again {
		r.seat, err = seat{Join: true}, nil // the others will be there by then
	}
	if m, ok := own(v.Members, r.c.peerURL()); ok && r.seat.stays() {
		r.me = m.ID
	}
	return err
}

// prepare puts everything on a node that has no place yet, and starts nothing.
func (r *run) prepare(ctx context.Context) error {
	if r.seat.stays() {
		return nil
	}
	return r.make(ctx, state(r.c, false))
}

func (r *run) make(ctx context.Context, want linux.State) error {
	plan, err := linux.Compare(ctx, r.on, want, r.facts)
	if err != nil || plan.Empty() {
		return err
	}
	if plan.Replaces(server) {
		return r.upgrade(ctx, plan)
	}
	if err := r.aside(ctx, restarts(plan.Changes), func() error { return linux.Make(ctx, r.on, plan) }); err != nil {
		return err
	}
	r.changes = append(r.changes, plan.Changes...)
	return nil
}

// enter takes the place: it founds the cluster or joins it, and leaves the bootstrap file for the first start.
func (r *run) enter(ctx context.Context) error {
	if r.seat.stays() {
		return nil
	}
	if err := r.halt(ctx); err != nil {
		return err
	}
	r.seated()
	if r.seat.Found && r.c.Restore != "" {
		return r.restore(ctx)
	}
	if r.seat.Found {
		first := []member{{Name: r.c.Name, PeerURLs: []string{r.c.peerURL()}}}
		return r.put(ctx, firstFile, r.c.bootstrap("new", first))
	}
	return r.join(ctx)
}

// halt stops an etcd that has no place, forgets its first start, and moves the data of a stranger out of the way.
func (r *run) halt(ctx context.Context) error {
	const text = `
systemctl stop "$1" 2>/dev/null || ! systemctl is-active --quiet "$1" || exit 1
rm -f -- "$2" "$3"
[ -z "$5" ] || [ ! -e "$4/member" ] || mv -- "$4/member" "$4/member.aside-$(date +%Y%m%dT%H%M%S)"
[ -n "$5" ] || rm -rf -- "$4/member"
`
	aside := ""
	if r.seat.Aside {
		aside = "yes"
	}
	if _, err := jig.Run(ctx, r.on.Conn, jig.Script(text, unit, firstFile, idFile, r.c.DataDir, aside)); err != nil {
		return fmt.Errorf("stop etcd on %s before it joins: %w", r.on.Node, err)
	}
	return nil
}

func (r *run) join(ctx context.Context) error {
	to, list, err := reach(ctx, r.on, r.c)
	if err != nil {
		return err
	}
	defer to.Close()
	list, buried, err := bury(ctx, r.on, r.c, to, list)
	r.changes = append(r.changes, buried...)
	if err != nil {
		return err
	}
	if err := allHealthy(ctx, r.on, r.c, list, r.seat.Remove); err != nil {
		return err
	}
	if r.seat.Remove != 0 {
		if err := expel(ctx, to, r.seat.Remove); err != nil {
			return fmt.Errorf("remove the member of %s whose data is gone: %w", r.on.Node, err)
		}
		list = without(list, r.seat.Remove)
	}
	me, list, err := join(ctx, r.on, r.c, to, list)
	if err != nil {
		return err
	}
	r.me, r.local.Stamp = me.ID, me.ID
	if err := r.put(ctx, idFile, me.hex()+"\n"); err != nil {
		return err
	}
	return r.put(ctx, firstFile, r.c.bootstrap("existing", list))
}

func without(list []member, id uint64) []member {
	var out []member
	for _, m := range list {
		if m.ID != id {
			out = append(out, m)
		}
	}
	return out
}

func (r *run) put(ctx context.Context, path, content string) error {
	if err := r.on.Conn.Put(ctx, path, fs.FileMode(0o600), strings.NewReader(content)); err != nil {
		return fmt.Errorf("write %s on %s: %w", path, r.on.Node, err)
	}
	return nil
}

// converge brings the lasting files and starts, or restarts, the unit.
func (r *run) converge(ctx context.Context) error {
	if !r.seat.stays() {
		facts, err := linux.Read(ctx, r.on, state(r.c, true), probe(r.c))
		if err != nil {
			return err
		}
		r.facts = facts
	}
	return r.make(ctx, state(r.c, true))
}

// promote waits until the learner has caught up, and makes it a voter.
func (r *run) promote(ctx context.Context) error {
	if r.seat.Found || r.me == 0 || r.local.serves(r.c.peerURL()) {
		return nil
	}
	what := fmt.Sprintf("etcd on %s to catch up and become a voter", r.on.Node)
	err := role.Await(ctx, what, promoteLimit, func(ctx context.Context) (bool, error) {
		return promoted(ctx, r.on, r.c, r.me)
	})
	return linux.Explain(ctx, r.on.Conn, err, unit)
}

// serve waits until the member answers by itself with a quorum behind it.
func (r *run) serve(ctx context.Context) error {
	to, err := etcdclient.Open(r.on.Conn, r.c.Admin, r.c.clientURL())
	if err != nil {
		return err
	}
	defer to.Close()
	what := "etcd on " + r.on.Node + " to answer with a quorum"
	err = role.Await(ctx, what, serveLimit, func(ctx context.Context) (bool, error) {
		err := etcdclient.Healthy(ctx, to)
		return err == nil, err
	})
	if err != nil {
		return linux.Explain(ctx, r.on.Conn, err, unit)
	}
	st, err := to.Status(ctx, r.c.clientURL())
	if err != nil {
		return fmt.Errorf("status of etcd on %s: %w", r.on.Node, err)
	}
	if len(st.Errors) > 0 {
		return crowbar.Errorf(crowbar.Unavailable, "etcd on %s raises an alarm: %s: see `etcdctl alarm list` and etcd's maintenance guide", r.on.Node, strings.Join(st.Errors, "; "))
	}
	if r.me != 0 && r.me != st.Header.MemberId {
		return crowbar.Errorf(crowbar.Conflict, "etcd on %s runs as member %x, and the cluster knows it as %x: somebody removed or added it meanwhile; retry this role", r.on.Node, st.Header.MemberId, r.me)
	}
	r.local.ID, r.local.Version = st.Header.MemberId, st.Version
	if !strangers(r.on, r.c, r.local.Members) {
		return nil
	}
	_, buried, err := bury(ctx, r.on, r.c, to, r.local.Members)
	r.changes = append(r.changes, buried...)
	return err
}

// settle ends the first start: without the bootstrap file a member that loses its data stays down.
func (r *run) settle(ctx context.Context) error {
	if r.local.Stamp != r.local.ID {
		r.stamped()
		if err := r.put(ctx, idFile, strconv.FormatUint(r.local.ID, 16)+"\n"); err != nil {
			return err
		}
	}
	if !r.local.Bootstrap && r.seat.stays() {
		return nil
	}
	if _, err := jig.Run(ctx, r.on.Conn, jig.Cmd{Argv: []string{"rm", "-f", "--", firstFile}}); err != nil {
		return fmt.Errorf("end the first start of etcd on %s: %w", r.on.Node, err)
	}
	return nil
}

func (r *run) wall() crowbar.Data {
	return crowbar.Data{"etcd-endpoint": r.c.clientURL(), "etcd-member-id": strconv.FormatUint(r.local.ID, 16), "etcd-server-version": r.local.Version}
}
