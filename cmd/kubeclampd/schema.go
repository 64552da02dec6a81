package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/kubeclamp/kubeclamp/pkg/store"
)

// schemaCommand is the version of the form in which the state is kept, for who goes back to an older program.
func schemaCommand(c *config) *cobra.Command {
	cmd := &cobra.Command{Use: "schema", Short: "The version of the form in which the state is kept: status, downgrade",
		Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(&cobra.Command{Use: "status", Short: "Print the state's version, and the newest that this program knows", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withState(cmd.Context(), c, func(conf store.Config) error {
				now, known, err := store.SchemaVersion(cmd.Context(), conf)
				if err == nil {
					cmd.Printf("state: version %d\nprogram: versions up to %d\n", now, known)
				}
				return err
			})
		}},
		&cobra.Command{Use: "downgrade", Short: "Take the state back to the version before, for the program that wrote that",
			Long: `Take the state back to the version before this program's, for the program that wrote that. Stop every daemon first.

A newer program brings an older state to its own version by itself when it starts. The way back is this command of the newer
program; then the older program starts on it. Cut off in the middle, it goes on when it is given again.`, Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				return withState(cmd.Context(), c, func(conf store.Config) error {
					to, err := store.Downgrade(cmd.Context(), conf)
					if err == nil {
						cmd.Printf("the state has version %d now: start the older kubeclampd\n", to)
					}
					return err
				})
			}})
	return cmd
}

// withState does something with the etcd under the state, with no daemon at work in the data folder.
func withState(ctx context.Context, c *config, do func(store.Config) error) (err error) {
	st := &state{}
	conf, err := st.under(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.close()) }()
	conf.Log, conf.Program = c.log, version()
	return do(conf)
}
