package main

import (
	"cmp"

	"maps"

	"github.com/spf13/cobra"

	"github.com/kubeclamp/kubeclamp/pkg/client"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

func (a *app) nodesCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "nodes", Short: "Servers: list, show, create, update, bind, redeploy, destroy, forget, replace", Aliases: []string{"node"}}
	cmd.AddCommand(a.listCommand(crowbar.KindNode, nodeHead, nodeRow), a.showCommand(crowbar.KindNode))
	cmd.AddCommand(a.nodeCreateCommand(), a.nodeUpdateCommand(), a.nodeBindCommand())
	cmd.AddCommand(a.destroyCommand(crowbar.KindNode, "destroy", "Take every role off a node, then remove it", false),
		a.nodeForgetCommand(), a.nodeReplaceCommand())
	cmd.AddCommand(&cobra.Command{Use: "redeploy NAME", Short: "Apply everything on a server as if it had never been, also what destroys: it was installed anew", Args: cobra.ExactArgs(1),
		ValidArgsFunction: a.completeNames(crowbar.KindNode), RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			return c.Do(cmd.Context(), crowbar.KindNode, args[0], "redeploy", nil)
		}})
	return cmd
}

const nodeHead = "NAME\tADDRESS\tALIVE\tAVAILABLE\tJIG\tDESCRIPTION"

// nodeRow leaves phantoms out: they are no servers. Data (-o json, yaml) has them.
func nodeRow(o map[string]any) []string {
	if o["system"] == true {
		return nil
	}
	return []string{str(o["name"]), str(o["address"]), str(o["alive"]), str(o["available"]), str(o["jig_name"]), str(o["description"])}
}

// nodeFlags are what can be said of a node on the command line; a flag that is not given changes nothing.
func nodeFlags(cmd *cobra.Command) func() map[string]any {
	f := cmd.Flags()
	address := f.String("address", "", "IP address of the node")
	user := f.String("ssh-user", "", "user to log in as (default root)")
	port := f.Int("ssh-port", 0, "TCP port of its sshd (default 22)")
	key := f.String("host-key", "", "its ssh host key, as in known_hosts: 'ssh-ed25519 AAAA...'; \"\" forgets the recorded one")
	jig := f.String("jig", "", "how to reach it: ssh or local")
	alive := f.Bool("alive", true, "whether it is up")
	available := f.Bool("available", true, "whether roles may run on it")
	admin := f.Bool("admin", false, "whether it is the admin host")
	return func() map[string]any {
		body := map[string]any{}
		if f.Changed("address") {
			body["address"] = *address
		}
		if f.Changed("jig") {
			body["jig_name"] = *jig
		}
		if f.Changed("alive") {
			body["alive"] = *alive
		}
		if f.Changed("available") {
			body["available"] = *available
		}
		if f.Changed("admin") {
			body["admin"] = *admin
		}
		ssh := map[string]any{}
		for flag, value := range map[string]any{"ssh-user": *user, "ssh-port": *port, "host-key": *key} {
			if f.Changed(flag) {
				ssh[map[string]string{"ssh-user": "user", "ssh-port": "port", "host-key": "host_key"}[flag]] = value
			}
		}
		if len(ssh) > 0 {
			body["ssh"] = ssh
		}
		return body
	}
}

func (a *app) nodeCreateCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "create NAME --address IP", Short: "Add a server; one JSON object instead of NAME does as well", Args: cobra.ExactArgs(1)}
	read := nodeFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		body, err := named(args[0])
		if err != nil {
			return err
		}
		maps.Copy(body, read())
		if a.deployment != "" {
			body["deployment"] = a.deployment
		}
		var n map[string]any
		if err := c.Create(cmd.Context(), crowbar.KindNode, body, &n); err != nil {
			return err
		}
		return a.print(cmd.OutOrStdout(), n, nodeHead, [][]string{nodeRow(n)})
	}
	return cmd
}

func (a *app) nodeUpdateCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "update NAME [KEY=VALUE...]", Short: "Change what is known of a server", Args: cobra.MinimumNArgs(1), ValidArgsFunction: a.completeNames(crowbar.KindNode)}
	read := nodeFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		body, err := spelled(args[1:])
		if err != nil {
			return err
		}
		maps.Copy(body, read())
		var n object
		if err := c.Update(cmd.Context(), crowbar.KindNode, args[0], body, &n); err != nil {
			return err
		}
		return a.print(cmd.OutOrStdout(), n, nodeHead, [][]string{nodeRow(n)})
	}
	return cmd
}

// nodeBindCommand is OpenCrowbar's wording: nodes bind n1 to etcd. Where there are several deployments and none is said, it
// is the node's.
func (a *app) nodeBindCommand() *cobra.Command {
	return a.sentence("bind NODE to ROLE...", "Assign roles to a node; what they ask for comes along", crowbar.KindNode,
		func(cmd *cobra.Command, c *client.Client, node string, roles []string) error {
			d := a.deployment
			if one, err := a.theDeployment(cmd, c); err == nil {
				d = one
			}
			return bindAll(cmd, c, d, node, roles)
		})
}

func bindAll(cmd *cobra.Command, c *client.Client, deployment, node string, roles []string) error {
	for _, r := range roles {
		if _, err := c.Bind(cmd.Context(), r, node, deployment); err != nil {
			return err
		}
		cmd.PrintErrf("bound %s to %s in %s (proposed; 'kubeclamp commit' starts it)\n", r, node, cmp.Or(deployment, "its deployment"))
	}
	return nil
}

func (a *app) bindCommand() *cobra.Command {
	return &cobra.Command{Use: "bind NODE ROLE...", Short: "Assign roles to a node; what they ask for comes along", Args: cobra.MinimumNArgs(2),
		ValidArgsFunction: a.completeFirst(crowbar.KindNode, crowbar.KindRole),
		RunE: a.with(func(cmd *cobra.Command, c *client.Client, d string, args []string) error {
			return bindAll(cmd, c, d, args[0], args[1:])
		})}
}

func (a *app) unbindCommand() *cobra.Command {
	return &cobra.Command{Use: "unbind NODE ROLE...", Short: "Take roles off a node", Args: cobra.MinimumNArgs(2), ValidArgsFunction: a.completeFirst(crowbar.KindNode, crowbar.KindRole),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			for _, r := range args[1:] {
				if err := c.Destroy(cmd.Context(), crowbar.KindNodeRole, args[0]+"/"+r, false); err != nil {
					return err
				}
			}
			return nil
		}}
}
