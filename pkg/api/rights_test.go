package api_test

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// from sends a request past the network, from an address, as somebody.
func (w *world) from(address string, as func(*http.Request), request, body string) answer {
	w.t.Helper()
	method, path, _ := strings.Cut(request, " ")
	r := httptest.NewRequestWithContext(w.t.Context(), method, w.url+path, strings.NewReader(body))
	r.RemoteAddr = address + ":4711"
	r.TLS = &tls.ConnectionState{}
	if !w.crowbar {
		r.Header.Set("Accept", "application/vnd.kubeclamp+json")
	}
	if as != nil {
		as(r)
	}
	rec := httptest.NewRecorder()
	w.api.ServeHTTP(rec, r)
	b, _ := io.ReadAll(rec.Result().Body) // it is in memory
	return answer{rec.Code, "", rec.Header(), string(b)}
}

func authorization(value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", value) }
}

// certificate comes with one that the daemon's --client-ca signed; that it is asked for and checked is TLS's.
func certificate(name string, organization ...string) func(*http.Request) {
	return func(r *http.Request) {
		r.TLS.VerifiedChains = [][]*x509.Certificate{{{Subject: pkix.Name{CommonName: name, Organization: organization}}}}
	}
}

// session comes with the cookie of a browser, from a page of the daemon.
func session(b *browser) func(*http.Request) {
	return func(r *http.Request) {
		r.Header.Set("Cookie", b.cookie)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
}

// kind is one kind of callers.
type kind struct {
	name   string
	as     func(*http.Request)
	right  crowbar.Right // "" = it is nobody
	scoped bool

	guessing bool // so that after some tries nothing more is taken
}

// callers is everybody who may come, and who may not.
func (w *world) callers() []kind {
	w.t.Helper()
	token := func(name string, c crowbar.Token, lasts time.Duration) func(*http.Request) {
		c.Name = name
		_, text, err := w.engine.CreateToken(w.t.Context(), c, lasts)
		if err != nil {
			w.t.Fatal(err)
		}
		return authorization("Bearer " + text)
	}
	if _, err := w.engine.CreateDeployment(w.t.Context(), "elsewhere", "", 0); err != nil {
		w.t.Fatal(err)
	}
	const password = "Cr0wbar!!"
	w.user("viewer", password, func(u *crowbar.User) { u.Right = crowbar.RightViewer })
	w.user("operator", password, nil)
	w.user("there", password, func(u *crowbar.User) { u.Deployments = []string{"elsewhere"} })
	w.user("careless", password, nil)
	w.user("locked", password, func(u *crowbar.User) { u.Admin = true })
	digest := func(user, password string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Set("Authorization", w.signature(user, password, r.Method, r.URL.RequestURI()))
		}
	}
	elsewhere := []string{"elsewhere"}
	revoked := token("revoked", crowbar.Token{Right: crowbar.RightAdmin}, 0)
	all := []kind{
		{"nobody", nil, "", false, false},
		{"wrong token", authorization("Bearer nonsense"), "", false, false},
		{"expired token", token("old", crowbar.Token{Right: crowbar.RightAdmin}, time.Nanosecond), "", false, false},
		{"revoked token", revoked, "", false, false},
		{"token of a locked user", token("of-locked", crowbar.Token{Right: crowbar.RightAdmin, Username: "locked"}, 0), "", false, false},
		{"basic", authorization("Basic YTpi"), "", false, false},
		{"wrong password", digest("careless", "nonsense"), "", false, true},
		{"locked user by digest", digest("locked", password), "", false, true},
		{"locked user by session", session(w.signIn("locked", password)), "", false, false},
		{"locked user by certificate", certificate("locked"), "", false, false},
		{"certificate of nobody", certificate("stranger", "kubeclamp:admin"), "", false, false},
		{"certificate without a name", certificate("", "kubeclamp:admin"), "", false, false},
		{"forged session", func(r *http.Request) { r.Header.Set("Cookie", "_crowbar_session=e30.e30") }, "", false, false},
		{"viewer by token", token("viewer", crowbar.Token{Right: crowbar.RightViewer}, time.Hour), crowbar.RightViewer, false, false},
		{"viewer by token of an operator", token("less", crowbar.Token{Right: crowbar.RightViewer, Username: "operator"}, time.Hour), crowbar.RightViewer, false, false},
		{"viewer by digest", digest("viewer", password), crowbar.RightViewer, false, false},
		{"viewer by session", session(w.signIn("viewer", password)), crowbar.RightViewer, false, false},
		{"viewer by certificate", certificate("viewer"), crowbar.RightViewer, false, false},
		{"operator by token", token("operator", crowbar.Token{Right: crowbar.RightOperator}, 0), crowbar.RightOperator, false, false},
		{"operator by digest", digest("operator", password), crowbar.RightOperator, false, false},
		{"operator by session", session(w.signIn("operator", password)), crowbar.RightOperator, false, false},
		{"operator by certificate", certificate("operator"), crowbar.RightOperator, false, false},
		{"operator elsewhere by token", token("elsewhere", crowbar.Token{Right: crowbar.RightOperator, Deployments: elsewhere}, 0), crowbar.RightOperator, true, false},
		{"operator elsewhere by session", session(w.signIn("there", password)), crowbar.RightOperator, true, false},
		{"operator elsewhere by certificate", certificate("there"), crowbar.RightOperator, true, false},
		{"token of an operator elsewhere", token("of-there", crowbar.Token{Right: crowbar.RightOperator, Username: "there"}, 0), crowbar.RightOperator, true, false},
		{"token for k8s of an operator elsewhere", token("nowhere", crowbar.Token{Right: crowbar.RightOperator, Username: "there", Deployments: []string{"k8s"}}, 0), crowbar.RightOperator, true, false},
		{"admin elsewhere", token("boss", crowbar.Token{Right: crowbar.RightAdmin, Deployments: elsewhere}, 0), crowbar.RightAdmin, true, false},
	}
	if a := w.admin("POST /api/v2/users/locked/lock", ""); a.code != 200 {
		w.t.Fatal(a.text)
	}
	if a := w.admin("DELETE /api/v2/tokens/revoked", ""); a.code != 200 {
		w.t.Fatal(a.text)
	}
	return all
}

// TestRights tries every route as every kind of caller. The administrator is tried by TestRoutesAnswer.
func TestRights(t *testing.T) {
	w := converged(t)
	w = w.another(func(c *apiConfig) { c.Auditing = w.engine })
	callers := w.callers()
	reads := regexp.MustCompile(`^(GET|HEAD) |/match$|^POST .*/plan$|/whoami$|/digest$|/status/active$`)
	admins := regexp.MustCompile(`kubeconfig$|/(users|tokens|audit|state|secrets|event_sinks|event_selectors)(/|$)`)
	changesAdmin := regexp.MustCompile(`/api/v2/(barclamps|jigs|roles|attribs|available_hammers|certificates)(/|$)`)
	tried := 0
	for _, rt := range w.routes() {
		need := crowbar.RightOperator
		switch {
		case admins.MatchString(rt.pattern):
			need = crowbar.RightAdmin
		case reads.MatchString(rt.pattern):
			need = crowbar.RightViewer
		case changesAdmin.MatchString(rt.pattern):
			need = crowbar.RightAdmin
		}
		for _, c := range callers {
			tried++
			w.logs.lines = make(chan string)
			close(w.logs.lines)
			before := w.engine.View().Rev()
			in := c.right.Has(need) && (!c.scoped || need == crowbar.RightViewer)
			if in && (need != crowbar.RightViewer || strings.HasPrefix(rt.request, "DELETE ")) { // which ends a session
				continue // it may: the other tests see it do it
			}
			a := w.from("127.0.0.1", c.as, rt.request, rt.body)
			switch {
			case c.right == "" && a.code != http.StatusUnauthorized && (a.code != http.StatusTooManyRequests || !c.guessing):
				t.Errorf("%s: %s: %d, want 401", c.name, rt.request, a.code)
			case c.right != "" && !in && a.code != http.StatusForbidden:
				t.Errorf("%s: %s: %d, want 403\n%s", c.name, rt.request, a.code, a.text)
			case in && (a.code == http.StatusUnauthorized || a.code == http.StatusForbidden):
				t.Errorf("%s: %s: %d\n%s", c.name, rt.request, a.code, a.text)
			}
			if !in && w.engine.View().Rev() != before {
				t.Errorf("%s: %s changed the state", c.name, rt.request)
			}
		}
	}
	t.Logf("%d routes, %d kinds of callers and the administrator, %d tries", len(w.routes()), len(callers), tried)
}

// TestLimitedToADeployment holds what a limited caller may do there, and every way round its limit that we could think of.
func TestLimitedToADeployment(t *testing.T) {
	w := converged(t)
	callers := w.callers()
	named := map[string]func(*http.Request){}
	for _, c := range callers {
		named[c.name] = c.as
	}
	operator, admin := named["operator elsewhere by token"], named["admin elsewhere"]
	own := w.engine.View().DeploymentNamed("elsewhere").ID.String()
	other := w.engine.View().DeploymentNamed("k8s").ID.String()
	for _, c := range []struct {
		name          string
		as            func(*http.Request)
		request, body string
		code          int
	}{
		{"its own deployment", operator, "PUT /api/v2/deployments/elsewhere/commit", "", 200},
		{"its own deployment, by id", operator, "PUT /api/v2/deployments/" + own, `{"description":"mine"}`, 200},
		{"a node in it", operator, "POST /api/v2/nodes", `{"name":"e1.example.org","address":"10.9.9.9","deployment":"elsewhere"}`, 200},
		{"a patch of that node", operator, "PATCH /api/v2/nodes/e1", `[{"op":"replace","path":"/description","value":"mine"}]`, 200},
		{"a role on that node", operator, "POST /api/v2/node_roles", `{"role":"etcd","node":"e1"}`, 200},
		{"a deployment below it", operator, "POST /api/v2/deployments", `{"name":"below","parent":"elsewhere"}`, 200},
		{"a node below it", operator, "POST /api/v2/nodes", `{"name":"e2.example.org","address":"10.9.9.8","deployment":"below"}`, 200},
		{"another deployment", operator, "PUT /api/v2/deployments/k8s/commit", "", 403},
		{"a deployment beside it", operator, "POST /api/v2/deployments", `{"name":"beside"}`, 403},
		{"moving a node out", operator, "PUT /api/v2/nodes/e1", `{"deployment":"k8s"}`, 403},
		{"moving a node out, by id", operator, "PUT /api/v2/nodes/e1", `{"deployment_id":` + other + `}`, 403},
		{"moving a node out, by the query", operator, "PUT /api/v2/nodes/e1?deployment=k8s", `{}`, 403},
		{"moving a node out, by a patch", operator, "PATCH /api/v2/nodes/e1", `[{"op":"replace","path":"/deployment_id","value":` + other + `}]`, 403},
		{"moving a node out, by a copy", operator, "PATCH /api/v2/nodes/e1", `[{"op":"copy","from":"/id","path":"/deployment_id"}]`, 403},
		{"moving a node out, by the whole document", operator, "PATCH /api/v2/nodes/e1", `[{"op":"replace","path":"","value":{"deployment_id":` + other + `}}]`, 403},
		{"fetching a node", operator, "PUT /api/v2/nodes/n1", `{"deployment":"elsewhere"}`, 403},
		{"a role on another's node", operator, "POST /api/v2/node_roles", `{"role":"etcd","node":"n1","deployment":"elsewhere"}`, 403},
		{"a role in both", operator, "POST /api/v2/node_roles", `{"role":"etcd","node":"e1","deployment":"elsewhere","deployment_id":` + other + `}`, 403},
		{"a role on another's node, which the query hides", operator, "POST /api/v2/node_roles?node=e1", `{"role":"etcd","node_id":"n1"}`, 403},
		{"a group, and a deployment that has nothing to do with it", operator, "POST /api/v2/groups", `{"name":"g","deployment":"elsewhere"}`, 403},
		{"a name filter, likewise", operator, "POST /api/v2/dns_name_filters?deployment=elsewhere", `{"name":"f","matcher":"net.name == \"data\"","priority":1,"service":"system","template":"x"}`, 403},
		{"a group of its own node", operator, "POST /api/v2/groups/not_set/nodes/e1", ``, 403},
		{"an admin's own kubeconfig", admin, "POST /api/v2/deployments/elsewhere/kubeconfig", "", 409}, // there is no cluster yet
		{"an admin's other kubeconfig", admin, "POST /api/v2/deployments/k8s/kubeconfig", "", 403},
		{"an admin for all", admin, "POST /api/v2/users", `{"username":"eve","is_admin":true,"deployment":"elsewhere"}`, 403},
		{"a token for all", admin, "POST /api/v2/tokens", `{"name":"eve","right":"admin","deployment":"elsewhere"}`, 403},
		{"another's password", admin, "PUT /api/v2/users/viewer/reset_password?deployment=elsewhere", `{"password":"battery staple"}`, 403},
		{"the state as a whole", admin, "PUT /api/v2/state?replace=true&deployment=elsewhere", w.export(), 403},
		{"the keys", admin, "POST /api/v2/secrets/rotate?deployment=elsewhere", "", 403},
		{"a barclamp", admin, "POST /api/v2/barclamps?deployment=elsewhere", `{"value":{"barclamp":{"name":"evil"}}}`, 403},
	} {
		a := w.from("127.0.0.1", c.as, c.request, c.body)
		if a.code != c.code {
			t.Errorf("%s: %s: %d, want %d\n%s", c.name, c.request, a.code, c.code, a.text)
		}
	}
	if d := w.engine.View().NodeNamed("e1.example.org").Deployment.String(); d != own {
		t.Errorf("the node is in deployment %s now", d)
	}
	if w.engine.View().UserNamed("eve") != nil || w.engine.View().TokenNamed("eve") != nil {
		t.Error("eve is in")
	}
}

// TestOneself is what everybody may do with themselves, and with nobody else.
func TestOneself(t *testing.T) {
	w := converged(t)
	w.user("ann", "correct horse", func(u *crowbar.User) { u.Right = crowbar.RightViewer })
	w.user("bob", "correct horse", func(u *crowbar.User) { u.Admin = true })
	digest := func(user, password, request string) func(*http.Request) {
		method, uri, _ := strings.Cut(request, " ")
		return authorization(w.signature(user, password, method, uri))
	}
	ann, bob := session(w.signIn("ann", "correct horse")), session(w.signIn("bob", "correct horse"))
	const mine = "PUT /api/v2/users/me/reset_password"
	right, wrong := `{"current_password":"correct horse","password":"battery staple"}`, `{"current_password":"nonsense","password":"battery staple"}`
	for _, c := range []struct {
		name          string
		as            func(*http.Request)
		request, body string
		code          int
		says          string
	}{
		{"ann sees herself", ann, "GET /api/v2/users/me", "", 200, `"username":"ann"`},
		{"by name", ann, "GET /api/v2/users/Ann", "", 200, `"username":"ann"`},
		{"not others", ann, "GET /api/v2/users/bob", "", 403, ""},
		{"not all", ann, "GET /api/v2/users", "", 403, ""},
		{"makes herself nothing more", ann, "PUT /api/v2/users/me", `{"right":"admin"}`, 403, ""},
		{"nor by the form of a password", ann, mine, `{"current_password":"nonsense","is_admin":true,"password":"battery staple"}`, 422, "current_password"},
		{"without the present password", ann, mine, `{"password":"battery staple"}`, 422, "current_password"},
		{"with a wrong one", ann, mine, wrong, 422, "current_password"},
		{"of another", ann, "PUT /api/v2/users/bob/reset_password", right, 403, ""},
		{"with one that is too short", ann, mine, `{"current_password":"correct horse","password":"short"}`, 422, "password"},
		{"with a right one", ann, mine, right, 200, `"username":"ann"`},
		{"her session is over", ann, "GET /api/v2/users/me", "", 401, ""},
		{"the old password too", digest("ann", "correct horse", "GET /api/v2/users/me"), "GET /api/v2/users/me", "", 401, ""},
		{"the new one is good", digest("ann", "battery staple", "GET /api/v2/users/me"), "GET /api/v2/users/me", "", 200, `"username":"ann"`},
		{"an admin at his browser", bob, mine, wrong, 422, "current_password"},
		{"an admin by digest, as old clients do it", digest("bob", "correct horse", mine), mine, `{"password":"another horse"}`, 200, `"username":"bob"`},
		{"the administrator's token is nobody's", authorization("Bearer " + token), "GET /api/v2/users/me", "", 404, ""},
	} {
		a := w.from("127.0.0.1", c.as, c.request, c.body)
		if a.code != c.code || !strings.Contains(a.text, c.says) {
			t.Errorf("%s: %s: %d %s, want %d with %q", c.name, c.request, a.code, a.text, c.code, c.says)
		}
	}
	if u := w.engine.View().UserNamed("ann"); u.Admin || u.Right != crowbar.RightViewer {
		t.Errorf("ann is %+v", u)
	}
}

// TestTokensOnTheWire: the text is told once, and nowhere again.
func TestTokensOnTheWire(t *testing.T) {
	w := converged(t)
	w = w.another(func(c *apiConfig) { c.Auditing = w.engine })
	var made map[string]any
	w.json("POST /api/v2/tokens", `{"name":"robot","right":"operator","deployments":["k8s"]}`, &made)
	text, _ := made["token"].(string)
	if len(text) < 40 || !strings.HasPrefix(text, "kc_") {
		t.Fatalf("the token is %q", text)
	}
	expires, err := time.Parse(time.RFC3339, made["expires_at"].(string))
	if left := time.Until(expires); err != nil || left < 89*24*time.Hour || left > 90*24*time.Hour {
		t.Errorf("it expires in %s, %v", left, err)
	}
	for _, c := range []struct{ body, says string }{
		{`{"name":"robot"}`, "already"}, {`{"name":"Bad Name"}`, "name"}, {`{}`, "name"}, {`{"name":"x","right":"king"}`, "viewer, operator and admin"},
		{`{"name":"x","expires":"soon"}`, "720h"}, {`{"name":"x","expires":"-1h"}`, "720h"}, {`{"name":"x","username":"nobody"}`, "nobody"}, {`{"name":"x","deployments":["nope"]}`, "nope"},
	} {
		if a := w.admin("POST /api/v2/tokens", c.body); a.code/100 != 4 || !strings.Contains(a.message(), c.says) {
			t.Errorf("%s: %d %s", c.body, a.code, a.text)
		}
	}
	w.json("POST /api/v2/tokens", `{"name":"eternal","expires":"never"}`, &made)
	if made["expires_at"] != nil || made["right"] != "viewer" {
		t.Errorf("eternal: %v", made)
	}
	sum := w.engine.View().TokenNamed("robot").Sum
	for _, request := range []string{"GET /api/v2/tokens", "GET /api/v2/tokens/robot", "POST /api/v2/tokens/match", "GET /api/v2/audit", "GET /api/v2/events?follow=false&since=2-0"} {
		for _, theirs := range []bool{false, true} {
			w.crowbar = theirs
			body := ""
			if strings.HasPrefix(request, "POST") {
				body = `{}`
			}
			a := w.admin(request, body)
			if a.code != 200 || strings.Contains(a.text, text) || strings.Contains(a.text, sum) {
				t.Errorf("%s: %d %s", request, a.code, a.text)
			}
		}
	}
	w.crowbar = false
	if a := w.admin("GET /api/v2/audit", ""); !strings.Contains(a.text, `"object":"tokens/robot"`) {
		t.Errorf("the audit log does not name it: %s", a.text)
	}
	if a := w.ask("Bearer "+text, "GET /api/v2/nodes", ""); a.code != 200 {
		t.Errorf("with it: %d %s", a.code, a.text)
	}
	if a := w.admin("DELETE /api/v2/tokens/robot", ""); a.code != 200 {
		t.Errorf("revoked: %d %s", a.code, a.text)
	}
	if a := w.ask("Bearer "+text, "GET /api/v2/nodes", ""); a.code != 401 {
		t.Errorf("after it was revoked: %d %s", a.code, a.text)
	}
}

// TestThrottled: too many wrong credentials, of each sort, and who still comes in.
func TestThrottled(t *testing.T) {
	w := converged(t)
	w.user("ann", "correct horse", nil)
	w.user("bob", "correct horse", nil)
	const here, there = "192.0.2.1", "192.0.2.2"
	digest := func(user, password string) func(string) answer {
		return func(address string) answer {
			return w.from(address, authorization(w.signature(user, password, "GET", "/api/v2/nodes")), "GET /api/v2/nodes", "")
		}
	}
	form := func(user, password string) func(string) answer {
		return func(address string) answer {
			as := func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") }
			return w.from(address, as, "POST /my/users/sign_in", url.Values{"user[username]": {user}, "user[password]": {password}}.Encode())
		}
	}
	bearer := func(text string) func(string) answer {
		return func(address string) answer {
			return w.from(address, authorization("Bearer "+text), "GET /api/v2/nodes", "")
		}
	}
	for _, c := range []struct {
		name         string
		n            int
		wrong, right func(address string) answer
		rightHere    bool // is let in from where the wrong ones came
		other        func(address string) answer
	}{
		{"digest", 6, digest("ann", "no"), digest("ann", "correct horse"), false, digest("bob", "correct horse")},
		{"digest of nobody", 6, digest("nobody", "no"), nil, false, digest("bob", "correct horse")},
		{"session", 6, form("ann", "no"), form("ann", "correct horse"), false, form("bob", "correct horse")},
		{"bearer", 20, bearer("nonsense"), bearer(token), true, bearer(token)},
		{"neither", 20, func(address string) answer {
			return w.from(address, authorization("Basic YTpi"), "GET /api/v2/nodes", "")
		}, nil, false, bearer(token)},
	} {
		*w = *w.another(nil) // which has seen nothing yet
		for i := range c.n {
			if a := c.wrong(here); a.code != http.StatusUnauthorized {
				t.Errorf("%s: wrong for the %d. time: %d", c.name, i+1, a.code)
			}
		}
		a := c.wrong(here)
		after, err := strconv.Atoi(a.header.Get("Retry-After"))
		if a.code != http.StatusTooManyRequests || err != nil || after < 1 || after > 601 {
			t.Errorf("%s: once more: %d, Retry-After %q", c.name, a.code, a.header.Get("Retry-After"))
		}
		if a := c.wrong(there); a.code != http.StatusUnauthorized {
			t.Errorf("%s: wrong from another address: %d", c.name, a.code)
		}
		if c.right != nil {
			if a := c.right(here); a.code/100 <= 3 != c.rightHere {
				t.Errorf("%s: right, from the same address: %d", c.name, a.code)
			}
			if a := c.right(there); a.code/100 > 3 {
				t.Errorf("%s: right, from another address: %d %s", c.name, a.code, a.text)
			}
		}
		if a := c.other(here); a.code/100 > 3 {
			t.Errorf("%s: somebody else from the same address: %d", c.name, a.code)
		}
	}
}
