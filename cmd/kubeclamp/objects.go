package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

func nameOrID(o map[string]any) string {
	for _, key := range []string{"name", "username", "address"} {
		if name := str(o[key]); name != "" {
			return name
		}
	}
	return str(o["id"])
}

func (a *app) listCommand(k crowbar.Kind, head string, row func(map[string]any) []string) *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List them", Args: cobra.NoArgs}
	page := pageFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		p, err := page()
		if err != nil {
			return err
		}
		c, err := a.client()
		if err != nil {
			return err
		}
		return a.listed(cmd, c, k, p, head, func(part []object) ([][]string, error) {
			rows := make([][]string, 0, len(part))
			for _, o := range part {
				if r := row(o); r != nil {
					rows = append(rows, r)
				}
			}
			return rows, nil
		})
	}
	return cmd
}

func (a *app) showCommand(k crowbar.Kind) *cobra.Command {
	return &cobra.Command{Use: "show NAME", Short: "Show one", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeNames(k), RunE: func(cmd *cobra.Command, args []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		var o map[string]any
		if err := c.Show(cmd.Context(), k, args[0], &o); err != nil {
			return err
		}
		if a.output == "table" {
			return printYAML(cmd.OutOrStdout(), o)
		}
		return a.print(cmd.OutOrStdout(), o, "", [][]string{{nameOrID(o)}})
	}}
}

func (a *app) destroyCommand(k crowbar.Kind, verb, short string, force bool) *cobra.Command {
	return &cobra.Command{Use: verb + " NAME", Short: short, Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeNames(k), RunE: func(cmd *cobra.Command, args []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		return c.Destroy(cmd.Context(), k, args[0], force)
	}}
}

func str(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case float64:
		return strings.TrimSuffix(fmt.Sprintf("%.0f", v), ".0")
	case []any:
		words := make([]string, len(v))
		for i, x := range v {
			words[i] = str(x)
		}
		return strings.Join(words, " ")
	}
	return fmt.Sprint(v)
}

// jsonOrText reads a value as JSON where it is JSON, else as text.
func jsonOrText(s string) any {
	var v any
	if json.Unmarshal([]byte(s), &v) == nil {
		return v
	}
	return s
}
