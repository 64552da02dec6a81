package api_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/kubeclamp/kubeclamp/pkg/api/openapi"
)

// TestSpecAndRoutesAgree walks the description and the routes both ways.
func TestSpecAndRoutesAgree(t *testing.T) {
	w := build(t)
	d, err := openapi.Spec()
	if err != nil {
		t.Fatal(err)
	}
	var described []string
	ids := map[string]string{}
	for path, ops := range d.Paths {
		for method, op := range ops {
			pattern := strings.ToUpper(method) + " " + path
			described = append(described, pattern)
			id := op.(map[string]any)["operationId"].(string)
			if ids[id] != "" {
				t.Errorf("%s and %s are both operation %s: give one of them another operationId", ids[id], pattern, id)
			}
			ids[id] = pattern
		}
	}
	for _, p := range w.api.Routes() {
		if !slices.Contains(described, p) {
			t.Errorf("%s is not described: add its word to routes: of its noun in pkg/api/openapi/*.yaml (within: for a list below another noun), or a path of its own; head.yaml says how", p)
		}
	}
	for _, p := range described {
		if !slices.Contains(w.api.Routes(), p) {
			t.Errorf("%s is described in pkg/api/openapi/*.yaml, and there is no such route", p)
		}
	}
	t.Logf("%d routes", len(described))
}

// TestSpecIsServed: what comes over the wire is the same document in both forms.
func TestSpecIsServed(t *testing.T) {
	w := build(t)
	var a, b map[string]any
	text := w.admin("GET /api/v2/openapi.yaml", "").text
	if err := yaml.Unmarshal([]byte(text), &a); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(w.admin("GET /api/v2/openapi.json", "").text), &b); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(text, "openapi: 3.1.0\n") || len(a["paths"].(map[string]any)) < 50 || len(a["paths"].(map[string]any)) != len(b["paths"].(map[string]any)) {
		t.Errorf("%d and %d paths\n%.300s", len(a["paths"].(map[string]any)), len(b["paths"].(map[string]any)), text)
	}
}
