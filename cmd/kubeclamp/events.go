package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"

	"github.com/kubeclamp/kubeclamp/pkg/client"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

func (a *app) eventsCommand() *cobra.Command {
	what := client.Events{}
	cmd := &cobra.Command{Use: "events", Short: "What happens: states of node-roles with their reasons, runs, changes of objects",
		Long: `What happens: states of node-roles with their reasons, runs, changes of objects.

Without --follow and --since, that is what happened in the last 500 revisions of the state. Each event has an id that is the
same on all daemons; --since ID goes on after it. With -o json there is one CloudEvent a line.`,
		Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			what.Deployment = a.deployment
			if what.Since == "" && !what.Follow {
				what.Since = "-500"
			}
			out := cmd.OutOrStdout()
			return c.Hear(cmd.Context(), what, func(e crowbar.Event) error { return a.printEvent(out, e) })
		}}
	f := cmd.Flags()
	f.BoolVarP(&what.Follow, "follow", "f", false, "go on until it is interrupted")
	f.StringVar(&what.Since, "since", "", "id of the last event that was heard, such as 1234-7, or -N for N revisions ago")
	f.StringSliceVar(&what.Types, "type", nil, "only these types, such as node_role.error or 'run.*'")
	f.StringVar(&what.Node, "node", "", "only what happens on this node")
	_ = cmd.RegisterFlagCompletionFunc("node", a.completeNames(crowbar.KindNode))
	return cmd
}

func (a *app) printEvent(out io.Writer, e crowbar.Event) error {
	var b []byte
	var err error
	switch a.output {
	case "json":
		if b, err = json.Marshal(e); err == nil {
			b = append(b, '\n')
		}
	case "yaml":
		var tree any
		if b, err = json.Marshal(e); err == nil {
			err = json.Unmarshal(b, &tree)
		}
		if err == nil {
			b, err = yaml.Marshal(tree)
			b = append([]byte("---\n"), b...)
		}
	case "name":
		b = []byte(e.ID.String() + "\n")
	default:
		b = []byte(eventLine(e) + "\n")
	}
	if err != nil {
		return err
	}
	_, err = out.Write(b)
	return err
}

// eventLine is an event for people: when, what, of what, and what there is to say of it.
func eventLine(e crowbar.Event) string {
	at := strings.Repeat(" ", len("15:04:05"))
	if !e.Time.IsZero() {
		at = e.Time.Local().Format(time.TimeOnly)
	}
	of := e.Subject
	if name, _ := e.Data["name"].(string); name != "" {
		of = name
	}
	if role, _ := e.Data["role"].(string); role != "" {
		short, _, _ := strings.Cut(e.Node, ".")
		of = cmp.Or(short, e.Deployment) + "/" + role
	}
	return strings.TrimRight(fmt.Sprintf("%s  %-14s %-24s %-28s %s", at, e.ID, strings.TrimPrefix(e.Type, crowbar.EventTypes), of, eventSays(e)), " ")
}

func eventSays(e crowbar.Event) string {
	for _, key := range []string{"why", "status", "outcome", "advice"} {
		if text, _ := e.Data[key].(string); text != "" {
			return text
		}
	}
	changes, _ := e.Data["changes"].(map[string]any)
	var out []string
	for k, v := range changes {
		if pair, ok := v.([]any); ok && len(pair) == 2 {
			out = append(out, fmt.Sprintf("%s: %v -> %v", k, pair[0], pair[1]))
		}
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}
