package api

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// absent is an object that was asked for and is not there.
type absent struct{ what, key, known string }

// Error says what there is instead.
func (e *absent) Error() string { return e.crowbar() + " (" + e.known + ")" }

// Unwrap gives it its kind.
func (e *absent) Unwrap() error { return crowbar.Errorf(crowbar.NotFound, "%s", e.crowbar()) }

// crowbar is OpenCrowbar's sentence, which its clients know.
func (e *absent) crowbar() string {
	return fmt.Sprintf("Could not find %s with id %s.", e.what, e.key)
}

// coded is an error for which OpenCrowbar had a status code that does not follow from its kind.
type coded struct {
	error
	code int
}

// Unwrap is the error itself.
func (e *coded) Unwrap() error { return e.error }

// legacy gives an error the status code that OpenCrowbar's clients expect. What is not there stays 404 for all.
func legacy(err error, code int) error {
	if k := crowbar.KindOf(err); err == nil || k != crowbar.Invalid && k != crowbar.Conflict {
		return err
	}
	return &coded{err, code}
}

// kindNames are the kinds of errors on the wire.
var kindNames = map[crowbar.ErrorKind]string{crowbar.Internal: "internal", crowbar.Invalid: "invalid", crowbar.NotFound: "not_found",
	crowbar.Conflict: "conflict", crowbar.Unavailable: "unavailable"}

// fail is the one place where an error becomes an HTTP status: by its kind for our own clients, as OpenCrowbar had it for
// all others. The kind is in the body for both.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	if t := (*throttled)(nil); errors.As(err, &t) {
		tooOften(w, t.wait)
		return
	}
	kind := crowbar.KindOf(err)
	code, f, text := http.StatusInternalServerError, form("framework.error"), short(err.Error())
	switch kind {
	case crowbar.Invalid, crowbar.Conflict:
		code, f = refused(r, kind, err)
	case crowbar.NotFound:
		code = http.StatusNotFound
	case crowbar.Unavailable:
		code = http.StatusServiceUnavailable
	default:
		a.Log.Error("request", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	if big := (*http.MaxBytesError)(nil); errors.As(err, &big) {
		code = http.StatusRequestEntityTooLarge
	}
	if late(err) {
		code = http.StatusRequestTimeout
		text = "request body: it came too slowly"
		w.Header().Set("Connection", "close")
	}
	out := map[string]any{"status": code, "message": text, "kind": kindNames[kind]}
	if e := (*absent)(nil); !own(r) && errors.As(err, &e) {
		f = form(e.what + ".error")
		out["message"], out["hint"] = short(e.crowbar()), e.known
	}
	if f == "record.error" {
		out["message"] = "Validation failed: " + text
	}
	write(w, code, f, out)
}

// refused is the code of what is wrong with a request, and the form of its answer.
func refused(r *http.Request, kind crowbar.ErrorKind, err error) (int, form) {
	if own(r) {
		if kind == crowbar.Invalid {
			return http.StatusUnprocessableEntity, "framework.error"
		}
		return http.StatusConflict, "framework.error"
	}
	if c := (*coded)(nil); errors.As(err, &c) {
		return c.code, "framework.error"
	}
	return http.StatusConflict, "record.error"
}
