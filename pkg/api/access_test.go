package api_test

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

func md5hex(s string) string { sum := md5.Sum([]byte(s)); return hex.EncodeToString(sum[:]) }

// digest signs one request as the two Go clients do: with the query in the uri (crowbar), or without it (rebar).
func (w *world) digest(user, password, request, uri string) answer {
	w.t.Helper()
	c := w.ask("", "HEAD /api/v2/digest", "")
	h := c.header.Get("WWW-Authenticate")
	if c.code != http.StatusUnauthorized {
		w.t.Fatalf("challenge: %d", c.code)
	}
	// As the crowbar client does: it cuts at ", " and then at the first "=".
	v := map[string]string{}
	for _, part := range strings.Split(strings.TrimPrefix(h, "Digest "), ", ") {
		k, x, _ := strings.Cut(part, "=")
		v[k] = strings.Trim(x, `"`)
	}
	if v["realm"] != "Crowbar" || v["qop"] != "auth" || v["algorithm"] != "MD5" || v["nonce"] == "" || v["opaque"] == "" {
		w.t.Fatalf("challenge %q", h)
	}
	method, path, _ := strings.Cut(request, " ")
	if uri == "" {
		uri = path
	}
	ha1, ha2 := md5hex(user+":Crowbar:"+password), md5hex(method+":"+uri)
	resp := md5hex(strings.Join([]string{ha1, v["nonce"], "00000001", "0a4f113b", "auth", ha2}, ":"))
	return w.ask(fmt.Sprintf(`Digest username="%s", realm="Crowbar", nonce="%s", uri="%s", response="%s", algorithm=MD5, qop=auth, nc=00000001, cnonce="0a4f113b", opaque="%s"`,
		user, v["nonce"], uri, resp, v["opaque"]), request, "")
}

// user makes a user with a password.
func (w *world) user(name, password string, edit func(*crowbar.User)) {
	w.t.Helper()
	u := &crowbar.User{Username: name, Email: name + "@example.org"}
	if edit != nil {
		edit(u)
	}
	made, err := w.engine.Make(w.t.Context(), u)
	if err == nil {
		err = w.engine.SetPassword(w.t.Context(), made.Key(), password, true)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

func TestDigest(t *testing.T) {
	w := converged(t)
	w.crowbar = true
	w.user("Developer", "Cr0wbar!!", nil)
	for _, c := range []struct {
		user, password, request, uri string
		code                         int
	}{
		{"Developer", "Cr0wbar!!", "GET /api/v2/nodes", "", 200},
		{"Developer", "Cr0wbar!!", "GET /api/v2/nodes?x=y", "/api/v2/nodes", 200},
		{"Developer", "Cr0wbar!!", "GET /api/v2/nodes?x=y", "", 200},
		{"Developer", "Cr0wbar!!", "HEAD /api/v2/digest", "", 200},
		{"Developer", "Cr0wbar!!", "GET /api/v2/nodes", "/api/v2/roles", 401},
		{"Developer", "Cr0wbar!!", "GET /api/v2/nodes?x=y", "/api/v2/nodes?x=z", 401},
		{"Developer", "wrong", "GET /api/v2/nodes", "", 401},
		{"nobody", "Cr0wbar!!", "GET /api/v2/nodes", "", 401},
		{"Developer", "Cr0wbar!!", "PUT /api/v2/jigs/ssh", "", 403},
	} {
		if a := w.digest(c.user, c.password, c.request, c.uri); a.code != c.code {
			t.Errorf("%s %s %s: %d %s, want %d", c.user, c.request, c.uri, a.code, a.text, c.code)
		}
	}
}

// browser is what a person's browser keeps.
type browser struct {
	w      *world
	cookie string
}

func (b *browser) send(method, path, body string, header map[string]string) *http.Response {
	b.w.t.Helper()
	req, err := http.NewRequestWithContext(b.w.t.Context(), method, b.w.url+path, strings.NewReader(body))
	if err != nil {
		b.w.t.Fatal(err)
	}
	req.Header.Set("Cookie", b.cookie)
	if body != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	c := *b.w.http
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := c.Do(req)
	if err != nil {
		b.w.t.Fatal(err)
	}
	resp.Body.Close()
	if set := resp.Header.Get("Set-Cookie"); set != "" {
		first, rest, ok := strings.Cut(set, "; ")
		if !ok || !strings.Contains(rest, "HttpOnly") || !strings.Contains(rest, "Secure") || !strings.Contains(rest, "SameSite=Lax") {
			b.w.t.Errorf("Set-Cookie: %s", set)
		}
		b.cookie = first
	}
	return resp
}

func TestSession(t *testing.T) {
	w := converged(t)
	w.user("developer", "Cr0wbar!!", nil)
	b := &browser{w: w}
	if resp := b.send("GET", "/", "", map[string]string{"Accept": "text/html"}); resp.StatusCode != http.StatusFound || resp.Header.Get("Location") != "/my/users/sign_in" {
		t.Fatalf("a page without a session: %d to %s", resp.StatusCode, resp.Header.Get("Location"))
	}
	if resp := b.send("POST", "/my/users/sign_in", url.Values{"user[username]": {"developer"}, "user[password]": {"no"}}.Encode(), nil); resp.StatusCode != 401 || b.cookie != "" {
		t.Fatalf("wrong password: %d", resp.StatusCode)
	}
	form := url.Values{"user[username]": {"developer"}, "user[password]": {"Cr0wbar!!"}}.Encode()
	if resp := b.send("POST", "/my/users/sign_in", form, map[string]string{"Origin": "https://evil.example"}); resp.StatusCode != 403 {
		t.Fatalf("another site's form: %d", resp.StatusCode)
	}
	if resp := b.send("POST", "/my/users/sign_in", form, nil); resp.StatusCode != http.StatusFound || b.cookie == "" {
		t.Fatalf("sign in: %d", resp.StatusCode)
	}
	if resp := b.send("GET", "/api/v2/nodes", "", nil); resp.StatusCode != 200 {
		t.Fatalf("with the cookie: %d", resp.StatusCode)
	}
	if resp := b.send("PUT", "/api/v2/nodes/n1", "description=x", nil); resp.StatusCode != 401 {
		t.Fatalf("a change that comes from no page of ours: %d", resp.StatusCode)
	}
	forged := &browser{w: w, cookie: b.cookie + "x"}
	if resp := forged.send("GET", "/api/v2/nodes", "", nil); resp.StatusCode != 401 {
		t.Fatalf("a forged cookie: %d", resp.StatusCode)
	}
}

func TestAnAccountIsLockedForAWhile(t *testing.T) {
	w := converged(t)
	w.user("developer", "Cr0wbar!!", nil)
	b := &browser{w: w}
	for range 6 {
		b.send("POST", "/my/users/sign_in", url.Values{"user[username]": {"developer"}, "user[password]": {"no"}}.Encode(), nil)
	}
	resp := b.send("POST", "/my/users/sign_in", url.Values{"user[username]": {"developer"}, "user[password]": {"Cr0wbar!!"}}.Encode(), nil)
	if resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") == "" {
		t.Errorf("after six wrong passwords: %d", resp.StatusCode)
	}
}

// TestRights tries every route as every kind of caller.
func TestRights(t *testing.T) {
	w := converged(t)
	w.user("locked", "Cr0wbar!!", func(u *crowbar.User) { u.LockedAt = time.Now() })
	token := func(name string, c crowbar.Token, lasts time.Duration) string {
		c.Name = name
		_, text, err := w.engine.CreateToken(t.Context(), c, lasts)
		if err != nil {
			t.Fatal(err)
		}
		return "Bearer " + text
	}
	if _, err := w.engine.CreateDeployment(t.Context(), "elsewhere", "", 0); err != nil {
		t.Fatal(err)
	}
	old := token("old", crowbar.Token{Right: crowbar.RightAdmin}, time.Nanosecond)
	callers := []struct {
		name, auth string
		right      crowbar.Right
		scoped     bool
	}{
		{"nobody", "", "", false},
		{"wrong token", "Bearer nonsense", "", false},
		{"expired", old, "", false},
		{"basic", "Basic YTpi", "", false},
		{"viewer", token("viewer", crowbar.Token{Right: crowbar.RightViewer}, time.Hour), crowbar.RightViewer, false},
		{"operator", token("operator", crowbar.Token{Right: crowbar.RightOperator}, 0), crowbar.RightOperator, false},
		{"operator elsewhere", token("elsewhere", crowbar.Token{Right: crowbar.RightOperator, Deployments: []string{"elsewhere"}}, 0), crowbar.RightOperator, true},
		{"admin elsewhere", token("boss", crowbar.Token{Right: crowbar.RightAdmin, Deployments: []string{"elsewhere"}}, 0), crowbar.RightAdmin, true},
		{"admin", token("admin", crowbar.Token{Right: crowbar.RightAdmin}, 0), crowbar.RightAdmin, false},
	}
	reads := regexp.MustCompile(`^(GET|HEAD) |/match$|^POST .*/plan$`)
	admins := regexp.MustCompile(`kubeconfig$|/(users|tokens|audit|state|secrets|event_sinks|event_selectors)(/|$)`)
	changesAdmin := regexp.MustCompile(`/api/v2/(barclamps|jigs|roles|attribs)(/|$)`)
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
			if c.name == "admin" {
				continue // last, below: it changes things
			}
			tried++
			w.logs.lines = make(chan string)
			close(w.logs.lines)
			before := w.engine.View().Rev()
			in := c.right.Has(need) && (!c.scoped || need == crowbar.RightViewer)
			if in && need != crowbar.RightViewer {
				continue // it may: the other tests see it do it
			}
			a := w.ask(c.auth, rt.request, rt.body)
			switch {
			case c.right == "" && a.code != http.StatusUnauthorized:
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
	t.Logf("%d routes, %d tries", len(w.routes()), tried)
	// Within its deployment a limited caller may.
	if a := w.ask(callers[6].auth, "PUT /api/v2/deployments/elsewhere/commit", ""); a.code != 200 {
		t.Errorf("its own deployment: %d %s", a.code, a.text)
	}
	if a := w.ask(callers[6].auth, "POST /api/v2/nodes", `{"name":"e1.example.org","address":"10.9.9.9","deployment":"elsewhere"}`); a.code != 200 {
		t.Errorf("a node in its own deployment: %d %s", a.code, a.text)
	}
	if a := w.ask(callers[6].auth, "PUT /api/v2/nodes/e1", `{"deployment":"k8s"}`); a.code != 403 {
		t.Errorf("moving a node into another deployment: %d %s", a.code, a.text)
	}
}
