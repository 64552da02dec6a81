package api

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Compat is whose clients the API speaks to, where OpenCrowbar's and Digital Rebar's want different things. Our own clients are
// answered the same in both.
type Compat string

// The two families of old clients.
const (
	CompatCrowbar Compat = "crowbar" // OpenCrowbar's of 2015
	CompatRebar   Compat = "rebar"   // Digital Rebar's, version 2
)

// Known says that there is such a family.
func (c Compat) Known() bool { return c == CompatCrowbar || c == CompatRebar }

// realm is the realm of HTTP digest. It is part of what a user's password is kept as.
func (a *API) realm() string {
	if a.Compat == CompatRebar {
		return crowbar.RebarRealm
	}
	return crowbar.Realm
}

// renamed is an answer with Digital Rebar's content types: vnd.rebar for vnd.crowbar, and plain JSON for what is not found, not
// allowed or in conflict.
type renamed struct {
	http.ResponseWriter
	done bool
}

// WriteHeader sends the header with its other name.
func (w *renamed) WriteHeader(code int) {
	if kind, is := strings.CutPrefix(w.Header().Get("Content-Type"), "application/vnd.crowbar."); is && !w.done {
		kind = "application/vnd.rebar." + kind
		if code == http.StatusNotFound || code == http.StatusForbidden || code == http.StatusConflict {
			kind = "application/json; charset=utf-8"
		}
		w.Header().Set("Content-Type", kind)
	}
	w.done = true
	w.ResponseWriter.WriteHeader(code)
}

// Write sends the header first, if it is not sent yet.
func (w *renamed) Write(b []byte) (int, error) {
	if !w.done {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets streams flush.
func (w *renamed) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// plus is an object with more keys.
type plus struct{ base, more any }

// MarshalJSON writes the keys of both in one object.
func (p plus) MarshalJSON() ([]byte, error) {
	a, err := json.Marshal(p.base)
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(p.more)
	if err != nil || len(b) <= len("{}") {
		return a, err
	}
	if len(a) <= len("{}") {
		return b, nil
	}
	return append(append(a[:len(a)-1], ','), b[1:]...), nil
}
