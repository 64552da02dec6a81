package ui

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// policy lets a page load what the daemon itself serves, and run nothing that stands in a page.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// frame is what every page has around its body.
type frame struct {
	Title, Menu, Live string
	Who               Visitor
	Counts            counts // of all node-roles
	Items             []item
	Rev               crowbar.Rev
	Docs              string // where the page is explained
	Body              any
}

// item is one of the menu.
type item struct{ At, Name, Icon string }

func menu(v Visitor) []item {
	out := []item{{"/", "Overview", "home"}, {"/nodes", "Nodes", "node"}, {"/deployments", "Deployments", "grid"}, {"/annealer", "Annealer", "anneal"},
		{"/dns", "DNS pool", "pool"}, {"/proxy", "Proxy", "proxy"}, {"/networks", "Networks", "net"}, {"/barclamps", "Barclamps", "box"}}
	if v.Admin() {
		out = append(out, item{"/users", "Users", "user"}, item{"/audit", "Audit", "list"})
	}
	return append(out, item{"/docs", "Docs", "book"})
}

// parse reads the templates: each page with the frame around it.
func parse(a assets) map[string]*template.Template {
	common := template.Must(template.New("").Funcs(functions(a)).ParseFS(files, "pages/frame.html", "pages/parts.html"))
	out := map[string]*template.Template{}
	all, _ := files.ReadDir("pages")
	for _, f := range all {
		name := strings.TrimSuffix(f.Name(), ".html")
		if name == "frame" || name == "parts" {
			continue
		}
		out[name] = template.Must(template.Must(common.Clone()).ParseFS(files, "pages/"+f.Name()))
	}
	return out
}

// write sends a page, packed: there is nothing in it that could be guessed at by its length, no password and no mark of the
// session.
func (u *UI) write(w http.ResponseWriter, r *http.Request, code int, p page, s *crowbar.Snapshot, v Visitor) {
	f := frame{Title: p.title, Menu: p.menu, Live: p.live, Who: v, Items: menu(v), Rev: s.Rev(), Counts: countsOf(s.AllStates()), Docs: docsOf(p.name), Body: p.body}
	part := "frame"
	if r.Header.Get("X-Part") != "" { // a script asks for the inside of a page alone
		part = "main"
	}
	var b bytes.Buffer
	if err := u.pages[p.name].ExecuteTemplate(&b, part, f); err != nil {
		u.Log.Error("page", "path", r.URL.Path, "error", err)
		http.Error(w, "this page could not be made: the daemon's log says why", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	secure(h)
	h.Set("Vary", "Accept-Encoding, X-Part")
	var out io.Writer = w
	if zips(r) {
		h.Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		defer z.Close() // an error is the caller going away
		out = z
	}
	w.WriteHeader(code)
	_, _ = out.Write(b.Bytes())
}

func secure(h http.Header) {
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin") // with none at all a form would not say where it comes from
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}

// SignIn is the page on which a person says who they are; trouble is why the last try was refused.
func (u *UI) SignIn(w http.ResponseWriter, code int, trouble string) {
	secure(w.Header())
	w.WriteHeader(code)
	_ = u.pages["sign_in"].ExecuteTemplate(w, "sign_in", trouble) // the caller went away
}

func functions(a assets) template.FuncMap {
	return template.FuncMap{
		"asset":  a.at,
		"state":  func(v any) string { return asState(v).String() },
		"letter": func(v any) string { return letter(asState(v)) },
		"ago":    ago,
		"when":   func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"span":   func(d crowbar.Duration) string { return span(time.Duration(d)) },
		"short":  short,
		"json":   pretty,
		"plural": plural,
		"add":    func(a, b int) int { return a + b },
		"odd":    func(i int) bool { return i%2 == 1 },
		"pair":   func(a, b any) []any { return []any{a, b} },
	}
}

// asState takes the plain numbers that templates have, too.
func asState(v any) crowbar.State {
	if n, ok := v.(int); ok {
		return crowbar.State(n)
	}
	s, _ := v.(crowbar.State)
	return s
}

// letter is the sign of a state in a cell; with its shape it says what its colour says.
func letter(s crowbar.State) string {
	return map[crowbar.State]string{crowbar.Error: "E", crowbar.Active: "A", crowbar.Todo: "T", crowbar.Transition: "R", crowbar.Blocked: "B", crowbar.Proposed: "P"}[s]
}

func ago(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	d := time.Since(t)
	if d < 0 {
		return "in " + span(-d)
	}
	return span(d) + " ago"
}

// span is a length of time in one or two units.
func span(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// short is the beginning of a text, for a place with little room.
func short(n int, text string) string {
	if utf8.RuneCountInString(text) <= n {
		return text
	}
	return string([]rune(text)[:n-1]) + "…"
}

// pretty is a value as people write it: a text as it is, all else as JSON.
func pretty(v any) string {
	switch t := v.(type) {
	case nil:
		return ""
	case string:
		return t
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
