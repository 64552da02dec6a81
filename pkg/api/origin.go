package api

import (
	"net/http"
	"net/url"
)

// origin is whose page has sent a request.
type origin int

const (
	nobodys origin = iota // no browser of our days sent it
	ours                  // one that this daemon served, or a person who typed the address
	theirs
)

// originOf tells it from what browsers say by themselves, and pages cannot. A page of another port or scheme of this host is
// another site's.
func originOf(r *http.Request) origin {
	is := nobodys
	switch r.Header.Get("Sec-Fetch-Site") {
	case "":
	case "same-origin", "none":
		is = ours
	default:
		return theirs
	}
	from := r.Header.Get("Origin")
	if from == "" {
		return is
	}
	scheme := "https"
	if r.TLS == nil {
		scheme = "http"
	}
	if u, err := url.Parse(from); err != nil || u.Host != r.Host || u.Scheme != scheme {
		return theirs
	}
	return ours
}

// changes says that a request may change something.
func changes(r *http.Request) bool { return r.Method != http.MethodGet && r.Method != http.MethodHead }

// foreign writes that a request was sent by another site's page, and that nothing was done.
func foreign(w http.ResponseWriter) {
	write(w, http.StatusForbidden, "framework.error", map[string]any{"status": http.StatusForbidden, "kind": "forbidden",
		"message": "what a browser is signed in with changes something from the daemon's own pages alone: programs send a bearer token or digest credentials, or the session's " + csrfHeader})
}
