package event

import (
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Params are what a selector of a sink is held against: Digital Rebar's names of an event and of its object, and ours.
func Params(e crowbar.Event) crowbar.Data {
	what := strings.TrimPrefix(e.Type, crowbar.EventTypes)
	noun, verb, _ := strings.Cut(what, ".")
	p := crowbar.Data{"event": what, "type": e.Type, "obj_class": noun, "obj_id": e.Subject[strings.LastIndexByte(e.Subject, '/')+1:]}
	if name, _ := e.Data["name"].(string); name != "" {
		p["obj_id"] = name
	}
	if e.Deployment != "" {
		p["deployment"] = e.Deployment
	}
	if e.Node != "" {
		p["node"] = e.Node
	}
	hook := map[string]string{"created": "create", "changed": "change", "removed": "delete"}[verb]
	switch {
	case noun == "node_role" && verb != "removed":
		p["event"], p["obj_class"], p["obj_id"] = "on_"+verb, "role", e.Data["role"]
	case noun == "node", noun == "network", noun == "deployment" && verb != "changed", noun == "network_allocation" && verb != "changed":
		p["event"] = "on_" + noun + "_" + hook
	}
	return p
}

// Selected says whether a selector takes an event: each of its params is absent from the selector, or has the same value
// there; "*" is any value.
func Selected(selector, params crowbar.Data) bool {
	for k, v := range params {
		if want, said := selector[k]; said && want != "*" && want != v {
			return false
		}
	}
	return true
}
