// Package dnsclient is the role that points a node's resolver at the name servers of the API servers' shared name. It does
// not know what they answer.
package dnsclient

import (
	"context"
	"fmt"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
)

// New makes the role.
func New() role.Role { return client{} }

type client struct{}

// Describe says what it is and reads.
func (client) Describe() role.Info {
	return role.Info{Name: "dns-client", Version: "1.0", Wants: []string{"dns-pool-port", "kubernetes-pool-name"}}
}

// Apply sets the resolver up; where that changed something, it waits until the name resolves.
func (client) Apply(ctx context.Context, on role.Target) (role.Result, error) {
	c, err := configure(on)
	if err != nil {
		return role.Result{}, err
	}
	_, changes, err := linux.ConvergeAfter(ctx, on, sketch, c.state, probes...)
	if err == nil && len(changes) > 0 && !on.DryRun {
		err = resolves(ctx, on.Conn, c.Pool)
	}
	return role.Result{Changes: changes}, err
}

// Check says what was changed by hand.
func (r client) Check(ctx context.Context, on role.Target) (role.Drift, error) {
	on.DryRun = true
	res, err := r.Apply(ctx, on)
	return role.Drift{Changes: res.Changes}, err
}

// Remove leaves the resolver as it was found.
func (client) Remove(ctx context.Context, on role.Target) error {
	_, _, err := linux.ConvergeAfter(ctx, on, sketch, config{}.state, probes...)
	return err
}

// resolves waits until programs on the node can look the name up.
func resolves(ctx context.Context, on jig.Conn, name string) error {
	return role.Await(ctx, fmt.Sprintf("the name %s to resolve on the node", name), 20*time.Second, func(ctx context.Context) (bool, error) {
		exit, err := on.Exec(ctx, jig.Cmd{Reads: true, Argv: []string{"getent", "ahostsv4", name}, Timeout: 5 * time.Second})
		if err != nil {
			return false, err
		}
		if exit.Code != 0 {
			return false, fmt.Errorf("`getent ahostsv4 %s` ended with %d: look at /etc/resolv.conf on the node, and whether port 53 (UDP and TCP) of the dns-pool nodes can be reached from it", name, exit.Code)
		}
		return true, nil
	})
}
