package main

import (
	"cmp"
	"encoding/json"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"

	"github.com/kubeclamp/kubeclamp/pkg/client"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

type object = map[string]any

func (a *app) nounList(n noun) *cobra.Command {
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
		names := map[string]map[string]string(nil)
		return a.listed(cmd, c, n.kind, p, n.head(), func(part []object) ([][]string, error) {
			if names == nil && len(part) > 0 {
				if names, err = a.references(cmd, c, n); err != nil {
					return nil, err
				}
			}
			return n.rows(part, names), nil
		})
	}
	return cmd
}

func (a *app) nounMatch(n noun) *cobra.Command {
	return &cobra.Command{Use: "match KEY=VALUE...", Short: "List those that have these values; JSON does as well", Args: cobra.MinimumNArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		values, err := spelled(args)
		if err != nil {
			return err
		}
		var all []object
		if err := c.Match(cmd.Context(), n.kind, values, &all); err != nil {
			return err
		}
		return a.printNouns(cmd, c, n, all, all)
	}}
}

func (a *app) nounSample(n noun) *cobra.Command {
	return &cobra.Command{Use: "sample", Short: "Show what one has where nothing else is said", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		var o object
		if err := c.Sample(cmd.Context(), n.kind, &o); err != nil {
			return err
		}
		if a.output == "table" {
			return printYAML(cmd.OutOrStdout(), o)
		}
		return a.print(cmd.OutOrStdout(), o, "", nil)
	}}
}

// sayingFlags are where the values of an object come from, besides the command line.
func sayingFlags(cmd *cobra.Command) func(args []string) (object, error) {
	var files []string
	document := cmd.Flags().StringP("file", "f", "", "take the values from this YAML or JSON file; - is standard input")
	cmd.Flags().StringArrayVar(&files, "from-file", nil, "KEY=FILE: the value is what is in the file, - is standard input; for what is secret")
	return func(args []string) (object, error) {
		out := object{}
		if *document != "" {
			b, err := readFile(cmd, *document)
			if err == nil {
				err = yaml.Unmarshal(b, &out)
			}
			if err != nil {
				return nil, crowbar.Errorf(crowbar.Invalid, "%s: %w", *document, err)
			}
		}
		said, err := spelled(args)
		if err != nil {
			return nil, err
		}
		for k, v := range said {
			if k == "password" || k == "authenticator" {
				return nil, usage("other users of this machine can read a command line: give %s with --from-file %s=FILE, or %s=- for standard input", k, k, k)
			}
			out[k] = v
		}
		for _, f := range files {
			key, file, ok := strings.Cut(f, "=")
			if !ok {
				return nil, usage("--from-file %q: say KEY=FILE", f)
			}
			b, err := readFile(cmd, file)
			if err != nil {
				return nil, crowbar.Errorf(crowbar.Invalid, "--from-file %s: %w", key, err)
			}
			out[key] = strings.TrimSuffix(string(b), "\n")
		}
		if len(out) == 0 {
			return nil, usage("say KEY=VALUE, JSON, or --file FILE")
		}
		return out, nil
	}
}

func readFile(cmd *cobra.Command, name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(cmd.InOrStdin())
	}
	return os.ReadFile(name)
}

// spelled reads what is said on the command line: one JSON object, or KEY=VALUE, where a value is JSON or plain text.
func spelled(args []string) (object, error) {
	out := object{}
	for _, arg := range args {
		if strings.HasPrefix(strings.TrimSpace(arg), "{") {
			if err := json.Unmarshal([]byte(arg), &out); err != nil {
				return nil, usage("%s: %v", arg, err)
			}
			continue
		}
		key, value, ok := strings.Cut(arg, "=")
		if !ok || key == "" {
			return nil, usage("%q: say KEY=VALUE, or a JSON object", arg)
		}
		out[key] = jsonOrText(value)
	}
	return out, nil
}

func (a *app) nounCreate(n noun) *cobra.Command {
	cmd := &cobra.Command{Use: "create KEY=VALUE...", Short: "Make one; VALUE is JSON or plain text, and one JSON object does as well"}
	read := sayingFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		said, err := read(args)
		if err != nil {
			return err
		}
		c, err := a.client()
		if err != nil {
			return err
		}
		var o object
		if err := c.Create(cmd.Context(), n.kind, said, &o); err != nil {
			return err
		}
		return a.printNouns(cmd, c, n, o, []object{o})
	}
	return cmd
}

func (a *app) nounUpdate(n noun) *cobra.Command {
	cmd := &cobra.Command{Use: "update NAME KEY=VALUE...", Short: "Change one; VALUE is JSON or plain text, and one JSON object does as well", Args: cobra.MinimumNArgs(1),
		ValidArgsFunction: a.completeNames(n.kind)}
	read := sayingFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		said, err := read(args[1:])
		if err != nil {
			return err
		}
		c, err := a.client()
		if err != nil {
			return err
		}
		var o object
		if err := c.Update(cmd.Context(), n.kind, args[0], said, &o); err != nil {
			return err
		}
		return a.printNouns(cmd, c, n, o, []object{o})
	}
	return cmd
}

func (a *app) nounPatch(n noun) *cobra.Command {
	return &cobra.Command{Use: "patch NAME PATCH", Short: "Change one by a JSON patch (RFC 6902), such as '[{\"op\":\"replace\",\"path\":\"/description\",\"value\":\"x\"}]'",
		Args: cobra.ExactArgs(2), ValidArgsFunction: a.completeNames(n.kind), RunE: func(cmd *cobra.Command, args []string) error {
			if !json.Valid([]byte(args[1])) {
				return usage("%q is not JSON", args[1])
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			var o object
			if err := c.Patch(cmd.Context(), n.kind, args[0], []byte(args[1]), &o); err != nil {
				return err
			}
			return a.printNouns(cmd, c, n, o, []object{o})
		}}
}

func (a *app) nounVerb(n noun, verb, short string) *cobra.Command {
	return &cobra.Command{Use: verb + " NAME", Short: short, Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeNames(n.kind), RunE: func(cmd *cobra.Command, args []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		var o object
		if err := c.Do(cmd.Context(), n.kind, args[0], verb, &o); err != nil {
			return err
		}
		return a.printNouns(cmd, c, n, o, []object{o})
	}}
}

// printNouns prints objects as rows of their noun's columns; references are shown by name.
func (a *app) printNouns(cmd *cobra.Command, c *client.Client, n noun, data any, all []object) error {
	var names map[string]map[string]string
	if len(all) > 0 {
		var err error
		if names, err = a.references(cmd, c, n); err != nil {
			return err
		}
	}
	return a.print(cmd.OutOrStdout(), data, n.head(), n.rows(all, names))
}

// joins says that the objects of a noun are called by the two that they join.
func (n noun) joins() bool {
	return n.kind == crowbar.KindNodeRole || n.kind == crowbar.KindDeploymentRole
}

func (n noun) head() string {
	var head []string
	for _, column := range strings.Fields(n.columns) {
		key, _, _ := strings.Cut(column, ":")
		head = append(head, strings.ToUpper(strings.TrimSuffix(strings.TrimPrefix(key, "is_"), "_id")))
	}
	if n.joins() {
		head = append([]string{head[0] + "/" + head[1]}, head[2:]...)
	}
	return strings.Join(head, "\t")
}

// references is what the objects that a noun's columns refer to are called, by column and id. Data has the ids alone.
func (a *app) references(cmd *cobra.Command, c *client.Client, n noun) (map[string]map[string]string, error) {
	names := map[string]map[string]string{}
	for _, column := range strings.Fields(n.columns) {
		key, kind, refers := strings.Cut(column, ":")
		if !refers || a.output == "json" || a.output == "yaml" {
			continue
		}
		var err error
		if names[key], err = namesByID(cmd, c, crowbar.Kind(kind)); err != nil {
			return nil, err
		}
	}
	return names, nil
}

func (n noun) rows(all []object, names map[string]map[string]string) [][]string {
	columns := strings.Fields(n.columns)
	rows := make([][]string, 0, len(all))
	for _, o := range all {
		row := make([]string, len(columns))
		for i, column := range columns {
			key, _, _ := strings.Cut(column, ":")
			row[i] = str(o[key])
			if name := names[key][row[i]]; name != "" {
				row[i] = name
			}
			if key == "state" {
				row[i] = stateName(n.kind, o[key])
			}
		}
		if n.joins() {
			row = append([]string{row[0] + "/" + row[1]}, row[2:]...)
		}
		rows = append(rows, row)
	}
	return rows
}

func stateName(k crowbar.Kind, v any) string {
	if k == crowbar.KindDeployment {
		return deploymentStateName(v)
	}
	n, _ := v.(float64)
	return crowbar.State(n).Mark() + " " + crowbar.State(n).String()
}

// namesByID is what objects of a kind are called.
func namesByID(cmd *cobra.Command, c *client.Client, k crowbar.Kind) (map[string]string, error) {
	out := map[string]string{}
	return out, c.Each(cmd.Context(), k, client.Page{}, func(some []json.RawMessage) error {
		for _, b := range some {
			var o struct {
				ID            crowbar.ID
				Name, Address string
			}
			if err := json.Unmarshal(b, &o); err != nil {
				return err
			}
			name := cmp.Or(o.Name, o.Address)
			if short, _, cut := strings.Cut(name, "."); cut && k == crowbar.KindNode {
				name = short
			}
			out[o.ID.String()] = name
		}
		return nil
	})
}
