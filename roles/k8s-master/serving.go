package k8smaster

import (
	"context"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/kube"
	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
)

var made = role.Change{What: "clusterrolebinding", Name: rule, Do: "create"}

// change does what is to be done, in turn with the other masters if this one serves, waits for the three programs, and
// makes the binding.
func change(ctx context.Context, on role.Target, s settings, todo linux.Todo, version string, serves bool) ([]role.Change, error) {
	api, err := administrator(on, s)
	if err != nil {
		return nil, err
	}
	defer api.Close()
	if serves && restarts(todo.Changes) {
		if err := takeTurn(ctx, on, api); err != nil {
			return nil, err
		}
		defer giveTurn(context.WithoutCancel(ctx), on, api)
	}
	if err := rewrite(ctx, on, s, todo.Changes); err != nil {
		return nil, err
	}
	err = linux.Make(ctx, on, todo)
	if err == nil {
		err = awaitAll(ctx, on, s, api)
	}
	if err != nil && len(todo.Replaced) > 0 {
		return nil, back(ctx, on, s, todo, api, version, err)
	}
	if err != nil {
		return nil, err
	}
	if changed, err := grant(ctx, api); err != nil || !changed {
		return nil, err
	}
	return []role.Change{made}, nil
}

// administrator is a client of the API server on the node, with all rights.
func administrator(on role.Target, s settings) (*kube.Client, error) {
	leaf := s.Admin
	leaf.CA = s.CA
	return kube.New(on.Conn, leaf, "127.0.0.1", net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port)))
}

// awaitAll waits until the API server is ready and its two neighbours are healthy, each proven by the cluster's authority.
func awaitAll(ctx context.Context, on role.Target, s settings, api *kube.Client) error {
	err := role.Await(ctx, "/readyz of the API server on "+on.Node, 2*time.Minute, func(ctx context.Context) (bool, error) {
		err := api.Ready(ctx)
		return err == nil, err
	})
	if err != nil {
		return err
	}
	for unit, port := range map[string]string{manager: "10257", scheduler: "10259"} {
		probe, err := kube.New(on.Conn, kube.Leaf{CA: s.CA}, "127.0.0.1", "127.0.0.1:"+port)
		if err != nil {
			return err
		}
		defer probe.Close()
		err = role.Await(ctx, "/healthz of "+unit+" on "+on.Node, time.Minute, func(ctx context.Context) (bool, error) {
			err := probe.Do(ctx, http.MethodGet, "/healthz", nil, nil)
			return err == nil, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
