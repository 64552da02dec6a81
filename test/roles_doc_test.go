package test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

var update = flag.Bool("update", false, "write docs/roles.md anew")

// TestRolesDocument holds docs/roles.md to barclamp.yaml: go test ./test -run TestRolesDocument -update writes it.
func TestRolesDocument(t *testing.T) {
	const file = "../docs/roles.md"
	want := rolesDocument(shipped(t))
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, string(got)); d != "" {
		t.Errorf("docs/roles.md is not what barclamp.yaml says; run: go test ./test -run TestRolesDocument -update\n%s", d)
	}
}

func TestEveryAttribIsDescribed(t *testing.T) {
	for _, a := range shipped(t).Attribs {
		if a.Description == "" {
			t.Errorf("attrib %s says nothing of itself", a.Name)
		}
	}
}

func rolesDocument(c *crowbar.Catalog) string {
	var b strings.Builder
	b.WriteString(`# Roles and attribs

Written from barclamp.yaml by a test; do not edit. Attribs are set in cluster.yaml (` + "`attribs`" + `) or with ` + "`kubeclamp set`" + `.
What the host makes itself (certificates, keys, tokens) is left out; nobody can set it.

"Comes by itself" means that whatever requires the role brings it along on the same node. "Per deployment" means that it is
there once and on no server.

| role | what it is | requires | bound |
|---|---|---|---|
`)
	for _, r := range c.Roles {
		fmt.Fprintf(&b, "| [%s](../roles/%s/README.md) | %s | %s | %s |\n", r.Name, r.Name, cell(r.Description), cell(strings.Join(r.Requires, ", ")), bound(r))
	}
	b.WriteString("\n## Attribs of nodes\n\nThese can differ from node to node.\n\n")
	attribTable(&b, c, "")
	for _, r := range c.Roles {
		if !slices.ContainsFunc(c.Attribs, func(a crowbar.CatalogAttrib) bool { return a.RoleName == r.Name && settable(a) }) {
			continue
		}
		fmt.Fprintf(&b, "\n## %s\n\n", r.Name)
		attribTable(&b, c, r.Name)
	}
	return b.String()
}

func bound(r crowbar.Role) string {
	switch {
	case r.Flags.Service:
		return "per deployment"
	case r.Flags.Implicit:
		return "comes by itself"
	case r.Flags.Cluster:
		return "by you; a cluster of any size"
	}
	return "by you"
}

func settable(a crowbar.CatalogAttrib) bool {
	return a.Leaf == nil && a.Generate == "" && a.Authority == ""
}

func attribTable(b *strings.Builder, c *crowbar.Catalog, role string) {
	b.WriteString("| attrib | default | meaning |\n|---|---|---|\n")
	for _, a := range c.Attribs {
		if a.RoleName != role || !settable(a) {
			continue
		}
		text, _ := json.Marshal(a.Default)
		meaning := a.Description
		if values, ok := a.Schema["enum"].([]any); ok {
			meaning += fmt.Sprintf(" (%s)", strings.Trim(fmt.Sprint(values), "[]"))
		}
		fmt.Fprintf(b, "| `%s` | `%s` | %s |\n", a.Name, text, cell(meaning))
	}
}

func cell(text string) string {
	if text == "" {
		return "-"
	}
	return strings.ReplaceAll(text, "|", `\|`)
}
