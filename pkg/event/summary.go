package event

import (
	"encoding/json"
	"reflect"
	"slices"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// shown is the keys of objects that are told: what people look for, and nothing that may be secret.
var shown = []string{"name", "username", "description", "version", "deployment_id", "node_id", "role_id", "network_id", "parent_id", "barclamp_id",
	"available_hammer_id", "target_role_id", "alive", "available", "allocated", "bootenv", "address", "admin", "system", "jig_name", "removing", "paused",
	"stored_state", "active", "cohort", "category", "conduit", "vlan", "first", "last", "pref", "priority", "matcher", "service", "is_admin", "right", "type"}

// summary is what is told of an object.
func summary(o crowbar.Object) crowbar.Data {
	out := crowbar.Data{}
	b, err := json.Marshal(o)
	if err != nil {
		return out
	}
	var all map[string]any
	if json.Unmarshal(b, &all) != nil {
		return out
	}
	for k, v := range all {
		switch v.(type) {
		case string, bool, float64:
			if slices.Contains(shown, k) {
				out[k] = v
			}
		}
	}
	return out
}

// changes is what is not the same any more: key -> what it was and what it is.
func changes(was, now crowbar.Data) crowbar.Data {
	out := crowbar.Data{}
	for _, k := range shown {
		if !reflect.DeepEqual(was[k], now[k]) {
			out[k] = []any{was[k], now[k]}
		}
	}
	return out
}
