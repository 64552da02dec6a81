package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubeclamp/kubeclamp/pkg/client"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// upgradable is what has a version of its own, by the attrib COMPONENT-version.
var upgradable = []string{"etcd", "kubernetes", "docker", "flannel"}

// upgradeCommand gives components other versions: a plan first, which holds them against the rules of what goes together, then a
// backup, then the nodes one after another.
func (a *app) upgradeCommand() *cobra.Command {
	var dry, wait, bare bool
	var most int
	var timeout time.Duration
	cmd := &cobra.Command{Use: "upgrade COMPONENT=VERSION...", Short: "Give etcd, kubernetes, docker or flannel another version, node by node", Args: cobra.MinimumNArgs(1),
		Long: `Give etcd, kubernetes, docker or flannel another version; COMPONENT=default takes the artifact catalogue's. What would be done is
said first, and refused where the versions do not go together; --dry-run stops there. Then the cluster is backed up, and the nodes
take it over one after another, each drained and seen to be well before the next one.

'kubeclamp deployments pause' stops before the next node, and 'resume' goes on. Where a version does not work on the first node,
that node goes back to the old one by itself and no other begins. The way back is the same verb: it is said at the start.`}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		want, err := versions(args)
		if err != nil {
			return err
		}
		if cmd.Flags().Changed("max-unavailable") {
			if most < 1 {
				return usage("--max-unavailable %d: want 1 or more", most)
			}
			want["kubernetes-max-unavailable"] = most
		}
		return a.with(func(cmd *cobra.Command, c *client.Client, d string, _ []string) error {
			doc := crowbar.Cluster{Deployment: d, Attribs: want}
			p, err := c.Plan(cmd.Context(), crowbar.PlanFor{Deployment: d, Document: &doc}, false)
			if err != nil {
				return err
			}
			if err := a.printPlan(cmd, p, false); err != nil || dry {
				return err
			}
			if err := sayWayBack(cmd, c, d, want); err != nil {
				return err
			}
			if !bare {
				b, err := c.BackUp(cmd.Context(), d)
				if err != nil {
					return fmt.Errorf("nothing was changed: %w; --no-backup goes on without one", err)
				}
				cmd.PrintErrf("backup %s is made\n", b.Name)
			}
			start := time.Now()
			if err := c.Apply(cmd.Context(), doc, false); err != nil {
				return err
			}
			if err := again(cmd.Context(), c, d, want); err != nil || !wait {
				return err
			}
			return a.await(cmd, c, d, start, timeout)
		})(cmd, nil)
	}
	a.progressFlag(cmd)
	f := cmd.Flags()
	f.BoolVar(&dry, "dry-run", false, "only say what would be done, and whether the versions go together")
	f.BoolVar(&wait, "wait", true, "watch until the deployment is at rest")
	f.BoolVar(&bare, "no-backup", false, "make no backup of the cluster before")
	f.IntVar(&most, "max-unavailable", 1, "minions that may be at it at once, from now on (attrib kubernetes-max-unavailable)")
	f.DurationVar(&timeout, "timeout", 2*time.Hour, "give up watching after this long; the daemon goes on")
	return cmd
}

// carriers is the roles that put a component on nodes.
var carriers = map[string][]string{"etcd": {"etcd"}, "kubernetes": {"k8s-master", "k8s-minion"}, "docker": {"docker"}, "flannel": {"flannel"}}

// again has those run again that are in error, and have another version to take over now: a version that did not work, say.
func again(ctx context.Context, c *client.Client, deployment string, want map[string]any) error {
	s, err := c.Status(ctx, deployment, 0)
	if err != nil {
		return err
	}
	for _, nr := range s.NodeRoles {
		if nr.State != crowbar.Error || !slices.ContainsFunc(upgradable, func(name string) bool {
			_, changes := want[name+"-version"]
			return changes && slices.Contains(carriers[name], nr.Role)
		}) {
			continue
		}
		if err := c.Do(ctx, crowbar.KindNodeRole, nr.ID.String(), "retry", nil); err != nil && crowbar.KindOf(err) != crowbar.Conflict {
			return err
		}
	}
	return nil
}

// versions reads COMPONENT=VERSION.
func versions(args []string) (map[string]any, error) {
	out := map[string]any{}
	for _, arg := range args {
		name, version, ok := strings.Cut(arg, "=")
		if !ok || version == "" || !slices.Contains(upgradable, name) {
			return nil, usage("%q: want COMPONENT=VERSION, where COMPONENT is %s", arg, strings.Join(upgradable, ", "))
		}
		if version == "default" {
			version = ""
		}
		out[name+"-version"] = version
	}
	return out, nil
}

// sayWayBack says the command that takes back what is about to be done.
func sayWayBack(cmd *cobra.Command, c *client.Client, deployment string, want map[string]any) error {
	var back []string
	for _, name := range upgradable {
		if _, changes := want[name+"-version"]; !changes {
			continue
		}
		was, err := c.Attrib(cmd.Context(), crowbar.KindDeployment, deployment, name+"-version")
		if err != nil {
			return err
		}
		text, _ := was.(string)
		back = append(back, name+"="+cmp.Or(text, "default"))
	}
	cmd.PrintErrf("the way back: kubeclamp upgrade %s\n", strings.Join(back, " "))
	return nil
}
