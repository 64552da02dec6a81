package main

import (
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

func (a *app) secretsCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "secrets", Short: "The keys that seal secrets at rest: status, rotate, forget", Aliases: []string{"secret"}}
	cmd.AddCommand(&cobra.Command{Use: "status", Short: "Which keys seal how many values", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		st, err := c.SealStatus(cmd.Context())
		if err != nil {
			return err
		}
		return a.printSeals(cmd, st)
	}}, a.rotateCommand())
	cmd.AddCommand(&cobra.Command{Use: "forget KEY", Short: "Take a key that seals nothing any more out of the key file",
		Long: `Take a key that seals nothing any more out of the daemon's key file.

Backups and exports that were made before the last rotation were sealed by older keys: keep a copy of the key file with them.`,
		Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			st, err := c.ForgetKey(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return a.printSeals(cmd, st)
		}})
	return cmd
}

func (a *app) rotateCommand() *cobra.Command {
	var given bool
	var limit time.Duration
	cmd := &cobra.Command{Use: "rotate", Short: "Seal every secret anew by a new key, while the daemon works",
		Long: `Seal every secret anew by a new key, while the daemon works; older keys stay in the key file until 'secrets forget'.

Where several daemons share a state: run 'kubeclampd seal-key FILE' on one host, copy FILE to the others, then
'kubeclamp secrets rotate --given'.`, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			st, err := c.RotateKeys(cmd.Context(), given)
			for end := time.Now().Add(limit); err == nil && st.Busy && time.Now().Before(end); st, err = c.SealStatus(cmd.Context()) {
				select {
				case <-time.After(200 * time.Millisecond):
				case <-cmd.Context().Done():
					return cmd.Context().Err()
				}
			}
			if err != nil {
				return err
			}
			if err := a.printSeals(cmd, st); err != nil {
				return err
			}
			switch {
			case st.Busy:
				return &exitError{exitTimeout, crowbar.Errorf(crowbar.Unavailable, "%d values are still sealed by older keys; it goes on: see kubeclamp secrets status", st.Left)}
			case st.Left > 0:
				return crowbar.Errorf(crowbar.Unavailable, "%d values are still sealed by older keys: %s", st.Left, st.Error)
			}
			return nil
		}}
	cmd.Flags().BoolVar(&given, "given", false, "use the key that is first in the daemon's key file, instead of making one")
	cmd.Flags().DurationVar(&limit, "timeout", 10*time.Minute, "how long to wait for the end")
	return cmd
}

func (a *app) printSeals(cmd *cobra.Command, st crowbar.SealStatus) error {
	rows := make([][]string, 0, len(st.Keys))
	for _, k := range st.Keys {
		id, what := k.ID, "opens"
		switch {
		case k.Seals:
			what = "seals"
		case !k.Here:
			what = "is not here"
		}
		if id == "" {
			id = "(without id)"
		}
		rows = append(rows, []string{id, what, strconv.Itoa(k.Values)})
	}
	return a.print(cmd.OutOrStdout(), st, "KEY\tIT\tVALUES", rows)
}
