package main

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/client"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// moves is what an import makes here of what is there, in the order in which it can be made.
func moves(there, here *survey) []move {
	var out []move
	out = append(out, moveDeployments(there, here)...)
	out = append(out, moveNetworks(there, here)...)
	out = append(out, moveNodes(there, here)...)
	out = append(out, moveAllocations(there, here)...)
	out = append(out, moveAttribs(there, here)...)
	out = append(out, moveBindings(there, here)...)
	out = append(out, moveOwnValues(there, here)...)
	out = append(out, moveGroups(there, here)...)
	return append(out, moveUsers(there, here)...)
}

func maker(k crowbar.Kind, body object) func(context.Context, *client.Client) error {
	return func(ctx context.Context, c *client.Client) error { return c.Create(ctx, k, body, nil) }
}

func there(kind, name string) move { return move{Kind: kind, Name: name, Action: "there"} }

// picked is those keys of an object that say something.
func picked(o object, keys string) object {
	out := object{}
	for _, k := range strings.Fields(keys) {
		if v := o[k]; v != nil && v != "" {
			out[k] = v
		}
	}
	return out
}

// moveDeployments makes parents first: there, a child is younger than its parent.
func moveDeployments(from, here *survey) []move {
	var out []move
	slices.SortFunc(from.deployments, byID)
	for _, d := range from.deployments {
		name := str(d["name"])
		if d["system"] == true {
			continue
		}
		if has(here.deployments, name) {
			out = append(out, there("deployment", name))
			continue
		}
		body := picked(d, "name description")
		if parent := from.called(d, "parent_id", crowbar.KindDeployment); parent != "" {
			body["parent"] = parent
		}
		out = append(out, move{Kind: "deployment", Name: name, Action: "make", do: maker(crowbar.KindDeployment, body)})
	}
	return out
}

func byID(a, b object) int {
	x, _ := a["id"].(float64)
	y, _ := b["id"].(float64)
	return cmp.Compare(x, y)
}

func moveNetworks(from, here *survey) []move {
	var out []move
	for _, n := range from.networks {
		name := str(n["name"])
		if has(here.networks, name) {
			out = append(out, there("network", name))
			continue
		}
		body := picked(n, "name description order conduit vlan use_vlan use_bridge team_mode use_team v6prefix configure category group pbr")
		if d := from.called(n, "deployment_id", crowbar.KindDeployment); d != "" {
			body["deployment"] = d
		}
		var ranges []any
		for _, r := range from.ranges {
			if str(r["network_id"]) == str(n["id"]) {
				ranges = append(ranges, picked(r, "name first last conduit vlan team_mode use_vlan use_bridge use_team overlap"))
			}
		}
		body["ranges"] = ranges
		for _, r := range from.routers {
			if str(r["network_id"]) == str(n["id"]) {
				body["router"] = picked(r, "address pref")
			}
		}
		if body["v6prefix"] != nil { // its range host-v6 was made by that server
			body["ranges"] = slices.DeleteFunc(ranges, func(r any) bool { return r.(object)["name"] == "host-v6" })
		}
		out = append(out, move{Kind: "network", Name: name, Action: "make", do: maker(crowbar.KindNetwork, body)})
	}
	return out
}

func moveNodes(from, here *survey) []move {
	var out []move
	for _, n := range from.nodes {
		name := str(n["name"])
		switch {
		case n["system"] == true: // a phantom comes with its deployment
			continue
		case has(here.nodes, name):
			out = append(out, there("node", name))
			continue
		}
		body := picked(n, "name description admin alive available bootenv")
		if d := from.called(n, "deployment_id", crowbar.KindDeployment); d != "" {
			body["deployment"] = d
		}
		m := move{Kind: "node", Name: name, Action: "skip", Why: "its address is not known there: kubeclamp nodes create " + name + " --address IP -d " + str(body["deployment"]) + ", then import again"}
		if a := from.address(n); a != "" {
			body["address"] = a
			m = move{Kind: "node", Name: name, Action: "make", do: maker(crowbar.KindNode, body)}
		}
		out = append(out, m)
	}
	return out
}

// moveAllocations keeps the addresses that nodes have.
func moveAllocations(from, here *survey) []move {
	var out []move
	have := map[string]bool{}
	for _, al := range here.allocations {
		have[str(al["address"])] = true
	}
	for _, al := range from.allocations {
		node, network, address := from.called(al, "node_id", crowbar.KindNode), from.called(al, "network_id", crowbar.KindNetwork), str(al["address"])
		if node == "" || network == "" {
			continue
		}
		if have[address] {
			out = append(out, there("address", address))
			continue
		}
		body := object{"node": node, "network": network, "address": address}
		if r := from.called(al, "network_range_id", "network_ranges"); r != "" {
			body["network_range"] = network + "/" + r
		}
		out = append(out, move{Kind: "address", Name: address, Action: "make", Why: "of " + node, do: maker("network_allocations", body)})
	}
	return out
}

// moveAttribs sets what is not the default there, where there is such an attrib here.
func moveAttribs(from, here *survey) []move {
	var out []move
	for _, d := range slices.Sorted(maps.Keys(from.values)) {
		for _, name := range slices.Sorted(maps.Keys(from.values[d])) {
			at := from.values[d][name]
			if reflect.DeepEqual(at["value"], defaultOf(at)) || at["value"] == nil {
				continue
			}
			already := here.values[d][name] != nil && reflect.DeepEqual(here.values[d][name]["value"], at["value"])
			out = append(out, here.taken(crowbar.KindDeployment, d, name, at["value"], already))
		}
	}
	return out
}

// taken is an attrib's value of an object that is set here, if it can be.
func (s *survey) taken(k crowbar.Kind, of, name string, value any, already bool) move {
	m := move{Kind: "attrib", Name: of + ": " + name, Action: "skip"}
	switch mine := s.attribs[name]; {
	case mine == nil:
		m.Why = "no barclamp here has it"
	case already:
		m.Action = "there"
	case mine["writable"] != true && mine["schema"] == nil:
		m.Why = "it is not to be set by people"
	case mine["secret"] == true:
		m.Why = "it is secret: kubeclamp set --from-file"
	default:
		m.Action = "make"
		m.do = func(ctx context.Context, c *client.Client) error { return c.SetAttrib(ctx, k, of, name, value) }
	}
	return m
}

// moveOwnValues sets what was said of one node, or of one role on it.
func moveOwnValues(from, here *survey) []move {
	var out []move
	for _, of := range slices.Sorted(maps.Keys(from.own)) {
		node, role, bound := strings.Cut(of, "/")
		k := crowbar.KindNode
		if bound {
			k = crowbar.KindNodeRole
		}
		for _, name := range slices.Sorted(maps.Keys(from.own[of])) {
			value := from.own[of][name]
			was, said := here.own[of][name]
			m := here.taken(k, of, name, value, said && reflect.DeepEqual(was, value))
			if m.Action == "make" && (from.lost(here, node) || bound && !has(here.roles, role)) {
				m.Action, m.Why, m.do = "skip", "what it is said of is left out", nil
			}
			out = append(out, m)
		}
	}
	return out
}

// defaultOf is the default of an attrib: {"value": X} there, also as text.
func defaultOf(at object) any {
	v := at["default"]
	if text, is := v.(string); is {
		var o object
		if json.Unmarshal([]byte(text), &o) == nil {
			v = o
		}
	}
	if o, is := v.(object); is {
		return o["value"]
	}
	return v
}

// moveBindings binds what is bound there, lowest cohort first: what asks for others finds them.
func moveBindings(from, here *survey) []move {
	var out []move
	bound := here.bound()
	system := map[string]bool{}
	for _, n := range from.nodes {
		system[str(n["id"])] = n["system"] == true
	}
	slices.SortFunc(from.nodeRoles, func(a, b object) int {
		x, _ := a["cohort"].(float64)
		y, _ := b["cohort"].(float64)
		return cmp.Or(cmp.Compare(x, y), byID(a, b))
	})
	for _, nr := range from.nodeRoles {
		node, role, d := from.called(nr, "node_id", crowbar.KindNode), from.called(nr, "role_id", crowbar.KindRole), from.called(nr, "deployment_id", crowbar.KindDeployment)
		if system[str(nr["node_id"])] || node == "" || role == "" { // a service comes with what asks for it
			continue
		}
		m := move{Kind: "binding", Name: node + "/" + role}
		switch {
		case bound[node+"/"+role]:
			m.Action = "there"
		case from.lost(here, node):
			m.Action, m.Why = "skip", "its node is left out"
		case !has(here.roles, role) && !strings.HasPrefix(role, "network-"):
			m.Action, m.Why = "skip", "no barclamp here has the role (import its barclamp first, if it has script roles)"
		default:
			m.Action = "make"
			m.do = func(ctx context.Context, c *client.Client) error {
				_, err := c.Bind(ctx, role, node, d)
				return err
			}
		}
		out = append(out, m)
	}
	return out
}
