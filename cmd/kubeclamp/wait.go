package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubeclamp/kubeclamp/pkg/client"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

func (a *app) waitCommand() *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{Use: "wait [DEPLOYMENT | NODE/ROLE...]", Short: "Wait until a deployment is at rest, or node-roles are active; changes nothing",
		ValidArgsFunction: a.completeDeploymentOrNodeRole,
		Long: `Wait until nothing runs in a deployment and nothing can start, or until all those NODE/ROLE are active. Nothing is changed.

Ends with 0 where everything is active, with 6 where it came to rest before that, with 5 where the wait ran out.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && !strings.Contains(args[0], "/") {
				a.deployment, args = args[0], nil
			}
			return a.with(func(cmd *cobra.Command, c *client.Client, d string, _ []string) error {
				var s crowbar.Status
				var err error
				if len(args) == 0 {
					s, err = a.settle(cmd, c, d, timeout)
				} else {
					s, err = a.settleThese(cmd, c, d, args, timeout)
				}
				if err == nil {
					err = verdict(cmd, s)
				}
				if err != nil {
					return err
				}
				if a.output != "table" {
					return a.printNodeRoles(cmd, s)
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s active\n", plural(len(s.NodeRoles), "node-role"))
				return err
			})(cmd, nil)
		}}
	cmd.Flags().DurationVar(&timeout, "timeout", time.Hour, "give up after this long")
	a.progressFlag(cmd)
	return cmd
}

// settle watches until a deployment is at rest.
func (a *app) settle(cmd *cobra.Command, c *client.Client, deployment string, limit time.Duration) (crowbar.Status, error) {
	return a.watchUntil(cmd, c, deployment, limit, resting)
}

// settleThese watches until all of some node-roles are active, or the deployment is at rest before that. What it gives has
// those alone.
func (a *app) settleThese(cmd *cobra.Command, c *client.Client, deployment string, keys []string, limit time.Duration) (crowbar.Status, error) {
	those := func(s crowbar.Status) []crowbar.NodeRoleStatus {
		var out []crowbar.NodeRoleStatus
		for _, nr := range s.NodeRoles {
			if slices.Contains(keys, nr.Node+"/"+nr.Role) || slices.Contains(keys, nr.ID.String()) {
				out = append(out, nr)
			}
		}
		return out
	}
	first, err := c.Status(cmd.Context(), deployment, 0)
	if err != nil {
		return first, err
	}
	if found := those(first); len(found) != len(keys) {
		missing := slices.DeleteFunc(slices.Clone(keys), func(k string) bool {
			return slices.ContainsFunc(found, func(nr crowbar.NodeRoleStatus) bool { return k == nr.Node+"/"+nr.Role || k == nr.ID.String() })
		})
		return first, crowbar.Errorf(crowbar.NotFound, "deployment %s has no node-role %s: list them with 'kubeclamp noderoles list'", deployment, strings.Join(missing, ", "))
	}
	s, err := a.watchUntil(cmd, c, deployment, limit, func(s crowbar.Status) bool {
		return resting(s) || !slices.ContainsFunc(those(s), func(nr crowbar.NodeRoleStatus) bool { return nr.State != crowbar.Active })
	})
	s.NodeRoles = those(s)
	return s, err
}

// watchUntil shows a deployment as it changes, until done or for as long as the limit says.
func (a *app) watchUntil(cmd *cobra.Command, c *client.Client, deployment string, limit time.Duration, done func(crowbar.Status) bool) (crowbar.Status, error) {
	ctx, cancel := context.WithTimeout(cmd.Context(), limit)
	defer cancel()
	d, err := a.display(cmd.ErrOrStderr())
	if err != nil {
		return crowbar.Status{}, err
	}
	defer d.close()
	last, err := follow(ctx, c, deployment, d.show, done)
	if errors.Is(err, context.DeadlineExceeded) {
		err = &exitError{exitTimeout, fmt.Errorf("waited %s for deployment %s to come to rest; it still waits for: %s", limit, deployment, strings.Join(waiting(last), "; "))}
	}
	return last, err
}
