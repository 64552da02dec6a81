package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubeclamp/kubeclamp/pkg/client"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// nodeForgetCommand takes out a node that is dead: nothing is run on it.
func (a *app) nodeForgetCommand() *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{Use: "forget NAME", Short: "Remove a dead node without reaching it: its peers take out what it was to them", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeNames(crowbar.KindNode),
		Long: `Remove a node that will not come back, without reaching it. Its peers take out what it was to them: its member of etcd, its
Kubernetes Node, its place in the pool, its lease of flannel; its certificates and node-roles go. The verb ends when that is
done; where it is interrupted, the daemon goes on.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			if err := c.Destroy(cmd.Context(), crowbar.KindNode, args[0], true); err != nil {
				return err
			}
			return awaitGone(cmd, c, args[0], timeout)
		}}
	cmd.Flags().DurationVar(&timeout, "timeout", 10*time.Minute, "give up watching after this long")
	return cmd
}

// awaitGone waits until a node that is being removed is not there any more; what of it is in error ends the wait.
func awaitGone(cmd *cobra.Command, c *client.Client, node string, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(cmd.Context(), limit)
	defer cancel()
	for {
		var n crowbar.Node
		err := c.Show(ctx, crowbar.KindNode, node, &n)
		if crowbar.KindOf(err) == crowbar.NotFound {
			return nil
		}
		var left []crowbar.NodeRole
		if err == nil {
			left, err = rolesOn(ctx, c, n.ID)
		}
		var waits, failed []string
		for _, nr := range left {
			line := nr.ID.String() + " (" + nr.State.String() + ")"
			if nr.State == crowbar.Error && nr.Failed == 0 {
				failed = append(failed, nr.ID.String()+": "+nr.Failure)
			}
			waits = append(waits, line)
		}
		if len(failed) > 0 {
			return &exitError{exitInError, fmt.Errorf("node %s is not gone yet, these failed: %s; mend the cause, then: kubeclamp noderoles retry ID", node, strings.Join(failed, "; "))}
		}
		if err != nil && !errors.Is(err, context.DeadlineExceeded) && crowbar.KindOf(err) != crowbar.Unavailable {
			return err
		}
		select {
		case <-ctx.Done():
			return &exitError{exitTimeout, fmt.Errorf("waited %s for node %s to be gone; left are node-roles %s; the daemon goes on with them", limit, node, strings.Join(waits, ", "))}
		case <-time.After(300 * time.Millisecond):
		}
	}
}

func rolesOn(ctx context.Context, c *client.Client, node crowbar.ID) ([]crowbar.NodeRole, error) {
	var all []crowbar.NodeRole
	err := c.List(ctx, crowbar.KindNodeRole, &all)
	return slices.DeleteFunc(all, func(nr crowbar.NodeRole) bool { return nr.Node != node }), err
}
