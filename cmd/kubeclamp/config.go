package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"

	"github.com/kubeclamp/kubeclamp/pkg/client"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// app is what all commands share: the flags that every one of them has.
type app struct {
	config, endpoint, key, output, deployment string

	progress string // how commands that watch show it
}

// client makes the API client: flags before environment before the user's file before the system's.
func (a *app) client() (*client.Client, error) {
	conf, from, err := a.read()
	if err != nil {
		return nil, err
	}
	override(&conf.Endpoint, os.Getenv("KUBECLAMP_ENDPOINT"), a.endpoint)
	if err := a.elder(&conf); err != nil {
		return nil, err
	}
	override(&conf.Token, os.Getenv("KUBECLAMP_TOKEN"))
	if f := os.Getenv("KUBECLAMP_CA"); f != "" {
		b, err := os.ReadFile(f)
		if err != nil {
			return nil, crowbar.Errorf(crowbar.Invalid, "KUBECLAMP_CA: %w", err)
		}
		conf.CA = string(b)
	}
	if conf.Endpoint == "" {
		return nil, crowbar.Errorf(crowbar.Invalid, "no daemon is configured (looked at %s): start kubeclampd, then give --config DATADIR/admin.json or set KUBECLAMP_CONFIG to it; or try 'kubeclamp lab up'", from)
	}
	return client.New(conf)
}

func (a *app) read() (conf client.Config, from string, err error) {
	var tried []string
	for _, f := range a.configFiles() {
		b, err := os.ReadFile(f)
		if errors.Is(err, fs.ErrNotExist) && f != a.config {
			tried = append(tried, f)
			continue
		}
		if err != nil {
			return conf, f, crowbar.Errorf(crowbar.Invalid, "configuration: %w", err)
		}
		var c struct{ Endpoint, Token, CA, Name, Cert, Key, User, Password string }
		if err := yaml.Unmarshal(b, &c); err != nil {
			return conf, f, crowbar.Errorf(crowbar.Invalid, "%s: %w", f, err)
		}
		return client.Config(c), f, nil
	}
	return conf, strings.Join(tried, ", "), nil
}

func (a *app) configFiles() []string {
	if a.config != "" {
		return []string{a.config}
	}
	var files []string
	if f := os.Getenv("KUBECLAMP_CONFIG"); f != "" {
		files = append(files, f)
	}
	if dir, err := os.UserConfigDir(); err == nil {
		files = append(files, filepath.Join(dir, "kubeclamp", "config.yaml"))
	}
	files = append(files, "/etc/kubeclamp/config.yaml")
	if _, err := os.Stat(packaged); err == nil { // for root alone: others may not look there
		files = append(files, packaged)
	}
	return files
}

// packaged is the administrator's file of a daemon that was installed as a package on this machine.
const packaged = "/var/lib/kubeclamp/admin.json"

func override(to *string, values ...string) {
	for _, v := range values {
		if v != "" {
			*to = v
		}
	}
}

// theDeployment is the one that was named, or the only one there is.
func (a *app) theDeployment(cmd *cobra.Command, c *client.Client) (string, error) {
	if a.deployment != "" {
		return a.deployment, nil
	}
	var all []crowbar.Deployment
	if err := c.List(cmd.Context(), crowbar.KindDeployment, &all); err != nil {
		return "", err
	}
	var names []string
	for _, d := range all {
		if !d.System {
			names = append(names, d.Name)
		}
	}
	switch len(names) {
	case 0:
		return "", crowbar.Errorf(crowbar.NotFound, "there is no deployment yet: kubeclamp apply -f cluster.yaml makes one")
	case 1:
		return names[0], nil
	}
	return "", crowbar.Errorf(crowbar.Invalid, "which deployment? say -d NAME; there are %s", strings.Join(names, ", "))
}

// with gives a command its client and the deployment's name.
func (a *app) with(f func(cmd *cobra.Command, c *client.Client, deployment string, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		d, err := a.theDeployment(cmd, c)
		if err != nil {
			return err
		}
		return f(cmd, c, d, args)
	}
}

func usage(format string, a ...any) error {
	return crowbar.Errorf(crowbar.Invalid, "%s", fmt.Sprintf(format, a...))
}
