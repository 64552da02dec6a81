// Command kubeclampd is the host daemon: it keeps the state, anneals the role graph, and answers the API and the pool's DNS.
// It is the one composition root; it knows every package and decides nothing.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := newRoot()
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "kubeclampd:", err)
		os.Exit(1)
	}
}

func newRoot() *cobra.Command {
	c := &config{}
	root := &cobra.Command{
		Use:   "kubeclampd",
		Short: "The host daemon of kubeclamp",
		Long: `The host daemon of kubeclamp: state, annealer, API, and the DNS of the API servers' pool.

Every flag can be given as KUBECLAMP_FLAG in the environment (--data-dir: KUBECLAMP_DATA_DIR), or in the file of --config-file.
At the first start it makes DATADIR/admin.json, which lets the command line in: kubeclamp --config DATADIR/admin.json ...`,
		Args: cobra.NoArgs, SilenceUsage: true, SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error { return serve(cmd.Context(), c) },
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if err := c.read(cmd.Flags(), os.LookupEnv); err != nil {
				return err
			}
			return c.check()
		},
	}
	c.add(root.PersistentFlags())
	root.AddCommand(artifactsCommand(c), sealKeyCommand(), schemaCommand(c), restoreCommand(c), adminCommand(c), manCommand())
	return root
}
