package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"

	"github.com/kubeclamp/kubeclamp/pkg/client"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

func (a *app) applyCommand() *cobra.Command {
	var file string
	var wait, dry, force bool
	var timeout time.Duration
	cmd := &cobra.Command{Use: "apply {-f cluster.yaml | PLAN}", Short: "Declare a cluster and converge it, or carry out a plan", Args: cobra.MaximumNArgs(1),
		Long: `Make the deployment what the file says: nodes, attribs, and which roles are on which node; commit it, and watch it converge.
The whole file is checked first: one mistake anywhere, and nothing is changed.

With the file of a plan ('kubeclamp plan --out PLAN'), do what the plan says and nothing else. Where the plan would be another
one by now, it is refused, and it is said what moved. -f is needed beside it only where the document has secrets.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) == 1 && (dry || force):
				return usage("a plan says itself what is done: --dry-run and --force are for 'kubeclamp plan'")
			case len(args) == 1:
				return a.carryOut(cmd, args[0], file, wait, timeout)
			case file == "":
				return usage("what is to be applied? give the file of a cluster with -f, or the file of a plan")
			}
			c, doc, err := a.document(file, cmd.InOrStdin())
			if err != nil {
				return err
			}
			start := time.Now()
			if force && !dry {
				err = c.ApplyForced(cmd.Context(), doc.cluster)
			} else {
				err = c.Apply(cmd.Context(), doc.cluster, dry)
			}
			if err != nil {
				return doc.locate(err)
			}
			if dry || !wait {
				return nil
			}
			return a.await(cmd, c, doc.cluster.Deployment, start, timeout)
		}}
	a.progressFlag(cmd)
	f := cmd.Flags()
	f.StringVarP(&file, "file", "f", "", "the document; - is standard input")
	f.BoolVar(&wait, "wait", true, "watch until the deployment is at rest")
	f.BoolVar(&dry, "dry-run", false, "check the document, change nothing; for what would be done see 'kubeclamp plan'")
	f.BoolVar(&force, "force", false, "run every role in full, also where nothing has changed since its last run")
	f.DurationVar(&timeout, "timeout", time.Hour, "give up watching after this long")
	return cmd
}

// document is a cluster.yaml with the places of its values, so that a complaint can say file and line.
type document struct {
	path    string
	cluster crowbar.Cluster
	root    yaml.Node
}

func (a *app) document(path string, in io.Reader) (*client.Client, *document, error) {
	doc, err := readDocument(path, in)
	if err != nil {
		return nil, nil, err
	}
	if a.deployment != "" && a.deployment != doc.cluster.Deployment {
		return nil, nil, usage("-d %s, but %s is of deployment %q", a.deployment, path, doc.cluster.Deployment)
	}
	c, err := a.client()
	return c, doc, err
}

func readDocument(path string, in io.Reader) (*document, error) {
	var b []byte
	var err error
	if path == "-" {
		b, err = io.ReadAll(in)
	} else {
		b, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, crowbar.Errorf(crowbar.Invalid, "%w", err)
	}
	doc := &document{path: path}
	if err := yaml.Unmarshal(b, &doc.root); err != nil {
		return nil, crowbar.Errorf(crowbar.Invalid, "%s: %w", path, err)
	}
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	if err := d.Decode(&doc.cluster); err != nil {
		return nil, crowbar.Errorf(crowbar.Invalid, "%s: %w", path, err)
	}
	if doc.cluster.Deployment == "" {
		return nil, crowbar.Errorf(crowbar.Invalid, "%s:1: deployment: a name is needed, such as 'deployment: k8s'", path)
	}
	return doc, nil
}

// place finds words such as "nodes[2].roles[0]" at the start of a line of the daemon's complaint.
var place = regexp.MustCompile(`(?m)^((?:nodes|networks|attribs|deployment)[\w\-.\[\]]*): `)

// locate puts file and line before each complaint that says its place.
func (d *document) locate(err error) error {
	if err == nil {
		return nil
	}
	text := place.ReplaceAllStringFunc(err.Error(), func(m string) string {
		where := strings.TrimSuffix(m, ": ")
		return fmt.Sprintf("%s:%d: %s: ", d.path, d.line(where), where)
	})
	return crowbar.Errorf(crowbar.KindOf(err), "%s", text)
}

// line is the line of the deepest value on the way that exists.
func (d *document) line(where string) int {
	at := &d.root
	if len(at.Content) > 0 {
		at = at.Content[0]
	}
	for _, step := range strings.FieldsFunc(where, func(r rune) bool { return r == '.' || r == '[' || r == ']' }) {
		next := child(at, step)
		if next == nil {
			break
		}
		at = next
	}
	return at.Line
}

func child(n *yaml.Node, step string) *yaml.Node {
	if i, err := strconv.Atoi(step); err == nil && n.Kind == yaml.SequenceNode && i < len(n.Content) {
		return n.Content[i]
	}
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == step {
			return n.Content[i+1]
		}
	}
	return nil
}
