package api

import (
	"context"
	"io"
	"net/http"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Copying is the whole state as lines of JSON.
type Copying interface {
	ExportState(ctx context.Context, w io.Writer) error
	ImportState(ctx context.Context, r io.Reader, replace bool) (crowbar.StateCopy, error)
}

// maxState is the size of the biggest import.
const maxState = 8 << 30

const stateType = "application/jsonl"

func (a *API) routeState() {
	a.raw("GET /api/v2/state", a.exportState)
	a.raw("PUT /api/v2/state", a.importState)
}

func (a *API) exportState(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", stateType)
	w.Header().Set("Content-Disposition", `attachment; filename="kubeclamp-state.jsonl"`)
	if err := a.Engine.ExportState(r.Context(), w); err != nil && r.Context().Err() == nil {
		a.Log.Warn("export of the state broke off", "error", err) // the caller sees that there is no last line
	}
}

func (a *API) importState(w http.ResponseWriter, r *http.Request) {
	done, err := a.Engine.ImportState(r.Context(), http.MaxBytesReader(w, r.Body, maxState), r.URL.Query().Get("replace") == "true")
	if err != nil {
		a.fail(w, r, err)
		return
	}
	write(w, http.StatusOK, "state.copy", done)
}
