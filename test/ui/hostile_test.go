//go:build ui

package ui

import (
	"context"
	"crypto/tls"
	"fmt"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// hostile is texts that somebody gives to things so that a page does what they want.
var hostile = []string{
	`<script>alert(1)</script>`, `"><script>alert(1)</script>`, `'><script>alert(1)</script>`, `</title><script>alert(1)</script>`, `</textarea><script>alert(1)</script>`,
	`</style></script><script>alert(1)</script>`, `</option></select><script>alert(1)</script>`, `<scr<script>ipt>alert(1)</scr</script>ipt>`, `<img src=x onerror=alert(1)>`, `"><img src=x onerror=alert(1)>`,
	`<svg onload=alert(1)>`, `<svg><script href="data:,alert(1)"/>`, `<body onload=alert(1)>`, `<iframe srcdoc="<script>parent.alert(1)</script>">`, `<a href="javascript:alert(1)">x</a>`,
	`<form action=javascript:alert(1)><button>x`, `<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>`, `<details open ontoggle=alert(1)>`, `<input autofocus onfocus=alert(1)>`, `<object data="javascript:alert(1)">`,
	`<base href="//evil.example/">`, `<meta http-equiv=refresh content="0;url=//evil.example">`, `<link rel=stylesheet href=//evil.example/x.css>`, `<style>*{display:none}</style>`, `<!--`,
	`--><script>alert(1)</script>`, `{{.Who.Name}}{{template "frame" .}}`, `${alert(1)}#{alert(1)}<%= alert(1) %>`, `javascript:alert(1)`, `data:text/html,<script>alert(1)</script>`,
	`" onmouseover="alert(1)" autofocus onfocus="alert(1)`, "` onmouseover=`alert(1)", `" hx-get="/evil" hx-trigger="load`, `" data-do="DELETE /api/v2/deployments/1" data-live="*`, `x;}body{background:url(//evil.example)}*{display:none`,
	"\u202egnp.exe\u202c \u2066x\u2067y\u200f", "a\u200bb\u200d\ufeffc\u0001\u001b[31m", "x\u2028<script>alert(1)</script>\u2029", strings.Repeat("<b>x", 2500), strings.Repeat("W", 10_000),
}

// hook notes what a script would do, and what the browser keeps from running.
const hook = `window.ran = []; for (const f of ['alert', 'confirm', 'prompt', 'print']) window[f] = (...a) => { ran.push(f + '(' + a + ')'); }; addEventListener('securitypolicyviolation', e => ran.push('kept from running: ' + e.violatedDirective + ' ' + e.sample));`

// whole says what is wrong with a page: its frame, elements and attributes that no page of ours has, addresses that run.
const whole = `(() => {
  const bad = [...window.ran];
  if (document.querySelectorAll('header.side nav a[href="/nodes"]').length !== 1) bad.push('no menu');
  if (document.querySelectorAll('main#main').length !== 1 || !document.querySelector('#main h1, #main h2')) bad.push('no main part');
  if (!document.getElementById('toasts') || !document.getElementById('ask')) bad.push('the end of the frame is missing');
  for (const e of document.querySelectorAll('iframe, object, embed, base, style, math, img, audio, video, script:not([src^="/assets/"]), meta[http-equiv], link:not([href^="/assets/"]), b b')) bad.push(e.outerHTML.slice(0, 100));
  for (const e of document.querySelectorAll('*')) for (const a of e.attributes) if (/^on/i.test(a.name) || a.name.startsWith('hx-') && a.value.includes('evil')) bad.push(e.tagName + ' ' + a.name);
  for (const e of document.querySelectorAll('a[href], form[action], area, use')) { const u = new URL(e.getAttribute('href') || e.getAttribute('action') || '', location.href); if (!/^https?:$/.test(u.protocol)) bad.push(u.href.slice(0, 100)); }
  if (getComputedStyle(document.body).display === 'none' || getComputedStyle(document.getElementById('main')).display === 'none') bad.push('it is hidden');
  return bad.slice(0, 5).join('; ');
})()`

// planting counts what the API has taken and refused, by field.
type planting struct {
	w           *world
	took, gaveU map[string]int
}

// try plants one text; the API may refuse it, but not break.
func (p planting) try(field string, err error) bool {
	p.w.t.Helper()
	switch {
	case err == nil:
		p.took[field]++
		return true
	case crowbar.KindOf(err) == crowbar.Internal:
		p.w.t.Errorf("%s: the API broke: %.300s", field, err)
	}
	if p.gaveU[field]++; p.gaveU[field] == 1 {
		p.w.t.Logf("%s: %.200s", field, err)
	}
	return false
}

// made creates objects of a kind with the text in each of some fields in turn.
func (p planting) made(k crowbar.Kind, i int, text string, base map[string]any, fields ...string) {
	for _, f := range fields {
		body := maps.Clone(base)
		for key, v := range body {
			if s, ok := v.(string); ok && strings.Contains(s, "%s") {
				body[key] = fmt.Sprintf(s, fmt.Sprintf("%d%s", i, strings.ReplaceAll(f, "_", "")))
			}
		}
		body[f] = text
		p.try(string(k)+"."+f, p.w.admin.Create(p.w.t.Context(), k, body, nil))
	}
}

// plant puts a text wherever the API lets it, and lists the pages on which it can be seen.
func (p planting) plant(i int, text string) []string {
	ctx, a := p.w.t.Context(), p.w.admin
	name, host := fmt.Sprintf("h%d", i), fmt.Sprintf("h%d.evil.example", i)
	var d crowbar.Deployment
	var n crowbar.Node
	if err := a.Create(ctx, crowbar.KindDeployment, map[string]any{"name": name}, &d); err != nil {
		p.w.t.Fatal(err)
	}
	if err := a.Create(ctx, crowbar.KindNode, map[string]any{"name": host, "address": fmt.Sprintf("10.9.0.%d", i+1), "jig": "noop", "deployment": name, "alive": true, "available": true}, &n); err != nil {
		p.w.t.Fatal(err)
	}
	p.try("deployments.description", a.Update(ctx, crowbar.KindDeployment, name, map[string]any{"description": text}, nil))
	for _, f := range []string{"description", "bootenv", "name"} {
		if f == "name" && i%2 == 0 {
			continue // half of them keep theirs
		}
		p.try("nodes."+f, a.Update(ctx, crowbar.KindNode, n.ID.String(), map[string]any{f: text}, nil))
	}
	p.try("nodes.ssh", a.Update(ctx, crowbar.KindNode, n.ID.String(), map[string]any{"ssh": map[string]any{"user": text, "host_key": text}}, nil))
	p.made(crowbar.KindNode, i, text, map[string]any{"name": "x%s.evil.example", "address": fmt.Sprintf("10.10.0.%d", i+1), "jig": "noop"}, "name")
	p.made(crowbar.KindDeployment, i, text, map[string]any{"name": "x%s"}, "name", "description")
	p.made(crowbar.KindGroup, i, text, map[string]any{"name": "g%s", "category": "ui"}, "name", "description", "category")
	p.made(crowbar.KindUser, i, text, map[string]any{"username": "u%s", "email": "a@example.org", "password": "long enough for all"}, "username", "email", "deployments")
	tight := strings.NewReplacer(" ", "", ":", "", "/", "").Replace(text) // as a user's name has to be
	p.made(crowbar.KindUser, i, tight[:min(len(tight), 255)], map[string]any{"email": "a@example.org", "password": "long enough for all"}, "username")
	p.made(crowbar.KindUser, i, tight[:min(len(tight), 100)]+"@example.org", map[string]any{"username": "v%s", "password": "long enough for all"}, "email")
	p.made(crowbar.KindToken, i, text, map[string]any{"name": "t%s", "right": "viewer", "username": "crowbar"}, "name")
	p.made(crowbar.KindNetwork, i, text, map[string]any{"name": "n%s", "conduit": "1g0", "deployment": name, "category": "c%s", "group": "e%s"}, "name", "description", "conduit", "category", "group", "pbr")
	p.made(crowbar.KindDNSNameFilter, i, text, map[string]any{"name": "f%s", "matcher": `net.category == "x"`, "priority": 1000 + 4*i + len(p.took)%4, "template": "{{node.name}}.example.com", "service": "system"}, "name", "matcher", "template", "service")
	p.made(crowbar.KindEventSink, i, text, map[string]any{"name": "s%s", "endpoint": "https://127.0.0.1:1/%s"}, "name", "username")
	p.made(crowbar.KindEventSink, i, "https://127.0.0.1:1/"+text, map[string]any{"name": "s%s"}, "endpoint")
	p.made(crowbar.KindAttrib, i, text, map[string]any{"name": "a%s", "map": "a/%s", "barclamp": "demo", "role": "docker", "description": "x"}, "name", "map", "description", "default")
	doc := map[string]any{"barclamp": map[string]any{"name": "foreign" + name, "source_path": text, "display": text, "description": text, "version": text, "source_url": text, "license": text, "copyright": text}, "crowbar": map[string]any{"layout": 2.0},
		"roles":  []any{map[string]any{"name": "role-" + name, "jig": "noop", "description": text, "attribs": []any{map[string]any{"name": "attr-" + name, "map": "attr/" + name, "description": text, "default": text, "schema": map[string]any{"type": "str", "enum": []any{text, "x"}}}}}},
		"wizard": map[string]any{"name": text, "description": text, "icon": text, "create_nodes": true, "base_attribs": []any{"attr-" + name, text}, "services": []any{map[string]any{"name": "svc", "description": text, "type": text, "count": 1, "roles": map[string]any{text: []any{"role-" + name, text}}}}}}
	foreign := p.try("barclamps: texts", a.Import(ctx, doc, nil))
	for _, where := range []string{"role", "attrib", "barclamp"} {
		bad := map[string]any{"barclamp": map[string]any{"name": "named" + name + where, "source_path": "x"}, "crowbar": map[string]any{"layout": 2.0}, "roles": []any{map[string]any{"name": "named-" + where + name, "jig": "noop"}}}
		switch where {
		case "barclamp":
			bad["barclamp"] = map[string]any{"name": text, "source_path": "x"}
		case "role":
			bad["roles"] = []any{map[string]any{"name": text, "jig": "noop"}}
		case "attrib":
			bad["roles"] = []any{map[string]any{"name": "named-" + where + name, "jig": "noop", "attribs": []any{map[string]any{"name": text, "map": "x/" + name}}}}
		}
		p.try("barclamps: name of "+where, a.Import(ctx, bad, nil))
	}
	nr, err := a.Bind(ctx, "docker", n.ID.String(), name)
	if err != nil {
		p.w.t.Fatal(err)
	}
	if foreign {
		if _, err := a.Bind(ctx, "role-"+name, n.ID.String(), name); err != nil {
			p.w.t.Fatal(err)
		}
		p.try("attribs of a foreign role", a.SetAttrib(ctx, crowbar.KindDeployment, name, "attr-"+name, text))
	}
	p.try("attribs of a deployment", a.SetAttrib(ctx, crowbar.KindDeployment, name, "cluster-name", text))
	p.try("attribs of a node-role, and its log", a.SetAttrib(ctx, crowbar.KindNodeRole, nr.ID.String(), "docker-storage", "say:"+text))
	if err := a.Do(ctx, crowbar.KindDeployment, name, "commit", nil); err != nil {
		p.w.t.Fatal(err)
	}
	q := url.QueryEscape(strings.ToValidUTF8(strings.ReplaceAll(text[:min(len(text), 2000)], "\x00", ""), ""))
	at := []string{"/deployments/" + name, "/deployments/" + name + "/commit", "/deployments/" + name + "/graph", fmt.Sprintf("/nodes/%d", n.ID), fmt.Sprintf("/nodes/%d/graph", n.ID), fmt.Sprintf("/node_roles/%d", nr.ID),
		fmt.Sprintf("/node_roles/%d/unbind", nr.ID), "/deployments/" + name + "/assign?role=etcd&node=" + n.ID.String(), "/nodes?q=" + q + "&deployment=" + q, "/wizard/demo?check=1&step=review&name=" + q + "&new=" + q,
		fmt.Sprintf("/wizard/demo?step=review&name=fresh&new=w%d.example+10.8.0.1&v.cluster-name=%s", i, q), "/docs?q=" + q, "/docs/api?q=" + q}
	if foreign {
		at = append(at, "/roles/role-"+name, "/wizard/foreign"+name+"?step=values&name=fresh&new=w.example+10.8.0.1", "/wizard/foreign"+name+"?step=review&name=fresh&new=w.example+10.8.0.1")
	}
	return at
}

// TestHostile: 40 texts in every attribute and name that the API takes; every page is opened, nothing runs, no page is broken.
func TestHostile(t *testing.T) {
	if len(hostile) != 40 {
		t.Fatalf("%d texts", len(hostile))
	}
	w := build(t)
	p := planting{w, map[string]int{}, map[string]int{}}
	var at []string
	for i, text := range hostile {
		at = append(at, p.plant(i, text)...)
	}
	for i := range hostile {
		w.settled(fmt.Sprintf("h%d", i))
	}
	for _, f := range slices.Sorted(maps.Keys(p.gaveU)) {
		p.took[f] += 0
	}
	for _, f := range slices.Sorted(maps.Keys(p.took)) {
		t.Logf("%s: %d taken, %d refused", f, p.took[f], p.gaveU[f])
	}
	at = append(at, "/", "/nodes", "/nodes?from=50", "/deployments", "/annealer", "/networks", "/barclamps", "/users", "/audit", "/dns", "/proxy", "/wizard", "/docs", "/wizard/demo")
	tab := w.browser()
	w.do(tab, "a hook in every window", chromedp.ActionFunc(func(ctx context.Context) error {
		_, err := cdppage.AddScriptToEvaluateOnNewDocument(hook).Do(ctx)
		return err
	}))
	w.signIn(tab)
	for i, path := range at {
		if w.visit(tab, path); i%50 == 0 {
			t.Logf("page %d of %d", i, len(at))
		}
	}
	t.Logf("%d pages", len(at))
}

// visit opens a page, works its dialogs and searches, and looks whether it is whole, wide and narrow.
func (w *world) visit(tab context.Context, path string) {
	w.t.Helper()
	what := path[:min(len(path), 90)]
	var bad, over string
	w.do(tab, what, w.at(path), until(loaded+` || document.querySelector('#main h2')`), chromedp.Evaluate(`(() => {
		for (const b of [...document.querySelectorAll('[data-edit]')].slice(0, 3)) { b.click(); document.querySelector('dialog[open]:not(#ask)')?.close(); }
		document.querySelectorAll('details').forEach(d => { d.open = true; });
		const s = document.querySelector('[data-log-search]'); if (s) { s.value = '<'; s.dispatchEvent(new Event('input', {bubbles: true})); }
		for (const t of [...document.querySelectorAll('bdi')].slice(0, 5)) ui.toast(t.textContent, true);
	})()`, nil))
	for _, width := range []int64{1280, 360} {
		w.do(tab, what, emulation.SetDeviceMetricsOverride(width, 800, 1, width < 500), chromedp.Evaluate(whole, &bad), chromedp.Evaluate(wide, &over))
		if bad != "" {
			w.t.Errorf("%s: %s", what, bad)
		}
		if over != "" {
			w.t.Errorf("%s is wider than %d pixels: %s", what, width, over)
		}
	}
	if len(w.complain) > 0 {
		w.t.Errorf("%s: the console: %.500s", what, w.complain)
		w.complain = nil
	}
}

// TestElsewhere: a page of another site changes nothing, in a browser that is signed in and by requests of its own making.
func TestElsewhere(t *testing.T) {
	w := build(t)
	tab := w.browser()
	w.signIn(tab)
	evil := httptest.NewTLSServer(http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
		out.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(out, `<!doctype html><title>evil</title><h1>evil</h1><form id=f method=post enctype="text/plain" action="%s/api/v2/deployments"><input name='{"name":"byform","x":"' value='"}'></form><form id=g method=post action="%s/wizard/demo?step=review"><input name=plan value=x></form><form id=h method=post action="%[1]s/my/users/sign_out"></form>`, w.url, w.url)
	}))
	defer evil.Close()
	var said []string
	w.do(tab, "another site of the same host", chromedp.Navigate(evil.URL), chromedp.WaitVisible(`h1`), chromedp.Evaluate(fmt.Sprintf(`(async () => {
		const out = [], at = %q;
		for (const [method, path, mode, type] of [['POST', '/api/v2/deployments', 'no-cors', 'text/plain'], ['POST', '/api/v2/deployments', 'no-cors', 'application/x-www-form-urlencoded'], ['POST', '/api/v2/deployments', 'cors', 'application/json'],
			['PUT', '/api/v2/deployments/system', 'cors', 'application/json'], ['DELETE', '/api/v2/deployments/1', 'cors', 'application/json'], ['POST', '/my/users/sign_out', 'no-cors', 'text/plain'], ['GET', '/api/v2/users', 'cors', '']]) {
			try { const r = await fetch(at + path, {method, mode, credentials: 'include', headers: type ? {'Content-Type': type} : {}, body: method === 'GET' || method === 'DELETE' ? undefined : type.includes('form') ? 'name=byfetch' : '{"name": "byfetch"}'}); out.push(method + ' ' + mode + ': ' + r.type + ' ' + r.status); }
			catch (e) { out.push(method + ' ' + mode + ': ' + e.name); }
		}
		return out;
	})()`, w.url), &said, awaits))
	for _, s := range said {
		if !strings.HasSuffix(s, "TypeError") && !strings.HasSuffix(s, "opaque 0") {
			t.Errorf("another site could read an answer: %s", s)
		}
	}
	for _, form := range []string{"f", "g", "h"} {
		var text string
		w.do(tab, "a form of another site", chromedp.Navigate(evil.URL), chromedp.WaitVisible(`h1`), chromedp.Evaluate(fmt.Sprintf(`document.getElementById(%q).submit()`, form), nil), until(`location.port !== `+strings.TrimPrefix(evil.URL[strings.LastIndex(evil.URL, ":"):], ":")+` && document.readyState === 'complete'`), chromedp.Evaluate(`document.body.innerText`, &text))
		if form != "h" && !strings.Contains(text, "403") && !strings.Contains(text, "own pages") {
			t.Errorf("form %s of another site: %.300s", form, text)
		}
	}
	w.complain = nil // the browser says that it was refused
	w.do(tab, "still signed in", w.at("/"), chromedp.WaitVisible(`#main h1`), until(`!document.querySelector('input[type=password]')`))
	w.rawElsewhere()
	var all []crowbar.Deployment
	if err := w.admin.List(t.Context(), crowbar.KindDeployment, &all); err != nil {
		t.Fatal(err)
	}
	if len(all) != 1 {
		t.Errorf("something was made: %+v", all)
	}
}

// rawElsewhere sends what a browser would not, with the cookie of a session.
func (w *world) rawElsewhere() {
	t := w.t
	jar, _ := cookiejar.New(nil)
	c := &http.Client{Jar: jar, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	in, err := c.PostForm(w.url+"/my/users/sign_in", url.Values{"user[username]": {"crowbar"}, "user[password]": {w.password}})
	if err != nil || in.StatusCode != http.StatusFound {
		t.Fatalf("sign in: %v %v", in, err)
	}
	in.Body.Close()
	for _, tc := range []struct {
		name string
		head map[string]string
		want int
	}{
		{"no word of where it comes from", nil, http.StatusForbidden},
		{"another origin", map[string]string{"Origin": "https://evil.example"}, http.StatusForbidden},
		{"no origin at all", map[string]string{"Origin": "null"}, http.StatusForbidden},
		{"another site", map[string]string{"Sec-Fetch-Site": "cross-site"}, http.StatusForbidden},
		{"the same site", map[string]string{"Sec-Fetch-Site": "same-site", "Origin": w.url}, http.StatusForbidden},
		{"our host as a prefix", map[string]string{"Origin": w.url + ".evil.example"}, http.StatusForbidden},
		{"a guessed mark", map[string]string{"X-Csrf-Token": "x"}, http.StatusForbidden},
		{"our own page, with a mistake", map[string]string{"Origin": w.url}, http.StatusUnprocessableEntity},
	} {
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch} {
			at := "/api/v2/deployments"
			if method != http.MethodPost {
				at += "/system"
			} else if tc.want != http.StatusForbidden {
				at += "?x"
			}
			if tc.want != http.StatusForbidden && method != http.MethodPost {
				continue
			}
			r, _ := http.NewRequestWithContext(t.Context(), method, w.url+at, strings.NewReader(`{"name": "NOT A NAME"}`))
			r.Header.Set("Content-Type", "application/json")
			for k, v := range tc.head {
				r.Header.Set(k, v)
			}
			out, err := c.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			out.Body.Close()
			if out.StatusCode != tc.want && (tc.want == http.StatusForbidden || out.StatusCode == http.StatusForbidden) {
				t.Errorf("%s, %s: %d, want %d", tc.name, method, out.StatusCode, tc.want)
			}
		}
	}
}

// TestFirstPage: the first page with all that it loads is at most 100 kB as it comes over the wire.
func TestFirstPage(t *testing.T) {
	w := build(t)
	w.cluster("prod", 3, 5)
	w.settled("prod")
	tab := w.browser()
	w.do(tab, "no cache", network.SetCacheDisabled(true))
	w.signIn(tab)
	var n float64
	w.do(tab, "the first page", w.at("/"), until(loaded), chromedp.Evaluate(`[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')].reduce((n, e) => n + e.transferSize, 0)`, &n))
	t.Logf("the first page takes %.1f kB", n/1e3)
	if n > 100_000 || n < 5_000 {
		t.Errorf("the first page takes %.0f bytes, want at most 100000", n)
	}
}
