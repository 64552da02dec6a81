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
	c := kubectl(args...)
	c.Stdin = strings.NewReader(stdin)
	return jig.Run(ctx, on, c)
}

// KubectlGet is Kubectl's get, which changes nothing.
func KubectlGet(ctx context.Context, on jig.Conn, args ...string) (string, error) {
	c := kubectl(append([]string{"get"}, args...)...)
	c.Reads = true
	return jig.Run(ctx, on, c)
}

// KubectlLook is a script that changes nothing, in which k is kubectl as the administrator; args become $1, $2...
func KubectlLook(text string, args ...string) jig.Cmd {
	return jig.Look("k() { "+KubectlFile+" --kubeconfig "+AdminConfig+" --request-timeout=20s \"$@\"; }\n"+text, args...)
}

func kubectl(args ...string) jig.Cmd {
	return jig.Cmd{Argv: append([]string{KubectlFile, "--kubeconfig", AdminConfig, "--request-timeout=60s"}, args...)}
}

// KubectlApply makes the cluster have the objects of a manifest (YAML or JSON) as they are there, whoever else has set fields of theirs.
func KubectlApply(ctx context.Context, on jig.Conn, manifest string) error {
	_, err := Kubectl(ctx, on, manifest, "apply", "--server-side", "--force-conflicts", "--field-manager=kubeclamp", "-f", "-")
	return err
}
