package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubeclamp/kubeclamp/pkg/client"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// completionLimit is how long somebody who pressed a key waits for names at the most.
const completionLimit = 2 * time.Second

// asking makes a completion of what the daemon says. Where it cannot be asked, or is slow, there is none, and nothing is said:
// whoever typed did not ask for an error.
func (a *app) asking(names func(ctx context.Context, c *client.Client, args []string, typed string) ([]string, error)) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		c, err := a.client()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completionLimit)
		defer cancel()
		out, err := names(ctx, c, args, typed)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		slices.Sort(out)
		return slices.Compact(out), cobra.ShellCompDirectiveNoFileComp
	}
}

// completeNames completes the names of objects of a kind.
func (a *app) completeNames(k crowbar.Kind) cobra.CompletionFunc {
	if k == crowbar.KindNodeRole {
		return a.completeNodeRole(nil)
	}
	return a.asking(func(ctx context.Context, c *client.Client, _ []string, _ string) ([]string, error) {
		return namesOf(ctx, c, k)
	})
}

// completeFirst completes a first argument, and for those after it something else.
func (a *app) completeFirst(first, then crowbar.Kind) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) == 0 {
			return a.completeNames(first)(cmd, args, typed)
		}
		return a.completeNames(then)(cmd, args, typed)
	}
}

// completeNodeRole completes NODE/ROLE: the node first, then what is on it; with more, what that says as well.
func (a *app) completeNodeRole(more func(ctx context.Context, c *client.Client) ([]string, error)) cobra.CompletionFunc {
	complete := a.asking(func(ctx context.Context, c *client.Client, _ []string, typed string) (out []string, err error) {
		if more != nil {
			if out, err = more(ctx, c); err != nil {
				return nil, err
			}
		}
		node, _, slash := strings.Cut(typed, "/")
		if !slash {
			nodes, err := shortNames(ctx, c)
			for _, n := range nodes {
				out = append(out, n+"/")
			}
			return out, err
		}
		var roles []crowbar.Role
		if err := c.Below(ctx, crowbar.KindNode, node, string(crowbar.KindRole), &roles); err != nil {
			return nil, err
		}
		for _, r := range roles {
			out = append(out, node+"/"+r.Name)
		}
		return out, nil
	})
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		out, how := complete(cmd, args, typed)
		if !strings.Contains(typed, "/") {
			how |= cobra.ShellCompDirectiveNoSpace
		}
		return out, how
	}
}

func (a *app) completeDeploymentOrNodeRole(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	return a.completeNodeRole(func(ctx context.Context, c *client.Client) ([]string, error) {
		return namesOf(ctx, c, crowbar.KindDeployment)
	})(cmd, args, typed)
}

// completeAttribs completes names of attribs, and with assign also the sign behind them.
func (a *app) completeAttribs(assign bool) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		out, how := a.completeNames(crowbar.KindAttrib)(cmd, args, typed)
		if assign {
			for i := range out {
				out[i] += "="
			}
			how |= cobra.ShellCompDirectiveNoSpace
		}
		return out, how
	}
}

func shortNames(ctx context.Context, c *client.Client) ([]string, error) {
	var all []crowbar.Node
	if err := c.List(ctx, crowbar.KindNode, &all); err != nil {
		return nil, err
	}
	var out []string
	for _, n := range all {
		if !n.System {
			out = append(out, n.Short())
		}
	}
	return out, nil
}

func namesOf(ctx context.Context, c *client.Client, k crowbar.Kind) ([]string, error) {
	var all []struct {
		ID       crowbar.ID `json:"id"`
		Name     string     `json:"name"`
		Username string     `json:"username"`
		System   bool       `json:"system"`
	}
	if err := c.List(ctx, k, &all); err != nil {
		return nil, err
	}
	var names []string
	for _, o := range all {
		switch {
		case o.System && k == crowbar.KindNode: // phantoms are nobody's to name
		case o.Name != "":
			names = append(names, o.Name)
		case o.Username != "":
			names = append(names, o.Username)
		default:
			names = append(names, o.ID.String())
		}
	}
	return names, nil
}

// completeSentence completes sentences such as NODE to ROLE...: names of one kind, a word, and from there on something else.
func (a *app) completeSentence(first crowbar.Kind, word string, then cobra.CompletionFunc) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		switch len(args) {
		case 0:
			return a.completeNames(first)(cmd, args, typed)
		case 1:
			return []string{word}, cobra.ShellCompDirectiveNoFileComp
		}
		return then(cmd, args[2:], typed)
	}
}

// completeAfterTo completes what a sentence names behind its "to".
func (a *app) completeAfterTo(use string) cobra.CompletionFunc {
	_, what, _ := strings.Cut(use, " to ")
	switch strings.TrimSuffix(what, "...") {
	case "NODE":
		return a.completeNames(crowbar.KindNode)
	case "DEPLOYMENT":
		return a.completeNames(crowbar.KindDeployment)
	}
	return a.completeNames(crowbar.KindRole)
}

// onlyFirst completes one argument, and none behind it.
func onlyFirst(f cobra.CompletionFunc) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return f(cmd, args, typed)
	}
}
