package main

import (
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// manCommand writes the manual pages that packages ship. They say the same wherever they are made.
func manCommand() *cobra.Command {
	return &cobra.Command{Use: "man FOLDER", Short: "Write manual pages into a folder", Args: cobra.ExactArgs(1), Hidden: true,
		PersistentPreRunE: func(*cobra.Command, []string) error { return nil }, // no barclamp is needed for that
		RunE: func(_ *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return err
			}
			root := newRoot()
			root.DisableAutoGenTag = true
			for flag, text := range map[string]string{"name": "the host's name", "role-plugin": "kubeclamp-role beside this program", "barclamp": "/usr/share/kubeclamp/barclamp.yaml"} {
				root.PersistentFlags().Lookup(flag).DefValue = text
			}
			var date time.Time
			return doc.GenManTree(root, &doc.GenManHeader{Title: "KUBECLAMPD", Section: "8", Source: "kubeclamp", Manual: "kubeclamp", Date: &date}, args[0])
		}}
}
