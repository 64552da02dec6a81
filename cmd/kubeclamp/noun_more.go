package main

import (
	"strings"

	"github.com/spf13/cobra"

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
