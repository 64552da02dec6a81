package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// walk changes who is what in batches, each converged: every node is taken out and comes back once, in a random order, and in
// between members are moved, until there were enough changes. How many masters and members of etcd there are goes down to one
// and up to five.
func (t *trial) walk(ctx context.Context) error {
	r := rand.New(rand.NewPCG(t.conf.seed, 0))
	order := t.of("k8s-minion")
	if len(order) != nodes {
		return fmt.Errorf("%v are minions, want %d", order, nodes)
	}
	r.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	t.say("seed %d: nodes go in the order %v", t.conf.seed, order)
	sizes := []int{1, 5, 3, 2, 4, 3} // of the masters and of etcd, one batch after the other
	gone := ""
	for batch := 0; batch < len(order)+1 || t.changes < t.conf.changes; batch++ {
		back, leave := gone, ""
		if batch < len(order) {
			leave = order[batch]
		}
		if err := t.batch(ctx, r, back, leave, sizes[batch%len(sizes)]); err != nil {
			return fmt.Errorf("batch %d: %w", batch+1, err)
		}
		gone = leave
	}
	return t.proof(ctx)
}

// batch takes one node out, brings another back, moves masters, members of etcd and name servers towards their number, and
// converges.
func (t *trial) batch(ctx context.Context, r *rand.Rand, back, leave string, size int) error {
	if err := t.settleAddons(ctx, leave); err != nil {
		return err
	}
	var acts []func() error
	if back != "" {
		if err := t.create(ctx, back); err != nil {
			return err
		}
		acts = append(acts, func() error { return t.bind(ctx, back, "k8s-minion") })
	}
	for _, role := range []string{"etcd", "k8s-master", "dns-pool"} {
		want := size
		if role == "dns-pool" {
			want = 2
		}
		acts = append(acts, t.moves(ctx, r, role, leave, want)...)
	}
	r.Shuffle(len(acts), func(i, j int) { acts[i], acts[j] = acts[j], acts[i] })
	for _, act := range acts {
		if err := act(); err != nil {
			return err
		}
	}
	if err := t.settleReady(ctx); err != nil {
		return err
	}
	if leave == "" {
		return t.converge(ctx)
	}
	return t.destroy(ctx, leave)
}

// moves brings the number of nodes that have a role to want, without the node that leaves, and moves one besides. What has
// the role now and stays is never none: the last cannot be taken off before another serves.
func (t *trial) moves(ctx context.Context, r *rand.Rand, role, leave string, want int) []func() error {
	var have, free []string
	for n := range t.address {
		switch {
		case n == leave:
		case t.bound[role][n]:
			have = append(have, n)
		default:
			free = append(free, n)
		}
	}
	slices.Sort(have)
	slices.Sort(free)
	shuffle := func(s []string) { r.Shuffle(len(s), func(i, j int) { s[i], s[j] = s[j], s[i] }) }
	shuffle(have)
	shuffle(free)
	var acts []func() error
	off := max(0, len(have)-want)
	on := max(0, want-len(have))
	if on == 0 && len(have) > 1 && len(free) > 0 { // one more moves
		off, on = off+1, 1
	}
	off = min(off, len(have)-1)
	for _, n := range have[:max(off, 0)] {
		if t.bound["k8s-addons"][n] && role == "k8s-master" {
			continue // they need a master beside them
		}
		acts = append(acts, func() error { return t.unbind(ctx, n, role) })
	}
	for _, n := range free[:min(on, len(free))] {
		acts = append(acts, func() error { return t.bind(ctx, n, role) })
	}
	return acts
}

// settleAddons has a master that stays look after the cluster's DNS.
func (t *trial) settleAddons(ctx context.Context, leave string) error {
	home := t.of("k8s-addons")
	if len(home) == 1 && home[0] != leave {
		return nil
	}
	for _, n := range t.of("k8s-master") {
		if n != leave {
			return t.moveAddons(ctx, home[0], n)
		}
	}
	// The only master leaves: another one comes first.
	for _, n := range t.of("k8s-minion") {
		if n == leave {
			continue
		}
		if err := t.bind(ctx, n, "k8s-master"); err != nil {
			return err
		}
		return t.moveAddons(ctx, home[0], n)
	}
	return fmt.Errorf("no node can look after cluster DNS")
}

// settleReady takes the proof off: it would run for each change, and proves at the end.
func (t *trial) settleReady(ctx context.Context) error {
	for _, n := range t.of("k8s-ready") {
		if err := t.unbind(ctx, n, "k8s-ready"); err != nil {
			return err
		}
	}
	return nil
}

// proof has the cluster proved by itself.
func (t *trial) proof(ctx context.Context) error {
	if err := t.bind(ctx, t.some("k8s-addons"), "k8s-ready"); err != nil {
		return err
	}
	return t.converge(ctx)
}

// destroy takes all off a node, and waits until the node is gone.
func (t *trial) destroy(ctx context.Context, node string) error {
	var had []string
	for _, role := range movable {
		if t.bound[role][node] {
			had = append(had, role)
		}
	}
	t.say("destroy %s: %s", node, strings.Join(had, " "))
	if _, err := t.CLI(ctx, nil, "nodes", "destroy", node); err != nil {
		return err
	}
	t.count(had)
	if err := t.converge(ctx); err != nil {
		return err
	}
	if text, err := t.CLI(ctx, nil, "nodes", "list", "-o", "name"); err != nil || slices.Contains(strings.Fields(text), node) {
		return fmt.Errorf("node %s is still there: %s%v", node, text, err)
	}
	return nil
}

// create makes a node known again.
func (t *trial) create(ctx context.Context, node string) error {
	t.say("create %s", node)
	_, err := t.CLI(ctx, nil, "nodes", "create", node, "--address", t.address[node], "--host-key", t.hostKey[node], "-d", "lab")
	return err
}
