package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubeclamp/kubeclamp/pkg/client"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

func (a *app) certsCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "certs", Short: "The clusters' authorities, certificates and keys: list, renew, rotate", Aliases: []string{"certificates", "cert"}}
	cmd.AddCommand(a.certsListCommand(), a.certsRenewCommand(), a.certsRotateCommand())
	return cmd
}

func (a *app) certsListCommand() *cobra.Command {
	var due bool
	cmd := &cobra.Command{Use: "list", Short: "List them: whose, until when, when renewed, what uses them", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		all, err := c.Certificates(cmd.Context())
		if err != nil {
			return err
		}
		if due {
			all = slices.DeleteFunc(all, func(c crowbar.Certificate) bool { return !c.Due })
		}
		rows := make([][]string, 0, len(all))
		for _, c := range all {
			node := c.Node
			if node == "" {
				node = "-"
			}
			rows = append(rows, []string{c.Name, c.What, node, c.Subject, day(c.Ends), day(c.Renews), certState(c), list(c.UsedBy, 6)})
		}
		return a.print(cmd.OutOrStdout(), all, "NAME\tWHAT\tNODE\tSUBJECT\tENDS\tRENEWED AT\tSTATE\tUSED BY", rows)
	}}
	cmd.Flags().BoolVar(&due, "due", false, "those alone that are due to be renewed")
	return cmd
}

func day(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.DateOnly)
}

// certState is one word, and of one that is rotated the phase and what that waits for.
func certState(c crowbar.Certificate) string {
	switch {
	case c.Rotation != nil && len(c.Waits) > 0:
		return "> " + c.Rotation.Phase + ", waits for " + plural(len(c.Waits), "run")
	case c.Rotation != nil && !c.Rotation.Settled.IsZero():
		return "> " + c.Rotation.Phase + ", the old one stays until " + c.Rotation.Settled.Add(time.Duration(c.Rotation.Hold)).UTC().Format(time.RFC3339)
	case c.Rotation != nil:
		return "> " + c.Rotation.Phase
	case c.Due:
		return "! due"
	}
	return "+ fine"
}

func (a *app) certsRenewCommand() *cobra.Command {
	var w crowbar.RenewWish
	cmd := &cobra.Command{Use: "renew [CERTIFICATE]", Short: "Make certificates anew that are due, or with --all those that are not", Args: cobra.MaximumNArgs(1),
		Long: `Make certificates anew that are due: two thirds of their life are over. The daemon does so by itself; this is for now.

CERTIFICATE is a name out of 'kubeclamp certs list', or its middle word for those of all nodes. With --all also those are made
anew that are not due. The node-roles that use them run again; nothing else does. What they are is on stdout.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			if len(args) > 0 {
				w.Name = args[0]
			}
			names, err := c.Renew(cmd.Context(), w)
			if err != nil {
				return err
			}
			rows := make([][]string, 0, len(names))
			for _, n := range names {
				rows = append(rows, []string{n})
			}
			return a.print(cmd.OutOrStdout(), names, "RENEWED", rows)
		}}
	cmd.Flags().StringVar(&w.Node, "node", "", "those of this node alone")
	cmd.Flags().BoolVar(&w.All, "all", false, "also those that are not due")
	return cmd
}

func (a *app) certsRotateCommand() *cobra.Command {
	var w crowbar.RotateWish
	var hold, limit time.Duration
	var wait bool
	cmd := &cobra.Command{Use: "rotate [NAME...]", Short: "Replace authorities and keys: trust both, reissue, drop the old",
		Long: `Replace authorities (etcd, kubernetes, front-proxy) and keys (k8s-master-service-account-key, k8s-master-encryption-key) by new
ones; without a name, all of them.

It goes in three phases: the new one is trusted beside the old one; it signs, and everything is reissued; the old one is
dropped. Each begins when all that use it have been applied in the one before. Cut off anywhere, it goes on by itself.
Before it drops the old one it waits for --hold: tokens of pods, and people's kubeconfigs, are of the old one until they are
fetched again. With another --hold on what is under way, that one counts.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			if w.Names = args; cmd.Flags().Changed("hold") {
				h := crowbar.Duration(hold)
				w.Hold = &h
			}
			steps, err := c.Rotate(cmd.Context(), w)
			if err == nil && wait && !w.Plan {
				err = a.awaitRotation(cmd, c, steps, limit)
			}
			if err != nil {
				return err
			}
			rows := make([][]string, 0, len(steps))
			for i, s := range steps {
				if wait && !w.Plan {
					steps[i].State, s.State = "done", "done"
				}
				rows = append(rows, []string{s.Name, s.Phase, s.State, s.Does, list(s.NodeRoles, 6)})
			}
			return a.print(cmd.OutOrStdout(), steps, "NAME\tPHASE\tSTATE\tWHAT IS TRUE AT ITS END\tRUNS", rows)
		}}
	cmd.Flags().BoolVar(&w.Plan, "plan", false, "show the phases and what runs in them, and change nothing")
	cmd.Flags().DurationVar(&hold, "hold", 0, "how long the old one stays trusted after everything has been reissued; default: 25h, for the key of encryption none")
	cmd.Flags().BoolVar(&wait, "wait", false, "wait for the end")
	cmd.Flags().DurationVar(&limit, "timeout", time.Hour, "how long to wait")
	return cmd
}

// awaitRotation says on stderr how far it is whenever that changes, until nothing of it is under way.
func (a *app) awaitRotation(cmd *cobra.Command, c *client.Client, steps []crowbar.RotationStep, limit time.Duration) error {
	mine := map[string]bool{}
	for _, s := range steps {
		mine[s.Name] = true
	}
	said := ""
	for end := time.Now().Add(limit); ; {
		all, err := c.Certificates(cmd.Context())
		if err != nil {
			return err
		}
		var left []string
		for _, one := range all {
			if mine[one.Name] && one.Rotation != nil {
				left = append(left, strings.TrimPrefix(one.Name, "authority/")+": "+strings.TrimPrefix(certState(one), "> "))
			}
		}
		now := strings.Join(left, "; ")
		if now != said && now != "" {
			fmt.Fprintln(cmd.ErrOrStderr(), now)
		}
		if said = now; now == "" {
			return nil
		}
		if time.Now().After(end) {
			return &exitError{exitTimeout, crowbar.Errorf(crowbar.Unavailable, "it is not over after %s, and goes on: %s; see kubeclamp certs list", limit, now)}
		}
		select {
		case <-time.After(500 * time.Millisecond):
		case <-cmd.Context().Done():
			return cmd.Context().Err()
		}
	}
}
