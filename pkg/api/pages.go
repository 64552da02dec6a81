package api

import (
	"net/http"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/api/openapi"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/graph"
	"github.com/kubeclamp/kubeclamp/pkg/ui"
)

// routePages serves the pages for people beside the API, behind the same guard. They are no part of the API, and not in
// its description.
func (a *API) routePages() {
	a.ui = ui.New(ui.Config{Engine: a.Engine, Daemons: a.Daemons, Found: a.Found, Pools: a.Pools, Preview: preview, Unbound: unbound, Spec: described, API: a, Log: a.Log})
	for _, p := range a.ui.Pages() {
		a.mux.HandleFunc(p.Pattern, func(w http.ResponseWriter, r *http.Request) { p.Serve(w, r, visitor(r)) })
	}
}

// described is the description of the API for its page.
func described() (ui.Spec, error) {
	d, err := openapi.Spec()
	if err != nil {
		return ui.Spec{}, err
	}
	return ui.Spec{Paths: d.Paths, Parameters: d.Components.Parameters, Schemas: d.Components.Schemas}, nil
}

// visitor is who looks at a page.
func visitor(r *http.Request) ui.Visitor {
	c := caller(r)
	return ui.Visitor{Name: c.Name, Right: c.Right, Session: c.Via == "session"}
}

// assets answers for the files that pages load, the sign-in page too; it says whether it did.
func (a *API) assets(w http.ResponseWriter, r *http.Request) bool {
	if !strings.HasPrefix(r.URL.Path, ui.AssetPath) || r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	a.ui.Asset(w, r)
	return true
}

// preview is the state as it would be if a role were bound to these nodes.
func preview(s *crowbar.Snapshot, role crowbar.ID, nodes []crowbar.ID, deployment crowbar.ID) (*crowbar.Snapshot, error) {
	for _, n := range nodes {
		changes, err := graph.Bind(s, graph.Binding{Role: role, Node: n, Deployment: deployment})
		if err != nil {
			return nil, err
		}
		s = s.Apply(s.Rev(), changes...)
	}
	return s, nil
}

// unbound is the state as it would be if a node-role were taken off.
func unbound(s *crowbar.Snapshot, nodeRole crowbar.ID) (*crowbar.Snapshot, error) {
	changes, err := graph.Unbind(s, nodeRole)
	if err != nil {
		return nil, err
	}
	return s.Apply(s.Rev(), changes...), nil
}
