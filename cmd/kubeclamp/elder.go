package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kubeclamp/kubeclamp/pkg/client"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// elder has the client sign in by HTTP digest where a key is given, or the environment of OpenCrowbar's or Digital Rebar's clients
// says so and nothing else does. A token of a configuration is then not sent anywhere.
func (a *app) elder(conf *client.Config) error {
	key := a.key
	for _, family := range []string{"CROWBAR", "REBAR"} {
		if a.key == "" && os.Getenv("KUBECLAMP_TOKEN") == "" && key == "" && (conf.Endpoint == "" || conf.Token+conf.Cert == "" && conf.User == "") && os.Getenv(family+"_KEY") != "" {
			key = os.Getenv(family + "_KEY")
			override(&conf.Endpoint, os.Getenv(family+"_ENDPOINT"), a.endpoint)
		}
	}
	if key == "" {
		return nil
	}
	user, password, err := userOf(key)
	if err != nil {
		return err
	}
	ca := conf.CA
	if a.endpoint != "" {
		ca = "" // the configuration's is another server's
	}
	*conf = client.Config{Endpoint: conf.Endpoint, CA: ca, User: user, Password: password}
	return nil
}

// userOf takes USER:PASSWORD apart, or what is in @FILE.
func userOf(key string) (user, password string, err error) {
	if file, is := strings.CutPrefix(key, "@"); is {
		b, err := os.ReadFile(file)
		if err != nil {
			return "", "", crowbar.Errorf(crowbar.Invalid, "--key: %w", err)
		}
		key = strings.TrimSpace(string(b))
	}
	user, password, ok := strings.Cut(key, ":")
	if !ok || user == "" {
		return "", "", crowbar.Errorf(crowbar.Invalid, "--key: want USER:PASSWORD, or @FILE with that in it")
	}
	return user, password, nil
}

// pingCommand says what answers.
func (a *app) pingCommand() *cobra.Command {
	return &cobra.Command{Use: "ping", Short: "Say which server answers: kubeclampd, OpenCrowbar or Digital Rebar, and its version", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		it, err := c.Elder(cmd.Context())
		if err != nil {
			return err
		}
		if it == nil {
			var some []crowbar.Daemon
			if err := c.List(cmd.Context(), "daemons", &some); err != nil {
				return err
			}
			it = &client.Elder{Kind: "kubeclampd"}
		}
		return a.print(cmd.OutOrStdout(), map[string]string{"endpoint": c.Endpoint(), "kind": it.Kind, "version": it.Version}, "", [][]string{{fmt.Sprintf("%s at %s", it, c.Endpoint())}})
	}}
}
