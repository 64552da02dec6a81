package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubeclamp/kubeclamp/pkg/client"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// await watches until the deployment is at rest, then says how it ended and what was changed.
func (a *app) await(cmd *cobra.Command, c *client.Client, deployment string, start time.Time, limit time.Duration) error {
	last, err := a.settle(cmd, c, deployment, limit)
	if err != nil {
		return err
	}
	return a.conclude(cmd, c, last, start)
}

func (a *app) watch(cmd *cobra.Command, c *client.Client, deployment string) error {
	d, err := a.display(cmd.OutOrStdout())
	if err != nil {
		return err
	}
	defer d.close()
	_, err = follow(cmd.Context(), c, deployment, d.show, func(crowbar.Status) bool { return false })
	if cmd.Context().Err() != nil {
		return nil
	}
	return err
}

// follow reads statuses as they change, until done.
func follow(ctx context.Context, c *client.Client, deployment string, show func(crowbar.Status), done func(crowbar.Status) bool) (crowbar.Status, error) {
	s, err := c.Status(ctx, deployment, 0)
	for err == nil {
		show(s)
		if done(s) {
			return s, nil
		}
		var next crowbar.Status
		next, err = c.Status(ctx, deployment, s.Rev)
		if err == nil {
			s = next
		} else if crowbar.KindOf(err) == crowbar.Unavailable {
			// The daemon is being restarted; its state is on disk and it will go on.
			next, err = reconnect(ctx, c, deployment, err)
			if err == nil {
				s = next
			}
		}
	}
	return s, err
}

// reconnect waits up to a minute for the daemon to answer again.
func reconnect(ctx context.Context, c *client.Client, deployment string, why error) (crowbar.Status, error) {
	limit, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		s, err := c.Status(limit, deployment, 0)
		if err == nil {
			return s, nil
		}
		select {
		case <-limit.Done():
			return s, errors.Join(why, ctx.Err())
		case <-time.After(time.Second):
		}
	}
}

// resting says that nothing runs and nothing can start.
func resting(s crowbar.Status) bool {
	stuck := map[string]bool{} // nodes that an error holds
	for _, nr := range s.NodeRoles {
		if nr.State == crowbar.Transition {
			return false
		}
		if !nr.RetryAt.IsZero() && !s.Paused && s.State != "proposed" && !nr.Held && !nr.Halted {
			return false // it is tried again by itself
		}
		if nr.State == crowbar.Error {
			stuck[nr.Node] = true
		}
	}
	for _, nr := range s.NodeRoles {
		if nr.State == crowbar.Todo && !nr.Held && !nr.Halted && !stuck[nr.Node] && !s.Paused && s.State != "proposed" && !held(s, nr) {
			return false
		}
	}
	return true
}

// held says that a node-role is kept from starting by an error elsewhere: the gate of its cluster.
func held(s crowbar.Status, nr crowbar.NodeRoleStatus) bool {
	return slices.ContainsFunc(s.NodeRoles, func(o crowbar.NodeRoleStatus) bool { return o.Role == nr.Role && o.State == crowbar.Error })
}

func waiting(s crowbar.Status) []string {
	var out []string
	for _, nr := range s.NodeRoles {
		if nr.State != crowbar.Active {
			out = append(out, fmt.Sprintf("%s/%s %s (%s)", nr.Node, nr.Role, nr.Name, firstLine(nr)))
		}
	}
	return out
}

// conclude prints how it ended and gives the error that fits.
func (a *app) conclude(cmd *cobra.Command, c *client.Client, s crowbar.Status, start time.Time) error {
	if err := verdict(cmd, s); err != nil {
		return err
	}
	if it, err := c.Elder(cmd.Context()); err != nil {
		return err
	} else if it != nil { // it keeps no times of runs
		return a.print(cmd.OutOrStdout(), s, "", [][]string{{fmt.Sprintf("deployment %s: %s active", s.Deployment, plural(len(s.NodeRoles), "node-role"))}})
	}
	rep, err := c.Report(cmd.Context(), s.Deployment, start)
	if err != nil {
		return err
	}
	if a.output != "table" {
		return a.print(cmd.OutOrStdout(), rep, "", nil)
	}
	return summarise(cmd.OutOrStdout(), s, rep, time.Since(start))
}

// verdict is an error where what came to rest is not all active.
func verdict(cmd *cobra.Command, s crowbar.Status) error {
	var bad []string
	idle := 0
	for _, nr := range s.NodeRoles {
		switch {
		case nr.Held:
			cmd.PrintErrf("%s %s/%s: not in the plan: %s\n", nr.State.Mark(), nr.Node, nr.Role, nr.Why)
			idle++
		case nr.State == crowbar.Error:
			bad = append(bad, fmt.Sprintf("%s/%s: %s", nr.Node, nr.Role, nr.Failure))
		case nr.State == crowbar.Active:
			idle++
		}
	}
	if len(bad) > 0 {
		return &exitError{exitInError, fmt.Errorf("deployment %s came to rest with %d node-roles in error:\n  %s\nmend the cause, then: kubeclamp noderoles retry NODE/ROLE, or kubeclamp converge", s.Deployment, len(bad), strings.Join(bad, "\n  "))}
	}
	if idle < len(s.NodeRoles) {
		return &exitError{exitInError, fmt.Errorf("deployment %s came to rest before the end: %s", s.Deployment, strings.Join(waiting(s), "; "))}
	}
	return nil
}

// summarise says what was changed, node by node, or that there was nothing to do.
func summarise(w io.Writer, s crowbar.Status, rep crowbar.Report, wall time.Duration) error {
	changed, ran := map[string]int{}, map[string]int{}
	total := 0
	for _, r := range rep.Runs {
		ran[r.Node]++
		if r.Outcome == "changed" {
			changed[r.Node]++
			total++
		}
	}
	nodes := []string{}
	for _, nr := range s.NodeRoles {
		if !slices.Contains(nodes, nr.Node) && !strings.HasSuffix(nr.Node, "-phantom") {
			nodes = append(nodes, nr.Node)
		}
	}
	for _, n := range nodes {
		if changed[n] == 0 {
			fmt.Fprintf(w, "%s: nothing to do (%d roles checked)\n", n, ran[n])
		} else {
			fmt.Fprintf(w, "%s: %d of %d runs made changes\n", n, changed[n], ran[n])
		}
		mended(w, n, rep.Runs)
	}
	if total == 0 {
		_, err := fmt.Fprintf(w, "deployment %s: nothing to do; %d runs in %s\n", s.Deployment, len(rep.Runs), wall.Round(10*time.Millisecond))
		return err
	}
	return printReport(w, s.Deployment, rep)
}

// mended names what was changed by hand on a node, and is as it was again.
func mended(w io.Writer, node string, runs []crowbar.RunReport) {
	for _, r := range runs {
		if r.Node != node || !r.Mended {
			continue
		}
		for _, c := range r.Changes {
			fmt.Fprintf(w, "  mended: %s: %s: it was changed by hand\n", r.Role, c)
		}
	}
}

func printReport(w io.Writer, deployment string, rep crowbar.Report) error {
	type sum struct {
		runs          int
		longest, all_ time.Duration
	}
	order, sums := []string{}, map[string]*sum{}
	for _, r := range rep.Runs {
		if sums[r.Role] == nil {
			sums[r.Role] = &sum{}
			order = append(order, r.Role)
		}
		took := r.Finished.Sub(r.Started)
		sums[r.Role].runs++
		sums[r.Role].all_ += took
		sums[r.Role].longest = max(sums[r.Role].longest, took)
	}
	rows := [][]string{}
	for _, role := range order {
		x := sums[role]
		rows = append(rows, []string{role, fmt.Sprint(x.runs), round(x.all_ / time.Duration(x.runs)), round(x.longest)})
	}
	fmt.Fprintln(w)
	if err := table(w, "ROLE\tRUNS\tMEAN\tLONGEST", rows); err != nil {
		return err
	}
	names := []string{}
	for _, r := range rep.Path {
		names = append(names, fmt.Sprintf("%s/%s %s", r.Node, r.Role, round(r.Finished.Sub(r.Started))))
	}
	fmt.Fprintf(w, "\ncritical path (%s): %s\n", round(time.Duration(rep.Critical)), strings.Join(names, " -> "))
	ratio := float64(rep.Wall) / float64(max(1, rep.Critical))
	_, err := fmt.Fprintf(w, "deployment %s: converged; %d runs, wall %s, wall / critical path %.2f\n", deployment, len(rep.Runs), round(time.Duration(rep.Wall)), ratio)
	return err
}

func round(d time.Duration) string { return d.Round(100 * time.Millisecond).String() }
