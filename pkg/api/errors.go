package api

import (
	"errors"
	"net/http"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// fail is the one place where an error becomes an HTTP status.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	code := map[crowbar.ErrorKind]int{
		crowbar.Invalid: http.StatusUnprocessableEntity, crowbar.NotFound: http.StatusNotFound,
		crowbar.Conflict: http.StatusConflict, crowbar.Unavailable: http.StatusServiceUnavailable,
	}[crowbar.KindOf(err)]
	if big := (*http.MaxBytesError)(nil); errors.As(err, &big) {
		code = http.StatusRequestEntityTooLarge
	}
	if code == 0 {
		code = http.StatusInternalServerError
		a.Log.Error("request", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	write(w, code, "framework.error", map[string]any{"status": code, "message": err.Error()})
}
