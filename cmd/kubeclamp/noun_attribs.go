package main

import (
	"encoding/json"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

const bucketHelp = "what of the object's data to read: all (what counts), user, hint, discovery, wall, system, note, proposed or committed"

func valueRow(o object) []string {
	b, err := json.Marshal(o["value"])
	if err != nil {
		return []string{str(o["name"]), str(o["value"])}
	}
	return []string{str(o["name"]), string(b)}
}

func (a *app) nounAttribs(n noun) *cobra.Command {
	cmd := &cobra.Command{Use: "attribs NAME", Short: "List every attrib with its value", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeNames(n.kind)}
	bucket := cmd.Flags().String("bucket", "all", bucketHelp)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		var all []object
		if err := c.Attribs(cmd.Context(), n.kind, args[0], *bucket, &all); err != nil {
			return err
		}
		rows := make([][]string, len(all))
		for i, o := range all {
			rows[i] = valueRow(o)
		}
		return a.print(cmd.OutOrStdout(), all, "ATTRIB\tVALUE", rows)
	}
	return cmd
}

// attribWord is what stands between an object and its attrib in OpenCrowbar's grammar: get NAME attrib ATTRIB.
const attribWord = "attrib"

func (a *app) nounGet(n noun) *cobra.Command {
	cmd := &cobra.Command{Use: "get NAME attrib ATTRIB", Short: "Show an attrib with its value", Args: cobra.ExactArgs(3),
		ValidArgsFunction: a.completeSentence(n.kind, attribWord, onlyFirst(a.completeAttribs(false)))}
	bucket := cmd.Flags().String("bucket", "all", bucketHelp)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if args[1] != attribWord {
			return usage("say: kubeclamp %s get %s attrib ATTRIB", n.name, args[0])
		}
		c, err := a.client()
		if err != nil {
			return err
		}
		var o object
		if err := c.ValuedAttrib(cmd.Context(), n.kind, args[0], args[2], *bucket, &o); err != nil {
			return err
		}
		return a.print(cmd.OutOrStdout(), o, "ATTRIB\tVALUE", [][]string{valueRow(o)})
	}
	return cmd
}

// nounSet takes OpenCrowbar's {"value": X} for X; anything else is the value itself, JSON or plain text.
func (a *app) nounSet(n noun) *cobra.Command {
	cmd := &cobra.Command{Use: "set NAME attrib ATTRIB to VALUE", Short: "Set an attrib; VALUE is {\"value\": JSON}, JSON or plain text", Args: cobra.RangeArgs(3, 5),
		ValidArgsFunction: a.completeSentence(n.kind, attribWord, onlyFirst(a.completeAttribs(false)))}
	note := cmd.Flags().Bool("note", false, "write it among the object's notes, which no run is given")
	file := cmd.Flags().String("from-file", "", "take VALUE from this file, - is standard input; for what is secret")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *file != "" && len(args) == 3 {
			args = append(args, "to", "")
		}
		if args[1] != attribWord || len(args) < 5 || args[3] != "to" {
			return usage("say: kubeclamp %s set %s attrib ATTRIB to VALUE", n.name, args[0])
		}
		c, err := a.client()
		if err != nil {
			return err
		}
		text := args[4]
		if *file != "" {
			b, err := readFile(cmd, *file)
			if err != nil {
				return crowbar.Errorf(crowbar.Invalid, "--from-file: %w", err)
			}
			text = strings.TrimSuffix(string(b), "\n")
		} else if _, err := values(cmd, c, []string{args[2] + "=" + text}, nil); err != nil {
			return err // a secret
		}
		value := jsonOrText(text)
		if o, ok := value.(object); ok && len(o) == 1 {
			if v, has := o["value"]; has {
				value = v
			}
		}
		bucket := "user"
		if *note {
			bucket = "note"
		}
		var o object
		if err := c.PutAttrib(cmd.Context(), n.kind, args[0], args[2], bucket, value, &o); err != nil {
			return err
		}
		return a.print(cmd.OutOrStdout(), o, "ATTRIB\tVALUE", [][]string{valueRow(o)})
	}
	return cmd
}
