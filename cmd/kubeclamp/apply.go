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
	cmd := &cobra.Command{Use: "apply -f cluster.yaml", Short: "Declare a cluster and converge it", Args: cobra.NoArgs,
		Long: "Make the deployment what the file says: nodes, attribs, and which roles are on which node; commit it, and watch it converge.\nThe whole file is checked first: one mistake anywhere, and nothing is changed.",
		RunE: func(cmd *cobra.Command, _ []string) error {
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
	f := cmd.Flags()
	f.StringVarP(&file, "file", "f", "", "the document; - is standard input")
	f.BoolVar(&wait, "wait", true, "watch until the deployment is at rest")
	f.BoolVar(&dry, "dry-run", false, "check everything, change nothing")
	f.BoolVar(&force, "force", false, "run every role in full, also where nothing has changed since its last run")
	f.DurationVar(&timeout, "timeout", time.Hour, "give up watching after this long")
	_ = cmd.MarkFlagRequired("file")
	return cmd
}

func (a *app) planCommand() *cobra.Command {
	var file string
	var rerun, detailed bool
	cmd := &cobra.Command{Use: "plan [-f cluster.yaml]", Short: "What would be run, where, why and how long; nothing is changed", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			steps, err := a.plan(cmd, file, rerun)
			if err != nil {
				return err
			}
			if err := a.printPlan(cmd, steps); err != nil {
				return err
			}
			if detailed && len(steps) > 0 {
				return &exitError{exitDifferences, fmt.Errorf("there is something to do")}
			}
			return nil
		}}
	f := cmd.Flags()
	f.StringVarP(&file, "file", "f", "", "plan applying this document; without it, what is left to do now")
	f.BoolVar(&rerun, "rerun", false, "plan a rerun of everything (kubeclamp converge)")
	f.BoolVar(&detailed, "detailed-exitcode", false, "end with 2 when there is something to do")
	return cmd
}

func (a *app) plan(cmd *cobra.Command, file string, rerun bool) ([]crowbar.Step, error) {
	if file == "" {
		var steps []crowbar.Step
		err := a.with(func(cmd *cobra.Command, c *client.Client, d string, _ []string) (err error) {
			steps, err = c.Plan(cmd.Context(), d, rerun)
			return err
		})(cmd, nil)
		return steps, err
	}
	c, doc, err := a.document(file, cmd.InOrStdin())
	if err != nil {
		return nil, err
	}
	steps, err := c.PlanCluster(cmd.Context(), doc.cluster)
	return steps, doc.locate(err)
}

func (a *app) printPlan(cmd *cobra.Command, steps []crowbar.Step) error {
	rows := make([][]string, 0, len(steps))
	nodes := map[string]bool{}
	for i, s := range steps {
		expected := "unknown"
		if s.Expected > 0 {
			expected = "about " + time.Duration(s.Expected).Round(100*time.Millisecond).String()
		}
		rows = append(rows, []string{strconv.Itoa(i + 1), s.Do, s.Node + "/" + s.Role, s.Why, expected})
		nodes[s.Node] = true
	}
	if a.output == "name" {
		for i := range rows {
			rows[i] = []string{rows[i][2]}
		}
	}
	if len(steps) == 0 && a.output == "table" {
		cmd.Println("nothing to do")
		return nil
	}
	if err := a.print(cmd.OutOrStdout(), steps, "#\tDO\tNODE/ROLE\tWHY\tEXPECTED", rows); err != nil || a.output != "table" {
		return err
	}
	cmd.Printf("%d runs on %d nodes\n", len(steps), len(nodes))
	return nil
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
var place = regexp.MustCompile(`(?m)^((?:nodes|attribs|deployment)[\w\-.\[\]]*): `)

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
