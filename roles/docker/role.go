// Package docker is the role that runs Docker Engine and containerd on a node. It does not know Kubernetes: the kubelet
// uses the same containerd, and flannel hands Docker its network in a drop-in of its own.
package docker

import (
	"context"
	"fmt"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
)

// New makes the role.
func New() role.Role { return docker{} }

type docker struct{}

// Describe says what it is and reads.
func (docker) Describe() role.Info {
	return role.Info{Name: "docker", Version: "1.0", Wants: []string{"docker-source", "docker-version", "docker-data-root", "docker-registry-mirrors", "docker-sandbox-image"}}
}

// Apply installs both, starts them, and waits until both answer.
func (docker) Apply(ctx context.Context, on role.Target) (role.Result, error) {
	cfg, err := decode(on.Attribs)
	if err != nil {
		return role.Result{}, err
	}
	have, changes, err := linux.ConvergeAfter(ctx, on, state(cfg, 2), cfg.fit, versions())
	if err != nil || on.DryRun {
		return role.Result{Changes: changes}, err
	}
	seen, err := parse(have.Probe["versions"])
	if len(changes) > 0 || err != nil {
		if seen, err = await(ctx, on); err != nil {
			return role.Result{Changes: changes}, err
		}
	}
	return role.Result{Changes: changes, Wall: crowbar.Data{"docker-engine-version": seen.docker, "containerd-version": seen.containerd}}, nil
}

// Check says what was changed by hand.
func (docker) Check(ctx context.Context, on role.Target) (role.Drift, error) {
	on.DryRun = true
	cfg, err := decode(on.Attribs)
	if err != nil {
		return role.Drift{}, err
	}
	_, changes, err := linux.ConvergeAfter(ctx, on, state(cfg, 2), cfg.fit)
	return role.Drift{Changes: changes}, err
}

// Remove ends all containers and takes both engines off the node; images and volumes stay.
func (docker) Remove(ctx context.Context, on role.Target) error {
	cfg, err := decode(on.Attribs)
	if err != nil {
		return err
	}
	if err := end(ctx, on); err != nil {
		return err
	}
	return linux.Remove(ctx, on, state(cfg, 2))
}

// await asks both engines for their versions until they answer.
func await(ctx context.Context, on role.Target) (v version, err error) {
	err = role.Await(ctx, "Docker and containerd to answer", time.Minute, func(ctx context.Context) (bool, error) {
		v, err = ask(ctx, on)
		return err == nil, err
	})
	if err != nil {
		return v, linux.Explain(ctx, on.Conn, fmt.Errorf("node %s: %w", on.Node, err), "containerd.service", "docker.service")
	}
	return v, nil
}
