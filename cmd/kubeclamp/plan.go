package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"

	"github.com/kubeclamp/kubeclamp/pkg/client"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

func (a *app) planCommand() *cobra.Command {
	var file, out string
	var want crowbar.PlanFor
	var diff, fast, detailed bool
	cmd := &cobra.Command{Use: "plan [-f cluster.yaml]", Short: "What would be run, where, why, how long, and what it would change; nothing is changed", Args: cobra.NoArgs,
		Long: `Foresee what is left to do, what applying a document would do (-f), or what a rerun would do (--rerun), and change nothing.

Each role is asked over the node's connection what its run would change; what depends on runs that have not been yet is
'known after' those. With --fast nobody is asked. --out keeps the plan in a file: 'kubeclamp apply FILE' does what it says, and
nothing else.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			want.Seal = out != "" || a.output == "json" || a.output == "yaml"
			p, err := a.plan(cmd, file, want, !fast)
			if err != nil {
				return err
			}
			if err := a.printPlan(cmd, p, diff); err != nil {
				return err
			}
			if out != "" {
				if err := writePlan(out, p); err != nil {
					return err
				}
				cmd.PrintErrf("kept in %s: 'kubeclamp apply %s' does this, and nothing else\n", out, out)
			}
			if detailed && p.Outlook != crowbar.WillNot {
				return &exitError{exitDifferences, fmt.Errorf("there is something to do")}
			}
			return nil
		}}
	f := cmd.Flags()
	f.StringVarP(&file, "file", "f", "", "plan applying this document; without it, what is left to do now")
	f.StringVar(&out, "out", "", "keep the plan in this file")
	f.BoolVar(&want.Rerun, "rerun", false, "plan a rerun of everything (kubeclamp converge)")
	f.BoolVar(&want.Force, "force", false, "plan a rerun of everything in full (kubeclamp converge --force)")
	f.BoolVar(&diff, "diff", false, "show the lines that change in each file")
	f.BoolVar(&fast, "fast", false, "ask nobody what would change")
	f.BoolVar(&detailed, "detailed-exitcode", false, "end with 2 when there is something to do")
	return cmd
}

func (a *app) plan(cmd *cobra.Command, file string, want crowbar.PlanFor, ask bool) (p crowbar.Plan, err error) {
	if file == "" {
		err := a.with(func(cmd *cobra.Command, c *client.Client, d string, _ []string) (err error) {
			want.Deployment = d
			p, err = c.Plan(cmd.Context(), want, ask)
			return err
		})(cmd, nil)
		return p, err
	}
	c, doc, err := a.document(file, cmd.InOrStdin())
	if err != nil {
		return p, err
	}
	want.Deployment, want.Document = doc.cluster.Deployment, &doc.cluster
	p, err = c.Plan(cmd.Context(), want, ask)
	return p, doc.locate(err)
}

func writePlan(file string, p crowbar.Plan) error {
	b, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, append(b, '\n'), 0o600); err != nil {
		return crowbar.Errorf(crowbar.Invalid, "keep the plan: %w", err)
	}
	return nil
}

// readPlan takes JSON and YAML, as plan -o writes them.
func readPlan(file string) (p crowbar.Plan, err error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return p, crowbar.Errorf(crowbar.Invalid, "%w", err)
	}
	if !json.Valid(b) {
		var plain any
		if err := yaml.Unmarshal(b, &plain); err != nil {
			return p, crowbar.Errorf(crowbar.Invalid, "%s: it is no plan: %w", file, err)
		}
		if b, err = json.Marshal(plain); err != nil {
			return p, crowbar.Errorf(crowbar.Invalid, "%s: it is no plan: %w", file, err)
		}
	}
	if err := json.Unmarshal(b, &p); err != nil || p.Format == 0 || p.Deployment == "" {
		return p, crowbar.Errorf(crowbar.Invalid, "%s: it is no plan: make one with 'kubeclamp plan --out FILE', or give a cluster's file with -f", file)
	}
	return p, nil
}

// carryOut has a plan done, and watches.
func (a *app) carryOut(cmd *cobra.Command, file, document string, wait bool, timeout time.Duration) error {
	p, err := readPlan(file)
	if err != nil {
		return err
	}
	if a.deployment != "" && a.deployment != p.Deployment {
		return usage("deployment %s, but %s is a plan for %q", a.deployment, file, p.Deployment)
	}
	c, err := a.client()
	if err != nil {
		return err
	}
	var given *crowbar.Cluster
	if document != "" {
		doc, err := readDocument(document, cmd.InOrStdin())
		if err != nil {
			return err
		}
		given = &doc.cluster
	}
	start := time.Now()
	if err := c.CarryOut(cmd.Context(), p, given); err != nil || !wait {
		return err
	}
	return a.await(cmd, c, p.Deployment, start, timeout)
}

func (a *app) driftCommand() *cobra.Command {
	var diff bool
	cmd := &cobra.Command{Use: "drift [DEPLOYMENT]", Short: "What is on the nodes otherwise than as it was applied; nothing is changed", Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: a.completeNames(crowbar.KindDeployment),
		Long: `Ask every role that has been applied what was changed by hand on its node since, and change nothing; 'kubeclamp converge'
mends it. Ends with 2 where there is drift, with 1 where there is none but some could not be asked.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				a.deployment = args[0]
			}
			return a.with(func(cmd *cobra.Command, c *client.Client, d string, _ []string) error {
				found, err := c.Drift(cmd.Context(), d)
				if err != nil {
					return err
				}
				if err := a.printDrift(cmd, found, diff); err != nil {
					return err
				}
				changed, dark := 0, 0
				for _, on := range found.NodeRoles {
					if on.Outlook == crowbar.WillChange {
						changed++
					} else {
						dark++
					}
				}
				switch {
				case changed > 0:
					return &exitError{exitDifferences, fmt.Errorf("%d of %d node-roles differ from what was applied; 'kubeclamp converge %s' mends them", changed, found.Asked, d)}
				case dark > 0:
					return fmt.Errorf("%d of %d node-roles could not be asked", dark, found.Asked)
				}
				return nil
			})(cmd, nil)
		}}
	cmd.Flags().BoolVar(&diff, "diff", false, "show the lines that were changed in each file")
	return cmd
}
