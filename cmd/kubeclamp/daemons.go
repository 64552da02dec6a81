package main

import (
	"github.com/spf13/cobra"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// daemonsCommand shows who works on the state.
func (a *app) daemonsCommand() *cobra.Command {
	list := a.listCommand(crowbar.KindDaemon, "NAME\tLEADER\tENDPOINT\tSINCE\tOWNER", func(o map[string]any) []string {
		leads := "-"
		if o["leader"] == true {
			leads = "leader"
		}
		return []string{nameOrID(o), leads, str(o["endpoint"]), str(o["since"]), str(o["owner"])}
	})
	cmd := &cobra.Command{Use: "daemons", Short: "List the daemons that work on the state", Args: cobra.NoArgs, RunE: list.RunE}
	cmd.AddCommand(list)
	return cmd
}
