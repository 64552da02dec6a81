// Package k8saddons is the role that puts CoreDNS into the cluster, through kubectl on a master.
// It does not know how the cluster came to be, nor who resolves names in it.
package k8saddons

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
	kubectlFile  = "/usr/local/bin/kubectl"
	kubeconfig   = "/etc/kubernetes/admin.conf"
	rolloutLimit = 5 * time.Minute
	answerLimit  = time.Minute
)

// New is the role.
func New() role.Role { return addons{} }

type addons struct{}

// Describe says what the role reads.
func (addons) Describe() role.Info {
	return role.Info{Name: "k8s-addons", Version: "1", Wants: []string{"kubernetes-dns-ip", "kubernetes-cluster-domain",
		"k8s-addons-dns-replicas", "k8s-addons-dns-image", "k8s-addons-dns-upstream"}}
}

// Apply brings the objects and waits until their pods serve.
func (addons) Apply(ctx context.Context, on role.Target) (role.Result, error) {
	c, err := configure(on)
	if err != nil {
		return role.Result{}, err
	}
	if on.DryRun && !on.Again {
		return foresee(ctx, on, c)
	}
	have, err := read(ctx, on, c)
	res := role.Result{Changes: have.Diff, Wall: crowbar.Data{"k8s-addons-dns": c.IP}}
	if err != nil || on.DryRun || len(have.Diff) == 0 && have.Deployment.done() {
		return res, err
	}
	if len(have.Diff) > 0 {
		if err := put(ctx, on, c, have.Resolver); err != nil {
			return role.Result{}, err
		}
	}
	return res, rolledOut(ctx, on)
}

// foresee is a dry run before the first run: where there is no cluster yet, all objects will be made.
func foresee(ctx context.Context, on role.Target, c config) (role.Result, error) {
	have, err := ask(ctx, on, c)
	if err == nil {
		return role.Result{Changes: have.Diff}, nil
	}
	text, err := c.manifest(have.Resolver)
	return role.Result{Changes: objects(text)}, err
}

// Check says what was changed by hand.
func (addons) Check(ctx context.Context, on role.Target) (role.Drift, error) {
	on.DryRun = true
	res, err := addons{}.Apply(ctx, on)
	return role.Drift{Changes: res.Changes}, err
}

// Remove deletes the objects, unless the role stays on another node.
func (addons) Remove(ctx context.Context, on role.Target) error {
	for _, p := range on.PeersOf("k8s-addons") {
		if p.Node != on.Node && p.Settled {
			return nil
		}
	}
	c, err := configure(on)
	if err != nil {
		return err
	}
	text, err := c.manifest(false)
	if err != nil {
		return err
	}
	if _, err := kubectl(ctx, on, text, "delete", "--ignore-not-found", "--wait", "--timeout=2m", "-f", "-"); err != nil {
		return fmt.Errorf("delete cluster DNS: %w", err)
	}
	return nil
}

func kubectl(ctx context.Context, on role.Target, stdin string, args ...string) (string, error) {
	argv := append([]string{kubectlFile, "--kubeconfig", kubeconfig, "--request-timeout=60s"}, args...)
	return jig.Run(ctx, on.Conn, jig.Cmd{Argv: argv, Stdin: strings.NewReader(stdin)})
}

// read asks until the API server answers: it may just be starting.
func read(ctx context.Context, on role.Target, c config) (have facts, err error) {
	err = role.Await(ctx, "the API server on "+on.Node, answerLimit, func(ctx context.Context) (bool, error) {
		var why error
		have, why = ask(ctx, on, c)
		return why == nil, why
	})
	return have, err
}

// ask compares the manifest with the cluster, in one Exec.
func ask(ctx context.Context, on role.Target, c config) (facts, error) {
	with, err := c.manifest(true)
	if err != nil {
		return facts{}, err
	}
	without, err := c.manifest(false)
	if err != nil {
		return facts{}, err
	}
	exit, err := on.Conn.Exec(ctx, jig.Script(factsText, with, without, kubectlFile, kubeconfig))
	if err != nil {
		return facts{}, err
	}
	if exit.Code != 0 {
		return facts{}, crowbar.Errorf(crowbar.Unavailable, "compare cluster DNS with the cluster by kubectl: %s", strings.TrimSpace(string(exit.Stderr)))
	}
	return readFacts(string(exit.Stdout))
}

func put(ctx context.Context, on role.Target, c config, nodeResolves bool) error {
	text, err := c.manifest(nodeResolves)
	if err != nil {
		return err
	}
	if _, err := kubectl(ctx, on, text, "apply", "--server-side", "--force-conflicts", "--field-manager=kubeclamp", "-f", "-"); err != nil {
		return fmt.Errorf("apply cluster DNS: %w", err)
	}
	return nil
}
