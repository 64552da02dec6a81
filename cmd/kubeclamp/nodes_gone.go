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

// nodeForgetCommand takes out a node that is dead: nothing is run on it.
func (a *app) nodeForgetCommand() *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{Use: "forget NAME", Short: "Remove a dead node without reaching it: its peers take out what it was to them", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeNames(crowbar.KindNode),
		Long: `Remove a node that will not come back, without reaching it. Its peers take out what it was to them: its member of etcd, its
Kubernetes Node, its place in the pool, its lease of flannel; its certificates and node-roles go. The verb ends when that is
done; where it is interrupted, the daemon goes on.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			if err := c.Destroy(cmd.Context(), crowbar.KindNode, args[0], true); err != nil {
				return err
			}
			return awaitGone(cmd, c, args[0], timeout)
		}}
	cmd.Flags().DurationVar(&timeout, "timeout", 10*time.Minute, "give up watching after this long")
	return cmd
}

// awaitGone waits until a node that is being removed is not there any more; what of it is in error ends the wait.
func awaitGone(cmd *cobra.Command, c *client.Client, node string, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(cmd.Context(), limit)
	defer cancel()
	for {
		var n crowbar.Node
		err := c.Show(ctx, crowbar.KindNode, node, &n)
		if crowbar.KindOf(err) == crowbar.NotFound {
			return nil
		}
		var left []crowbar.NodeRole
		if err == nil {
			left, err = rolesOn(ctx, c, n.ID)
		}
		var waits, failed []string
		for _, nr := range left {
			line := nr.ID.String() + " (" + nr.State.String() + ")"
			if nr.State == crowbar.Error && nr.Failed == 0 {
				failed = append(failed, nr.ID.String()+": "+nr.Failure)
			}
			waits = append(waits, line)
		}
		if len(failed) > 0 {
			return &exitError{exitInError, fmt.Errorf("node %s is not gone yet, these failed: %s; mend the cause, then: kubeclamp noderoles retry ID", node, strings.Join(failed, "; "))}
		}
		if err != nil && !errors.Is(err, context.DeadlineExceeded) && crowbar.KindOf(err) != crowbar.Unavailable {
			return err
		}
		select {
		case <-ctx.Done():
			return &exitError{exitTimeout, fmt.Errorf("waited %s for node %s to be gone; left are node-roles %s; the daemon goes on with them", limit, node, strings.Join(waits, ", "))}
		case <-time.After(300 * time.Millisecond):
		}
	}
}

func rolesOn(ctx context.Context, c *client.Client, node crowbar.ID) ([]crowbar.NodeRole, error) {
	var all []crowbar.NodeRole
	err := c.List(ctx, crowbar.KindNodeRole, &all)
	return slices.DeleteFunc(all, func(nr crowbar.NodeRole) bool { return nr.Node != node }), err
}

// nodeReplaceCommand gives one node what another has, and then takes that one out. Each step that was done is found done when
// the verb is said again.
func (a *app) nodeReplaceCommand() *cobra.Command {
	var timeout time.Duration
	var dry bool
	cmd := &cobra.Command{Use: "replace NODE with OTHER", Short: "Give OTHER the roles of NODE, and when they are active take NODE out", Args: cobra.ExactArgs(3), ValidArgsFunction: a.completeNames(crowbar.KindNode),
		Long: `Give OTHER the roles of NODE in NODE's deployment; when all of them are active, take NODE out: drained where it is alive,
forgotten where it is dead. What will be done is said first; with --dry-run nothing else happens. Where it is interrupted, say
it again: what is done stays done.`}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if args[1] != "with" {
			return usage("say: %s", cmd.UseLine())
		}
		c, err := a.client()
		if err != nil {
			return err
		}
		r := replacing{c: c, from: args[0], to: args[2]}
		if err := r.look(cmd.Context()); err != nil {
			return err
		}
		r.tell(cmd)
		if dry {
			return nil
		}
		if err := r.bind(cmd.Context()); err != nil {
			return err
		}
		var keys []string
		for _, name := range append(r.had, r.roles...) {
			keys = append(keys, r.to+"/"+name)
		}
		s, err := a.settleThese(cmd, c, r.deployment.Name, keys, timeout)
		if err == nil {
			err = verdict(cmd, s)
		}
		if err != nil {
			return err
		}
		if err := c.Destroy(cmd.Context(), crowbar.KindNode, r.from, !r.node.Alive); err != nil {
			return err
		}
		return awaitGone(cmd, c, r.from, timeout)
	}
	cmd.Flags().DurationVar(&timeout, "timeout", 30*time.Minute, "give up watching after this long")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "only say what would be done")
	return cmd
}

// replacing is one replacement.
type replacing struct {
	c          *client.Client
	from, to   string
	node       crowbar.Node
	deployment crowbar.Deployment
	roles      []string // that OTHER is to have, parents first
	had        []string // that it has already
}

// look finds out what OTHER is to have: all that NODE has and that does not come by itself with something else.
func (r *replacing) look(ctx context.Context) error {
	var other crowbar.Node
	if err := errors.Join(r.c.Show(ctx, crowbar.KindNode, r.from, &r.node), r.c.Show(ctx, crowbar.KindNode, r.to, &other)); err != nil {
		return err
	}
	if r.node.ID == other.ID {
		return usage("a node cannot replace itself")
	}
	var roles []crowbar.Role
	if err := r.c.List(ctx, crowbar.KindRole, &roles); err != nil {
		return err
	}
	mine, err := rolesOn(ctx, r.c, r.node.ID)
	if err != nil {
		return err
	}
	its, err := rolesOn(ctx, r.c, other.ID)
	if err != nil {
		return err
	}
	slices.SortFunc(mine, func(a, b crowbar.NodeRole) int { return a.Cohort - b.Cohort })
	for _, nr := range mine {
		i := slices.IndexFunc(roles, func(x crowbar.Role) bool { return x.ID == nr.Role })
		if i < 0 || roles[i].Flags.Implicit || nr.Removing {
			continue
		}
		if len(r.roles) == 0 && len(r.had) == 0 {
			if err := r.c.Show(ctx, crowbar.KindDeployment, nr.Deployment.String(), &r.deployment); err != nil {
				return err
			}
		}
		if slices.ContainsFunc(its, func(o crowbar.NodeRole) bool { return o.Role == nr.Role && !o.Removing }) {
			r.had = append(r.had, roles[i].Name)
			continue
		}
		r.roles = append(r.roles, roles[i].Name)
	}
	if len(r.roles)+len(r.had) == 0 {
		return crowbar.Errorf(crowbar.Conflict, "node %s has no roles to hand over: take it out with 'kubeclamp nodes destroy %s'", r.from, r.from)
	}
	return nil
}

func (r *replacing) tell(cmd *cobra.Command) {
	if len(r.had) > 0 {
		cmd.PrintErrf("%s has already: %s\n", r.to, strings.Join(r.had, ", "))
	}
	if len(r.roles) > 0 {
		cmd.PrintErrf("1. bind to %s in %s: %s\n", r.to, r.deployment.Name, strings.Join(r.roles, ", "))
	}
	how := "drain it, and take everything off it"
	if !r.node.Alive {
		how = "it is dead: its peers take out what it was to them"
	}
	cmd.PrintErrf("2. wait until deployment %s is at rest, all active\n3. remove %s: %s\n", r.deployment.Name, r.from, how)
}

func (r *replacing) bind(ctx context.Context) error {
	for _, name := range r.roles {
		if _, err := r.c.Bind(ctx, name, r.to, r.deployment.Name); err != nil {
			return err
		}
	}
	return r.c.Do(ctx, crowbar.KindDeployment, r.deployment.Name, "commit", nil)
}
