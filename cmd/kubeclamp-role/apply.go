package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"

	"github.com/kubeclamp/kubeclamp/jigs/local"
	"github.com/kubeclamp/kubeclamp/pkg/native"
	"github.com/kubeclamp/kubeclamp/roles"
)

// apply does a role on this machine, for a script of a native barclamp: ROLE apply --node local --attribs FILE.
func apply(name string, args []string) error {
	c := native.Config{Jig: local.New(), Roles: roles.New, Out: os.Stdout, Getenv: os.Getenv, Scan: scan}
	f := flag.NewFlagSet("kubeclamp-role "+name+" apply", flag.ContinueOnError)
	where := f.String("node", "local", "node to do it on: local, which is this machine")
	attribs := f.String("attribs", "", "attrs.json of a script jig")
	walls := f.String("walls", "/dev/stdout", "file for what is given back: lines PATH<tab>VALUE")
	f.StringVar(&c.Package, "package", "/usr/lib/kubeclamp/native", "folder with package.json and artifacts.json")
	f.StringVar(&c.StateDir, "state", "/var/lib/kubeclamp/native", "what is known of earlier runs")
	f.StringVar(&c.HostKey, "host-key", "/etc/ssh/ssh_host_ed25519_key", "this node's private SSH host key, for which its secrets are sealed")
	if err := f.Parse(args); err != nil {
		return err
	}
	if *where != "local" || *attribs == "" || f.NArg() > 0 {
		return fmt.Errorf("say: kubeclamp-role %s apply --node local --attribs FILE", name)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	return native.Apply(ctx, c, name, *attribs, *walls)
}

// scan asks a node for its SSH host key.
func scan(ctx context.Context, address string) (string, error) {
	out, err := exec.CommandContext(ctx, "ssh-keyscan", "-T", "5", "-t", "ed25519", address).Output()
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) >= 3 && !strings.HasPrefix(f[0], "#") {
			return f[1] + " " + f[2], nil
		}
	}
	if err != nil {
		return "", fmt.Errorf("ssh-keyscan %s: %w", address, err)
	}
	return "", fmt.Errorf("ssh-keyscan %s gave no ed25519 key", address)
}
