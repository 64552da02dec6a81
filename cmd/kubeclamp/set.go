package main

import (
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kubeclamp/kubeclamp/pkg/client"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// carrierFlags say of what an attrib is set: the deployment, if nothing else is given.
func (a *app) carrierFlags(cmd *cobra.Command) func(deployment string) (crowbar.Kind, string) {
	node := cmd.Flags().String("node", "", "for this node alone; it counts from the next run on")
	nodeRole := cmd.Flags().String("noderole", "", "for this one role on this one node, NODE/ROLE")
	cmd.MarkFlagsMutuallyExclusive("node", "noderole")
	_ = cmd.RegisterFlagCompletionFunc("node", a.completeNames(crowbar.KindNode))
	_ = cmd.RegisterFlagCompletionFunc("noderole", a.completeNodeRole(nil))
	return func(deployment string) (crowbar.Kind, string) {
		switch {
		case *node != "":
			return crowbar.KindNode, *node
		case *nodeRole != "":
			return crowbar.KindNodeRole, *nodeRole
		}
		return crowbar.KindDeployment, deployment
	}
}

func (a *app) setCommand() *cobra.Command {
	var files []string
	cmd := &cobra.Command{Use: "set ATTRIB=VALUE...", Short: "Set attribs of the deployment, of one node with --node, or of one node-role; VALUE is JSON or plain text", ValidArgsFunction: a.completeAttribs(true),
		Long: `Set attribs of the deployment, of one node with --node, or of one node-role with --noderole. VALUE is JSON or plain text.

A secret is not taken from the command line, which other users of this machine can read: give it with --from-file
ATTRIB=FILE, or --from-file ATTRIB=- to read it from standard input. One line end at the end of a file is left out.`}
	carrier := a.carrierFlags(cmd)
	cmd.Flags().StringArrayVar(&files, "from-file", nil, "ATTRIB=FILE: the value is what is in the file, - is standard input; may be given several times")
	cmd.RunE = a.with(func(cmd *cobra.Command, c *client.Client, d string, args []string) error {
		if len(args)+len(files) == 0 {
			return usage("say ATTRIB=VALUE or --from-file ATTRIB=FILE")
		}
		k, key := carrier(d)
		said, err := values(cmd, c, args, files)
		if err != nil {
			return err
		}
		for _, v := range said {
			if err := c.SetAttrib(cmd.Context(), k, key, v.name, jsonOrText(v.text)); err != nil {
				return err
			}
		}
		return nil
	})
	return cmd
}

type spoken struct{ name, text string }

// values reads what is said in arguments and files, before any of it is set.
func values(cmd *cobra.Command, c *client.Client, args, files []string) ([]spoken, error) {
	var out []spoken
	for _, arg := range args {
		name, value, ok := strings.Cut(arg, "=")
		if !ok {
			return nil, usage("%q: say ATTRIB=VALUE", arg)
		}
		var a crowbar.Attrib
		if err := c.Show(cmd.Context(), crowbar.KindAttrib, name, &a); err != nil && crowbar.KindOf(err) != crowbar.NotFound {
			return nil, err // of one that there is not, setting it will say so
		}
		if a.Secret && value != "" {
			return nil, usage("attrib %s is secret, and other users of this machine can read a command line: give it with --from-file %s=FILE, or %s=- for standard input", name, name, name)
		}
		out = append(out, spoken{name, value})
	}
	for _, arg := range files {
		name, file, ok := strings.Cut(arg, "=")
		if !ok {
			return nil, usage("--from-file %q: say ATTRIB=FILE", arg)
		}
		read := func() ([]byte, error) { return os.ReadFile(file) }
		if file == "-" {
			read = func() ([]byte, error) { return io.ReadAll(cmd.InOrStdin()) }
		}
		b, err := read()
		if err != nil {
			return nil, crowbar.Errorf(crowbar.Invalid, "--from-file %s: %w", name, err)
		}
		out = append(out, spoken{name, strings.TrimSuffix(string(b), "\n")})
	}
	return out, nil
}

func (a *app) unsetCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "unset ATTRIB...", Short: "Take back what was set of attribs, so that what is below counts again", Args: cobra.MinimumNArgs(1), ValidArgsFunction: a.completeAttribs(false)}
	carrier := a.carrierFlags(cmd)
	cmd.RunE = a.with(func(cmd *cobra.Command, c *client.Client, d string, args []string) error {
		k, key := carrier(d)
		for _, name := range args {
			if err := c.UnsetAttrib(cmd.Context(), k, key, name); err != nil {
				return err
			}
		}
		return nil
	})
	return cmd
}
