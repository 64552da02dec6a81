package api

import (
	"net/http"
	"net/url"
)

// origin is whose page has sent a request.
type origin int

const (
	fromNobody origin = iota // no browser of our days sent it
	fromHere                 // one that this daemon served, or a person who typed the address
	fromElsewhere
)

// originOf tells it from what browsers say by themselves, and pages cannot. A page of another port or scheme of this host is
// another site's.
func originOf(r *http.Request) origin {
	is := fromNobody
	switch r.Header.Get("Sec-Fetch-Site") {
	case "":
	case "same-origin", "none":
		is = fromHere
	default:
		return fromElsewhere
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
		return fromElsewhere
	}
	return fromHere
}

// changes says that a request may change something.
func changes(r *http.Request) bool { return r.Method != http.MethodGet && r.Method != http.MethodHead }

// foreign writes that a request was sent by another site's page, and that nothing was done.
func foreign(w http.ResponseWriter) {
	write(w, http.StatusForbidden, "framework.error", map[string]any{"status": http.StatusForbidden, "kind": "forbidden",
		"message": "what a browser is signed in with changes something from the daemon's own pages alone: programs send a bearer token or digest credentials, or the session's " + csrfHeader})
}
