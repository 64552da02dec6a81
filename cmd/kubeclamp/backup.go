package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubeclamp/kubeclamp/pkg/client"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// backupCommand is copies of clusters.
func (a *app) backupCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "backup", Short: "Copies of clusters: create, list, verify, delete", Aliases: []string{"backups"},
		Long: `Copies of clusters. Each is a folder in the daemon's DATADIR/backups: a snapshot of the cluster's etcd, the daemon's own state
(in which the cluster's authorities and keys are, sealed), and manifest.json with versions, sums and the revision of etcd.

The daemon makes one of each cluster every day (--backup-every, --backup-keep), and one before each change of who is a member of
etcd. Keep a copy of the folder on another machine, and the daemon's key file (DATADIR/key) apart from it: without the key no
secret in the state opens.`}
	cmd.AddCommand(&cobra.Command{Use: "create", Short: "Make one now, and see that it can be restored", Args: cobra.NoArgs,
		RunE: a.with(func(cmd *cobra.Command, c *client.Client, deployment string, _ []string) error {
			b, err := c.BackUp(cmd.Context(), deployment)
			if err != nil {
				return err
			}
			return a.printBackups(cmd, b, []crowbar.Backup{b})
		})},
		&cobra.Command{Use: "list", Short: "List them, oldest first", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			all, err := c.Backups(cmd.Context())
			if err != nil {
				return err
			}
			return a.printBackups(cmd, all, all)
		}},
		&cobra.Command{Use: "verify NAME", Short: "Check sums, restore its etcd into a member of its own and look what is there", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeBackups,
			RunE: func(cmd *cobra.Command, args []string) error {
				c, err := a.client()
				if err != nil {
					return err
				}
				b, err := c.VerifyBackup(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				return a.printBackups(cmd, b, []crowbar.Backup{b})
			}},
		&cobra.Command{Use: "delete NAME...", Short: "Delete some", Args: cobra.MinimumNArgs(1), ValidArgsFunction: a.completeBackups,
			RunE: func(cmd *cobra.Command, args []string) error {
				c, err := a.client()
				if err != nil {
					return err
				}
				for _, name := range args {
					if err := c.DeleteBackup(cmd.Context(), name); err != nil {
						return err
					}
					fmt.Fprintf(cmd.ErrOrStderr(), "backup %s is deleted\n", name)
				}
				return nil
			}})
	return cmd
}

func (a *app) printBackups(cmd *cobra.Command, data any, all []crowbar.Backup) error {
	rows := make([][]string, 0, len(all))
	for _, b := range all {
		verified := "no"
		switch {
		case b.Problem != "":
			verified = b.Problem
		case !b.Verified.IsZero():
			verified = b.Verified.Format(time.RFC3339)
		}
		rows = append(rows, []string{b.Name, b.Why, b.Node, strconv.FormatInt(b.Revision, 10), strconv.Itoa(b.Keys), strconv.FormatInt(b.Bytes(), 10), verified})
	}
	return a.print(cmd.OutOrStdout(), data, "NAME\tWHY\tFROM\tREVISION\tKEYS\tBYTES\tVERIFIED", rows)
}

// completeBackups offers the names of backups.
func (a *app) completeBackups(cmd *cobra.Command, _ []string, start string) ([]string, cobra.ShellCompDirective) {
	c, err := a.client()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	all, err := c.Backups(cmd.Context())
	var names []string
	for _, b := range all {
		if err == nil && strings.HasPrefix(b.Name, start) {
			names = append(names, b.Name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
