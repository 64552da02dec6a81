package main

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kubeclamp/kubeclamp/pkg/client"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// The verbs of OpenCrowbar's clients that read like a sentence, or list what is below an object.

// addGrammar gives a noun those that it has.
func (a *app) addGrammar(cmd *cobra.Command) *cobra.Command {
	switch cmd.Name() {
	case "nodes":
		cmd.AddCommand(a.moveCommand(), a.powerCommand(), a.powerActionsCommand(),
			a.addressesCommand(), a.belowCommand(crowbar.KindNode, "noderoles"), a.belowCommand(crowbar.KindNode, "roles"), a.belowCommand(crowbar.KindNode, "hammers"))
	case "deployments":
		cmd.AddCommand(a.sentence("bind DEPLOYMENT to ROLE...", "Say that roles are in a deployment, on no node yet", crowbar.KindDeployment, bindRolesTo),
			a.inventoryCommand(), a.belowCommand(crowbar.KindDeployment, "nodes"), a.belowCommand(crowbar.KindDeployment, "roles"), a.belowCommand(crowbar.KindDeployment, "noderoles"))
	case "roles":
		cmd.AddCommand(a.sentence("bind ROLE to NODE...", "Assign a role to nodes; what it asks for comes along", crowbar.KindRole, a.bindToNodes),
			a.belowCommand(crowbar.KindRole, "nodes"), a.belowCommand(crowbar.KindRole, "noderoles"))
	}
	return cmd
}

// sentence is a command of the form VERB ONE to OTHERS.
func (a *app) sentence(use, short string, k crowbar.Kind, do func(cmd *cobra.Command, c *client.Client, one string, others []string) error) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: cobra.MinimumNArgs(3), ValidArgsFunction: a.completeSentence(k, "to", a.completeAfterTo(use)), RunE: func(cmd *cobra.Command, args []string) error {
		if args[1] != "to" {
			return usage("say: %s %s", cmd.Parent().CommandPath(), use)
		}
		c, err := a.client()
		if err != nil {
			return err
		}
		return do(cmd, c, args[0], args[2:])
	}}
}

// bindToNodes binds in the deployment that is said, else in that of each node.
func (a *app) bindToNodes(cmd *cobra.Command, c *client.Client, role string, nodes []string) error {
	for _, n := range nodes {
		nr, err := c.Bind(cmd.Context(), role, n, a.deployment)
		if err != nil {
			return err
		}
		if err := a.print(cmd.OutOrStdout(), nr, "NODE/ROLE\tSTATE", [][]string{{n + "/" + role, nr.State.String()}}); err != nil {
			return err
		}
	}
	return nil
}

func bindRolesTo(cmd *cobra.Command, c *client.Client, deployment string, roles []string) error {
	for _, r := range roles {
		if err := c.Create(cmd.Context(), crowbar.KindDeploymentRole, object{"deployment": deployment, "role": r}, nil); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) moveCommand() *cobra.Command {
	return a.sentence("move NODE to DEPLOYMENT", "Put a server, and what is proposed on it, into another deployment", crowbar.KindNode,
		func(cmd *cobra.Command, c *client.Client, node string, to []string) error {
			if len(to) != 1 {
				return usage("say one deployment")
			}
			return c.Update(cmd.Context(), crowbar.KindNode, node, object{"deployment": to[0]}, nil)
		})
}

func (a *app) powerActionsCommand() *cobra.Command {
	return &cobra.Command{Use: "poweractions NODE", Short: "What can be done with the power of a server", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeNames(crowbar.KindNode),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			var all []string
			if err := c.Below(cmd.Context(), crowbar.KindNode, args[0], "power", &all); err != nil {
				return err
			}
			rows := make([][]string, len(all))
			for i, action := range all {
				rows[i] = []string{action}
			}
			return a.print(cmd.OutOrStdout(), all, "ACTION", rows)
		}}
}

func (a *app) powerCommand() *cobra.Command {
	return &cobra.Command{Use: "power NODE ACTION", Short: "Switch the power of a server: reboot it", Args: cobra.ExactArgs(2), ValidArgsFunction: a.completeNames(crowbar.KindNode),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			return c.Power(cmd.Context(), args[0], args[1])
		}}
}

// addressesCommand is OpenCrowbar's: nodes addresses n1 on admin.
func (a *app) addressesCommand() *cobra.Command {
	return &cobra.Command{Use: "addresses NODE [on NETWORK]", Short: "Addresses of a server, in all networks or in one", Args: cobra.RangeArgs(1, 3), ValidArgsFunction: a.completeNames(crowbar.KindNode),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 2 || len(args) == 3 && args[1] != "on" {
				return usage("say: kubeclamp nodes addresses %s on NETWORK", args[0])
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			var all []object
			if err := c.Below(cmd.Context(), crowbar.KindNode, args[0], "addresses", &all); err != nil {
				return err
			}
			if len(args) == 3 {
				all = slices.DeleteFunc(all, func(o object) bool { return o["network"] != args[2] })
			}
			rows := make([][]string, len(all))
			for i, o := range all {
				var in []string
				list, _ := o["addresses"].([]any)
				for _, address := range list {
					in = append(in, str(address))
				}
				rows[i] = []string{str(o["network"]), str(o["category"]), strings.Join(in, " ")}
			}
			return a.print(cmd.OutOrStdout(), all, "NETWORK\tCATEGORY\tADDRESSES", rows)
		}}
}

// inventoryCommand prints what Ansible reads; that is JSON in any case.
func (a *app) inventoryCommand() *cobra.Command {
	return &cobra.Command{Use: "inventory DEPLOYMENT", Short: "Ansible's inventory of a deployment, as JSON", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeNames(crowbar.KindDeployment),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			var all object
			if err := c.Inventory(cmd.Context(), args[0], &all); err != nil {
				return err
			}
			out := json.NewEncoder(cmd.OutOrStdout())
			out.SetIndent("", "  ")
			return out.Encode(all)
		}}
}

// belowCommand lists the objects of another noun that belong to one of this noun.
func (a *app) belowCommand(k crowbar.Kind, noun string) *cobra.Command {
	what := a.nounNamed(noun)
	return &cobra.Command{Use: noun + " NAME", Short: "List its " + noun, Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeNames(k), RunE: func(cmd *cobra.Command, args []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		var all []object
		if err := c.Below(cmd.Context(), k, args[0], string(what.kind), &all); err != nil {
			return err
		}
		return a.printNouns(cmd, c, what, all, all)
	}}
}

func (a *app) nounNamed(name string) noun {
	for _, n := range append(append([]noun(nil), nouns...), shared...) {
		if n.name == name {
			return n
		}
	}
	panic("there is no noun " + strings.ToUpper(name)) // a word of this file
}
