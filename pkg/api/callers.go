package api

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Users knows who may come in.
type Users interface {
	// HA1 is a user's digest secret for a realm (md5 of username:realm:password); false if nobody of that name may sign in by
	// digest there.
	HA1(username, realm string) (string, bool)
	// Password says whether a user may sign in with this password.
	Password(username, password string) bool
	// Caller is what a user may do; false if there is none of that name, or it is locked.
	Caller(username string) (crowbar.Caller, bool)
	// Token finds whose bearer token has this sha256.
	Token(sum [sha256.Size]byte) (crowbar.Caller, bool)
	// Session is what a user's sessions are tied to, and whether the one of this id is over: see SignOut.
	Session(username, id string) (tie string, over bool)
	// SignOut ends one session; after until nobody could have come with it anyway.
	SignOut(ctx context.Context, username, id string, until time.Time) error
}

type noUsers struct{}

func (noUsers) HA1(string, string) (string, bool)              { return "", false }
func (noUsers) Password(string, string) bool                   { return false }
func (noUsers) Caller(string) (crowbar.Caller, bool)           { return crowbar.Caller{}, false }
func (noUsers) Token([sha256.Size]byte) (crowbar.Caller, bool) { return crowbar.Caller{}, false }
func (noUsers) Session(string, string) (string, bool)          { return "", true }
func (noUsers) SignOut(context.Context, string, string, time.Time) error {
	return nil
}

// The headers by which the guard tells a handler who calls; what a client sends under these names is thrown away.
const (
	callerName  = "X-Authenticated-Username"
	callerVia   = "X-Authenticated-Via"
	callerRight = "X-Authenticated-Right"
	callerScope = "X-Authenticated-Deployments"
)

func introduce(r *http.Request, c crowbar.Caller) {
	r.Header.Set(callerName, c.Name)
	r.Header.Set(callerVia, c.Via)
	r.Header.Set(callerRight, string(c.Right))
	for _, d := range c.Deployments {
		r.Header.Add(callerScope, d)
	}
	if c.Deployments != nil && len(c.Deployments) == 0 { // none, which is not all
		r.Header.Set(callerScope, "")
	}
}

// caller is who sent the request; every request that reaches a handler has one.
func caller(r *http.Request) crowbar.Caller {
	return crowbar.Caller{Name: r.Header.Get(callerName), Via: r.Header.Get(callerVia), Right: crowbar.Right(r.Header.Get(callerRight)), Deployments: r.Header.Values(callerScope)}
}

// guard lets those in who can say who they are; everything is denied by default.
func (a *API) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, h := range []string{callerName, callerVia, callerRight, callerScope} {
			r.Header.Del(h)
		}
		if a.open(w, r) {
			return
		}
		in := a.who(w, r)
		switch {
		case in.wait > 0:
			tooOften(w, in.wait)
			return
		case in.foreign:
			foreign(w)
			return
		case !in.known:
			a.turnAway(w, r, in.stale)
			return
		}
		if err := a.may(r, in.caller); err != nil {
			write(w, http.StatusForbidden, "framework.error", map[string]any{"status": http.StatusForbidden, "message": short(err.Error()), "kind": "forbidden"})
			return
		}
		introduce(r, in.caller)
		a.audited(w, r, next)
	})
}

// arrival is what the credentials of a request come to.
type arrival struct {
	caller  crowbar.Caller
	known   bool          // they are good
	stale   bool          // they would be, but they answer a challenge that is too old
	foreign bool          // a browser sent them along, on the word of another site's page
	wait    time.Duration // for so long they are not looked at
}

// who is the caller: by bearer token, digest, certificate or session, in this order.
func (a *API) who(w http.ResponseWriter, r *http.Request) arrival {
	header := r.Header.Get("Authorization")
	switch scheme, value, _ := strings.Cut(header, " "); {
	case scheme == "Bearer":
		return a.bearer(r, value)
	case scheme == "Digest":
		return a.byDigest(r, value)
	case header != "":
		return a.unknown(r)
	}
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		c, ok := a.certified(r)
		return arrival{caller: c, known: ok, foreign: ok && changes(r) && originOf(r) == fromElsewhere}
	}
	return a.session(w, r)
}

// unknown notes credentials that are none.
func (a *API) unknown(r *http.Request) arrival {
	now := time.Now()
	if wait := a.throttle.wait(remote(r), "", now); wait > 0 {
		return arrival{wait: wait}
	}
	a.throttle.failed(remote(r), "", now)
	return arrival{}
}

// bearer lets a good token in from an address that others have sent wrong ones from: nobody guesses 256 bits.
func (a *API) bearer(r *http.Request, token string) arrival {
	sum := sha256.Sum256([]byte(token))
	if subtle.ConstantTimeCompare(sum[:], a.token[:]) == 1 {
		return arrival{caller: crowbar.Caller{Name: "admin", Via: "token", Right: crowbar.RightAdmin}, known: true}
	}
	if c, ok := a.Users.Token(sum); ok {
		return arrival{caller: c, known: true}
	}
	return a.unknown(r)
}

func (a *API) byDigest(r *http.Request, header string) arrival {
	fields, now := digestFields(header), time.Now()
	account := fields["username"]
	if wait := a.throttle.wait(remote(r), account, now); wait > 0 {
		return arrival{wait: wait}
	}
	name, good, stale := a.digested(r, fields)
	c, may := a.Users.Caller(name)
	switch {
	case good && may:
		a.throttle.passed(remote(r), account, now)
		c.Via = "digest"
		return arrival{caller: c, known: true}
	case !stale:
		a.throttle.failed(remote(r), account, now)
	}
	return arrival{stale: stale}
}

// turnAway answers who is not known: a challenge for programs, the sign-in page for people.
func (a *API) turnAway(w http.ResponseWriter, r *http.Request, stale bool) {
	if page(r) {
		http.Redirect(w, r, signIn, http.StatusFound)
		return
	}
	a.challenge(w, stale)
	write(w, http.StatusUnauthorized, "framework.error", map[string]any{"status": http.StatusUnauthorized, "kind": "unauthorized",
		"message": "who are you? Send a bearer token (the administrator's is in the daemon's DATADIR/admin.json, which kubeclamp --config reads), digest credentials, or sign in"})
}

// page says that a person's browser asks for a page.
func page(r *http.Request) bool {
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) && strings.Contains(r.Header.Get("Accept"), "text/html") && !strings.HasPrefix(r.URL.Path, "/api/")
}

func remote(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
