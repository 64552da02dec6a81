package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubeclamp/kubeclamp/pkg/client"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// mendOnAndOn mends what was changed by hand in a deployment, each so often and when something happens to a node, until it is
// interrupted. What the daemon cannot be asked now it is asked again.
func (a *app) mendOnAndOn(cmd *cobra.Command, c *client.Client, deployment string, every, limit time.Duration) error {
	if every <= 0 {
		return usage("--every %s: want more than 0", every)
	}
	ctx := cmd.Context()
	stirs := make(chan struct{}, 1)
	go func() {
		_ = c.Hear(ctx, client.Events{Types: []string{"node.*"}, Follow: true}, func(crowbar.Event) error {
			select {
			case stirs <- struct{}{}:
			default:
			}
			return nil
		})
	}()
	for last := ""; ; {
		m, err := a.mendOnce(cmd, c, deployment, limit)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil && crowbar.KindOf(err) != crowbar.Unavailable {
			return err
		}
		said := mendingSays(m, err)
		if said != last && said != "" {
			cmd.PrintErrln(said)
		}
		last = said
		wait := every
		if m.Busy {
			wait = min(every, 5*time.Second)
		}
		if err := doze(ctx, wait, stirs); err != nil {
			return err
		}
	}
}

// doze waits for the next look.
func doze(ctx context.Context, every time.Duration, stirs <-chan struct{}) error {
	wait := time.NewTimer(every)
	defer wait.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-wait.C:
	case <-stirs:
		select { // what happens together is one
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(min(every, 2*time.Second)):
		}
	}
	return nil
}

// mendOnce looks once, and waits for what is mended. Runs that fail are told, and stay in error for a person.
func (a *app) mendOnce(cmd *cobra.Command, c *client.Client, deployment string, limit time.Duration) (m crowbar.Mending, err error) {
	start := time.Now()
	if m, err = c.Mend(cmd.Context(), deployment); err != nil || len(m.Mends) == 0 {
		return m, err
	}
	s, err := a.settleThese(cmd, c, deployment, m.Mends, limit)
	if err != nil {
		return m, err
	}
	if err := verdict(cmd, s); err != nil {
		cmd.PrintErrln(err)
	}
	if a.output != "table" {
		return m, a.print(cmd.OutOrStdout(), m, "", nil)
	}
	rep, err := c.Report(cmd.Context(), deployment, start)
	if err != nil {
		return m, err
	}
	for _, r := range rep.Runs {
		for _, change := range r.Changes {
			if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s %s/%s: mended: %s\n", r.Finished.Local().Format(time.TimeOnly), r.Node, r.Role, change); err != nil {
				return m, err
			}
		}
	}
	return m, nil
}

// mendingSays is why something was not mended.
func mendingSays(m crowbar.Mending, err error) string {
	if err != nil {
		return err.Error()
	}
	var out []string
	if m.Waits != "" {
		out = append(out, fmt.Sprintf("deployment %s stays as it is: %s", m.Deployment, m.Waits))
	}
	for _, l := range m.Left {
		out = append(out, l.Place+" stays as it is: "+l.Why)
	}
	return strings.Join(out, "\n")
}
