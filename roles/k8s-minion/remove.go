package k8sminion

import (
	"context"
	_ "embed"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/kube"
	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
)

//go:embed clean.sh
var clean string

// Remove moves the node's pods elsewhere, takes the node out of the cluster, and leaves no trace of Kubernetes on it.
func (minion) Remove(ctx context.Context, on role.Target) error {
	s, err := configure(on)
	if err != nil {
		return err
	}
	api, err := adminClient(on, s)
	if err != nil {
		return err
	}
	defer api.Close()
	cluster := len(s.Masters) > 0 // without masters there is nothing to be taken out of
	if cluster {
		if err := reach(ctx, on, api); err != nil {
			return err
		}
		if err := drain(ctx, on, api); err != nil {
			return err
		}
	}
	if _, err := jig.Run(ctx, on.Conn, jig.Script(clean, names())); err != nil {
		return fmt.Errorf("clean node %s of pods, mounts and rules: %w", on.Node, err)
	}
	if cluster {
		if err := api.Do(ctx, http.MethodDelete, nodePath(on.Node), nil, nil); err != nil && kube.Code(err) != http.StatusNotFound {
			return fmt.Errorf("delete node %s from the cluster: %w", on.Node, err)
		}
	}
	if err := linux.Remove(ctx, on, desired(s, host{})); err != nil {
		return fmt.Errorf("remove the minion from %s: %w", on.Node, err)
	}
	return nil
}

// reach waits for an API server: a node that is taken away behind its back would stay as a ghost.
func reach(ctx context.Context, on role.Target, api *kube.Client) error {
	err := role.Await(ctx, "an API server", time.Minute, func(ctx context.Context) (bool, error) {
		err := api.Ready(ctx)
		return err == nil, err
	})
	if err != nil {
		return crowbar.Errorf(crowbar.Unavailable, "remove node %s from the cluster: %w; bring a master up and retry, or unbind the masters first", on.Node, err)
	}
	return nil
}

func names() string {
	var out []string
	for _, i := range images {
		out = append(out, i.Name)
	}
	return strings.Join(out, "\n")
}
