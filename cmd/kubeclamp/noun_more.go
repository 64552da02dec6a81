package main

import (
	"strings"

	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// named is a new object by its name, or by one JSON object, as OpenCrowbar's clients say it.
func named(arg string) (object, error) {
	if strings.HasPrefix(strings.TrimSpace(arg), "{") {
		return spelled([]string{arg})
	}
	return object{"name": arg}, nil
}

// joinCommand is groups add NODE... to GROUP, and groups remove NODE... from GROUP.
func (a *app) joinCommand(verb, word string, member bool) *cobra.Command {
	return &cobra.Command{Use: verb + " NODE... " + word + " GROUP", Short: verb + " nodes " + word + " a group", Args: cobra.MinimumNArgs(3),
		ValidArgsFunction: a.completeNames(crowbar.KindNode), RunE: func(cmd *cobra.Command, args []string) error {
			nodes, group := args[:len(args)-2], args[len(args)-1]
			if args[len(args)-2] != word {
				return usage("say: kubeclamp groups %s NODE... %s GROUP", verb, word)
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			for _, n := range nodes {
				if err := c.Join(cmd.Context(), group, n, member); err != nil {
					return err
				}
			}
			return nil
		}}
}

// importCommand imports barclamp documents in the order in which they are given.
func (a *app) importCommand() *cobra.Command {
	return &cobra.Command{Use: "import FILE...", Short: "Import barclamp documents, in this order; - is standard input", Args: cobra.MinimumNArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		var made []object
		var rows [][]string
		for _, file := range args {
			b, err := readFile(cmd, file)
			var document object
			if err == nil {
				err = yaml.Unmarshal(b, &document)
			}
			if err != nil {
				return crowbar.Errorf(crowbar.Invalid, "%s: %w", file, err)
			}
			if said, ok := document["barclamp"].(object); ok && said["source_path"] == nil {
				said["source_path"] = file
			}
			var o object
			if err := c.Import(cmd.Context(), document, &o); err != nil {
				return err
			}
			made, rows = append(made, o), append(rows, []string{str(o["name"]), str(o["version"]), str(o["description"])})
		}
		return a.print(cmd.OutOrStdout(), made, "NAME\tVERSION\tDESCRIPTION", rows)
	}}
}
