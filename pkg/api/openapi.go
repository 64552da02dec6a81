package api

import (
	"encoding/json"
	"net/http"

	"github.com/kubeclamp/kubeclamp/pkg/api/openapi"
)

// routeSpec describes the API to programs.
func (a *API) routeSpec() {
	a.raw("GET /api/v2/openapi.yaml", a.spec("application/yaml", (*openapi.Document).YAML))
	a.raw("GET /api/v2/openapi.json", a.spec("application/json", func(d *openapi.Document) ([]byte, error) { return json.MarshalIndent(d, "", "  ") }))
}

func (a *API) spec(kind string, write func(*openapi.Document) ([]byte, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		d, err := openapi.Spec()
		if err != nil {
			a.fail(w, r, err)
			return
		}
		b, err := write(d)
		if err != nil {
			a.fail(w, r, err)
			return
		}
		w.Header().Set("Content-Type", kind)
		_, _ = w.Write(b) // the caller went away
	}
}
