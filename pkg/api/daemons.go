package api

import (
	"net/http"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// daemons is who works on the state. It is no OpenCrowbar route: there was one server.
func (a *API) daemons(*http.Request) (form, any, error) {
	all := []crowbar.Daemon{}
	if a.Daemons != nil {
		all = append(all, a.Daemons()...)
	}
	return "daemon.list", all, nil
}
