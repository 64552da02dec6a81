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

// nodeReplaceCommand gives one node what another has, and takes that one out. Each step that was done is found done when the
// verb is said again.
func (a *app) nodeReplaceCommand() *cobra.Command {
	var timeout time.Duration
	var dry bool
	cmd := &cobra.Command{Use: "replace NODE with OTHER", Short: "Give OTHER the roles of NODE, and take NODE out", Args: cobra.ExactArgs(3), ValidArgsFunction: a.completeNames(crowbar.KindNode),
		Long: `Give OTHER the roles of NODE in NODE's deployment, and take NODE out: one that is alive is drained once all of them are active
on OTHER; one that is dead is forgotten first, since a cluster of etcd takes nobody in while a member does not answer. What will
be done is said first; with --dry-run nothing else happens. Where it is interrupted, say it again: what is done stays done.`}
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
		steps := []func() error{func() error { return r.commit(cmd.Context()) }, func() error { return a.awaitOther(cmd, &r, timeout) }, func() error { return r.takeOut(cmd, timeout) }}
		if !r.node.Alive {
			steps[0], steps[1], steps[2] = steps[2], steps[0], steps[1]
		}
		for _, step := range steps {
			if err := step(); err != nil {
				return err
			}
		}
		return nil
	}
	cmd.Flags().DurationVar(&timeout, "timeout", 30*time.Minute, "give up watching after this long")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "only say what would be done")
	return cmd
}

// replacing is one replacement.
type replacing struct {
	c           *client.Client
	from, to    string
	node, other crowbar.Node
	deployment  crowbar.Deployment
	roles       []string // that OTHER is to have, parents first
	had         []string // that it has already
}

// look finds out what OTHER is to have: all that NODE has and that does not come by itself with something else.
func (r *replacing) look(ctx context.Context) error {
	if err := r.nodes(ctx); err != nil {
		return err
	}
	var roles []crowbar.Role
	if err := r.c.List(ctx, crowbar.KindRole, &roles); err != nil {
		return err
	}
	var all []crowbar.NodeRole
	if err := r.c.List(ctx, crowbar.KindNodeRole, &all); err != nil {
		return err
	}
	slices.SortStableFunc(all, func(a, b crowbar.NodeRole) int { return a.Cohort - b.Cohort })
	for _, nr := range all {
		i := slices.IndexFunc(roles, func(x crowbar.Role) bool { return x.ID == nr.Role })
		if nr.Node != r.node.ID || i < 0 || roles[i].Flags.Implicit || nr.Removing && !r.node.Removing {
			continue
		}
		switch {
		case r.deployment.ID == 0:
			if err := r.c.Show(ctx, crowbar.KindDeployment, nr.Deployment.String(), &r.deployment); err != nil {
				return err
			}
		case r.deployment.ID != nr.Deployment:
			return crowbar.Errorf(crowbar.Conflict, "node %s has roles in deployment %s and in another one: bind those of the other one to %s, and unbind them from %[1]s, first", r.from, r.deployment.Name, r.to)
		}
		j := slices.IndexFunc(all, func(o crowbar.NodeRole) bool { return o.Node == r.other.ID && o.Role == nr.Role && !o.Removing })
		switch {
		case j < 0:
			r.roles = append(r.roles, roles[i].Name)
		case all[j].Deployment != nr.Deployment:
			return crowbar.Errorf(crowbar.Conflict, "node %s has role %s in another deployment than %s: unbind it there first", r.to, roles[i].Name, r.deployment.Name)
		default:
			r.had = append(r.had, roles[i].Name)
		}
	}
	if len(r.roles)+len(r.had) == 0 && !r.node.Removing {
		return crowbar.Errorf(crowbar.Conflict, "node %s has no roles to hand over: take it out with 'kubeclamp nodes destroy %s'", r.from, r.from)
	}
	return r.atHand(all)
}

func (r *replacing) nodes(ctx context.Context) error {
	err := r.c.Show(ctx, crowbar.KindNode, r.from, &r.node)
	if bad := r.c.Show(ctx, crowbar.KindNode, r.to, &r.other); bad != nil {
		return errors.Join(err, bad)
	}
	switch {
	case crowbar.KindOf(err) == crowbar.NotFound:
		return r.gone(ctx, err)
	case err != nil:
		return err
	case r.node.ID == r.other.ID:
		return usage("a node cannot replace itself")
	case r.other.Removing:
		return crowbar.Errorf(crowbar.Conflict, "node %s is being deleted itself", r.to)
	case !r.other.Alive:
		return crowbar.Errorf(crowbar.Conflict, "node %s is not alive: bring it up, and then: kubeclamp nodes update %[1]s --alive", r.to)
	}
	return nil
}

// gone says what is left to do where NODE has been taken out already, or never was.
func (r *replacing) gone(ctx context.Context, err error) error {
	its, bad := rolesOn(ctx, r.c, r.other.ID)
	if slices.ContainsFunc(its, func(nr crowbar.NodeRole) bool { return nr.State == crowbar.Proposed }) {
		return errors.Join(fmt.Errorf("%w; if it is gone already, %s gets its roles by: kubeclamp commit && kubeclamp wait", err, r.to), bad)
	}
	return errors.Join(fmt.Errorf("%w; if it was replaced already, 'kubeclamp wait' says whether %s is done", err, r.to), bad)
}

// atHand refuses where nothing would run, or where somebody's changes elsewhere would be committed by the way.
func (r *replacing) atHand(all []crowbar.NodeRole) error {
	if r.deployment.Paused {
		return crowbar.Errorf(crowbar.Conflict, "deployment %s is paused, so that nothing of it would run: kubeclamp deployments resume %[1]s", r.deployment.Name)
	}
	for _, nr := range all {
		if nr.Deployment == r.deployment.ID && nr.State == crowbar.Proposed && nr.Node != r.other.ID {
			return crowbar.Errorf(crowbar.Conflict, "deployment %s has changes on other nodes that are not committed (node-role %s): commit them first, or take them back", r.deployment.Name, nr.ID)
		}
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
	if r.node.Alive {
		cmd.PrintErrf("2. commit, and wait until all of them are active\n3. remove %s: drain it, and take everything off it\n", r.from)
		return
	}
	cmd.PrintErrf("2. remove %s: it is dead, and its peers take out what it was to them\n3. commit, and wait until all of them are active\n", r.from)
}

// bind gives OTHER its roles, which wait to be committed.
func (r *replacing) bind(ctx context.Context) error {
	for _, name := range r.roles {
		if _, err := r.c.Bind(ctx, name, r.to, r.deployment.Name); err != nil {
			return err
		}
	}
	return nil
}

// commit has them run; those that were bound before, and perhaps not committed, with them.
func (r *replacing) commit(ctx context.Context) error {
	if len(r.roles)+len(r.had) == 0 {
		return nil
	}
	return r.c.Do(ctx, crowbar.KindDeployment, r.deployment.Name, "commit", nil)
}

// awaitOther waits until OTHER has all its roles.
func (a *app) awaitOther(cmd *cobra.Command, r *replacing, limit time.Duration) error {
	var keys []string
	for _, name := range slices.Concat(r.had, r.roles) {
		keys = append(keys, r.other.Short()+"/"+name)
	}
	if len(keys) == 0 {
		return nil
	}
	s, err := a.settleThese(cmd, r.c, r.deployment.Name, keys, limit)
	if err != nil {
		return err
	}
	return verdict(cmd, s)
}

// takeOut removes NODE, unless that has been asked for already, and waits until it is gone.
func (r *replacing) takeOut(cmd *cobra.Command, limit time.Duration) error {
	if !r.node.Removing {
		err := r.c.Destroy(cmd.Context(), crowbar.KindNode, r.from, !r.node.Alive)
		if crowbar.KindOf(err) == crowbar.Conflict && !r.node.Alive { // something needs what it alone has: OTHER stands in for it
			if err = r.commit(cmd.Context()); err == nil {
				err = r.c.Destroy(cmd.Context(), crowbar.KindNode, r.from, true)
			}
		}
		if err != nil {
			return err
		}
	}
	return awaitGone(cmd, r.c, r.from, limit)
}
