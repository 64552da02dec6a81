package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/kubeclamp/kubeclamp/pkg/client"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// lockCommand lets a user in no more, or again.
func (a *app) lockCommand(n noun, verb, short string, locked bool) *cobra.Command {
	return &cobra.Command{Use: verb + " USER", Short: short, Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeNames(n.kind), RunE: func(cmd *cobra.Command, args []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		var o object
		if err := c.Lock(cmd.Context(), args[0], locked, &o); err != nil {
			return err
		}
		return a.printNouns(cmd, c, n, o, []object{o})
	}}
}

func (a *app) passwordCommand() *cobra.Command {
	return &cobra.Command{Use: "password [USER]", Short: "Give a user a new password; without USER, oneself",
		Long: `Give a user a new password; without USER, oneself. All sessions of the user end.

The password is asked for on a terminal, without showing it; else it is the next line of standard input. One's own takes the present
password first. It is never an argument, which other users of this machine could read.`,
		Args: cobra.MaximumNArgs(1), ValidArgsFunction: a.completeNames(crowbar.KindUser), RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			user, current, ask := client.Me, "", asker(cmd)
			if len(args) == 1 {
				user = args[0]
			} else if current, err = ask("Present password: "); err != nil {
				return err
			}
			password, err := ask("New password: ")
			if err != nil {
				return err
			}
			if onTerminal(cmd) {
				again, err := ask("Once more: ")
				if err != nil {
					return err
				}
				if again != password {
					return usage("the two are not the same: nothing was changed")
				}
			}
			return c.SetPassword(cmd.Context(), user, current, password)
		}}
}

func onTerminal(cmd *cobra.Command) bool {
	f, is := cmd.InOrStdin().(*os.File)
	return is && term.IsTerminal(int(f.Fd()))
}

// asker asks for secrets: on a terminal, without showing them, else line by line.
func asker(cmd *cobra.Command) func(prompt string) (string, error) {
	if onTerminal(cmd) {
		return func(prompt string) (string, error) {
			fmt.Fprint(cmd.ErrOrStderr(), prompt)
			b, err := term.ReadPassword(int(cmd.InOrStdin().(*os.File).Fd()))
			fmt.Fprintln(cmd.ErrOrStderr())
			return string(b), err
		}
	}
	in := bufio.NewReader(io.LimitReader(cmd.InOrStdin(), 1<<16))
	return func(prompt string) (string, error) {
		line, err := in.ReadString('\n')
		if line = strings.TrimRight(line, "\r\n"); line == "" {
			return "", usage("%s: there is no such line on standard input (%v)", strings.ToLower(strings.TrimSuffix(prompt, ": ")), err)
		}
		return line, nil
	}
}

// tokenCreateCommand prints the token alone, for a file or a variable; what it may do goes beside.
func (a *app) tokenCreateCommand() *cobra.Command {
	var user, right, expires string
	var deployments []string
	cmd := &cobra.Command{Use: "create NAME", Short: "Make one, and print it: it is never shown again",
		Example: "  kubeclamp tokens create robot --right operator --deployments k8s --expires 720h > robot.token",
		Args:    cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			body := object{"name": args[0], "right": right, "username": user, "expires": expires}
			if len(deployments) > 0 {
				body["deployments"] = deployments
			}
			var o object
			if err := c.Create(cmd.Context(), crowbar.KindToken, body, &o); err != nil {
				return err
			}
			if a.output == "json" || a.output == "yaml" {
				return a.print(cmd.OutOrStdout(), o, "", nil)
			}
			until := str(o["expires_at"])
			if until == "" {
				until = "it is revoked"
			}
			cmd.PrintErrf("token %s: %s, until %s; it is not shown again\n", str(o["name"]), str(o["right"]), until)
			fmt.Fprintln(cmd.OutOrStdout(), str(o["token"]))
			return nil
		}}
	f := cmd.Flags()
	f.StringVar(&right, "right", string(crowbar.RightViewer), "viewer, operator or admin")
	f.StringSliceVar(&deployments, "deployments", nil, "deployments in which alone it may change things; default: all")
	f.StringVar(&user, "user", "", "whose it is: it is never more than they may do, and is no good while they are locked")
	f.StringVar(&expires, "expires", "2160h", "how long it lasts, or never")
	_ = cmd.RegisterFlagCompletionFunc("right", cobra.FixedCompletions([]string{"viewer", "operator", "admin"}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("deployments", a.completeNames(crowbar.KindDeployment))
	_ = cmd.RegisterFlagCompletionFunc("user", a.completeNames(crowbar.KindUser))
	return cmd
}
