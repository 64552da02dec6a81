package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// joinLimit is how long a server may take to become a minion, with what it needs in the caches.
const joinLimit = time.Minute

// minion takes a minion off, and adds it again: nothing is run on any other node for that.
func (t *trial) minion(ctx context.Context) error {
	node := t.of("k8s-minion")[nodes-1]
	if err := errors.Join(t.settleReady(ctx), t.destroy(ctx, node)); err != nil {
		return err
	}
	before, err := t.attempts(ctx)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := errors.Join(t.create(ctx, node), t.bind(ctx, node, "k8s-minion")); err != nil {
		return err
	}
	for _, verb := range [][]string{{"commit"}, {"converge", "--wait-only"}} {
		if _, err := t.CLI(ctx, nil, verb...); err != nil {
			return err
		}
	}
	took := time.Since(began)
	after, err := t.attempts(ctx)
	if err != nil {
		return err
	}
	maps.DeleteFunc(after, func(k string, n uint64) bool { return before[k] == n })
	var ran []string
	for k := range after {
		if !slices.Contains(ran, k) && k[:len(node)+1] != node+"/" {
			ran = append(ran, k)
		}
	}
	slices.Sort(ran)
	t.say("one minion more: %s, %d runs on other nodes %v", took.Round(time.Second), len(ran), ran)
	if len(ran) > 0 {
		return fmt.Errorf("one minion more, and these ran on other nodes: %v", ran)
	}
	if took > joinLimit {
		return fmt.Errorf("one minion more took %s, limit %s", took.Round(time.Second), joinLimit)
	}
	return t.converge(ctx)
}

// attempts is how often each node-role has begun to run, by NODE/ROLE.
func (t *trial) attempts(ctx context.Context) (map[string]uint64, error) {
	var st crowbar.Status
	if err := t.ask(ctx, &st, "status"); err != nil {
		return nil, err
	}
	out := map[string]uint64{}
	for _, nr := range st.NodeRoles {
		out[nr.Node+"/"+nr.Role] = nr.Attempt
	}
	return out, nil
}

// disk loses the data of one member of etcd: kubeclamp converge replaces it.
func (t *trial) disk(ctx context.Context) error {
	all := t.of("etcd")
	node := all[len(all)-1]
	t.say("the data of etcd on %s is lost", node)
	if _, err := t.SSH(ctx, node, "systemctl kill -s KILL etcd; rm -rf /var/lib/etcd/* && sync"); err != nil {
		return err
	}
	return t.converge(ctx)
}

// forget loses a whole node, a master: one verb takes it out, and it comes back as any server.
func (t *trial) forget(ctx context.Context) error {
	all := t.of("k8s-master")
	node := all[len(all)-1]
	if err := t.moveAddons(ctx, node, all[0]); err != nil {
		return err
	}
	var had []string
	for _, role := range movable {
		if t.bound[role][node] {
			had = append(had, role)
		}
	}
	t.say("%s is dead, with %v", node, had)
	if _, err := t.Lab(ctx, "fault", "kill", node); err != nil {
		return err
	}
	began := time.Now()
	if _, err := t.CLI(ctx, nil, "nodes", "forget", node); err != nil {
		return err
	}
	t.count(had)
	t.say("%s is forgotten after %s", node, time.Since(began).Round(time.Second))
	if err := t.clean(ctx); err != nil {
		return fmt.Errorf("after %s was forgotten: %w", node, err)
	}
	if _, err := t.Lab(ctx, "power", "on", node); err != nil {
		return err
	}
	if err := t.booted(ctx, node); err != nil {
		return err
	}
	if err := errors.Join(t.create(ctx, node), t.bind(ctx, node, had...)); err != nil {
		return err
	}
	return t.converge(ctx)
}

// booted waits until a node answers ssh.
func (t *trial) booted(ctx context.Context, node string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		_, err := t.SSH(ctx, node, "true")
		if err == nil || ctx.Err() != nil {
			return err
		}
	}
}
