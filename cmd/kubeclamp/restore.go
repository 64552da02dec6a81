package main

import (
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubeclamp/kubeclamp/pkg/client"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// restoreAttrib says with which backup a new etcd begins.
const restoreAttrib = "etcd-restore"

func (a *app) restoreCommand() *cobra.Command {
	var yes, dry, replace bool
	var limit time.Duration
	cmd := &cobra.Command{Use: "restore BACKUP", Short: "Bring a whole cluster back from a backup, onto nodes that were installed anew",
		Long: `Bring a whole cluster back from a backup: everything is applied to its nodes as to new ones, and the first member of etcd begins
with the backup. Whatever was written after the backup is not in it. What is done is shown first, and asked for.

Nodes that were lost for good are replaced before: 'kubeclamp nodes forget NODE', and bind their roles to others. Every node of
the deployment that has a member of etcd must answer. Where the daemon itself was lost, 'kubeclampd restore BACKUP' comes first.

Refused while etcd serves, unless --replace is given. Data that is there stays beside on its node, in member.aside-TIME in etcd's
data folder. Cut off anywhere, the same command goes on.`, Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeBackups,
		RunE: a.with(func(cmd *cobra.Command, c *client.Client, deployment string, args []string) error {
			return a.restore(cmd, c, deployment, args[0], restoring{yes, dry, replace, limit})
		})}
	f := cmd.Flags()
	f.BoolVarP(&yes, "yes", "y", false, "do not ask")
	f.BoolVar(&dry, "dry-run", false, "only show what would be done")
	f.BoolVar(&replace, "replace", false, "also where etcd serves: what it has is replaced")
	f.DurationVar(&limit, "timeout", 30*time.Minute, "how long to wait for the end")
	return cmd
}

// restoring is how a restore was asked for.
type restoring struct {
	yes, dry, replace bool
	limit             time.Duration
}

func (a *app) restore(cmd *cobra.Command, c *client.Client, deployment, name string, how restoring) error {
	ctx, began := cmd.Context(), time.Now()
	if how.dry {
		if _, err := findBackup(cmd, c, name); err != nil {
			return err
		}
	} else if _, err := c.VerifyBackup(ctx, name); err != nil {
		return err
	}
	if now, err := c.Attrib(ctx, crowbar.KindDeployment, deployment, restoreAttrib); err != nil {
		return err
	} else if now == name {
		cmd.PrintErrf("the restore of %s has begun: it goes on\n", name)
		return a.restored(cmd, c, deployment, began, how.limit)
	}
	all, err := etcdMembers(ctx, c, deployment)
	if err != nil {
		return err
	}
	if err := a.printMembers(cmd, all); err != nil {
		return err
	}
	if err := fit(all, how.replace); err != nil {
		return err
	}
	cmd.Printf("\nwhat will be done:\n  pause deployment %s\n", deployment)
	for _, m := range all {
		if m.Data {
			cmd.Printf("  stop etcd on %s; its data stays beside\n", m.Node)
		}
	}
	cmd.Printf("  apply everything in %s as to new nodes; the first member of etcd begins with backup %s\n\n", deployment, name)
	if how.dry {
		return nil
	}
	if !how.yes {
		if err := confirm(cmd, deployment, "restore"); err != nil {
			return err
		}
	}
	if err := halted(cmd, c, deployment, all, ""); err != nil {
		return err
	}
	if err := c.SetAttrib(ctx, crowbar.KindDeployment, deployment, restoreAttrib, name); err != nil {
		return err
	}
	if err := c.Do(ctx, crowbar.KindDeployment, deployment, "redeploy", nil); err != nil {
		return err
	}
	return a.restored(cmd, c, deployment, began, how.limit)
}

// fit is an error unless everybody who could have a say in etcd can be reached, and nobody serves.
func fit(all []etcdMember, replace bool) error {
	var dark, serve []string
	for _, m := range all {
		if m.Dark {
			dark = append(dark, m.Node+" ("+oneLine(m.Error)+")")
		}
		if m.Quorum {
			serve = append(serve, m.Node)
		}
	}
	if len(dark) > 0 {
		return crowbar.Errorf(crowbar.Unavailable, "these nodes have a member of etcd, and do not answer: %s: switch them on, install them anew, or give them up by 'kubeclamp nodes forget NODE'", strings.Join(dark, ", "))
	}
	if len(serve) > 0 && !replace {
		return crowbar.Errorf(crowbar.Conflict, "etcd serves on %s: what it has would be replaced by the backup; say --replace if that is wanted", strings.Join(serve, ", "))
	}
	return nil
}

// restored lets the deployment go on until it is at rest, and then forgets about the backup.
func (a *app) restored(cmd *cobra.Command, c *client.Client, deployment string, began time.Time, limit time.Duration) error {
	ctx := cmd.Context()
	if err := c.Do(ctx, crowbar.KindDeployment, deployment, "resume", nil); err != nil {
		return err
	}
	if err := a.await(cmd, c, deployment, began, limit); err != nil {
		return err
	}
	if err := c.UnsetAttrib(ctx, crowbar.KindDeployment, deployment, restoreAttrib); err != nil {
		return err
	}
	if err := c.Do(ctx, crowbar.KindDeployment, deployment, "commit", nil); err != nil {
		return err
	}
	return a.await(cmd, c, deployment, began, limit)
}

func findBackup(cmd *cobra.Command, c *client.Client, name string) (crowbar.Backup, error) {
	all, err := c.Backups(cmd.Context())
	if err != nil {
		return crowbar.Backup{}, err
	}
	if i := slices.IndexFunc(all, func(b crowbar.Backup) bool { return b.Name == name }); i >= 0 {
		return all[i], nil
	}
	return crowbar.Backup{}, crowbar.Errorf(crowbar.NotFound, "there is no backup %q: see 'kubeclamp backup list'", name)
}
