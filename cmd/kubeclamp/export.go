package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"

	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"

	"github.com/kubeclamp/kubeclamp/pkg/client"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

func (a *app) exportCommand() *cobra.Command {
	return &cobra.Command{Use: "export [DEPLOYMENT]", Short: "Write a deployment as the cluster.yaml that makes it", Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: a.completeNames(crowbar.KindDeployment), Annotations: map[string]string{forms: "yaml json"},
		Long: `Write a deployment to standard output as the cluster.yaml that makes it: networks, nodes, roles, and the attribs that were set,
with what is proposed. Applied where there is nothing (but its parent, if that is not the root), it makes a deployment of which the
export is the same, byte by byte.

Secrets are left out; comments at the top name them, with the commands that set them again. Addresses that networks gave out,
facts, run logs and certificates are not in it: 'kubeclamp state export' copies everything.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				a.deployment = args[0]
			}
			return a.with(func(cmd *cobra.Command, c *client.Client, d string, _ []string) error {
				e, err := c.Document(cmd.Context(), d)
				if err != nil {
					return err
				}
				if a.form(cmd) == "json" {
					out := json.NewEncoder(cmd.OutOrStdout())
					out.SetIndent("", "  ")
					return out.Encode(e.Cluster)
				}
				return writeExport(cmd.OutOrStdout(), e)
			})(cmd, nil)
		}}
}

// writeExport writes a cluster.yaml, with comments on what it cannot hold.
func writeExport(w io.Writer, e crowbar.Exported) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Deployment %s, by kubeclamp export; kubeclamp apply -f makes it.\n", e.Cluster.Deployment)
	if len(e.Secrets) > 0 {
		b.WriteString("#\n# Secrets are not in it. Once it is applied, set them again:\n")
	}
	for _, s := range e.Secrets {
		at := map[crowbar.Kind]string{crowbar.KindNode: "--node " + s.On + " ", crowbar.KindNodeRole: "--noderole " + s.On + " "}[s.Kind]
		fmt.Fprintf(&b, "#   kubeclamp -d %s set %s--from-file %s=FILE\n", e.Cluster.Deployment, at, s.Attrib)
	}
	for i, f := range e.Foreign {
		if i == 0 {
			b.WriteString("#\n# Nor are its roles on nodes of other deployments:\n")
		}
		fmt.Fprintf(&b, "#   %s\n", f)
	}
	e.Cluster.Attribs = whole(e.Cluster.Attribs).(map[string]any)
	for i, n := range e.Cluster.Nodes {
		e.Cluster.Nodes[i].Attribs = whole(n.Attribs).(map[string]any)
	}
	out := yaml.NewEncoder(&b)
	out.SetIndent(2)
	if err := out.Encode(e.Cluster); err != nil {
		return err
	}
	if err := out.Close(); err != nil {
		return err
	}
	_, err := w.Write(b.Bytes())
	return err
}

// whole is a JSON tree in which whole numbers are written as such, not as 1e+06.
func whole(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			v[k] = whole(e)
		}
	case []any:
		for i, e := range v {
			v[i] = whole(e)
		}
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return int64(v)
		}
	}
	return v
}
