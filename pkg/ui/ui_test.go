package ui

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// hostile is texts that somebody gives to things so that a page does what they want.
var hostile = []string{
	`<script>alert(1)</script>`, `"><script>alert(1)</script>`, `'><script>alert(1)</script>`, `</title><script>alert(1)</script>`, `</textarea><script>alert(1)</script>`,
	`</style><script>alert(1)</script>`, `</script><script>alert(1)</script>`, `<img src=x onerror=alert(1)>`, `"><img src=x onerror=alert(1)>`, `<svg onload=alert(1)>`,
	`<svg><animate onbegin=alert(1) attributeName=x></svg>`, `<body onload=alert(1)>`, `<iframe src="javascript:alert(1)">`, `<a href="javascript:alert(1)">x</a>`, `<form action=javascript:alert(1)><button>x`,
	`<math><mtext></mtext><script>alert(1)</script>`, `<details open ontoggle=alert(1)>`, `<input autofocus onfocus=alert(1)>`, `<object data="javascript:alert(1)">`, `<embed src="javascript:alert(1)">`,
	`<base href="//evil.example/">`, `<meta http-equiv=refresh content="0;url=//evil.example">`, `<link rel=stylesheet href=//evil.example/x.css>`, `<style>*{display:none}</style>`, `<!-- `,
	`-->`, `<![CDATA[ <script>alert(1)</script> ]]>`, `{{.Who.Name}}`, `{{template "frame" .}}`, `${alert(1)}`, `javascript:alert(1)`, `" onmouseover="alert(1)`, `' onmouseover='alert(1)`,
	"` onmouseover=`alert(1)", `" hx-get="/evil" hx-trigger="load`, `" data-do="DELETE /api/v2/deployments/1`, "\u202egnp.exe\u202c \u2066x", "\x00\x01\x1b[31mred\r\n<script>", "\xff\xfe\xc0\xaf<script>alert(1)</script>",
	strings.Repeat("<b>x", 2500), "x\u2028<script>alert(1)</script>\u2029",
}

// fake is an engine that says what it is told.
type fake struct {
	s    *crowbar.Snapshot
	text string
}

func (f *fake) View() *crowbar.Snapshot { return f.s }
func (f *fake) WhyIn(*crowbar.Snapshot) func(crowbar.ID) string {
	return func(crowbar.ID) string { return f.text }
}
func (f *fake) WhyAll(d crowbar.ID) (crowbar.Reasons, error) {
	return crowbar.Reasons{Deployment: f.text, Causes: []crowbar.Cause{{Kind: crowbar.CauseError, Cause: f.text, Remedy: f.text, NodeRole: 60, Place: f.text},
		{Kind: crowbar.CauseNode, Cause: f.text, Remedy: f.text, Waiting: []crowbar.Waiting{{ID: 60, Node: f.text, Role: f.text, Why: f.text}}}}}, nil
}
func (f *fake) Expected(*crowbar.NodeRole) crowbar.Duration { return crowbar.Duration(time.Minute) }
func (f *fake) Explain(crowbar.ID, string) ([]crowbar.Explanation, error) {
	return []crowbar.Explanation{{NodeRole: f.text, Attrib: f.text, Description: f.text, Role: f.text, Map: f.text, Value: f.text, Proposed: true, Layers: []crowbar.Layer{{Name: f.text, Where: f.text, Set: true, Value: f.text, Wins: true}}}}, nil
}
func (f *fake) Foresee(context.Context, crowbar.PlanFor, func(context.Context, []crowbar.DryRun) []crowbar.Answer) (*crowbar.Plan, error) {
	return &crowbar.Plan{Deployment: f.text, Steps: []crowbar.Step{{Node: f.text, Role: f.text, Do: f.text, Why: f.text}}, Touches: []string{f.text}}, nil
}

// fill puts a text into every text of an object, but for those by which things find each other.
func fill(v reflect.Value, text string) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			fill(v.Elem(), text)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i), text)
			}
		}
	case reflect.String:
		if v.CanSet() && v.String() == "" {
			v.SetString(text)
		}
	case reflect.Map:
		if v.CanSet() && v.Type() == reflect.TypeFor[crowbar.Data]() {
			v.Set(reflect.ValueOf(crowbar.Data{text: text, "deep": []any{text, map[string]any{text: text}}}))
		}
	case reflect.Slice:
		if v.CanSet() && v.Type().Elem().Kind() == reflect.String {
			v.Set(reflect.ValueOf([]string{text}).Convert(v.Type()))
		}
	}
}

// planted is a UI over a state with one object of each kind, in which every text is that one.
func planted(t *testing.T, text string) *UI {
	t.Helper()
	states := []crowbar.State{crowbar.Error, crowbar.Active, crowbar.Todo, crowbar.Transition, crowbar.Blocked, crowbar.Proposed}
	objects := []crowbar.Object{&crowbar.Barclamp{ID: 10}, &crowbar.Jig{ID: 11}, &crowbar.Deployment{ID: 30, Stored: crowbar.DeploymentCommitted, Phantom: 41},
		&crowbar.Node{ID: 40, Deployment: 30, Alive: true, Available: true, Groups: []crowbar.ID{90}}, &crowbar.Node{ID: 41, Deployment: 30, System: true}, &crowbar.Group{ID: 90},
		&crowbar.Network{ID: 91, Deployment: 30}, &crowbar.Range{ID: 92, Network: 91}, &crowbar.Router{ID: 93, Network: 91}, &crowbar.Allocation{ID: 94, Node: 40, Network: 91, Range: 92, Address: "10.0.0.1/24"},
		&crowbar.Barclamp{ID: 12, Name: text + "~"}, &crowbar.Deployment{ID: 31, Name: "system"}, &crowbar.Node{ID: 42, Deployment: 31, Alive: true, Available: true},
		&crowbar.Secret{ID: 95, Deployment: 30, NotAfter: time.Now().Add(time.Hour)}, &crowbar.Attrib{ID: 96, Barclamp: 10, Role: 20, Writable: true}}
	for i, st := range states {
		role := &crowbar.Role{ID: crowbar.ID(20 + i), Barclamp: 10, Name: fmt.Sprintf("%s%d", text, i)}
		nr := &crowbar.NodeRole{ID: crowbar.ID(60 + i), Deployment: 30, Node: 40, Role: role.ID, State: st, Cohort: i, Run: crowbar.ID(80 + i), Attempt: 1, Since: time.Now().Add(-20 * time.Second), Failure: text + "\n" + text}
		if i > 0 {
			nr.Parents = []crowbar.Link{{ID: nr.ID - 1}}
		}
		objects = append(objects, role, nr, &crowbar.Run{ID: nr.Run, NodeRole: nr.ID, Node: 40, Role: role.ID, Deployment: 30, Attempt: 1, Started: time.Now(), Finished: time.Now()})
		if i == 0 { // a good run before the one that failed
			objects = append(objects, &crowbar.Run{ID: 79, NodeRole: nr.ID, Node: 40, Role: role.ID, Deployment: 30, Started: time.Now(), Finished: time.Now(), Outcome: "changed", Attempt: 0})
		}
	}
	for i, name := range []string{"etcd", "k8s-master", "proxy", "proxy-server"} { // roles that pages look for by name
		role := &crowbar.Role{ID: crowbar.ID(200 + i), Barclamp: 10, Name: name, Cohort: 9}
		objects = append(objects, role, &crowbar.NodeRole{ID: crowbar.ID(210 + i), Deployment: 30, Node: 40, Role: role.ID, State: crowbar.Error, RunCount: 1, Cohort: 9,
			Wall: crowbar.Data{"proxy-server-url": text, "proxy-used-url": text, "proxy-used-no-proxy": text, "hits": text}})
	}
	service := &crowbar.Role{ID: 29, Barclamp: 10, Name: text + "s", Flags: crowbar.Flags{Service: true}}
	objects = append(objects, service, &crowbar.NodeRole{ID: 70, Deployment: 30, Node: 41, Role: 29})
	var changes []crowbar.Change
	for _, o := range objects {
		fill(reflect.ValueOf(o), text)
		if b, ok := o.(*crowbar.Barclamp); ok {
			b.Document["wizard"] = wizardOf(text)
		}
		if r, is := o.(*crowbar.Role); is && r.ID >= 200 {
			r.Provides = nil // else the order of what comes before each other would be that of the texts
		}
		changes = append(changes, crowbar.Change{Put: o})
	}
	s := crowbar.NewSnapshot().Apply(7, changes...)
	api := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, tok, note := crowbar.User{}, crowbar.Token{}, crowbar.AuditEntry{}
		fill(reflect.ValueOf(&user), text)
		fill(reflect.ValueOf(&tok), text)
		fill(reflect.ValueOf(&note), text)
		var v any = []any{user}
		switch {
		case strings.HasSuffix(r.URL.Path, "/tokens"):
			v = []any{tok}
		case strings.HasSuffix(r.URL.Path, "/audit"):
			v = []any{note}
		case strings.HasSuffix(r.URL.Path, "/log"):
			line := func(word string) string {
				b, _ := json.Marshal(map[string]any{"name": text + r.URL.RawQuery})
				return "    0.001s " + word + " " + string(b) + "\n"
			}
			fmt.Fprint(w, line("given")+"    0.002s "+r.URL.RawQuery+" "+strings.ReplaceAll(text, "\n", " ")+"\n"+line("gave back"))
			return
		case strings.Contains(r.URL.Path, "/nodes/"):
			v = s.Node(40)
		}
		if json.NewEncoder(w).Encode(v) != nil {
			t.Error("the fake API has no answer")
		}
	})
	return New(Config{Engine: &fake{s, text}, API: api, Log: slog.New(slog.DiscardHandler), Daemons: func() []crowbar.Daemon { return []crowbar.Daemon{{Name: text, Endpoint: text}} },
		Spec: func() (Spec, error) { return Spec{}, nil },
		Found: func() []crowbar.Finding {
			return []crowbar.Finding{{Check: text, Grade: crowbar.GradeWrong, Says: text, Remedy: text}, {Check: "etcd", Grade: text, Says: text}}
		},
		Pools: func() []crowbar.PoolHealth {
			return []crowbar.PoolHealth{{Deployment: 30, Name: text, Trouble: text, Clash: 30, At: []string{text}, Members: []crowbar.PoolMember{{Node: text, Address: text, Known: true, Error: text}},
				Servers: []crowbar.PoolServer{{Node: text, Address: text}}, Answers: []crowbar.PoolAnswer{{Name: text, Type: text, Value: text}}, History: []crowbar.PoolTurn{{Node: text, Address: text, Error: text}}}}
		},
		Unbound: func(s *crowbar.Snapshot, id crowbar.ID) (*crowbar.Snapshot, error) {
			again := *s.NodeRole(62)
			again.State, again.Stale = crowbar.Todo, true
			return s.Apply(s.Rev()+1, crowbar.Change{Drop: s.NodeRole(id)}, crowbar.Change{Put: &again}), nil
		},
		Preview: func(s *crowbar.Snapshot, role crowbar.ID, nodes []crowbar.ID, d crowbar.ID) (*crowbar.Snapshot, error) {
			nr := &crowbar.NodeRole{ID: 1000, Deployment: 30, Node: 40, Role: 29}
			return s.Apply(s.Rev(), crowbar.Change{Put: nr}), nil
		}})
}

// wizardOf is a wizard in which everything is called the same.
func wizardOf(text string) crowbar.Data {
	return crowbar.Data{"name": text, "description": text, "create_nodes": true, "base_attribs": []any{text}, "services": []any{
		crowbar.Data{"name": text, "description": text, "type": text, "count": 1.0, "roles": crowbar.Data{text: []any{text + "0"}}},
		crowbar.Data{"name": text + "2", "type": text, "count": 1.0, "with": text, "roles": crowbar.Data{text: []any{text}}}}}
}

// addresses are one of each page.
func addresses(text string) map[string]string {
	wizard := "/wizard/" + url.PathEscape(text+"~")
	at := func(step string) string {
		return wizard + "?name=fresh&nodes=42&step=" + step + "&v." + query(text) + "=" + query(text) + "2"
	}
	return map[string]string{"GET /{$}": "/", "GET /nodes": "/nodes?q=" + query(text) + "&deployment=" + query(text), "GET /nodes/{id}": "/nodes/40", "GET /deployments": "/deployments",
		"GET /deployments/{id}": "/deployments/30", "GET /deployments/{id}/assign": "/deployments/30/assign?node=40&role=" + query(text+"0"), "GET /deployments/{id}/commit": "/deployments/30/commit",
		"GET /deployments/{id}/graph": "/deployments/30/graph", "GET /nodes/{id}/graph": "/nodes/40/graph",
		"GET /node_roles/{id}": "/node_roles/60", "GET /node_roles/{id}/unbind": "/node_roles/61/unbind", "GET /annealer": "/annealer", "GET /dns": "/dns", "GET /docs": "/docs?q=" + query(text), "GET /docs/{name}": "/docs/ui", "GET /docs/api": "/docs/api?q=" + query(text), "GET /proxy": "/proxy", "GET /networks": "/networks", "GET /barclamps": "/barclamps", "GET /roles/{id}": "/roles/20", "GET /users": "/users", "GET /audit": "/audit",
		"GET /wizard": "/wizard", "GET /wizard/{barclamp}": wizard + "?name=" + query(text) + "&new=" + query(text), "wrong": wizard + "?check=1&new=" + query(text), "services": at("services"), "values": at("values"), "POST /wizard/{barclamp}": at("review")}
}

func query(text string) string {
	return strings.NewReplacer("%", "%25", "&", "%26", "#", "%23", "+", "%2B", " ", "%20", ";", "%3B", "\r", "", "\n", "", "\x00", "", "\x01", "", "\x1b", "").Replace(text)
}

func (u *UI) get(t *testing.T, path string, v Visitor) (int, http.Header, string) {
	t.Helper()
	mux := http.NewServeMux()
	for _, p := range u.Pages() {
		mux.HandleFunc(p.Pattern, func(w http.ResponseWriter, r *http.Request) { p.Serve(w, r, v) })
	}
	at, rest, _ := strings.Cut(path, "?")
	req := httptest.NewRequest(http.MethodGet, at, nil)
	req.URL.RawQuery = rest
	req.Header.Set("Accept-Encoding", "gzip")
	out := httptest.NewRecorder()
	mux.ServeHTTP(out, req)
	z, err := gzip.NewReader(bytes.NewReader(out.Body.Bytes()))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return out.Code, out.Header(), string(b)
}

var visitors = []Visitor{{Name: "v", Right: crowbar.RightViewer, Session: true}, {Name: "o", Right: crowbar.RightOperator, Session: true}, {Name: "a", Right: crowbar.RightAdmin}}

var (
	tag   = regexp.MustCompile(`<([a-zA-Z!/][^\s>]*)((?:[^>"']|"[^"]*"|'[^']*')*)>`)
	value = regexp.MustCompile(`"[^"]*"|'[^']*'`)
	leads = regexp.MustCompile(`\s(?:href|src|action|formaction|data-goto)="([^"]*)"`)
	runs  = regexp.MustCompile(`(?i)^\s*(javascript|data|vbscript):`)
	named = regexp.MustCompile(`\s([^\s=>"'/]+)\s*=`)
)

// TestHostile: whatever things are called, a page has the same elements, and no attribute that runs anything.
func TestHostile(t *testing.T) {
	shape := func(text string) string {
		var out []string
		for _, m := range tag.FindAllStringSubmatch(text, -1) {
			if m[1] == "wbr" {
				continue
			}
			out = append(out, m[1])
			for _, a := range named.FindAllStringSubmatch(value.ReplaceAllString(m[2], `""`), -1) {
				out = append(out, " "+a[1])
				if strings.HasPrefix(strings.ToLower(a[1]), "on") || a[1] == "style" {
					t.Errorf("an attribute %s", a[1])
				}
			}
		}
		return strings.Join(out, "\n")
	}
	plain := planted(t, "plain")
	for _, v := range visitors {
		want := map[string]string{}
		for p, at := range addresses("plain") {
			code, _, text := plain.get(t, at, v)
			if code != http.StatusOK {
				t.Fatalf("%s: %d: %s", at, code, text)
			}
			want[p] = shape(text)
		}
		for i, bad := range hostile {
			if v.Right != crowbar.RightAdmin && i%20 != 0 { // the administrator's pages have all that theirs have
				continue
			}
			u := planted(t, bad)
			for p, at := range addresses(bad) {
				code, _, text := u.get(t, at, v)
				if code != http.StatusOK && !strings.Contains(p, "assign") { // a name with such letters is not found by a query
					t.Errorf("%s of text %d: %d", p, i, code)
					continue
				}
				if strings.Contains(bad, "<") && strings.Contains(text, bad) {
					t.Errorf("%s has text %d as it is", p, i)
				}
				if code == http.StatusOK && p != "GET /nodes" && p != "GET /docs" && shape(text) != want[p] { // the filter lets other rows through
					t.Errorf("%s of text %d %q has other elements than with a plain text", p, i, bad[:min(len(bad), 60)])
				}
				for _, a := range leads.FindAllStringSubmatch(text, -1) {
					if runs.MatchString(html.UnescapeString(a[1])) {
						t.Errorf("%s of text %d has an address that runs: %s", p, i, a[0])
					}
				}
			}
		}
	}
}

// TestHeaders: nothing runs that is not the daemon's own file.
func TestHeaders(t *testing.T) {
	u := planted(t, "plain")
	for p, at := range addresses("plain") {
		_, h, text := u.get(t, at, visitors[1])
		if csp := h.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'; script-src 'self'; style-src 'self';") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: policy %q", p, csp)
		}
		for _, m := range regexp.MustCompile(`<script[^>]*>`).FindAllString(text, -1) {
			if !strings.Contains(m, `src="/assets/`) {
				t.Errorf("%s has %s", p, m)
			}
		}
		for _, m := range regexp.MustCompile(`(?:src|href|action)="([^"]*)"`).FindAllStringSubmatch(text, -1) {
			if !strings.HasPrefix(m[1], "/") && !strings.HasPrefix(m[1], "?") && !strings.HasPrefix(m[1], "#") || strings.HasPrefix(m[1], "//") {
				t.Errorf("%s leads to %q", p, m[1])
			}
		}
		if h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: headers %v", p, h)
		}
	}
}

// TestSize: the first page with all that it loads is small.
func TestSize(t *testing.T) {
	u := planted(t, "plain")
	all := 0
	for name, a := range u.assets {
		if name != "htmx.LICENSE" {
			all += len(a.packed)
		}
	}
	_, _, text := u.get(t, "/", visitors[2])
	all += len(pack([]byte(text)))
	if all > 100_000 {
		t.Errorf("the first page takes %d bytes, want at most 100000", all)
	}
	t.Logf("the first page takes %d bytes", all)
}

// TestAll: every page is in the tests above.
func TestAll(t *testing.T) {
	at := addresses("x")
	for _, p := range planted(t, "x").Pages() {
		if at[p.Pattern] == "" {
			t.Errorf("%s has no address in the tests", p.Pattern)
		}
	}
}

// TestNotFound: a page says what is not there.
func TestNotFound(t *testing.T) {
	u := planted(t, "plain")
	for _, at := range []string{"/nodes/none", "/deployments/77", "/node_roles/x", "/roles/none", "/deployments/30/assign?role=none&node=40", "/deployments/30/assign?role=plain0&node=none"} {
		if code, _, text := u.get(t, at, visitors[0]); code != http.StatusNotFound || !strings.Contains(text, "There is no") {
			t.Errorf("%s: %d", at, code)
		}
	}
}

// TestAssets: a file keeps its address as long as its content, and is packed for those who take it.
func TestAssets(t *testing.T) {
	u := planted(t, "plain")
	at := u.assets.at("app.css")
	for _, gz := range []string{"", "gzip"} {
		r := httptest.NewRequest(http.MethodGet, at, nil)
		r.Header.Set("Accept-Encoding", gz)
		out := httptest.NewRecorder()
		u.Asset(out, r)
		if out.Code != http.StatusOK || out.Header().Get("Content-Encoding") != gz || !strings.Contains(out.Header().Get("Cache-Control"), "immutable") || !strings.HasPrefix(out.Header().Get("Content-Type"), "text/css") {
			t.Errorf("gzip %q: %d %v", gz, out.Code, out.Header())
		}
		r.Header.Set("If-None-Match", out.Header().Get("Etag"))
		out = httptest.NewRecorder()
		u.Asset(out, r)
		if out.Code != http.StatusNotModified {
			t.Errorf("known already: %d", out.Code)
		}
	}
	out := httptest.NewRecorder()
	u.Asset(out, httptest.NewRequest(http.MethodGet, AssetPath+"../ui.go", nil))
	if out.Code != http.StatusNotFound {
		t.Errorf("a file that is none: %d", out.Code)
	}
}

// TestVendored: what is not ours is what its maker published.
func TestVendored(t *testing.T) {
	var all []struct{ File, Name, Version, SHA256, License string }
	b, err := files.ReadFile("assets/vendored.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	for _, v := range all {
		b, err := files.ReadFile("assets/" + v.File)
		if err != nil {
			t.Fatal(err)
		}
		if got := sum(b); got != v.SHA256 {
			t.Errorf("%s has sum %s, vendored.json says %s", v.File, got, v.SHA256)
		}
	}
	if len(all) == 0 {
		t.Error("nothing is listed")
	}
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// TestTally: what a state keeps of itself is what counting everything gives.
func TestTally(t *testing.T) {
	s := crowbar.NewSnapshot()
	for rev := range crowbar.Rev(200) {
		nr := &crowbar.NodeRole{ID: crowbar.ID(1 + rev*7%23), Deployment: crowbar.ID(100 + rev%3), State: crowbar.State(int(rev*5%6) - 1)}
		c := crowbar.Change{Put: nr}
		if rev%11 == 10 && s.NodeRole(nr.ID) != nil {
			c = crowbar.Change{Drop: nr}
		}
		s = s.Apply(rev+1, c)
		var all counts
		want := map[crowbar.ID]*counts{}
		for nr := range s.NodeRoles() {
			if want[nr.Deployment] == nil {
				want[nr.Deployment] = &counts{}
			}
			want[nr.Deployment].add(nr.State)
			all.add(nr.State)
		}
		if got := countsOf(s.AllStates()); got != all {
			t.Fatalf("revision %d: %+v, want %+v", rev, got, all)
		}
		for d, c := range want {
			if got := countsOf(s.States(d)); got != *c {
				t.Fatalf("revision %d, deployment %d: %+v, want %+v", rev, d, got, *c)
			}
		}
	}
}

// TestDocs: every page is explained somewhere, and no link in the documentation leads nowhere.
func TestDocs(t *testing.T) {
	u := planted(t, "plain")
	has := func(from, at string) {
		name, mark, _ := strings.Cut(strings.TrimPrefix(at, "/docs/"), "#")
		d, ok := library()[name]
		if !ok || mark != "" && !strings.Contains(string(d.HTML), `id="`+mark+`"`) {
			t.Errorf("%s leads to %s, which is not there", from, at)
		}
	}
	for name := range u.pages {
		has("page "+name, docsOf(name))
	}
	for name, d := range library() {
		if d.Title == "" || d.About == "" {
			t.Errorf("%s has no title, or nothing below it", name)
		}
		for _, m := range regexp.MustCompile(`(?:href|src)="([^"]*)"`).FindAllStringSubmatch(string(d.HTML), -1) {
			switch at := m[1]; {
			case strings.HasPrefix(at, docsImages):
				if docsImage(strings.TrimPrefix(at, docsImages)) == nil {
					t.Errorf("%s shows %s, which is not there", name, at)
				}
			case strings.HasPrefix(at, "/docs/"):
				has(name, at)
			case strings.HasPrefix(at, "#"):
				has(name, "/docs/"+name+at)
			}
		}
	}
}
