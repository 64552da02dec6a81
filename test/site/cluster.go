// Package site is a lab cluster that is driven by the programs that a user has, and the load that such a cluster is under. It
// does not know what is done to the cluster meanwhile.
package site

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Admin is the administrator's kubeconfig on a master.
const Admin = "/etc/kubernetes/admin.conf"

// Cluster is a lab of its own. Programs that use one run at the top of the source tree, as root, after make build artifacts.
type Cluster struct {
	Dir     string // absolute; it is removed by Down
	Name    string
	Network string
	Cache   string // folder of artifacts and lab images
}

// Command is the user's program with these words, for this cluster.
func (c Cluster) Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "bin/kubeclamp", args...)
	cmd.Env = append(os.Environ(), "KUBECLAMP_CONFIG="+filepath.Join(c.Dir, "daemon", "admin.json"), "NO_COLOR=1")
	return cmd
}

// CLI runs the user's program to its end. Its output is also given where it fails; an error has all that it said.
func (c Cluster) CLI(ctx context.Context, stdin io.Reader, args ...string) (string, error) {
	cmd := c.Command(ctx, args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("kubeclamp %s: %w\n%s%s", strings.Join(args, " "), err, out.String(), errs.String())
	}
	return out.String(), nil
}

// LabArgs is a verb of the CLI's lab on this one.
func (c Cluster) LabArgs(verb string, args ...string) []string {
	return append([]string{"lab", verb, "--dir", c.Dir, "--name", c.Name, "--network", c.Network}, args...)
}

// Lab runs a verb of the CLI's lab on this one.
func (c Cluster) Lab(ctx context.Context, verb string, args ...string) (string, error) {
	return c.CLI(ctx, nil, c.LabArgs(verb, args...)...)
}

// SSH runs a script in a node's shell.
func (c Cluster) SSH(ctx context.Context, node, script string) (string, error) {
	return c.Lab(ctx, "ssh", node, script)
}

// Put has a script on a node read this.
func (c Cluster) Put(ctx context.Context, node string, what io.Reader, script string) error {
	_, err := c.CLI(ctx, what, c.LabArgs("ssh", node, script)...)
	return err
}

// Up makes the cluster, or brings the one that is there up to date: nodes n1, n2 and so on, the first of them masters. More
// words go to lab up as they are.
func (c Cluster) Up(ctx context.Context, nodes, masters int, more ...string) error {
	args := []string{"--count", strconv.Itoa(nodes), "--masters", strconv.Itoa(masters), "--artifact-cache", filepath.Join(c.Cache, "artifacts"), "--image-cache", filepath.Join(c.Cache, "images")}
	_, err := c.Lab(ctx, "up", append(args, more...)...)
	return err
}

// Down takes the cluster away with all that it left.
func (c Cluster) Down(ctx context.Context) error {
	if _, err := c.Lab(ctx, "down"); err != nil {
		return err
	}
	return os.RemoveAll(c.Dir)
}

// Well waits until the API servers of these masters are ready and every node is Ready, ten times in a row.
func (c Cluster) Well(ctx context.Context, masters ...string) error {
	ctx, cancel := context.WithTimeout(ctx, 4*time.Minute)
	defer cancel()
	for good, last := 0, error(nil); good < 10; {
		for _, n := range masters {
			_, err := c.SSH(ctx, n, "kubectl --kubeconfig "+Admin+" --request-timeout 3s get --raw /readyz && ! kubectl --kubeconfig "+Admin+" --request-timeout 3s get nodes --no-headers | grep -v ' Ready '")
			if ctx.Err() != nil {
				return fmt.Errorf("the cluster is not well again: %w", last)
			}
			if good++; err != nil {
				good, last = 0, err
				break
			}
		}
	}
	return nil
}

// Certificates is every authority, certificate and key of the cluster, by name.
func (c Cluster) Certificates(ctx context.Context) (map[string]crowbar.Certificate, error) {
	text, err := c.CLI(ctx, nil, "certs", "list", "-o", "json")
	if err != nil {
		return nil, err
	}
	var all []crowbar.Certificate
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		return nil, fmt.Errorf("kubeclamp certs list: %w", err)
	}
	out := map[string]crowbar.Certificate{}
	for _, is := range all {
		out[is.Name] = is
	}
	return out, nil
}
