package api_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/api"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// TestMatchIsWhatTheListHas: for every key of every object that a list shows, a match of its value finds the object, whoever asks,
// and nothing that has another value.
func TestMatchIsWhatTheListHas(t *testing.T) {
	w := converged(t)
	for name, as := range map[string]func() *world{
		"ours":      func() *world { return w },
		"crowbar's": func() *world { o := w.another(nil); o.crowbar = true; return o },
		"rebar's": func() *world {
			o := w.another(func(c *apiConfig) { c.Compat = api.CompatRebar })
			o.crowbar = true
			return o
		},
	} {
		w := as()
		tried := 0
		for _, noun := range []crowbar.Kind{crowbar.KindBarclamp, crowbar.KindRole, crowbar.KindJig, crowbar.KindAttrib, crowbar.KindNode, crowbar.KindDeployment,
			crowbar.KindDeploymentRole, crowbar.KindNodeRole, crowbar.KindEventSink, crowbar.KindEventSelector} {
			all := w.list("GET /api/v2/" + string(noun))
			for _, o := range all[:min(len(all), 3)] {
				for key, v := range o {
					b, err := json.Marshal(map[string]any{key: v})
					if err != nil {
						t.Fatal(err)
					}
					if v == nil {
						continue // null says nothing
					}
					tried++
					var found []map[string]any
					a := w.admin("POST /api/v2/"+string(noun)+"/match", string(b))
					if err := json.Unmarshal([]byte(a.text), &found); err != nil || a.code != http.StatusOK {
						t.Fatalf("%s: %s %s: %d %.300s", name, noun, b, a.code, a.text)
					}
					want := ids(all, func(x map[string]any) bool { return same(x[key], v) })
					if got := ids(found, func(map[string]any) bool { return true }); !slices.Equal(got, want) || len(got) == 0 {
						t.Errorf("%s: %s match %.200s finds %v, want %v", name, noun, b, got, want)
					}
				}
			}
			for _, none := range []string{`{}`, `{"nosuchkey":1}`, `{"id":-1}`, `{"id":"x"}`} {
				if a := w.admin("POST /api/v2/"+string(noun)+"/match", none); a.text != "[]\n" {
					t.Errorf("%s: %s match %s: %.300s", name, noun, none, a.text)
				}
			}
		}
		t.Logf("%s: %d keys", name, tried)
	}
}

func ids(all []map[string]any, which func(map[string]any) bool) (out []string) {
	for _, o := range all {
		if which(o) {
			out = append(out, fmt.Sprint(o["id"]))
		}
	}
	slices.Sort(out)
	return out
}

func same(x, y any) bool {
	if x == nil { // nothing and an empty text are the same to who asks
		x = ""
	}
	a, _ := json.Marshal(x)
	b, _ := json.Marshal(y)
	return string(a) == string(b)
}

// BenchmarkMatch is a match on many node-roles beside the list of them: the ratio counts.
func BenchmarkMatch(b *testing.B) {
	for name, request := range map[string][2]string{"list": {"GET", "/api/v2/node_roles"}, "match": {"POST", "/api/v2/node_roles/match"}} {
		b.Run(name, func(b *testing.B) { asked(b, request[0], request[1], `{"available":true}`) })
	}
}

// asked sends one request again and again to a daemon with 1,000 nodes and 20 roles on each.
func asked(b *testing.B, method, path, body string) {
	s := crowbar.NewSnapshot()
	var changes []crowbar.Change
	id := crowbar.ID(0)
	put := func(o crowbar.Object) { changes = append(changes, crowbar.Change{Put: o}) }
	next := func() crowbar.ID { id++; return id }
	dep := next()
	put(&crowbar.Deployment{ID: dep, Name: "system", System: true, Stored: crowbar.DeploymentCommitted})
	var roles []crowbar.ID
	for i := range 20 {
		roles = append(roles, next())
		put(&crowbar.Role{ID: id, Name: fmt.Sprintf("role%d", i), Jig: "noop"})
	}
	for i := range 1000 {
		n := next()
		put(&crowbar.Node{ID: n, Name: fmt.Sprintf("n%d.example.org", i), Deployment: dep, Alive: true, Available: true})
		for _, r := range roles {
			put(&crowbar.NodeRole{ID: next(), Deployment: dep, Node: n, Role: r, Available: true, RunCount: 1})
		}
	}
	a := api.New(api.Config{Engine: standing{s: s.Apply(1, changes...)}, Token: token, Log: slog.New(slog.DiscardHandler)})
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		if w.Code != http.StatusOK || w.Body.Len() < 1000000 {
			b.Fatalf("%d, %d bytes", w.Code, w.Body.Len())
		}
	}
}

// standing is an engine of which only the state is asked.
type standing struct {
	api.Engine
	s *crowbar.Snapshot
}

// View is that state.
func (s standing) View() *crowbar.Snapshot { return s.s }
