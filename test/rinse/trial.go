package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/test/site"
)

const nodes = 5

// movable are the roles whose membership is changed.
var movable = []string{"etcd", "k8s-master", "k8s-minion", "dns-pool"}

// trial is a cluster whose members come and go.
type trial struct {
	site.Cluster
	conf    config
	load    *site.Load
	etcd    *witness
	address map[string]string          // node -> IP
	hostKey map[string]string          // node -> its ssh host key
	bound   map[string]map[string]bool // role -> nodes
	rows    []row
	changes int // of membership, in this part
}

// row is what one part came to.
type row struct {
	part
	took    time.Duration
	changes int
	seen    site.Seen
	gap     time.Duration // longest without a quorum
	lost    []string      // writes that were acknowledged
}

func (t *trial) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format(time.TimeOnly)+" "+format+"\n", args...)
}

// begin learns who is what, and starts the load and the witness.
func (t *trial) begin(ctx context.Context) error {
	if err := t.learn(ctx); err != nil {
		return err
	}
	var err error
	if t.etcd, err = t.newWitness(ctx); err != nil {
		return err
	}
	t.load, err = t.StartLoad(ctx, t.some("k8s-minion"))
	return err
}

func (t *trial) end() {
	t.load.Stop()
	t.etcd.stop()
}

// learn reads who is what.
func (t *trial) learn(ctx context.Context) error {
	var all []crowbar.Node
	if err := t.ask(ctx, &all, "nodes", "list"); err != nil {
		return err
	}
	if t.address == nil {
		t.address, t.hostKey = map[string]string{}, map[string]string{}
	}
	for _, n := range all {
		if !n.System && !n.Admin {
			t.address[n.Name], t.hostKey[n.Name] = n.Address, n.SSH.HostKey
		}
	}
	var st crowbar.Status
	if err := t.ask(ctx, &st, "status"); err != nil {
		return err
	}
	t.bound = map[string]map[string]bool{}
	for _, nr := range st.NodeRoles {
		if t.bound[nr.Role] == nil {
			t.bound[nr.Role] = map[string]bool{}
		}
		t.bound[nr.Role][nr.Node] = true
	}
	return nil
}

func (t *trial) ask(ctx context.Context, into any, args ...string) error {
	text, err := t.CLI(ctx, nil, append(args, "-o", "json")...)
	if err != nil {
		return err
	}
	return json.Unmarshal([]byte(text), into)
}

// of is the nodes that have a role, sorted.
func (t *trial) of(role string) []string {
	var out []string
	for n := range t.bound[role] {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

func (t *trial) some(role string) string { return t.of(role)[0] }

// bind and unbind are one change of membership each.
func (t *trial) bind(ctx context.Context, node string, roles ...string) error {
	t.say("bind %s to %s", node, strings.Join(roles, " "))
	_, err := t.CLI(ctx, nil, append([]string{"bind", node}, roles...)...)
	t.count(roles)
	return err
}

func (t *trial) unbind(ctx context.Context, node string, roles ...string) error {
	t.say("unbind %s from %s", node, strings.Join(roles, " "))
	_, err := t.CLI(ctx, nil, append([]string{"unbind", node}, roles...)...)
	t.count(roles)
	return err
}

func (t *trial) count(roles []string) {
	for _, r := range roles {
		if slices.Contains(movable, r) {
			t.changes++
		}
	}
}

// converge commits what is proposed and waits until the cluster is at rest; the load's balancer learns what nodes' do.
func (t *trial) converge(ctx context.Context) error {
	began := time.Now()
	if _, err := t.CLI(ctx, nil, "commit"); err != nil {
		return err
	}
	if _, err := t.CLI(ctx, nil, "converge", "--timeout", "8m"); err != nil {
		return err
	}
	if err := t.learn(ctx); err != nil {
		return err
	}
	t.say("converged in %s: etcd %s; masters %s; name servers %s; load: %s", time.Since(began).Round(time.Second),
		strings.Join(t.of("etcd"), " "), strings.Join(t.of("k8s-master"), " "), strings.Join(t.of("dns-pool"), " "), t.load.Seen())
	return t.load.Follow(ctx, t.Cluster, t.some("k8s-minion"))
}

// measure does one part and notes what it came to.
func (t *trial) measure(ctx context.Context, p part) error {
	t.load.Reset()
	t.etcd.reset()
	t.changes = 0
	began := time.Now()
	err := p.does(t, ctx)
	r := row{part: p, took: time.Since(began), changes: t.changes, seen: t.load.Seen(), gap: t.etcd.gap()}
	if err == nil {
		r.lost, err = t.load.Lost(ctx, t.load.Acknowledged())
	}
	t.rows = append(t.rows, r)
	return err
}

// first takes the very first master and its member of etcd off its node, and puts them there again.
func (t *trial) first(ctx context.Context) error {
	if err := t.moveAddons(ctx, "n1", "n2"); err != nil {
		return err
	}
	if err := t.unbind(ctx, "n1", "k8s-master", "etcd"); err != nil {
		return err
	}
	if err := t.converge(ctx); err != nil {
		return err
	}
	if err := t.bind(ctx, "n1", "etcd", "k8s-master"); err != nil {
		return err
	}
	return t.converge(ctx)
}

// moveAddons has the cluster's DNS looked after from another master: it needs one beside it.
func (t *trial) moveAddons(ctx context.Context, from, to string) error {
	if t.bound["k8s-ready"][from] {
		if err := t.unbind(ctx, from, "k8s-ready"); err != nil {
			return err
		}
	}
	if !t.bound["k8s-addons"][to] {
		if err := t.bind(ctx, to, "k8s-addons"); err != nil {
			return err
		}
		if err := t.converge(ctx); err != nil {
			return err
		}
	}
	if t.bound["k8s-addons"][from] {
		return t.unbind(ctx, from, "k8s-addons")
	}
	return nil
}

// table prints the rows and etcd's history, and gives what is not as it has to be.
func (t *trial) table(w io.Writer) []error {
	var bad []error
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "part\tchanges\ttook\treads\twrites\tfailed\tlongest gap, s\tslowest, s\twithout quorum, s\twrites lost\t")
	for _, r := range t.rows {
		fmt.Fprintf(tw, "%s\t%d\t%s\t%d\t%d\t%d\t%.2f\t%.2f\t%.2f\t%d\t\n", r.name, r.changes, r.took.Round(time.Second), r.seen.Reads, r.seen.Writes, r.seen.Failed,
			r.seen.Gap.Seconds(), r.seen.Slow.Seconds(), r.gap.Seconds(), len(r.lost))
		if r.seen.Failed > 0 && r.planned {
			bad = append(bad, fmt.Errorf("%s: %d requests failed, the first: %s", r.name, r.seen.Failed, strings.Join(r.seen.Errors, "\n  ")))
		}
		if len(r.lost) > 0 {
			bad = append(bad, fmt.Errorf("%s: acknowledged writes are lost: %s", r.name, strings.Join(r.lost, "; ")))
		}
		if r.gap > noQuorum {
			bad = append(bad, fmt.Errorf("%s: etcd had no quorum for %s, limit %s", r.name, r.gap, noQuorum))
		}
		if r.seen.Writes == 0 || r.seen.Reads == 0 {
			bad = append(bad, errors.New(r.name+": there was no load"))
		}
	}
	tw.Flush()
	fmt.Fprintf(w, "\nmembers of etcd:\n%s", t.etcd.story())
	return bad
}
