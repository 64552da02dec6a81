package api

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"html/template"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

const (
	signIn        = "/my/users/sign_in"
	signOut       = "/my/users/sign_out"
	cookieName    = "_crowbar_session"
	sessionLife   = 30 * time.Minute // from the last request
	sessionRenew  = time.Minute      // a cookie older than this is replaced by a new one
	csrfHeader    = "X-Csrf-Token"
	csrfParameter = "authenticity_token"
)

// ticket is what a session's cookie says, with this daemon's proof behind it.
type ticket struct {
	ID   string    `json:"i"`
	Name string    `json:"n"`
	Seen time.Time `json:"s"`
}

// sessions remembers who signed out before the ticket ended.
type sessions struct {
	mu    sync.Mutex
	ended map[string]time.Time
}

func (s *sessions) end(id string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended == nil {
		s.ended = map[string]time.Time{}
	}
	for k, t := range s.ended {
		if now.Sub(t) > sessionLife {
			delete(s.ended, k)
		}
	}
	s.ended[id] = now
}

func (s *sessions) over(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, is := s.ended[id]
	return is
}

func (a *API) sign(text, use string) string {
	m := hmac.New(sha256.New, a.secret[:])
	m.Write([]byte(use + "\x00" + text))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

// csrf is what a page of the session sends along with each change; other sites cannot know it.
func (a *API) csrf(id string) string { return a.sign(id, "csrf") }

func (a *API) give(w http.ResponseWriter, t ticket) {
	b, _ := json.Marshal(t) // texts and a time
	text := base64.RawURLEncoding.EncodeToString(b)
	http.SetCookie(w, &http.Cookie{Name: cookieName, Value: text + "." + a.sign(text, "session"), Path: "/", HttpOnly: true, Secure: true, SameSite: http.SameSiteLaxMode})
}

// ticket reads a request's cookie.
func (a *API) ticket(r *http.Request, now time.Time) (t ticket, ok bool) {
	c, err := r.Cookie(cookieName)
	if err != nil {
		return t, false
	}
	text, mark, _ := cut(c.Value)
	if subtle.ConstantTimeCompare([]byte(mark), []byte(a.sign(text, "session"))) != 1 {
		return t, false
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || json.Unmarshal(b, &t) != nil {
		return t, false
	}
	return t, now.Sub(t.Seen) < sessionLife && !a.sessions.over(t.ID)
}

func cut(v string) (text, mark string, ok bool) {
	for i := len(v) - 1; i >= 0; i-- {
		if v[i] == '.' {
			return v[:i], v[i+1:], true
		}
	}
	return v, "", false
}

// session is the caller of a signed-in browser. A change must come from one of our own pages.
func (a *API) session(w http.ResponseWriter, r *http.Request) (crowbar.Caller, bool) {
	now := time.Now()
	t, ok := a.ticket(r, now)
	if !ok {
		return crowbar.Caller{}, false
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead && !a.ownPage(r, t) {
		return crowbar.Caller{}, false
	}
	c, ok := a.Users.Caller(t.Name)
	if !ok {
		return crowbar.Caller{}, false
	}
	if now.Sub(t.Seen) > sessionRenew {
		t.Seen = now
		a.give(w, t)
	}
	c.Via = "session"
	return c, true
}

func (a *API) ownPage(r *http.Request, t ticket) bool {
	given := r.Header.Get(csrfHeader)
	if given == "" {
		given = r.URL.Query().Get(csrfParameter)
	}
	return subtle.ConstantTimeCompare([]byte(given), []byte(a.csrf(t.ID))) == 1
}

// open serves what needs no credentials: the way in and out. It says whether it did.
func (a *API) open(w http.ResponseWriter, r *http.Request) bool {
	switch {
	case r.URL.Path == signIn && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		a.signInPage(w, http.StatusOK, "")
	case r.URL.Path == signIn && r.Method == http.MethodPost:
		a.signedIn(w, r)
	case r.URL.Path == signOut && (r.Method == http.MethodDelete || r.Method == http.MethodPost):
		if t, ok := a.ticket(r, time.Now()); ok && a.ownPage(r, t) {
			a.sessions.end(t.ID, time.Now())
		}
		http.SetCookie(w, &http.Cookie{Name: cookieName, Path: "/", MaxAge: -1, HttpOnly: true, Secure: true, SameSite: http.SameSiteLaxMode})
		http.Redirect(w, r, signIn, http.StatusFound)
	default:
		return false
	}
	return true
}

func (a *API) signedIn(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 1<<16)
	if o := r.Header.Get("Origin"); o != "" { // somebody else's page may not sign a person in
		if u, err := url.Parse(o); err != nil || u.Host != r.Host {
			write(w, http.StatusForbidden, "framework.error", map[string]any{"status": http.StatusForbidden, "kind": "forbidden", "message": "sign in from the daemon's own page"})
			return
		}
	}
	if err := r.ParseForm(); err != nil {
		a.signInPage(w, http.StatusBadRequest, "The form could not be read.")
		return
	}
	name, password, now := r.PostForm.Get("user[username]"), r.PostForm.Get("user[password]"), time.Now()
	for _, who := range []string{remote(r), "user " + name} {
		if wait := a.throttle.wait(who, now); wait > 0 {
			tooOften(w, wait)
			return
		}
	}
	if _, may := a.Users.Caller(name); !a.Users.Password(name, password) || !may {
		a.throttle.failed(remote(r), now)
		a.throttle.failed("user "+name, now)
		a.signInPage(w, http.StatusUnauthorized, "Wrong name or password.")
		return
	}
	a.throttle.forgive("user " + name)
	id := make([]byte, 16)
	_, _ = rand.Read(id) // never fails
	a.give(w, ticket{ID: base64.RawURLEncoding.EncodeToString(id), Name: name, Seen: now})
	http.Redirect(w, r, "/", http.StatusFound)
}

var signInTemplate = template.Must(template.New("sign_in").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Sign In - kubeclamp</title><meta name="viewport" content="width=device-width"></head>
<body><main><h1>Sign In</h1>{{with .}}<p role="alert">{{.}}</p>{{end}}
<form method="post" action="/my/users/sign_in">
<p><label>Username <input name="user[username]" autocomplete="username" required autofocus></label></p>
<p><label>Password <input name="user[password]" type="password" autocomplete="current-password" required></label></p>
<p><button>Sign In</button></p></form></main></body></html>
`))

func (a *API) signInPage(w http.ResponseWriter, code int, trouble string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	w.WriteHeader(code)
	_ = signInTemplate.Execute(w, trouble) // the caller went away
}
