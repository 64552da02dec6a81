package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kubeclamp/kubeclamp/pkg/client"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

func (a *app) whyCommand() *cobra.Command {
	return &cobra.Command{Use: "why [NODE/ROLE | DEPLOYMENT]", Short: "Say in one line why a node-role waits; of a deployment, why everything does, by root cause",
		Args: cobra.MaximumNArgs(1), ValidArgsFunction: onlyFirst(a.completeDeploymentOrNodeRole), RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && (strings.Contains(args[0], "/") || strings.Trim(args[0], "0123456789") == "") {
				return a.whyOne(cmd, args[0])
			}
			if len(args) == 1 {
				a.deployment = args[0]
			}
			return a.with(func(cmd *cobra.Command, c *client.Client, d string, _ []string) error {
				all, err := c.WhyAll(cmd.Context(), d)
				if err != nil {
					return err
				}
				return a.printReasons(cmd.OutOrStdout(), all)
			})(cmd, nil)
		}}
}

func (a *app) whyOne(cmd *cobra.Command, key string) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	why, err := c.Why(cmd.Context(), key)
	if err != nil {
		return err
	}
	if a.output != "table" {
		return a.print(cmd.OutOrStdout(), map[string]string{"node_role": key, "why": why}, "", [][]string{{key}})
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), why)
	return err
}

// printReasons is a part for each root cause: what it is, what to do about it, and a line for each node-role that waits for it.
func (a *app) printReasons(w io.Writer, all crowbar.Reasons) error {
	if a.output != "table" {
		var names [][]string
		for _, c := range all.Causes {
			for _, x := range c.Waiting {
				names = append(names, []string{x.Node + "/" + x.Role})
			}
		}
		return a.print(w, all, "", names)
	}
	if len(all.Causes) == 0 {
		_, err := fmt.Fprintf(w, "deployment %s: nothing waits, %d of %d node-roles are active\n", all.Deployment, all.Active, all.Total)
		return err
	}
	fmt.Fprintf(w, "deployment %s: %d of %d node-roles are active, the others wait for %s\n", all.Deployment, all.Active, all.Total, plural(len(all.Causes), "cause"))
	for _, c := range all.Causes {
		fmt.Fprintf(w, "\n%s\n  %s\n", c.Cause, c.Remedy)
		wide := 0
		for _, x := range c.Waiting {
			wide = max(wide, len(x.Node)+1+len(x.Role))
		}
		for _, x := range c.Waiting {
			fmt.Fprintf(w, "  %s %-*s  %s\n", x.State.Mark(), wide, x.Node+"/"+x.Role, x.Why)
		}
	}
	return nil
}

func (a *app) cancelCommand() *cobra.Command {
	return &cobra.Command{Use: "cancel NODE/ROLE...", Short: "Stop what runs: it is in error then, and not tried again by itself", Args: cobra.MinimumNArgs(1), ValidArgsFunction: a.completeNodeRole(nil),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			for _, key := range args {
				var now crowbar.NodeRole
				if err := c.Do(cmd.Context(), crowbar.KindNodeRole, key, "cancel", &now); err != nil {
					return err
				}
				if now.Cancel != "" {
					cmd.PrintErrf("%s is told to stop\n", key)
				} else {
					cmd.PrintErrf("%s does not run: it is %s\n", key, now.State)
				}
			}
			return nil
		}}
}
