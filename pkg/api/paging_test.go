package api_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/client"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
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

// TestListsPieceByPiece: a list that is read in pieces is the list, while objects of the part that was read go, and come.
func TestListsPieceByPiece(t *testing.T) {
	w := build(t)
	for i := range 1100 {
		if _, err := w.engine.Make(t.Context(), &crowbar.Group{Name: fmt.Sprintf("g%04d", i), Category: "rack", Order: i % 7}); err != nil {
			t.Fatal(err)
		}
	}
	names := func(p client.Page, between func()) (out []string, pieces int) {
		err := w.Each(t.Context(), crowbar.KindGroup, p, func(some []json.RawMessage) error {
			pieces++
			for _, b := range some {
				var g crowbar.Group
				if err := json.Unmarshal(b, &g); err != nil {
					return err
				}
				out = append(out, g.Name)
			}
			if between != nil {
				between()
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return out, pieces
	}
	var all []crowbar.Group
	if err := w.List(t.Context(), crowbar.KindGroup, &all); err != nil {
		t.Fatal(err)
	}
	want := make([]string, len(all))
	for i, g := range all {
		want[i] = g.Name
	}
	if got, pieces := names(client.Page{}, nil); !slices.Equal(got, want) || pieces < 3 {
		t.Errorf("%d objects in %d pieces, want %d", len(got), pieces, len(want))
	}
	gone := 0
	got, _ := names(client.Page{}, func() { // two that were read already
		for range 2 {
			if err := w.engine.Destroy(t.Context(), crowbar.KindGroup, w.engine.View().GroupNamed(fmt.Sprintf("g%04d", gone)).ID); err != nil {
				t.Fatal(err)
			}
			gone++
		}
	})
	if !slices.Equal(got, want) {
		t.Errorf("while some went: %d objects, want %d", len(got), len(want))
	}
	for _, c := range []struct {
		p     client.Page
		first string
		count int
	}{
		{client.Page{Limit: 3, Filter: map[string]string{"category": "rack"}}, fmt.Sprintf("g%04d", gone), 3}, {client.Page{Limit: 501, Filter: map[string]string{"category": "rack"}}, fmt.Sprintf("g%04d", gone), 501},
		{client.Page{Sort: "-name", Limit: 700, Filter: map[string]string{"category": "rack"}}, "g1099", 700}, {client.Page{Offset: 1, Limit: 2, Filter: map[string]string{"order": "3"}}, "g0017", 2},
		{client.Page{Filter: map[string]string{"name": "none"}}, "", 0},
	} {
		got, _ := names(c.p, nil)
		if len(got) != c.count || c.count > 0 && got[0] != c.first {
			t.Errorf("%+v: %d objects, %.60v; want %d from %s on", c.p, len(got), got, c.count, c.first)
		}
	}
	for _, q := range []string{"after=1&sort=name", "after=1&offset=2", "after=x"} {
		if a := w.admin("GET /api/v2/groups?"+q, ""); a.code != 422 {
			t.Errorf("%s: %d %s", q, a.code, a.text)
		}
	}
}
