package api

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

const (
	signIn        = "/my/users/sign_in"
	signOut       = "/my/users/sign_out"
	cookieName    = "_crowbar_session"
	sessionLife   = 30 * time.Minute // from the last request
	sessionMost   = 12 * time.Hour   // from the first
	clockSkew     = time.Minute      // between daemons that share a state
	sessionRenew  = time.Minute      // a cookie older than this is replaced by a new one
	csrfHeader    = "X-Csrf-Token"
	csrfParameter = "authenticity_token"
)

// ticket is what a session's cookie says, with the proof behind it that a daemon of this state said it: any of them honours
// it. Locks, new passwords and signing out reach all of them through the state.
type ticket struct {
	ID    string    `json:"i"`
	Name  string    `json:"n"`
	Tie   string    `json:"t"` // of the user's sessions, see Users.Session
	Began time.Time `json:"b"`
	Seen  time.Time `json:"s"`
}

func (a *API) sign(text, use string) string {
	m := hmac.New(sha256.New, a.secret[:])
	m.Write([]byte(use + "\x00" + text))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

// csrf is what a page of the session sends along with each change; other sites cannot know it.
func (a *API) csrf(id string) string { return a.sign(id, "csrf") }

func (a *API) give(w http.ResponseWriter, r *http.Request, t ticket) {
	b, _ := json.Marshal(t) // texts and times
	text := base64.RawURLEncoding.EncodeToString(b)
	http.SetCookie(w, cookie(r, text+"."+a.sign(text, "session"), 0))
}

// cookie is sent back over TLS alone, where there is TLS.
func cookie(r *http.Request, value string, age int) *http.Cookie {
	return &http.Cookie{Name: cookieName, Value: value, Path: "/", MaxAge: age, HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteLaxMode}
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
	if now.Sub(t.Seen) >= sessionLife || now.Sub(t.Began) >= sessionMost || t.Seen.After(now.Add(clockSkew)) {
		return t, false
	}
	tie, over := a.Users.Session(t.Name, t.ID)
	return t, !over && tie == t.Tie
}

func cut(v string) (text, mark string, ok bool) {
	for i := len(v) - 1; i >= 0; i-- {
		if v[i] == '.' {
			return v[:i], v[i+1:], true
		}
	}
	return v, "", false
}

// session is the caller of a signed-in browser. A change must come from one of our own pages, or from a program that has
// read the session's mark.
func (a *API) session(w http.ResponseWriter, r *http.Request) arrival {
	now := time.Now()
	t, ok := a.ticket(r, now)
	if !ok {
		return arrival{}
	}
	c, ok := a.Users.Caller(t.Name)
	if !ok {
		return arrival{}
	}
	if changes(r) && !a.ownPage(r, t) {
		return arrival{foreign: true}
	}
	if now.Sub(t.Seen) > sessionRenew {
		t.Seen = now
		a.give(w, r, t)
	}
	c.Via = "session"
	return arrival{caller: c, known: true}
}

// ownPage says whose word a change is on. Browsers say it; of what does not, the session's mark is asked.
func (a *API) ownPage(r *http.Request, t ticket) bool {
	switch originOf(r) {
	case fromHere:
		return true
	case fromElsewhere:
		return false
	}
	given := r.Header.Get(csrfHeader)
	if given == "" {
		given = r.URL.Query().Get(csrfParameter)
	}
	return subtle.ConstantTimeCompare([]byte(given), []byte(a.csrf(t.ID))) == 1
}

// open serves what needs no credentials: the way in and out. It says whether it did.
func (a *API) open(w http.ResponseWriter, r *http.Request) bool {
	switch {
	case a.assets(w, r):
	case r.URL.Path == signIn && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		a.signInPage(w, http.StatusOK, "")
	case r.URL.Path == signIn && r.Method == http.MethodPost:
		a.signedIn(w, r)
	case r.URL.Path == signOut && (r.Method == http.MethodDelete || r.Method == http.MethodPost):
		a.signedOut(w, r)
	case a.Compat == CompatRebar && r.Method == http.MethodOptions && strings.HasPrefix(r.URL.Path, "/api/"):
		w.WriteHeader(http.StatusNoContent) // it says nothing: other sites' pages are not let in
	default:
		return false
	}
	return true
}

// signedOut ends a session wherever it is known, and has the browser forget it.
func (a *API) signedOut(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	if t, ok := a.ticket(r, now); ok {
		if !a.ownPage(r, t) {
			foreign(w)
			return
		}
		if err := a.Users.SignOut(r.Context(), t.Name, t.ID, now.Add(sessionLife+clockSkew)); err != nil {
			a.fail(w, r, err)
			return
		}
	}
	http.SetCookie(w, cookie(r, "", -1))
	http.Redirect(w, r, signIn, http.StatusSeeOther)
}

func (a *API) signedIn(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 1<<16)
	if originOf(r) == fromElsewhere { // somebody else's page may not sign a person in
		write(w, http.StatusForbidden, "framework.error", map[string]any{"status": http.StatusForbidden, "kind": "forbidden", "message": "sign in from the daemon's own page"})
		return
	}
	if err := r.ParseForm(); err != nil {
		a.signInPage(w, http.StatusBadRequest, "The form could not be read.")
		return
	}
	name, password := r.PostForm.Get("user[username]"), r.PostForm.Get("user[password]")
	right, wait := a.admits(r, name, password)
	switch {
	case wait > 0:
		tooOften(w, wait)
		return
	case !right:
		a.signInPage(w, http.StatusUnauthorized, "Wrong name or password.")
		return
	}
	id, now := make([]byte, 16), time.Now()
	_, _ = rand.Read(id) // never fails
	t := ticket{ID: base64.RawURLEncoding.EncodeToString(id), Name: name, Began: now, Seen: now}
	t.Tie, _ = a.Users.Session(name, t.ID)
	a.give(w, r, t)
	http.Redirect(w, r, "/", http.StatusFound)
}

// admits says whether a user may come in with a password, unless there were too many wrong ones. Checking takes its time on
// purpose: only so many are checked at once.
func (a *API) admits(r *http.Request, name, password string) (right bool, wait time.Duration) {
	select {
	case a.checking <- struct{}{}:
		defer func() { <-a.checking }()
	case <-r.Context().Done():
		return false, 0
	}
	now := time.Now()
	if wait := a.throttle.wait(remote(r), name, now); wait > 0 {
		return false, wait
	}
	if _, may := a.Users.Caller(name); !a.Users.Password(name, password) || !may {
		a.throttle.failed(remote(r), name, now)
		return false, 0
	}
	a.throttle.passed(remote(r), name, now)
	return true, 0
}

func (a *API) signInPage(w http.ResponseWriter, code int, trouble string) {
	a.ui.SignIn(w, code, trouble)
}
