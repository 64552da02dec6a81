package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/kubeclamp/kubeclamp/pkg/client"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

func (a *app) deploymentsCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "deployments", Short: "Deployments: list, show, create, commit, propose, recall, pause, resume, cancel, release, redeploy, destroy", Aliases: []string{"deployment"}}
	cmd.AddCommand(a.listCommand(crowbar.KindDeployment, deploymentHead, deploymentRow), a.showCommand(crowbar.KindDeployment), a.destroyCommand(crowbar.KindDeployment, "destroy", "Remove an empty deployment", false))
	cmd.AddCommand(&cobra.Command{Use: "create NAME", Short: "Make a deployment; one JSON object instead of NAME does as well", Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		body, err := named(args[0])
		if err != nil {
			return err
		}
		var d object
		if err := c.Create(cmd.Context(), crowbar.KindDeployment, body, &d); err != nil {
			return err
		}
		return a.print(cmd.OutOrStdout(), d, deploymentHead, [][]string{deploymentRow(d)})
	}})
	for verb, short := range map[string]string{"commit": "Let it anneal", "propose": "Halt it for editing", "recall": "The same as propose", "redeploy": "Apply everything as if it had never been, also what destroys", "pause": "Start nothing more in it", "resume": "Go on after a pause", "cancel": "Pause it, and stop what runs in it", "release": "End its binding to a plan: what waits outside of it begins"} {
		cmd.AddCommand(&cobra.Command{Use: verb + " NAME", Short: short, Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeNames(crowbar.KindDeployment),
			RunE: func(cmd *cobra.Command, args []string) error {
				c, err := a.client()
				if err != nil {
					return err
				}
				return c.Do(cmd.Context(), crowbar.KindDeployment, args[0], verb, nil)
			}})
	}
	return cmd
}

const deploymentHead = "NAME\tSTATE\tPAUSED\tDESCRIPTION"

func deploymentRow(o object) []string {
	return []string{str(o["name"]), deploymentStateName(o["state"]), str(o["paused"]), str(o["description"])}
}

func deploymentStateName(v any) string {
	return map[string]string{"-1": "error", "0": "proposed", "1": "committed", "2": "active"}[str(v)]
}

func (a *app) commitCommand() *cobra.Command {
	return &cobra.Command{Use: "commit", Short: "Let the deployment anneal what is proposed", Args: cobra.NoArgs,
		RunE: a.with(func(cmd *cobra.Command, c *client.Client, d string, _ []string) error {
			return c.Do(cmd.Context(), crowbar.KindDeployment, d, "commit", nil)
		})}
}

func (a *app) convergeCommand() *cobra.Command {
	var timeout time.Duration
	var wait, force, watch bool
	var every time.Duration
	var plan string
	cmd := &cobra.Command{Use: "converge [DEPLOYMENT]", Short: "Rerun the role graph and watch until it is at rest", Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: onlyFirst(a.completeNames(crowbar.KindDeployment)),
		Long: `Rerun every role on every node, in order. Roles find out what is to be done; where nothing changed, nothing is touched.

With --watch it goes on until it is interrupted: every so often, and when something happens to a node, it looks for what was
changed by hand and has just that applied again. It never fights a person: a deployment that is paused, proposed or bound to a
plan stays as it is, and so does what is not available, in error or not committed yet, and what is changed again each time.
'kubeclampd --mend-every' does the same in the daemon.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				a.deployment = args[0]
			}
			if plan != "" {
				return a.carryOut(cmd, plan, "", true, timeout)
			}
			return a.with(func(cmd *cobra.Command, c *client.Client, d string, _ []string) error {
				if watch {
					return a.mendOnAndOn(cmd, c, d, every, timeout)
				}
				start := time.Now()
				it, err := c.Elder(cmd.Context())
				if err != nil {
					return err
				}
				if it != nil && !wait && !force {
					cmd.PrintErrf("%s reruns nothing by itself: this only watches, as its own converge does\n", it)
					wait = true
				}
				if !wait {
					if err := c.Rerun(cmd.Context(), d, force); err != nil {
						return err
					}
				}
				return a.await(cmd, c, d, start, timeout)
			})(cmd, nil)
		}}
	a.progressFlag(cmd)
	cmd.Flags().DurationVar(&timeout, "timeout", time.Hour, "give up watching after this long")
	cmd.Flags().BoolVar(&wait, "wait-only", false, "only watch; rerun nothing")
	cmd.Flags().BoolVar(&force, "force", false, "run every role in full, also where nothing has changed since its last run")
	cmd.Flags().StringVar(&plan, "plan", "", "carry out this plan (kubeclamp plan --rerun --out FILE), and nothing else")
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "go on mending what is changed by hand until interrupted")
	cmd.Flags().DurationVar(&every, "every", 5*time.Minute, "with --watch: how often to look, where nothing happens to a node")
	cmd.MarkFlagsMutuallyExclusive("wait-only", "force", "plan", "watch")
	return cmd
}
