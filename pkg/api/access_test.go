package api_test

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

func md5hex(s string) string { sum := md5.Sum([]byte(s)); return hex.EncodeToString(sum[:]) }

// signature signs one request as the two Go clients do.
func (w *world) signature(user, password, method, uri string) string {
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
	ha1, ha2 := md5hex(user+":Crowbar:"+password), md5hex(method+":"+uri)
	resp := md5hex(strings.Join([]string{ha1, v["nonce"], "00000001", "0a4f113b", "auth", ha2}, ":"))
	return fmt.Sprintf(`Digest username="%s", realm="Crowbar", nonce="%s", uri="%s", response="%s", algorithm=MD5, qop=auth, nc=00000001, cnonce="0a4f113b", opaque="%s"`,
		user, v["nonce"], uri, resp, v["opaque"])
}

// digest sends a request with its signature: over the query in the uri (crowbar), or without it (rebar).
func (w *world) digest(user, password, request, uri string) answer {
	w.t.Helper()
	method, path, _ := strings.Cut(request, " ")
	if uri == "" {
		uri = path
	}
	return w.ask(w.signature(user, password, method, uri), request, "")
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
	if resp := b.send("PUT", "/api/v2/nodes/n1", "description=x", nil); resp.StatusCode != 403 {
		t.Fatalf("a change that comes from no page of ours: %d", resp.StatusCode)
	}
	forged := &browser{w: w, cookie: b.cookie + "x"}
	if resp := forged.send("GET", "/api/v2/nodes", "", nil); resp.StatusCode != 401 {
		t.Fatalf("a forged cookie: %d", resp.StatusCode)
	}
}
