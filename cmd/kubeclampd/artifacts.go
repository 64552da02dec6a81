package main

import (
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/kubeclamp/kubeclamp/pkg/artifact"
)

// openArtifacts is the catalogue's cache as the flags say.
func openArtifacts(c *config) (*artifact.Cache, error) {
	cat, err := artifact.Builtin()
	if err != nil {
		return nil, err
	}
	if c.catalogue != "" {
		b, err := os.ReadFile(c.catalogue)
		if err != nil {
			return nil, fmt.Errorf("catalogue: %w", err)
		}
		if cat, err = cat.With(c.catalogue, b); err != nil {
			return nil, err
		}
	}
	return artifact.Open(artifact.Config{CacheDir: c.artifacts, MirrorDir: c.mirror, Catalogue: cat, Log: c.log})
}

func artifactsCommand(c *config) *cobra.Command {
	var list bool
	var arch string
	cmd := &cobra.Command{Use: "artifacts [COMPONENT[@VERSION]...]", Short: "Fetch or build the binaries and images that clusters need, ahead of time",
		RunE: func(cmd *cobra.Command, names []string) error {
			cache, err := openArtifacts(c)
			if err != nil {
				return err
			}
			if !list {
				return cache.Ensure(cmd.Context(), arch, artifact.Progress(os.Stderr, term.IsTerminal(int(os.Stderr.Fd()))), names...)
			}
			items, err := cache.List(arch)
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
			fmt.Fprintln(w, "ARTIFACT\tVERSION\tDEFAULT\tCACHED")
			for _, i := range items {
				fmt.Fprintf(w, "%s\t%s\t%t\t%t\n", i.Name, i.Version, !i.OnDemand, i.Ready)
			}
			return w.Flush()
		}}
	cmd.Flags().BoolVar(&list, "list", false, "only list the catalogue")
	cmd.Flags().StringVar(&arch, "arch", "", "architecture (GOARCH; default this machine's)")
	return cmd
}
