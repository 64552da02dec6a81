package main

import (
	"context"
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/kubeclamp/kubeclamp/pkg/client"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// takeOverCommand takes over what another server has.
func (a *app) takeOverCommand() *cobra.Command {
	var from, key string
	var do bool
	cmd := &cobra.Command{Use: "import --from URL", Short: "Take over nodes, networks, deployments, bindings, attribs, groups and users of an OpenCrowbar or Digital Rebar server; shows what it would do, --apply does it", Args: cobra.NoArgs,
		Long: `Take over nodes, networks, deployments, bindings, attribs, groups and users of an OpenCrowbar or Digital Rebar server (version 2), by
its API. That server is only read. Without --apply nothing is changed here either: what would be made is shown, and what is left out, and why.

Everything that is made stays proposed: nothing runs before 'kubeclamp commit'. What is here already is left as it is, so that an
import may be done again, also after one that was interrupted. Nobody can read passwords and secrets there: users have none here and
cannot sign in before 'kubeclamp users password NAME', and secret attribs are set by 'kubeclamp set --from-file'.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if from == "" {
				return usage("say --from URL, the server to take over")
			}
			source, err := sourceOf(from, key)
			if err != nil {
				return err
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			return a.takeOver(cmd, source, c, do)
		}}
	f := cmd.Flags()
	f.StringVar(&from, "from", "", "address of that server, such as http://192.168.124.10:3000")
	f.StringVar(&key, "key", "", "sign in there as USER:PASSWORD, or @FILE with that in it (default $CROWBAR_KEY, then $REBAR_KEY); $KUBECLAMP_FROM_CA is a file with its certificate")
	f.BoolVar(&do, "apply", false, "do it")
	return cmd
}

// sourceOf is the client of the server that is taken over.
func sourceOf(from, key string) (*client.Client, error) {
	override(&key, os.Getenv("REBAR_KEY"), os.Getenv("CROWBAR_KEY"), key)
	if key == "" {
		return nil, usage("say --key USER:PASSWORD for %s, or --key @FILE", from)
	}
	user, password, err := userOf(key)
	if err != nil {
		return nil, err
	}
	conf := client.Config{Endpoint: from, User: user, Password: password}
	if f := os.Getenv("KUBECLAMP_FROM_CA"); f != "" {
		b, err := os.ReadFile(f)
		if err != nil {
			return nil, crowbar.Errorf(crowbar.Invalid, "KUBECLAMP_FROM_CA: %w", err)
		}
		conf.CA = string(b)
	}
	return client.New(conf)
}

func (a *app) takeOver(cmd *cobra.Command, source, c *client.Client, do bool) error {
	ctx := cmd.Context()
	it, err := source.Elder(ctx)
	if err != nil {
		return err
	}
	if it == nil {
		return crowbar.Errorf(crowbar.Invalid, "%s is a kubeclampd: 'kubeclamp state export' there and 'kubeclamp state import' here take over all of it", source.Endpoint())
	}
	there, err := surveyOf(ctx, source)
	if err != nil {
		return err
	}
	here, err := surveyOf(ctx, c)
	if err != nil {
		return err
	}
	steps := moves(there, here)
	refused := 0
	for i := range steps {
		s := &steps[i]
		if !do || s.do == nil {
			continue
		}
		err := s.do(ctx, c)
		switch crowbar.KindOf(err) {
		case crowbar.Invalid, crowbar.NotFound, crowbar.Conflict:
			if err != nil {
				s.Action, s.Why = "refused", err.Error()
				refused++
			}
			continue
		}
		if err != nil {
			return errors.Join(err, crowbar.Errorf(crowbar.KindOf(err), "%s %s: it stopped here; the same command goes on", s.Kind, s.Name))
		}
		s.Action = "made"
	}
	rows := make([][]string, len(steps))
	open := 0
	for i, s := range steps {
		rows[i] = []string{s.Kind, s.Name, s.Action, s.Why}
		if s.Action == "make" {
			open++
		}
	}
	if err := a.print(cmd.OutOrStdout(), steps, "KIND\tNAME\tACTION\tWHY", rows); err != nil {
		return err
	}
	switch {
	case refused > 0:
		return crowbar.Errorf(crowbar.Conflict, "%d of what %s has could not be made; the rest is here", refused, it)
	case !do:
		cmd.PrintErrf("read from %s at %s; %s to make: nothing is changed without --apply\n", it, source.Endpoint(), plural(open, "object"))
	default:
		cmd.PrintErrf("taken over from %s at %s; all is proposed: see 'kubeclamp plan', then 'kubeclamp commit'\n", it, source.Endpoint())
	}
	return nil
}

// move is one thing that an import makes, or leaves.
type move struct {
	Kind   string `json:"kind"`
	Name   string `json:"name"`
	Action string `json:"action"` // make, made, there, skip, refused
	Why    string `json:"why,omitempty"`

	do func(ctx context.Context, c *client.Client) error
}
