package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
)

// stateCommand is copies of the whole state.
func (a *app) stateCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "state", Short: "The whole state: export, import"}
	cmd.AddCommand(&cobra.Command{Use: "export FILE|-", Short: "Write the whole state to a file, as lines of JSON",
		Long: `Write the whole state to a file (mode 0600), one line of JSON for each object; a FILE that is there is replaced once the new
one is whole. Secrets stay sealed: keep a copy of the daemon's key file too, elsewhere. Run logs are not in it.`,
		Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error { return a.exportState(cmd, args[0]) }})
	var replace bool
	in := &cobra.Command{Use: "import FILE|-", Short: "Make the state what an export says",
		Long: `Make the state what an export says, all of it or nothing. It is refused where nodes or deployments have been made, unless
--replace is given, and while anything runs. The daemon must have the keys that sealed the export's secrets.

Afterwards everything runs in full the next time, because the nodes may have gone on since the export: see 'kubeclamp drift'.
Barclamps are those of the export until the daemon is started again.`,
		Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error { return a.importState(cmd, args[0], replace) }}
	in.Flags().BoolVar(&replace, "replace", false, "also where there is a state; it is lost")
	cmd.AddCommand(in)
	return cmd
}

func (a *app) exportState(cmd *cobra.Command, file string) (err error) {
	c, err := a.client()
	if err != nil {
		return err
	}
	if file == "-" {
		_, err = c.ExportState(cmd.Context(), cmd.OutOrStdout())
		return err
	}
	to, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(to.Name())
		}
	}()
	n, err := c.ExportState(cmd.Context(), to)
	if err == nil {
		err = to.Sync()
	}
	if err = errors.Join(err, to.Close()); err != nil {
		return err
	}
	if err := os.Rename(to.Name(), file); err != nil {
		return err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%d objects are in %s\n", n, file)
	return nil
}

func (a *app) importState(cmd *cobra.Command, file string, replace bool) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	from := cmd.InOrStdin()
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return usage("%v", err)
		}
		defer f.Close()
		from = f
	}
	done, err := c.ImportState(cmd.Context(), io.NopCloser(from), replace)
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%d objects, as they were at %s\n", done.Objects, done.Exported.Local().Format("2006-01-02 15:04:05"))
	return nil
}
