package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/test/site"
)

// trial is the cluster and the load on it.
type trial struct {
	site.Cluster
	load  *site.Load
	check bool
}

// step is one change of a version under load.
type step struct {
	name string
	do   func(ctx context.Context, t trial) error
}

var masters = []string{"n1", "n2", "n3"}

var steps = []step{
	{"etcd " + newEtcd, func(ctx context.Context, t trial) error {
		return t.upgrade(ctx, "etcd-version="+newEtcd, "etcd --version | head -1", "etcd Version: "+strings.TrimPrefix(newEtcd, "v"))
	}},
	{"kubernetes " + newKube, func(ctx context.Context, t trial) error {
		return t.upgrade(ctx, "kubernetes-version="+newKube, "kube-apiserver --version; kube-scheduler --version; kubelet --version", strings.Repeat("Kubernetes "+newKube+"\n", 3))
	}},
	{"broken " + badKube, func(ctx context.Context, t trial) error { return t.broken(ctx) }},
}

// step does one step and prints how the load fared meanwhile.
func (t trial) step(ctx context.Context, s step) error {
	fmt.Fprintln(os.Stderr, "step:", s.name)
	t.load.Reset()
	began := time.Now()
	if err := s.do(ctx, t); err != nil {
		return err
	}
	took := time.Since(began)
	if err := t.Well(ctx, masters...); err != nil {
		return err
	}
	seen := t.load.Seen()
	fmt.Printf("%-20s %6.1f s; %s\n", s.name, took.Seconds(), seen)
	if err := t.perNode(ctx, began); err != nil {
		return err
	}
	for _, e := range seen.Errors {
		fmt.Println("  failed:", e)
	}
	lost, err := t.load.Lost(ctx, t.load.Acknowledged())
	if err != nil {
		return err
	}
	if len(lost) > 0 {
		return fmt.Errorf("%d acknowledged writes are lost: %s", len(lost), strings.Join(lost, "; "))
	}
	if t.check && seen.Failed > 0 {
		return fmt.Errorf("%d requests failed", seen.Failed)
	}
	return nil
}

// set says what an attrib is to be, and commits it.
func (t trial) set(ctx context.Context, attrib string) error {
	if _, err := t.CLI(ctx, nil, "set", attrib); err != nil {
		return err
	}
	_, err := t.CLI(ctx, nil, "commit")
	return err
}

// upgrade sets an attrib, waits until the cluster is at rest, and asks every node for its version.
func (t trial) upgrade(ctx context.Context, attrib, ask, want string) error {
	if err := t.set(ctx, attrib); err != nil {
		return err
	}
	if _, err := t.CLI(ctx, nil, "converge", "--wait-only", "--timeout", "10m"); err != nil {
		return err
	}
	for _, n := range masters {
		got, err := t.SSH(ctx, n, ask)
		if err != nil {
			return err
		}
		if strings.TrimSpace(got) != strings.TrimSpace(want) {
			return fmt.Errorf("%s has\n%s\nwant\n%s", n, got, want)
		}
	}
	return nil
}

// broken sets a version whose API server ends at once. It has to be stopped at the first node, which has its old version again.
func (t trial) broken(ctx context.Context) error {
	before, err := t.runs(ctx)
	if err != nil {
		return err
	}
	if err := t.set(ctx, "kubernetes-version="+badKube); err != nil {
		return err
	}
	said, err := t.CLI(ctx, nil, "converge", "--wait-only", "--timeout", "10m")
	if err == nil {
		return errors.New("a version that does not work was taken for good")
	}
	fmt.Fprintln(os.Stderr, tail(said+err.Error(), 12))
	touched := map[string]bool{}
	after, err := t.runs(ctx)
	if err != nil {
		return err
	}
	for _, r := range after {
		known := slices.ContainsFunc(before, func(b run) bool { return b.ID == r.ID })
		if !known && r.Outcome == "failed" && r.Role == "k8s-master" {
			touched[r.Node] = true
		}
	}
	if len(touched) != 1 {
		return fmt.Errorf("it was tried on %d nodes, and not on one: %v", len(touched), touched)
	}
	for _, n := range masters {
		got, err := t.SSH(ctx, n, "kube-apiserver --version; kube-scheduler --version; kubelet --version; systemctl is-active kube-apiserver kube-scheduler kube-controller-manager kubelet")
		if err != nil {
			return fmt.Errorf("%s after the broken version: %w", n, err)
		}
		if strings.Count(got, "Kubernetes "+newKube) != 3 {
			return fmt.Errorf("%s has\n%s", n, got)
		}
	}
	if err := t.set(ctx, "kubernetes-version="+newKube); err != nil {
		return err
	}
	_, err = t.CLI(ctx, nil, "converge", "--wait-only", "--timeout", "5m")
	return err
}

// run is one run on record.
type run struct {
	ID       int
	Node     string
	Role     string
	Started  time.Time
	Finished time.Time
	Outcome  string
}

func (t trial) runs(ctx context.Context) ([]run, error) {
	text, err := t.CLI(ctx, nil, "report", "--since", "2000-01-01T00:00:00Z", "-o", "json")
	if err != nil {
		return nil, err
	}
	var doc struct{ Runs []run }
	return doc.Runs, json.Unmarshal([]byte(text), &doc)
}

// perNode prints how long each node took for what changed it.
func (t trial) perNode(ctx context.Context, since time.Time) error {
	all, err := t.runs(ctx)
	if err != nil {
		return err
	}
	for _, r := range all {
		if r.Started.After(since) && (r.Outcome == "changed" || r.Outcome == "failed") {
			fmt.Printf("  %s %-12s %-8s %5.1f s\n", r.Node, r.Role, r.Outcome, r.Finished.Sub(r.Started).Seconds())
		}
	}
	return nil
}

func tail(text string, lines int) string {
	all := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
