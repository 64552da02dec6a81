package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/kubeclamp/kubeclamp/pkg/client"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// pageFlags are which part of a list is printed.
func pageFlags(cmd *cobra.Command) func() (client.Page, error) {
	f := cmd.Flags()
	limit := f.Int("limit", 0, "how many; 0 means all")
	offset := f.Int("offset", 0, "how many to leave out first")
	sort := f.String("sort", "", "keys to sort by, with commas; -KEY the other way round. The keys are those of -o json")
	filter := f.StringArray("filter", nil, "KEY=VALUE: only those that have the value; may be given several times")
	return func() (client.Page, error) {
		p := client.Page{Limit: *limit, Offset: *offset, Sort: *sort, Filter: map[string]string{}}
		if p.Limit < 0 || p.Offset < 0 {
			return p, usage("--limit and --offset: want numbers from 0 on")
		}
		for _, one := range *filter {
			key, value, ok := strings.Cut(one, "=")
			if !ok || key == "" {
				return p, usage("--filter %q: say KEY=VALUE", one)
			}
			p.Filter[key] = value
		}
		return p, nil
	}
}

// listed prints a list of objects as they come: however long it is, a part of it is held at a time. rows is asked for the rows of
// each part; "" as head prints none.
func (a *app) listed(cmd *cobra.Command, c *client.Client, k crowbar.Kind, p client.Page, head string, rows func([]object) ([][]string, error)) error {
	out := &lister{w: cmd.OutOrStdout(), form: a.output, head: head}
	err := c.Each(cmd.Context(), k, p, func(some []json.RawMessage) error {
		part := make([]object, len(some))
		for i, b := range some {
			if err := json.Unmarshal(b, &part[i]); err != nil {
				return fmt.Errorf("list of %s: %w", k, err)
			}
		}
		r, err := rows(part)
		if err != nil {
			return err
		}
		return out.add(part, r)
	})
	if err != nil {
		return err
	}
	return out.end()
}

// lister prints a list part by part, in the form that print would give it as a whole.
type lister struct {
	w          io.Writer
	form, head string
	count      int
	widths     []int
}

func (l *lister) add(part []object, rows [][]string) error {
	defer func() { l.count += len(part) }()
	switch l.form {
	case "json":
		return l.json(part)
	case "yaml":
		if len(part) == 0 {
			return nil
		}
		return printYAML(l.w, part)
	case "name":
		for _, r := range rows {
			fmt.Fprintln(l.w, r[0])
		}
		return nil
	}
	if l.count == 0 && l.widths == nil {
		rows = append([][]string{strings.Split(l.head, "\t")}, rows...)
	}
	return l.table(rows)
}

func (l *lister) json(part []object) error {
	for i, o := range part {
		b, err := json.MarshalIndent(o, "  ", "  ")
		if err != nil {
			return err
		}
		before := ",\n  "
		if l.count+i == 0 {
			before = "[\n  "
		}
		if _, err := fmt.Fprintf(l.w, "%s%s", before, b); err != nil {
			return err
		}
	}
	return nil
}

// table aligns columns; those of a later part are at least as wide as the ones before.
func (l *lister) table(rows [][]string) error {
	for _, r := range rows {
		for i, cell := range r {
			if i == len(l.widths) {
				l.widths = append(l.widths, 0)
			}
			l.widths[i] = max(l.widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for _, r := range rows {
		for i, cell := range r {
			b.WriteString(cell)
			if i < len(r)-1 {
				b.WriteString(strings.Repeat(" ", l.widths[i]-utf8.RuneCountInString(cell)+2))
			}
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(l.w, b.String())
	return err
}

func (l *lister) end() error {
	var err error
	switch {
	case l.form == "json" && l.count == 0, l.form == "yaml" && l.count == 0:
		_, err = fmt.Fprintln(l.w, "[]")
	case l.form == "json":
		_, err = fmt.Fprintln(l.w, "\n]")
	}
	return err
}
