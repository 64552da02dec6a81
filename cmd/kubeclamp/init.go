package main

import (
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"text/template"

	"github.com/spf13/cobra"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

//go:embed cluster.yaml.tmpl
var firstDocument string

// firstNode is a line of nodes in a first document.
type firstNode struct {
	Name, Address string
	Roles         []string
	Says          string
}

func initCommand() *cobra.Command {
	var masters, workers int
	var deployment string
	cmd := &cobra.Command{Use: "init [FILE]", Short: "Write a first cluster.yaml, with comments; addresses are to be filled in", Args: cobra.MaximumNArgs(1),
		Long: `Write a first cluster.yaml (or FILE; - is standard output), with comments. Nothing is asked, and no daemon is needed. Fill in
the addresses of the servers; everything else may stay as it is. A file that is there is not touched.`,
		Annotations: map[string]string{forms: "yaml"},
		RunE: func(cmd *cobra.Command, args []string) error {
			file := "cluster.yaml"
			if len(args) == 1 {
				file = args[0]
			}
			text, err := firstCluster(deployment, masters, workers)
			if err != nil {
				return err
			}
			if file == "-" {
				_, err = io.WriteString(cmd.OutOrStdout(), text)
				return err
			}
			if err := writeNew(file, text); err != nil {
				return err
			}
			cmd.PrintErrf("%s is written: fill in the addresses, then 'kubeclamp plan -f %s'\n", file, file)
			return nil
		}}
	cmd.Flags().IntVar(&masters, "masters", 3, "servers with the Kubernetes API and etcd; an odd number")
	cmd.Flags().IntVar(&workers, "workers", 2, "servers that only run pods; with none, masters do it too")
	cmd.Flags().StringVar(&deployment, "name", "k8s", "name of the deployment")
	return cmd
}

// writeNew makes a file that is not there yet.
func writeNew(file, text string) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return crowbar.Errorf(crowbar.Conflict, "%s is there already, and is not touched: name another file", file)
	}
	if err != nil {
		return crowbar.Errorf(crowbar.Invalid, "%w", err)
	}
	_, err = io.WriteString(f, text)
	return errors.Join(err, f.Close())
}

func firstCluster(deployment string, masters, workers int) (string, error) {
	switch {
	case masters < 1 || masters%2 == 0:
		return "", usage("--masters %d: want 1, 3, 5 or another odd number, so that etcd has a majority", masters)
	case workers < 0 || masters+workers > 1000:
		return "", usage("--workers %d: want 0 to %d", workers, 1000-masters)
	}
	var nodes []firstNode
	for i := range masters + workers {
		n := firstNode{Name: fmt.Sprintf("m%d", i+1), Address: fmt.Sprintf("ADDRESS-OF-M%d", i+1), Roles: []string{"etcd", "k8s-master"}}
		switch {
		case i >= masters:
			n = firstNode{Name: fmt.Sprintf("w%d", i+1-masters), Address: fmt.Sprintf("ADDRESS-OF-W%d", i+1-masters), Roles: []string{"k8s-minion"}}
		case workers == 0:
			n.Roles = append(n.Roles, "k8s-minion")
		}
		if i == 0 || i == 1 && masters > 1 && workers == 0 || i == masters {
			n.Roles = append(n.Roles, "dns-pool")
		}
		if i == 0 {
			n.Roles = append(n.Roles, "k8s-addons")
			if max(workers, masters) > 1 && (workers > 1 || workers == 0) {
				n.Roles = append(n.Roles, "k8s-ready")
			}
		}
		nodes = append(nodes, n)
	}
	t, err := template.New("cluster.yaml").Funcs(template.FuncMap{"list": func(l []string) string { return strings.Join(l, ", ") }}).Parse(firstDocument)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	err = t.Execute(&out, struct {
		Deployment string
		Nodes      []firstNode
	}{deployment, nodes})
	return out.String(), err
}
