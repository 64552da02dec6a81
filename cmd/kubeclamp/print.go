package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"
)

// outputs are the forms that data is printed in.
var outputs = []string{"table", "json", "yaml", "name"}

// forms is the annotation of a command that has other forms of output than most: their names, the one that counts where
// none is said first.
const forms = "forms"

func formsOf(cmd *cobra.Command) []string {
	if own := cmd.Annotations[forms]; own != "" {
		return strings.Fields(own)
	}
	return outputs
}

// form is the form of output of a command with forms of its own.
func (a *app) form(cmd *cobra.Command) string {
	if !cmd.Flag("output").Changed {
		return formsOf(cmd)[0]
	}
	return a.output
}

// print writes data in the form that was asked for: rows for a table, names alone, or the data itself.
func (a *app) print(w io.Writer, data any, head string, rows [][]string) error {
	switch a.output {
	case "json":
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(data)
	case "yaml":
		return printYAML(w, data)
	case "name":
		for _, r := range rows {
			fmt.Fprintln(w, r[0])
		}
		return nil
	}
	return table(w, head, rows)
}

// printYAML goes through JSON, so that keys are those of the API.
func printYAML(w io.Writer, data any) error {
	b, err := json.Marshal(data)
	if err != nil {
		return err
	}
	var plain any
	if err := json.Unmarshal(b, &plain); err != nil {
		return err
	}
	e := yaml.NewEncoder(w)
	e.SetIndent(2)
	defer e.Close()
	return e.Encode(plain)
}

func table(w io.Writer, head string, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, head)
	for _, r := range rows {
		for i, c := range r {
			if i > 0 {
				fmt.Fprint(t, "\t")
			}
			fmt.Fprint(t, c)
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}
