package main

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubeclamp/kubeclamp/pkg/client"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

func (a *app) nodeRolesCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "noderoles", Short: "Roles on nodes: list, show, retry, cancel, destroy", Aliases: []string{"noderole", "node-roles"}}
	cmd.AddCommand(&cobra.Command{Use: "list", Short: "List them", Args: cobra.NoArgs, RunE: a.with(func(cmd *cobra.Command, c *client.Client, d string, _ []string) error {
		s, err := c.Status(cmd.Context(), d, 0)
		if err != nil {
			return err
		}
		return a.printNodeRoles(cmd, s)
	})}, a.showCommand(crowbar.KindNodeRole), a.destroyCommand(crowbar.KindNodeRole, "destroy", "Take the role off the node", false))
	cmd.AddCommand(&cobra.Command{Use: "retry NODE/ROLE", Short: "Try again after an error", Args: cobra.MinimumNArgs(1), ValidArgsFunction: a.completeNodeRole(nil), RunE: func(cmd *cobra.Command, args []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		for _, key := range args {
			if err := c.Do(cmd.Context(), crowbar.KindNodeRole, key, "retry", nil); err != nil {
				return err
			}
		}
		return nil
	}})
	cmd.AddCommand(a.cancelCommand())
	return cmd
}

func (a *app) printNodeRoles(cmd *cobra.Command, s crowbar.Status) error {
	rows := make([][]string, 0, len(s.NodeRoles))
	for _, nr := range s.NodeRoles {
		rows = append(rows, []string{nr.Node + "/" + nr.Role, nr.State.Mark() + " " + nr.Name, firstLine(nr)})
	}
	return a.print(cmd.OutOrStdout(), s, "NODE/ROLE\tSTATE\tSTATUS", rows)
}

// firstLine is what most helps a reader: why it waits, what went wrong, or what it does.
func firstLine(nr crowbar.NodeRoleStatus) string {
	for _, t := range []string{nr.Why, nr.Failure, nr.Status} {
		if t != "" {
			line, _, _ := strings.Cut(t, "\n")
			return line
		}
	}
	return ""
}

func (a *app) logsCommand() *cobra.Command {
	var follow bool
	var attempt uint64
	cmd := &cobra.Command{Use: "logs NODE/ROLE", Short: "Print the log of a run", Args: cobra.ExactArgs(1), ValidArgsFunction: onlyFirst(a.completeNodeRole(nil)), RunE: func(cmd *cobra.Command, args []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		return c.Log(cmd.Context(), args[0], attempt, follow, cmd.OutOrStdout())
	}}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on until the run ends")
	cmd.Flags().Uint64Var(&attempt, "attempt", 0, "which attempt (0 = the newest)")
	return cmd
}

func (a *app) statusCommand() *cobra.Command {
	var watch bool
	cmd := &cobra.Command{Use: "status", Short: "What every role on every node does now", Args: cobra.NoArgs,
		RunE: a.with(func(cmd *cobra.Command, c *client.Client, d string, _ []string) error {
			if watch {
				return a.watch(cmd, c, d)
			}
			s, err := c.Status(cmd.Context(), d, 0)
			if err != nil {
				return err
			}
			if a.output != "table" {
				return a.printNodeRoles(cmd, s)
			}
			return drawMatrix(cmd.OutOrStdout(), s)
		})}
	a.progressFlag(cmd)
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "go on showing it until interrupted")
	return cmd
}

func (a *app) kubeconfigCommand() *cobra.Command {
	return &cobra.Command{Use: "kubeconfig", Short: "Print the administrator's kubeconfig", Args: cobra.NoArgs,
		RunE: a.with(func(cmd *cobra.Command, c *client.Client, d string, _ []string) error {
			b, err := c.Kubeconfig(cmd.Context(), d)
			if err != nil {
				return err
			}
			return printYAML(cmd.OutOrStdout(), rawJSON(b))
		})}
}

// rawJSON is already JSON.
type rawJSON []byte

// MarshalJSON gives it as it is.
func (r rawJSON) MarshalJSON() ([]byte, error) { return r, nil }

func (a *app) reportCommand() *cobra.Command {
	var since string
	cmd := &cobra.Command{Use: "report", Short: "Where the time of the last runs went: by role, and the critical path", Args: cobra.NoArgs,
		RunE: a.with(func(cmd *cobra.Command, c *client.Client, d string, _ []string) error {
			from := time.Time{}
			if since != "" {
				var err error
				if from, err = time.Parse(time.RFC3339Nano, since); err != nil {
					return usage("--since: want a time such as 2026-01-31T12:00:00Z: %v", err)
				}
			}
			rep, err := c.Report(cmd.Context(), d, from)
			if err != nil {
				return err
			}
			if a.output != "table" {
				return a.print(cmd.OutOrStdout(), rep, "", nil)
			}
			return printReport(cmd.OutOrStdout(), d, rep)
		})}
	cmd.Flags().StringVar(&since, "since", "", "only runs that began at or after this time (RFC 3339)")
	return cmd
}
