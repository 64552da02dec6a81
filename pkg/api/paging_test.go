package api_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestPages: a list is given whole to who says nothing, else the part, in the order, that was asked for; all parts together
// are the whole.
func TestPages(t *testing.T) {
	w := converged(t)
	list := func(path string) (names []string, a answer) {
		t.Helper()
		a = w.admin("GET "+path, "")
		var all []map[string]any
		if err := json.Unmarshal([]byte(a.text), &all); a.code != 200 || err != nil {
			t.Fatalf("%s: %d %s", path, a.code, a.text)
		}
		for _, o := range all {
			names = append(names, fmt.Sprint(o["name"]))
		}
		return names, a
	}
	whole, a := list("/api/v2/roles")
	total := fmt.Sprint(len(whole))
	if a.header.Get("X-Total-Count") != total || a.header.Get("Link") != "" || len(whole) < 8 {
		t.Fatalf("%d roles, headers %v", len(whole), a.header)
	}
	var parts []string
	for path := "/api/v2/roles?limit=3"; path != ""; {
		part, a := list(path)
		parts = append(parts, part...)
		if len(part) > 3 || a.header.Get("X-Total-Count") != total {
			t.Errorf("%s: %v", path, part)
		}
		link := a.header.Get("Link")
		path, _, _ = strings.Cut(strings.TrimPrefix(link, "<"), ">")
	}
	if !slices.Equal(parts, whole) {
		t.Errorf("%v, want %v", parts, whole)
	}
	up, _ := list("/api/v2/roles?sort=name")
	down, _ := list("/api/v2/roles?sort=-name&limit=2&offset=1")
	if !slices.IsSorted(up) || len(up) != len(whole) || down[0] != up[len(up)-2] || len(down) != 2 {
		t.Errorf("up %v, down %v", up, down)
	}
	byCohort, _ := list("/api/v2/roles?sort=cohort,-name")
	if len(byCohort) != len(whole) || slices.Equal(byCohort, whole) {
		t.Errorf("%v", byCohort)
	}
	for path, want := range map[string]string{
		"/api/v2/nodes?filter[name]=n2.example.org":                                    "n2.example.org",
		"/api/v2/nodes?filter[system]=false&sort=-name&limit=1":                        "n4.example.org",
		"/api/v2/nodes?filter[nope]=1":                                                 "",
		"/api/v2/nodes?offset=1000":                                                    "",
		"/api/v2/deployments/k8s/nodes?filter[alive]=true&filter[name]=n1.example.org": "n1.example.org",
	} {
		if got, _ := list(path); strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", path, got, want)
		}
	}
	for _, path := range []string{"/api/v2/nodes?limit=0", "/api/v2/nodes?limit=-1", "/api/v2/nodes?offset=x"} {
		if a := w.admin("GET "+path, ""); a.code != 422 {
			t.Errorf("%s: %d", path, a.code)
		}
	}
	// Old clients may ask for parts as well.
	w.crowbar = true
	if got, _ := list("/api/v2/nodes?limit=1&sort=name"); len(got) != 1 {
		t.Errorf("%v", got)
	}
}
