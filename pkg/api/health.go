package api

import (
	"net/http"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// health is what the daemon finds when it looks at itself. It is no OpenCrowbar route.
func (a *API) health(r *http.Request) (form, any, error) {
	all := []crowbar.Finding{}
	if a.Health != nil {
		all = append(all, a.Health(r.Context())...)
	}
	return "health.list", all, nil
}
