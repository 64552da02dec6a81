package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"github.com/spf13/pflag"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// meanings of exit codes, as help and manual say them.
var meanings = map[string]string{
	"0": "done", "1": "failed", "2": "there are differences", "3": "not valid", "4": "not found, or in conflict with what is there",
	"5": "the wait ran out; the daemon goes on", "6": "it came to rest with node-roles in error", "130": "interrupted; the daemon goes on",
}

// own are the exit codes that commands have besides 0, 1, 3, 4 and 130.
var own = map[string]string{
	"kubeclamp plan": "2", "kubeclamp drift": "2", "kubeclamp apply": "5 6", "kubeclamp converge": "5 6", "kubeclamp upgrade": "5 6", "kubeclamp wait": "5 6", "kubeclamp destroy": "5 6",
	"kubeclamp lab up": "5 6",
}

// offline are those that talk to no daemon.
var offline = []string{"kubeclamp init", "kubeclamp version", "kubeclamp man", "kubeclamp completion", "kubeclamp help"}

// exitsOf are the exit codes of a command.
func exitsOf(cmd *cobra.Command) []string {
	path := cmd.CommandPath()
	out := []string{"0", "1", "3"}
	if path == "kubeclamp init" || !slices.ContainsFunc(offline, func(o string) bool { return path == o || strings.HasPrefix(path, o+" ") }) {
		out = append(out, "4")
	}
	out = append(out, strings.Fields(own[path])...)
	if len(out) > 3 {
		out = append(out, "130")
	}
	slices.SortFunc(out, func(a, b string) int { return cmp.Or(len(a)-len(b), strings.Compare(a, b)) })
	return out
}

// addExits tells in the help of each command which exit codes it has.
func addExits(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		addExits(sub)
	}
	if !cmd.HasParent() || cmd.HasSubCommands() && cmd.RunE == nil {
		return
	}
	var said []string
	for _, code := range exitsOf(cmd) {
		said = append(said, code+" "+meanings[code])
	}
	if cmd.Long == "" {
		cmd.Long = cmd.Short + "."
	}
	cmd.Long += "\n\nExit codes: " + strings.Join(said, "; ") + "."
}

// sameEverywhere has the defaults that depend on the machine and its user say what they are on any.
func sameEverywhere(cmd *cobra.Command) {
	for flag, text := range map[string]string{"artifact-cache": "~/.cache/kubeclamp/artifacts", "programs": "this program's folder", "barclamp": "/usr/share/kubeclamp/barclamp.yaml"} {
		if f := cmd.Flags().Lookup(flag); f != nil && f.DefValue != "" {
			f.DefValue = text
		}
	}
	for _, sub := range cmd.Commands() {
		sameEverywhere(sub)
	}
}

func manCommand() *cobra.Command {
	return &cobra.Command{Use: "man FOLDER", Short: "Write manual pages into a folder, one for each command", Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		if err := os.MkdirAll(args[0], 0o755); err != nil {
			return crowbar.Errorf(crowbar.Invalid, "%w", err)
		}
		root := newRoot()
		root.InitDefaultCompletionCmd()
		root.DisableAutoGenTag = true
		sameEverywhere(root)
		var date time.Time // the same pages for the same program
		if err := doc.GenManTree(root, &doc.GenManHeader{Title: "KUBECLAMP", Section: "1", Source: "kubeclamp", Manual: "kubeclamp", Date: &date}, args[0]); err != nil {
			return err
		}
		cmd.PrintErrf("manual pages are in %s: man -l %s/kubeclamp.1\n", args[0], args[0])
		return nil
	}}
}

// reference writes all commands with their flags, for docs/cli.md.
func reference(w io.Writer) {
	root := newRoot()
	root.InitDefaultCompletionCmd()
	fmt.Fprintf(w, "Flags that all have: %s.\n", flagsOf(root.PersistentFlags()))
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		if cmd.Hidden || cmd.Name() == "help" {
			return
		}
		if cmd.HasParent() && cmd.RunE != nil && !cmd.HasSubCommands() {
			fmt.Fprintf(w, "\n### %s\n\n%s.", strings.TrimSuffix(cmd.UseLine(), " [flags]"), strings.TrimSuffix(cmd.Short, "."))
			if f := flagsOf(cmd.LocalNonPersistentFlags()); f != "" {
				fmt.Fprintf(w, " Flags: %s.", f)
			}
			if other := cmd.Annotations[forms]; other != "" {
				fmt.Fprintf(w, " `-o` is %s.", strings.Join(strings.Fields(other), ", "))
			}
			fmt.Fprintf(w, " Exit codes: %s.\n", strings.Join(exitsOf(cmd), ", "))
		}
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(root)
}

func flagsOf(f *pflag.FlagSet) string {
	var out []string
	f.VisitAll(func(f *pflag.Flag) {
		if f.Name == "help" || f.Hidden {
			return
		}
		name := "`--" + f.Name
		if f.Shorthand != "" {
			name = "`-" + f.Shorthand + ", --" + f.Name
		}
		out = append(out, name+"` ("+f.Usage+")")
	})
	return strings.Join(out, ", ")
}
