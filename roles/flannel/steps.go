package flannel

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
	"github.com/kubeclamp/kubeclamp/roles/etcd/etcdclient"
)

// run is one Apply or Remove under way.
type run struct {
	on      role.Target
	c       config
	facts   linux.Facts
	lease   lease
	dev     string // interface that carries the overlay
	address string
	todo    linux.Todo
	changes []role.Change
	done    bool
}

// read asks the node, in one Exec. The unit's text depends on the answer, not which files there are.
func (r *run) read(ctx context.Context) error {
	facts, err := linux.Read(ctx, r.on, state(r.c, r.on.Address), probe())
	if err != nil {
		return err
	}
	r.facts, r.lease = facts, readLease(facts.Probe["flannel"])
	return nil
}

// preflight finds the interface, and refuses what the kernel cannot do.
func (r *run) preflight(context.Context) (err error) {
	if r.c.Backend == "wireguard" && !r.lease.Wireguard {
		return crowbar.Errorf(crowbar.Invalid, "flannel-backend wireguard: the kernel of node %s (%s) has no wireguard: install a kernel that has it, or choose vxlan", r.on.Node, r.facts.Kernel)
	}
	r.dev, r.address, err = r.c.underlay(r.lease.Addresses)
	return err
}

// plan ends the run if there is nothing to do.
func (r *run) plan(ctx context.Context) (err error) {
	if r.todo, err = linux.Compare(ctx, r.on, state(r.c, r.address), r.facts); err != nil {
		return err
	}
	r.done = r.todo.Empty() && r.lease.holds(r.c)
	return nil
}

// agree writes the network config into etcd if there is none, and does not touch another one.
func (r *run) agree(ctx context.Context) error {
	to, err := etcdclient.First(ctx, r.on.Conn, r.c.Leaf, r.c.Endpoints...)
	if err != nil && r.on.DryRun && !r.on.Again { // etcd will be there by then
		return nil
	}
	if err != nil {
		return fmt.Errorf("flannel on %s: its network config is in etcd, and %w: see `kubeclamp why` of the etcd node-roles", r.on.Node, err)
	}
	defer to.Close()
	ctx, cancel := context.WithTimeout(ctx, etcdclient.Answer)
	defer cancel()
	there, err := r.networkConfig(ctx, to)
	if err != nil {
		return fmt.Errorf("flannel's network config %s: %w", r.c.configKey(), err)
	}
	if want := r.c.network(); there != "" && !agrees(there, want) {
		return crowbar.Errorf(crowbar.Conflict, "flannel's network config in etcd (%s) is %s, and the attribs say %s. Nodes hold leases of it, so it is not replaced: "+
			"set the attribs back, or unbind flannel from all nodes (the last one deletes it) and bind it again", r.c.configKey(), there, want)
	}
	if there == "" {
		r.changes = append(r.changes, role.Change{What: "network", Name: r.c.configKey(), Do: "create", Diff: r.c.network()})
	}
	return nil
}

// networkConfig is what etcd holds; "" if it held nothing, and then holds this node's now, unless this is a dry run.
func (r *run) networkConfig(ctx context.Context, to *clientv3.Client) (string, error) {
	key := r.c.configKey()
	none := clientv3.Compare(clientv3.CreateRevision(key), "=", 0)
	txn := to.Txn(ctx).If(none).Else(clientv3.OpGet(key))
	if !r.on.DryRun {
		txn = to.Txn(ctx).If(none).Then(clientv3.OpPut(key, r.c.network())).Else(clientv3.OpGet(key))
	}
	a, err := txn.Commit()
	if err != nil || a.Succeeded {
		return "", err
	}
	if kvs := a.Responses[0].GetResponseRange().Kvs; len(kvs) > 0 {
		return string(kvs[0].Value), nil
	}
	return "", crowbar.Errorf(crowbar.Conflict, "it was deleted just now: retry this role")
}

// make does what was planned; a dry run ends here, and says what the script would do.
func (r *run) make(ctx context.Context) error {
	if r.on.DryRun {
		r.changes, r.done = append(r.changes, r.todo.Changes...), true
		r.handedDown()
		return nil
	}
	if err := linux.Make(ctx, r.on, r.todo); err != nil {
		return err
	}
	r.changes = append(r.changes, r.todo.Changes...)
	return nil
}

// handedDown notes what is stale although nothing else changes: it was changed by hand.
func (r *run) handedDown() {
	if r.todo.Empty() {
		for _, s := range r.lease.Stale {
			r.changes = append(r.changes, role.Change{What: "lease", Name: s, Do: "change"})
		}
	}
}

// obtain waits for the lease and sees that CNI and Docker have followed it. The unit is active once it has a lease, and
// has run the script by then; what is stale all the same was changed by hand.
func (r *run) obtain(ctx context.Context) error {
	if len(r.lease.Stale) > 0 && r.todo.Empty() {
		if _, err := jig.Run(ctx, r.on.Conn, jig.Cmd{Argv: []string{script, "apply"}}); err != nil {
			return fmt.Errorf("hand the lease down on node %s: %w", r.on.Node, err)
		}
		r.handedDown()
	}
	err := role.Await(ctx, "a subnet of "+r.c.Pods+" for node "+r.on.Node, 2*time.Minute, func(ctx context.Context) (bool, error) {
		p := probe()
		out, err := jig.Run(ctx, r.on.Conn, jig.Look(p.Script, p.Args...))
		if err != nil {
			return false, err
		}
		r.lease = readLease(out)
		return r.lease.holds(r.c), r.lacks()
	})
	return linux.Explain(ctx, r.on.Conn, err, unit)
}

// lacks says why the lease does not hold.
func (r *run) lacks() error {
	switch {
	case r.lease.Subnet == "":
		return errors.New("flannel has no lease yet")
	case r.lease.Network != r.c.Pods:
		return fmt.Errorf("the lease is of %s, and kubernetes-pod-cidr is %s", r.lease.Network, r.c.Pods)
	}
	return fmt.Errorf("not handed down yet to %s: run `%s apply` on the node to see why", strings.Join(r.lease.Stale, ", "), script)
}

func (r *run) wall() crowbar.Data {
	dev := backends[r.c.Backend].Device
	if dev == "" {
		dev = r.dev
	}
	return crowbar.Data{"flannel-subnet": r.lease.Subnet, "flannel-mtu": r.lease.MTU, "flannel-interface": dev,
		"flannel-backend": r.c.Backend, "flannel-underlay": r.dev + " " + r.address}
}
