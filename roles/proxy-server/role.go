// Package proxyserver is the role that runs a caching HTTP proxy (the distribution's squid) for the nodes. It does not know
// who uses it: the role proxy reads its address from the wall.
package proxyserver

import (
	"context"
	"fmt"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
)

// New makes the role.
func New() role.Role { return server{} }

type server struct{}

// Describe says what it is and reads.
func (server) Describe() role.Info {
	return role.Info{Name: "proxy-server", Version: "1.0",
		Wants: []string{"node-network", "proxy-server-port", "proxy-server-listen", "proxy-server-allow", "proxy-server-cache-mb"}}
}

// Apply installs squid, starts it with a configuration of ours, and asks it for an answer.
func (server) Apply(ctx context.Context, on role.Target) (role.Result, error) {
	cfg, err := decode(on)
	if err != nil {
		return role.Result{}, err
	}
	have, err := linux.Read(ctx, on, sketch(), probes...)
	if err != nil {
		return role.Result{}, err
	}
	s, err := cfg.fit(have)
	if err != nil {
		return role.Result{}, err
	}
	var res role.Result
	for _, step := range []linux.State{mask(have), s.state} { // the ban on the distribution's own unit comes before its package
		todo, err := linux.Compare(ctx, on, step, have)
		if err != nil {
			return res, fmt.Errorf("node %s: %w", on.Node, err)
		}
		res.Changes = append(res.Changes, todo.Changes...)
		if on.DryRun {
			continue
		}
		if err := linux.Make(ctx, on, todo); err != nil {
			return res, err
		}
	}
	if s.do == "" && !have.Systemd && tunnel(ctx, on.Conn, cfg.addr()) != nil {
		s.do = "restart" // the process is there, and deaf
	}
	if s.do != "" {
		res.Changes = append(res.Changes, role.Change{What: "process", Name: "squid", Do: s.do})
	}
	if on.DryRun {
		return res, nil
	}
	if err := launch(ctx, on, s); err != nil {
		return res, err
	}
	if err := answers(ctx, on, cfg); err != nil {
		return res, err
	}
	res.Wall = crowbar.Data{"proxy-server-url": cfg.url()}
	return res, nil
}

// Check says what was changed by hand.
func (p server) Check(ctx context.Context, on role.Target) (role.Drift, error) {
	on.DryRun = true
	res, err := p.Apply(ctx, on)
	return role.Drift{Changes: res.Changes}, err
}

// Remove stops it and takes its files away; the package stays, and so does the ban on its own unit.
func (server) Remove(ctx context.Context, on role.Target) error {
	have, err := linux.Read(ctx, on, linux.State{}, probes...)
	if err != nil {
		return err
	}
	if !have.Systemd {
		if err := stop(ctx, on); err != nil {
			return err
		}
	}
	w := sketch()
	w.Links = nil
	if err := linux.Remove(ctx, on, w); err != nil {
		return err
	}
	if _, err := jig.Run(ctx, on.Conn, jig.Script(`rm -rf -- "$@"`, cacheDir, logDir)); err != nil {
		return fmt.Errorf("delete squid's cache and logs on node %s: %w", on.Node, err)
	}
	return nil
}
