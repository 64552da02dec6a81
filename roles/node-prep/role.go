// Package nodeprep is the role that makes a machine fit to be a node: kernel settings, names, swap, and a list of what has
// to be mended by hand. It does not install anything: the proxy is not set yet when it runs.
package nodeprep

import (
	"context"
	"fmt"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
)

// New makes the role.
func New() role.Role { return prep{} }

type prep struct{}

// Describe says what it is and reads.
func (prep) Describe() role.Info {
	return role.Info{Name: "node-prep", Version: "1.0",
		Wants: []string{"node-network", "node-prep-min-disk", "node-prep-max-clock-offset", "node-prep-free-ports", "node-prep-hostname"}}
}

// Apply mends what it can, and then fails with all that it cannot.
func (prep) Apply(ctx context.Context, on role.Target) (role.Result, error) {
	cfg, have, err := read(ctx, on)
	if err != nil {
		return role.Result{}, err
	}
	v := judge(cfg, on, have)
	todo, err := linux.Compare(ctx, on, v.want, have.Facts)
	if err != nil {
		return role.Result{}, fmt.Errorf("node %s: %w", on.Node, err)
	}
	res := role.Result{Changes: append(v.changes, todo.Changes...)}
	for _, w := range v.warnings {
		on.Logf("%s", w)
	}
	if !on.DryRun {
		if err := linux.Make(ctx, on, todo); err != nil {
			return res, err
		}
		if err := mend(ctx, on, v); err != nil {
			return res, err
		}
		res.Wall = crowbar.Data{"node-prep-machine-id": have.machineID, "node-prep-interface": v.iface, "node-prep-network": v.network,
			"node-prep-system": map[string]any{"os": have.OS.Pretty, "kernel": have.Kernel}}
	}
	return res, v.err(on.Node)
}

// mend does what package linux has no words for.
func mend(ctx context.Context, on role.Target, v verdict) error {
	if !v.swapOff && v.hostname == "" {
		return nil
	}
	swap := ""
	if v.swapOff {
		swap = "off"
	}
	_, err := jig.Run(ctx, on.Conn, jig.Script(`
PATH=/usr/sbin:/usr/bin:/sbin:/bin
if [ -n "$2" ]; then hostname "$2" || hostnamectl set-hostname "$2" || exit 1; fi
if [ -n "$1" ]; then swapoff -a || exit 1; fi
`, swap, v.hostname))
	if err != nil {
		return fmt.Errorf("turn off swap and set the host name of node %s: %w: do it by hand, or set node-prep-hostname to false if the name may not be set", on.Node, err)
	}
	return nil
}

// err is all problems in one error, numbered.
func (v verdict) err(node string) error {
	if len(v.problems) == 0 {
		return nil
	}
	var b strings.Builder
	for i, p := range v.problems {
		fmt.Fprintf(&b, "\n  %d. %s", i+1, p)
	}
	return crowbar.Errorf(crowbar.Invalid, "node %s is not fit yet:%s", node, b.String())
}

// Check says what was changed by hand, and what has become unfit.
func (prep) Check(ctx context.Context, on role.Target) (role.Drift, error) {
	on.Again = true
	cfg, have, err := read(ctx, on)
	if err != nil {
		return role.Drift{}, err
	}
	v := judge(cfg, on, have)
	todo, err := linux.Compare(ctx, on, v.want, have.Facts)
	d := role.Drift{Changes: append(v.changes, todo.Changes...)}
	for _, p := range v.problems {
		d.Changes = append(d.Changes, role.Change{What: "problem", Name: p, Do: "mend by hand"})
	}
	return d, err
}

// Remove takes the settings back that are kept in files of ours; the host name, its line in /etc/hosts and swap stay.
func (prep) Remove(ctx context.Context, on role.Target) error {
	return linux.Remove(ctx, on, linux.State{Modules: modules, Sysctls: sysctls(nil)})
}
