package kube

import (
	"context"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/jig"
)

// On a master: kubectl, and the kubeconfig of the cluster's administrator.
const (
	KubectlFile = "/usr/local/bin/kubectl"
	AdminConfig = "/etc/kubernetes/admin.conf"
)

// Kubectl runs kubectl on a master, as the administrator, and gives what it prints. An exit code other than 0 is an error
// that holds all that kubectl says.
func Kubectl(ctx context.Context, on jig.Conn, stdin string, args ...string) (string, error) {
	argv := append([]string{KubectlFile, "--kubeconfig", AdminConfig, "--request-timeout=60s"}, args...)
	return jig.Run(ctx, on, jig.Cmd{Argv: argv, Stdin: strings.NewReader(stdin)})
}

// KubectlApply makes the cluster have the objects of a manifest (YAML or JSON) as they are there, whoever else has set fields of theirs.
func KubectlApply(ctx context.Context, on jig.Conn, manifest string) error {
	_, err := Kubectl(ctx, on, manifest, "apply", "--server-side", "--force-conflicts", "--field-manager=kubeclamp", "-f", "-")
	return err
}
