// Package k8sready is the role that proves a cluster: pods of different nodes talk to each other over the overlay, a
// Service answers, cluster DNS answers. It does not know how any of them was made.
package k8sready

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

const (
	kubectlFile = "/usr/local/bin/kubectl"
	kubeconfig  = "/etc/kubernetes/admin.conf"
	space       = "kubeclamp-ready" // namespace of the test servers
	recordSpace = "kube-system"
	recordName  = "kubeclamp-ready" // ConfigMap that holds the last proof

	nodesLimit = 3 * time.Minute
	podsLimit  = 3 * time.Minute
	proofLimit = time.Minute
)

// New is the role.
func New() role.Role { return ready{} }

type ready struct{}

// Describe says what the role reads.
func (ready) Describe() role.Info {
	return role.Info{Name: "k8s-ready", Version: "1", Wants: []string{"kubernetes-dns-ip", "kubernetes-cluster-domain",
		"kubernetes-pod-cidr", "flannel-backend", "k8s-ready-image"}}
}

// Apply proves the cluster, unless the last proof is of the same nodes and settings.
func (ready) Apply(ctx context.Context, on role.Target) (role.Result, error) {
	c, err := configure(on)
	if err != nil {
		return role.Result{}, err
	}
	r := &run{on: on, c: c}
	steps := []func(context.Context) error{r.read, r.deploy, r.await, r.overlay, r.service, r.dns, r.record, r.tidy}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return role.Result{Changes: r.changes}, err
		}
		if r.done {
			break
		}
	}
	return role.Result{Changes: r.changes, Wall: crowbar.Data{"k8s-ready-proof": r.proof}}, nil
}

// Remove takes the test servers and the record away, unless the role stays on another node.
func (ready) Remove(ctx context.Context, on role.Target) error {
	for _, p := range on.PeersOf("k8s-ready") {
		if p.Node != on.Node && p.Settled {
			return nil
		}
	}
	r := &run{on: on}
	if err := r.tidy(ctx); err != nil {
		return err
	}
	_, err := r.kubectl(ctx, "", "-n", recordSpace, "delete", "configmap", recordName, "--ignore-not-found")
	return err
}

// run is one Apply or Remove under way.
type run struct {
	on      role.Target
	c       config
	facts   facts
	pods    []pod
	from    pod // the pod that asks
	proof   crowbar.Data
	changes []role.Change
	done    bool
}

func (r *run) kubectl(ctx context.Context, stdin string, args ...string) (string, error) {
	argv := append([]string{kubectlFile, "--kubeconfig", kubeconfig, "--request-timeout=60s"}, args...)
	return jig.Run(ctx, r.on.Conn, jig.Cmd{Argv: argv, Stdin: strings.NewReader(stdin)})
}

// read asks the cluster, in one Exec if the last proof holds; else it waits until all workers are Ready.
func (r *run) read(ctx context.Context) error {
	err := role.Await(ctx, "the nodes to be Ready", nodesLimit, func(ctx context.Context) (bool, error) {
		out, err := jig.Run(ctx, r.on.Conn, jig.Script(factsText, kubectlFile, kubeconfig, recordSpace, recordName))
		if err != nil {
			return r.on.DryRun, err
		}
		if r.facts, err = readFacts(out); err != nil {
			return false, err
		}
		if bad := r.facts.lacking(r.c.Workers); len(bad) > 0 || len(r.facts.Ready) == 0 {
			return r.on.DryRun, fmt.Errorf("Ready are %s; not Ready: %s", some(r.facts.Ready), some(bad))
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	if r.done = r.facts.proves(r.c); r.done {
		r.proof = r.facts.Proof
		return nil
	}
	r.proof = nil
	r.changes = []role.Change{{What: "proof", Name: recordName, Do: "create", Diff: "nodes " + some(r.subjects())}}
	r.done = r.on.DryRun
	return nil
}

// subjects is the nodes that the proof will be of; in a dry run before there is a cluster, the workers to come.
func (r *run) subjects() []string {
	if len(r.facts.Ready) == 0 {
		return r.c.Workers
	}
	return r.facts.Ready
}

func some(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
