package api

import (
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
}

type noUsers struct{}

func (noUsers) HA1(string, string) (string, bool)              { return "", false }
func (noUsers) Password(string, string) bool                   { return false }
func (noUsers) Caller(string) (crowbar.Caller, bool)           { return crowbar.Caller{}, false }
func (noUsers) Token([sha256.Size]byte) (crowbar.Caller, bool) { return crowbar.Caller{}, false }

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
		if wait := a.throttle.wait(remote(r), time.Now()); wait > 0 {
			tooOften(w, wait)
			return
		}
		c, ok, stale := a.who(w, r)
		if !ok {
			if !stale && r.Header.Get("Authorization") != "" {
				a.throttle.failed(remote(r), time.Now())
			}
			a.turnAway(w, r, stale)
			return
		}
		if err := a.may(r, c); err != nil {
			write(w, http.StatusForbidden, "framework.error", map[string]any{"status": http.StatusForbidden, "message": err.Error(), "kind": "forbidden"})
			return
		}
		introduce(r, c)
		a.audited(w, r, next)
	})
}

// who is the caller: by certificate, bearer token, digest or session, in this order.
func (a *API) who(w http.ResponseWriter, r *http.Request) (c crowbar.Caller, ok, stale bool) {
	header := r.Header.Get("Authorization")
	switch scheme, value, _ := strings.Cut(header, " "); {
	case scheme == "Bearer":
		sum := sha256.Sum256([]byte(value))
		if subtle.ConstantTimeCompare(sum[:], a.token[:]) == 1 {
			return crowbar.Caller{Name: "admin", Via: "token", Right: crowbar.RightAdmin}, true, false
		}
		c, ok = a.Users.Token(sum)
		return c, ok, false
	case scheme == "Digest":
		name, good, old := a.digested(r, value)
		if !good {
			return crowbar.Caller{}, false, old
		}
		c, ok = a.Users.Caller(name)
		c.Via = "digest"
		return c, ok, false
	case header != "":
		return crowbar.Caller{}, false, false
	}
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		c, ok = certified(r.TLS.VerifiedChains[0][0])
		return c, ok, false
	}
	c, ok = a.session(w, r)
	return c, ok, false
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
