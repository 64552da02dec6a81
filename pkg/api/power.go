package api

import (
	"net/http"
	"slices"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// powerActions are what the hammers of a node can do with its power.
func powerActions(s *crowbar.Snapshot, node crowbar.ID) []string {
	all := []string{}
	for _, h := range s.HammersOf(node) {
		for _, action := range actions(h)["power"] {
			if !slices.Contains(all, action) {
				all = append(all, action)
			}
		}
	}
	return all
}

func (a *API) power(r *http.Request) (form, any, error) {
	s := a.Engine.View()
	id, err := findID(s, crowbar.KindNode, r)
	if err != nil {
		return "", nil, err
	}
	return "json.array", powerActions(s, id), nil
}

// switchPower does the action that ?poweraction= names.
func (a *API) switchPower(r *http.Request) (form, any, error) {
	s := a.Engine.View()
	id, err := findID(s, crowbar.KindNode, r)
	if err != nil {
		return "", nil, err
	}
	p, err := read(r)
	if err != nil {
		return "", nil, err
	}
	action, all := text(p["poweraction"]), powerActions(s, id)
	if !slices.Contains(all, action) || a.Reboot == nil {
		try := "none: the node has no hammer for it"
		if len(all) > 0 {
			try = strings.Join(all, ", ")
		}
		return "", nil, &coded{crowbar.Errorf(crowbar.Invalid, "API call ok but '%s' not available, try %s", action, try), http.StatusNotImplemented}
	}
	if err := a.Reboot(r.Context(), id); err != nil {
		return "", nil, err
	}
	return "json.result", map[string]any{"id": id, "action": action, "result": true}, nil
}
