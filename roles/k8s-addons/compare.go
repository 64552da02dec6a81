package k8saddons

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/kube"
)

const (
	rolloutLimit = 5 * time.Minute
	answerLimit  = time.Minute
)

// foresee is a dry run before the first run: where there is no cluster yet, all objects will be made.
func foresee(ctx context.Context, on role.Target, c config) (role.Result, error) {
	have, err := ask(ctx, on, c)
	if err == nil {
		return role.Result{Changes: have.Diff}, nil
	}
	text, err := c.manifest(have.Resolver)
	return role.Result{Changes: objects(text)}, err
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
	exit, err := on.Conn.Exec(ctx, kube.KubectlLook(factsText, with, without))
	if err != nil {
		return facts{}, err
	}
	if exit.Code != 0 {
		return facts{}, crowbar.Errorf(crowbar.Unavailable, "compare cluster DNS with the cluster by kubectl on %s: %s", on.Node, strings.TrimSpace(string(exit.Stderr)))
	}
	return readFacts(string(exit.Stdout))
}

func put(ctx context.Context, on role.Target, c config, nodeResolves bool) error {
	text, err := c.manifest(nodeResolves)
	if err != nil {
		return err
	}
	if err := kube.KubectlApply(ctx, on.Conn, text); err != nil {
		return fmt.Errorf("apply cluster DNS: %w", err)
	}
	return nil
}
