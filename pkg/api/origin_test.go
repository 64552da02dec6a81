package api_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// signIn gives a browser in which somebody is signed in.
func (w *world) signIn(name, password string) *browser {
	w.t.Helper()
	b := &browser{w: w}
	form := url.Values{"user[username]": {name}, "user[password]": {password}}.Encode()
	if resp := b.send("POST", "/my/users/sign_in", form, nil); resp.StatusCode != http.StatusFound || b.cookie == "" {
		w.t.Fatalf("sign in as %s: %d", name, resp.StatusCode)
	}
	return b
}

// TestCrossOriginWrites: of what a browser sends with its cookie, only that changes something which the daemon's own pages
// have sent.
func TestCrossOriginWrites(t *testing.T) {
	w := converged(t)
	w.user("developer", "Cr0wbar!!", nil)
	b := w.signIn("developer", "Cr0wbar!!")
	own := w.url
	host, _ := url.Parse(w.url)
	for _, c := range []struct {
		name   string
		header map[string]string
		ok     bool
	}{
		{"our page", map[string]string{"Origin": own, "Sec-Fetch-Site": "same-origin"}, true},
		{"our page, of an older browser", map[string]string{"Origin": own}, true},
		{"our page, without Origin", map[string]string{"Sec-Fetch-Site": "same-origin"}, true},
		{"an address that was typed", map[string]string{"Sec-Fetch-Site": "none"}, true},
		{"no browser", nil, false},
		{"another site", map[string]string{"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}, false},
		{"another site, of an older browser", map[string]string{"Origin": "https://evil.example"}, false},
		{"another site that hides", map[string]string{"Origin": "null"}, false},
		{"another site that hides, in a frame", map[string]string{"Origin": "null", "Sec-Fetch-Site": "cross-site"}, false},
		{"a host beside", map[string]string{"Origin": "https://beside." + host.Host, "Sec-Fetch-Site": "same-site"}, false},
		{"a host beside that has ours in its name", map[string]string{"Origin": own + ".evil.example"}, false},
		{"another port", map[string]string{"Origin": "https://" + host.Hostname() + ":1"}, false},
		{"plain HTTP", map[string]string{"Origin": "http://" + host.Host}, false},
		{"a contradiction", map[string]string{"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"}, false},
		{"a contradiction, the other way", map[string]string{"Origin": own, "Sec-Fetch-Site": "cross-site"}, false},
		{"nonsense", map[string]string{"Origin": "::", "Sec-Fetch-Site": "nonsense"}, false},
		{"our host as a user", map[string]string{"Origin": "https://" + host.Host + "@evil.example"}, false},
		{"another site that guesses the mark", map[string]string{"Origin": "https://evil.example", "X-Csrf-Token": "x"}, false},
		{"a program that guesses the mark", map[string]string{"X-Csrf-Token": "x"}, false},
	} {
		for _, request := range []struct{ method, path, body string }{
			{"PUT", "/api/v2/nodes/n1", "description=" + c.name}, {"PATCH", "/api/v2/nodes/n1", ""}, {"POST", "/api/v2/groups", "name=g"},
			{"DELETE", "/api/v2/nodes/n1", ""}, {"POST", "/api/v2/deployments/k8s/kubeconfig", ""},
		} {
			if c.ok && request.method != "PUT" {
				continue // it would do it
			}
			before := w.engine.View().Rev()
			resp := b.send(request.method, request.path, request.body, c.header)
			switch moved := w.engine.View().Rev() != before; {
			case c.ok && resp.StatusCode != http.StatusOK:
				t.Errorf("%s: %s %s: %d", c.name, request.method, request.path, resp.StatusCode)
			case !c.ok && (resp.StatusCode != http.StatusForbidden || moved):
				t.Errorf("%s: %s %s: %d, want 403; the state moved: %t", c.name, request.method, request.path, resp.StatusCode, moved)
			}
		}
		if resp := b.send("GET", "/api/v2/nodes/n1", "", c.header); resp.StatusCode != http.StatusOK {
			t.Errorf("%s: reading: %d", c.name, resp.StatusCode) // what it answers no other site's page can read
		}
	}
	// Neither can another site sign somebody in or out.
	for _, path := range []string{"/my/users/sign_in", "/my/users/sign_out"} {
		form := url.Values{"user[username]": {"developer"}, "user[password]": {"Cr0wbar!!"}}.Encode()
		if resp := b.send("POST", path, form, map[string]string{"Origin": "https://evil.example"}); resp.StatusCode != http.StatusForbidden || resp.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s from another site: %d, Set-Cookie %q", path, resp.StatusCode, resp.Header.Get("Set-Cookie"))
		}
	}
	if resp := b.send("GET", "/api/v2/nodes", "", nil); resp.StatusCode != http.StatusOK {
		t.Errorf("after another site's tries: %d", resp.StatusCode)
	}
}

// TestSessionsEnd: by signing out, a lock, a new password, another name; on every daemon that shares the state.
func TestSessionsEnd(t *testing.T) {
	w := converged(t)
	there := w.another(func(c *apiConfig) { c.Secret = [32]byte{1} })
	w = w.another(func(c *apiConfig) { c.Secret = [32]byte{1} })
	alien := w.another(func(c *apiConfig) { c.Secret = [32]byte{2} })
	user := func(f func(id crowbar.ID) error) {
		t.Helper()
		if err := f(w.engine.View().UserNamed("developer").ID); err != nil {
			t.Fatal(err)
		}
	}
	edit := func(f func(*crowbar.User)) func(crowbar.ID) error {
		return func(id crowbar.ID) error {
			_, err := w.engine.Edit(t.Context(), crowbar.KindUser, id, func(o crowbar.Object) error { f(o.(*crowbar.User)); return nil })
			return err
		}
	}
	lock := func(at bool) func(crowbar.ID) error {
		verb := map[bool]string{true: "POST", false: "DELETE"}[at]
		return func(crowbar.ID) error {
			if a := w.admin(verb+" /api/v2/users/developer/lock", ""); a.code != 200 {
				t.Errorf("%s lock: %d %s", verb, a.code, a.text)
			}
			return nil
		}
	}
	own := map[string]string{"Sec-Fetch-Site": "same-origin"}
	for name, end := range map[string]func(b *browser){
		"signing out": func(b *browser) { had := b.cookie; b.send("DELETE", "/my/users/sign_out", "", own); b.cookie = had },
		"a lock":      func(*browser) { user(lock(true)); user(lock(false)) },
		"a password": func(*browser) {
			user(func(id crowbar.ID) error { return w.engine.SetPassword(t.Context(), id, "battery staple", false) })
		},
		"another name": func(*browser) { user(edit(func(u *crowbar.User) { u.Username = "other" })) },
		"a new user of it": func(*browser) {
			user(func(id crowbar.ID) error { return w.engine.Destroy(t.Context(), crowbar.KindUser, id) })
			w.user("developer", "another one", nil)
		},
	} {
		w.user("developer", "Cr0wbar!!", nil)
		b, other := w.signIn("developer", "Cr0wbar!!"), w.signIn("developer", "Cr0wbar!!")
		for _, at := range []*world{w, there} {
			if resp := (&browser{at, b.cookie}).send("GET", "/api/v2/nodes", "", nil); resp.StatusCode != http.StatusOK {
				t.Errorf("%s: before it: %d", name, resp.StatusCode)
			}
		}
		if resp := (&browser{alien, b.cookie}).send("GET", "/api/v2/nodes", "", nil); resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("a daemon of another state: %d", resp.StatusCode)
		}
		end(b)
		for _, at := range []*world{w, there} {
			if resp := (&browser{at, b.cookie}).send("GET", "/api/v2/nodes", "", nil); resp.StatusCode != http.StatusUnauthorized {
				t.Errorf("after %s: %d", name, resp.StatusCode)
			}
			want := http.StatusUnauthorized
			if name == "signing out" {
				want = http.StatusOK // of this browser alone
			}
			if resp := (&browser{at, other.cookie}).send("GET", "/api/v2/nodes", "", nil); resp.StatusCode != want {
				t.Errorf("another session after %s: %d, want %d", name, resp.StatusCode, want)
			}
		}
		for _, u := range []string{"developer", "other"} {
			if o := w.engine.View().UserNamed(u); o != nil {
				if err := w.engine.Destroy(t.Context(), crowbar.KindUser, o.ID); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}
