package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/kubeclamp/kubeclamp/pkg/client"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

func (a *app) wholeDestroyCommand() *cobra.Command {
	var yes, dry, keep bool
	var timeout time.Duration
	cmd := &cobra.Command{Use: "destroy DEPLOYMENT", Short: "Take a whole deployment off its servers, and forget it; shows what would go, and asks", Args: cobra.ExactArgs(1),
		ValidArgsFunction: a.completeNames(crowbar.KindDeployment),
		Long: `Take every role of a deployment off its servers, what came last first; then delete the servers from kubeclamp, and the
deployment. What the cluster held is gone then: etcd's data, certificates, secrets.

What would go is shown first, and the name of the deployment is asked for; --yes says it in advance, which it must be where
nobody is at a terminal. Cut off, it goes on when it is said again. A server that does not answer holds it up: 'kubeclamp
nodes forget' drops that one without reaching it.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			s, err := c.Status(cmd.Context(), args[0], 0)
			if err != nil {
				return err
			}
			nodes, err := serversOf(cmd, c, args[0])
			if err != nil {
				return err
			}
			networks, err := networksIn(cmd, c, args[0])
			if err != nil {
				return err
			}
			if err := a.printRemoval(cmd.OutOrStdout(), s, nodes, networks, keep); err != nil || dry {
				return err
			}
			if !yes {
				if err := confirm(cmd, args[0], "destroy"); err != nil {
					return err
				}
			}
			return a.destroyAll(cmd, c, s, nodes, networks, keep, timeout)
		}}
	a.progressFlag(cmd)
	f := cmd.Flags()
	f.BoolVarP(&yes, "yes", "y", false, "do not ask")
	f.BoolVar(&dry, "dry-run", false, "only show what would go")
	f.BoolVar(&keep, "keep-nodes", false, "keep the servers, in the deployment's parent, with nothing on them")
	f.DurationVar(&timeout, "timeout", time.Hour, "give up watching after this long; the daemon goes on")
	return cmd
}

// serversOf names the servers that are in a deployment.
func serversOf(cmd *cobra.Command, c *client.Client, deployment string) ([]string, error) {
	var all []crowbar.Node
	if err := c.Below(cmd.Context(), crowbar.KindDeployment, deployment, string(crowbar.KindNode), &all); err != nil {
		return nil, err
	}
	var out []string
	for _, n := range all {
		if !n.System {
			out = append(out, n.Name)
		}
	}
	slices.Sort(out)
	return out, nil
}

// networksIn names the networks of a deployment.
func networksIn(cmd *cobra.Command, c *client.Client, deployment string) ([]string, error) {
	var d crowbar.Deployment
	if err := c.Show(cmd.Context(), crowbar.KindDeployment, deployment, &d); err != nil {
		return nil, err
	}
	var all []crowbar.Network
	if err := c.List(cmd.Context(), crowbar.KindNetwork, &all); err != nil {
		return nil, err
	}
	out := []string{}
	for _, n := range all {
		if n.Deployment == d.ID {
			out = append(out, n.Name)
		}
	}
	slices.Sort(out)
	return out, nil
}

// printRemoval shows what goes, in the order in which it does.
func (a *app) printRemoval(w io.Writer, s crowbar.Status, nodes, networks []string, keep bool) error {
	all := slices.Clone(s.NodeRoles)
	slices.SortStableFunc(all, func(x, y crowbar.NodeRoleStatus) int { return y.Cohort - x.Cohort })
	rows := make([][]string, 0, len(all))
	for _, nr := range all {
		node := nr.Node
		if strings.HasSuffix(node, "-phantom") {
			node = "(service)"
		}
		rows = append(rows, []string{node + "/" + nr.Role, nr.State.Mark() + " " + nr.Name})
	}
	servers := nodes
	if keep {
		servers = []string{}
	}
	if a.output != "table" {
		return a.print(w, map[string]any{"deployment": s.Deployment, "node_roles": all, "nodes": servers, "networks": networks}, "", rows)
	}
	if len(rows) > 0 {
		if err := table(w, "TAKEN OFF\tNOW", rows); err != nil {
			return err
		}
	}
	switch {
	case keep:
		fmt.Fprintf(w, "kept: %s\n", plural(len(nodes), "server"))
	case len(nodes) > 0:
		fmt.Fprintf(w, "deleted from kubeclamp: %s\n", list(nodes, 30))
	}
	if len(networks) > 0 {
		fmt.Fprintf(w, "networks: %s\n", list(networks, 30))
	}
	_, err := fmt.Fprintf(w, "deployment %s and all that is kept of it are gone then\n", s.Deployment)
	return err
}

// confirm asks for the name of the deployment to which something is done.
func confirm(cmd *cobra.Command, name, what string) error {
	if f, ok := cmd.InOrStdin().(*os.File); !ok || !term.IsTerminal(int(f.Fd())) {
		return usage("nobody is at a terminal to be asked: say --yes to %s deployment %s", what, name)
	}
	cmd.PrintErrf("type the name of the deployment to %s it: ", what)
	said, _ := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
	if strings.TrimSpace(said) != name {
		return fmt.Errorf("that is not %q: nothing is changed", name)
	}
	return nil
}

// destroyAll has everything taken off, waits for that, and deletes what is left. Each step is as good a second time.
func (a *app) destroyAll(cmd *cobra.Command, c *client.Client, s crowbar.Status, nodes, networks []string, keep bool, timeout time.Duration) error {
	name := s.Deployment
	if err := c.Do(cmd.Context(), crowbar.KindDeployment, name, "dismantle", nil); err != nil {
		return err
	}
	if s.Paused {
		if err := c.Do(cmd.Context(), crowbar.KindDeployment, name, "resume", nil); err != nil {
			return err
		}
	}
	if s.State == "proposed" { // in which nothing runs, not even a removal
		if err := c.Do(cmd.Context(), crowbar.KindDeployment, name, "commit", nil); err != nil {
			return err
		}
	}
	last, err := a.settle(cmd, c, name, timeout)
	if err != nil {
		return err
	}
	if left := onServers(last); len(left) > 0 {
		return &exitError{exitInError, fmt.Errorf("deployment %s is not taken off whole: %s\nmend the cause, or forget a dead server with 'kubeclamp nodes forget NODE'; then the same command again goes on", name, strings.Join(left, "; "))}
	}
	if !keep {
		for _, n := range nodes {
			if err := c.Destroy(cmd.Context(), crowbar.KindNode, n, false); err != nil && crowbar.KindOf(err) != crowbar.NotFound {
				return err
			}
		}
	}
	for _, n := range networks {
		if err := dropNetwork(cmd, c, n); err != nil {
			return err
		}
	}
	if err := c.Destroy(cmd.Context(), crowbar.KindDeployment, name, false); err != nil {
		return err
	}
	cmd.PrintErrf("deployment %s is gone\n", name)
	return nil
}

// dropNetwork deletes a network. The one over which nodes are managed stays, for other deployments to use.
func dropNetwork(cmd *cobra.Command, c *client.Client, name string) error {
	err := c.Destroy(cmd.Context(), crowbar.KindNetwork, name, false)
	switch crowbar.KindOf(err) {
	case crowbar.NotFound:
		return nil
	case crowbar.Conflict:
		cmd.PrintErrf("network %s goes to deployment %s: %v\n", name, rootDeployment, err)
		return c.Update(cmd.Context(), crowbar.KindNetwork, name, object{"deployment": rootDeployment}, nil)
	}
	return err
}

// rootDeployment is the one above all others, OpenCrowbar's.
const rootDeployment = "system"

// onServers is what is still on servers, and why.
func onServers(s crowbar.Status) []string {
	var out []string
	for _, nr := range s.NodeRoles {
		if !strings.HasSuffix(nr.Node, "-phantom") {
			out = append(out, fmt.Sprintf("%s/%s %s (%s)", nr.Node, nr.Role, nr.Name, firstLine(nr)))
		}
	}
	return out
}
