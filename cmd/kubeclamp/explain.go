package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubeclamp/kubeclamp/pkg/client"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

func (a *app) explainCommand() *cobra.Command {
	var name string
	cmd := &cobra.Command{Use: "explain NODE/ROLE [ATTRIB]", Short: "Say where the values come from that a role is given on a node; or with --attrib, who uses one",
		Args: cobra.MaximumNArgs(2), ValidArgsFunction: func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 0 {
				return a.completeNodeRole(nil)(cmd, args, typed)
			}
			return onlyFirst(a.completeAttribs(false))(cmd, args[1:], typed)
		}, RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			switch {
			case name != "" && len(args) == 0:
				return a.explainUse(cmd, c, name)
			case name != "" || len(args) == 0:
				return usage("say: kubeclamp explain NODE/ROLE [ATTRIB], or kubeclamp explain --attrib NAME")
			}
			attrib := ""
			if len(args) == 2 {
				attrib = args[1]
			}
			all, err := c.Explain(cmd.Context(), args[0], attrib)
			if err != nil {
				return err
			}
			return a.printExplained(cmd, all, attrib != "")
		}}
	cmd.Flags().StringVar(&name, "attrib", "", "say who uses this attrib")
	_ = cmd.RegisterFlagCompletionFunc("attrib", a.completeAttribs(false))
	return cmd
}

// printExplained is a row for each attrib, or, of one, a row for each layer.
func (a *app) printExplained(cmd *cobra.Command, all []crowbar.Explanation, one bool) error {
	var rows [][]string
	if !one || len(all) != 1 || all[0].Computed != "" {
		for _, x := range all {
			rows = append(rows, summary(x, x.Attrib))
		}
		return a.print(cmd.OutOrStdout(), all, "ATTRIB\tVALUE\tFROM\tWHERE", rows)
	}
	for _, l := range all[0].Layers {
		mark, since := " ", ""
		if l.Wins {
			mark = "*"
		}
		if l.Since != nil {
			since = l.Since.Local().Format(time.DateTime)
		}
		value := "-"
		if l.Set {
			value = crowbar.Text(l.Value)
		}
		rows = append(rows, []string{mark + " " + l.Name, l.Where, since, value})
	}
	return a.print(cmd.OutOrStdout(), all[0], "  LAYER\tWHERE\tLAST CHANGED\tVALUE", rows)
}

func summary(x crowbar.Explanation, first string) []string {
	value, from, where := crowbar.Text(x.Value), "the host", ""
	for _, l := range x.Layers {
		if l.Wins {
			from, where = l.Name, l.Where
		}
	}
	if x.Proposed {
		from += " (another value is proposed)"
	}
	return []string{first, value, from, where}
}

func (a *app) explainUse(cmd *cobra.Command, c *client.Client, name string) error {
	u, err := c.Uses(cmd.Context(), name)
	if err != nil {
		return err
	}
	if a.output == "table" {
		out := cmd.OutOrStdout()
		owner := "of nodes"
		if u.Role != "" {
			owner = "of role " + u.Role
		}
		fmt.Fprintf(out, "%s, %s, barclamp %s (%s)\nlies at %s\n", u.Attrib, owner, u.Barclamp, u.Source, u.Map)
		fmt.Fprintln(out, "given to", strings.Join(u.Roles, ", "))
		if len(u.Leaves) > 0 {
			fmt.Fprintln(out, "named in the certificates of", strings.Join(u.Leaves, ", "))
		}
	}
	rows := make([][]string, 0, len(u.NodeRoles))
	for _, x := range u.NodeRoles {
		rows = append(rows, summary(x, x.NodeRole))
	}
	return a.print(cmd.OutOrStdout(), u, "NODE/ROLE\tVALUE\tFROM\tWHERE", rows)
}
