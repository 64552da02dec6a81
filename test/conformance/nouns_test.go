//go:build linux

package conformance

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// everyNoun is what has a list and objects.
const everyNoun = "barclamps roles jigs attribs nodes deployments deployment_roles node_roles users tokens networks network_ranges network_routers network_allocations " +
	"dns_name_filters dns_name_entries available_hammers hammers groups event_sinks event_selectors tenants providers capabilities"

// TestEveryNoun: each object exists by HEAD, by its id, and by its name; x-return-attributes chooses its keys, one by one and in lists.
func TestEveryNoun(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"crowbar", "rebar"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			d := start(t, "--compat", mode)
			d.furnish()
			for noun := range strings.FieldsSeq(everyNoun) {
				t.Run(noun, func(t *testing.T) { d.on(t).walkNoun(noun) })
			}
		})
	}
}

// furnish makes one of everything.
func (d *daemon) furnish() {
	d.t.Helper()
	d.good("POST nodes", `{"name":"f1.example.org","alive":true,"address":"10.90.0.1"}`)
	d.good("POST networks", `{"name":"general-furnished","group":"furnished","conduit":"1g0","ranges":[{"name":"host","first":"10.90.0.10/24","last":"10.90.0.20/24"}],"router":{"address":"10.90.0.254/24"}}`)
	d.good("POST node_roles", `{"node":"f1.example.org","role":"network-general-furnished"}`)
	d.good("POST dns_name_filters", `{"name":"f","matcher":"net.name == \"general-furnished\"","priority":7,"service":"system","template":"{{node.name}}.example.com"}`)
	d.good("POST groups", `{"name":"furnished","category":"tag"}`)
	d.good("POST event_sinks", `{"endpoint":"https://hook.example.org/x","active":false}`)
	d.good("POST event_selectors", `{"event_sink":"hook.example.org/x","selector":{"event":"on_error"}}`)
	d.good("POST tokens", `{"name":"furnished","right":"viewer"}`)
}

func (d *daemon) walkNoun(noun string) {
	l := d.good("GET " + noun).list()
	if len(l) == 0 {
		d.t.Fatal("there is none")
	}
	m := l[0].(map[string]any)
	all := slices.Sorted(maps.Keys(m))
	for _, key := range all {
		for _, path := range []string{noun, noun + "/" + id(m)} {
			a := d.good("GET "+path, "", fmt.Sprintf("x-return-attributes: [%q]", key))
			of := a.list()
			if of == nil {
				of = []any{a.v}
			}
			for _, o := range of {
				d.keys(o.(map[string]any), key)
			}
		}
	}
	d.keys(d.good("GET "+noun+"/"+id(m), "", `x-return-attributes: []`).obj(), "")
	d.keys(d.good("GET "+noun+"/"+id(m), "", `x-return-attributes: ["nosuchkey"]`).obj(), "")
	for _, header := range []string{"id", `{"id":1}`, `[1]`, `["id"`} {
		d.want(400, "x-return-attributes", "GET "+noun, "", "x-return-attributes: "+header)
	}
	exists := []string{noun, noun + "/" + id(m)}
	for _, key := range []string{"name", "username", "uuid"} {
		if name, _ := m[key].(string); name != "" && noun != "network_ranges" && noun != "hammers" { // which are called by what they are of
			exists = append(exists, noun+"/"+name)
		}
	}
	for _, path := range exists {
		if a := d.ask("HEAD " + path); a.code != http.StatusOK || a.body != "" || a.header.Get("Content-Type") == "" {
			d.t.Errorf("HEAD %s: %s", path, a)
		}
	}
	for _, key := range []string{"999999", "nosuch"} {
		if a := d.ask("HEAD " + noun + "/" + key); a.code != http.StatusNotFound || a.body != "" {
			d.t.Errorf("HEAD %s/%s: %s", noun, key, a)
		}
	}
}

// sameJSON holds a tree against its text.
func sameJSON(t *testing.T, got any, want string) bool {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(want), &v); err != nil {
		t.Fatal(err)
	}
	return reflect.DeepEqual(got, v)
}

// TestJSONPatch: RFC 6902 on an object with a tree in it: what each operation does, or that it is refused and nothing has changed.
func TestJSONPatch(t *testing.T) {
	t.Parallel()
	d := start(t)
	sink := d.good("POST event_sinks", `{"endpoint":"https://patch.example.org/x","active":false}`).obj()
	const tree = `{"event":"on_error","a/b":"slash","m~n":"tilde","t~1":"both","":"nothing"}`
	for _, c := range []struct{ name, patch, want string }{
		{"no operation", `[]`, tree},
		{"add a member", `[{"op":"add","path":"/selector/new","value":"x"}]`, `{"event":"on_error","a/b":"slash","m~n":"tilde","t~1":"both","":"nothing","new":"x"}`},
		{"add replaces", `[{"op":"add","path":"/selector/event","value":"on_active"}]`, `{"event":"on_active","a/b":"slash","m~n":"tilde","t~1":"both","":"nothing"}`},
		{"remove by an escaped slash", `[{"op":"remove","path":"/selector/a~1b"}]`, `{"event":"on_error","m~n":"tilde","t~1":"both","":"nothing"}`},
		{"replace by an escaped tilde", `[{"op":"replace","path":"/selector/m~0n","value":"z"}]`, `{"event":"on_error","a/b":"slash","m~n":"z","t~1":"both","":"nothing"}`},
		{"~01 is ~1, no slash", `[{"op":"replace","path":"/selector/t~01","value":"z"}]`, `{"event":"on_error","a/b":"slash","m~n":"tilde","t~1":"z","":"nothing"}`},
		{"the empty key", `[{"op":"replace","path":"/selector/","value":"z"}]`, `{"event":"on_error","a/b":"slash","m~n":"tilde","t~1":"both","":"z"}`},
		{"move", `[{"op":"move","from":"/selector/a~1b","path":"/selector/moved"}]`, `{"event":"on_error","moved":"slash","m~n":"tilde","t~1":"both","":"nothing"}`},
		{"move onto itself", `[{"op":"move","from":"/selector/event","path":"/selector/event"}]`, tree},
		{"copy", `[{"op":"copy","from":"/selector/event","path":"/selector/copy"}]`, `{"event":"on_error","a/b":"slash","m~n":"tilde","t~1":"both","":"nothing","copy":"on_error"}`},
		{"test, then replace", `[{"op":"test","path":"/selector/a~1b","value":"slash"},{"op":"replace","path":"/selector/a~1b","value":"z"}]`, `{"event":"on_error","a/b":"z","m~n":"tilde","t~1":"both","":"nothing"}`},
		{"test of a tree, keys in another order", `[{"op":"test","path":"/selector","value":{"":"nothing","t~1":"both","m~n":"tilde","a/b":"slash","event":"on_error"}}]`, tree},
		{"test of a number", fmt.Sprintf(`[{"op":"test","path":"/event_sink_id","value":%d}]`, num(sink, "id")), tree},
		{"the tree as a whole", `[{"op":"replace","path":"/selector","value":{"event":"on_active"}}]`, `{"event":"on_active"}`},
		{"a member that is unknown is ignored", `[{"op":"add","path":"/selector/x","value":"y","comment":"why"}]`, `{"event":"on_error","a/b":"slash","m~n":"tilde","t~1":"both","":"nothing","x":"y"}`},
		{"a key of the client's own is ignored", `[{"op":"add","path":"/nosuchkey","value":1}]`, tree},
		{"test of another value", `[{"op":"test","path":"/selector/event","value":"on_active"}]`, ""},
		{"test of what is not there", `[{"op":"test","path":"/selector/none","value":"x"}]`, ""},
		{"test of text for a number", fmt.Sprintf(`[{"op":"test","path":"/event_sink_id","value":"%d"}]`, num(sink, "id")), ""},
		{"all or nothing", `[{"op":"replace","path":"/selector/event","value":"on_active"},{"op":"test","path":"/selector/event","value":"on_error"}]`, ""},
		{"replace of what is not there", `[{"op":"replace","path":"/selector/none","value":"x"}]`, ""},
		{"add below what is not there", `[{"op":"add","path":"/selector/none/deeper","value":"x"}]`, ""},
		{"add below a text", `[{"op":"add","path":"/selector/event/deeper","value":"x"}]`, ""},
		{"move of what is not there", `[{"op":"move","from":"/selector/none","path":"/selector/x"}]`, ""},
		{"copy of what is not there", `[{"op":"copy","from":"/selector/none","path":"/selector/x"}]`, ""},
		{"move into itself", `[{"op":"move","from":"/selector","path":"/selector/inner"}]`, ""},
		{"an operation that there is not", `[{"op":"merge","path":"/selector","value":{}}]`, ""},
		{"no operation said", `[{"path":"/selector","value":{}}]`, ""},
		{"no path", `[{"op":"remove"}]`, ""},
		{"a path without a slash", `[{"op":"add","path":"selector","value":{}}]`, ""},
		{"what nobody may set", `[{"op":"replace","path":"/created_at","value":"2020-01-01T00:00:00Z"}]`, ""},
		{"no list", `{"op":"add","path":"/selector/x","value":"y"}`, ""},
		{"a list of texts", `["add"]`, ""},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			d := d.on(t)
			m := d.good("POST event_selectors", fmt.Sprintf(`{"event_sink_id":%d,"selector":%s}`, num(sink, "id"), tree)).obj()
			a := d.ask("PATCH event_selectors/"+id(m), c.patch, "Content-Type: application/json-patch+json")
			want := c.want
			if want == "" {
				want = tree
				if a.code != http.StatusInternalServerError || a.message() == "" {
					t.Errorf("%s, want 500", a)
				}
			} else if a.code != http.StatusOK {
				t.Errorf("%s", a)
			}
			got := d.good("GET event_selectors/" + id(m)).obj()["selector"]
			if !sameJSON(t, got, want) {
				t.Errorf("it is %v, want %s", got, want)
			}
			d.good("DELETE event_selectors/" + id(m))
		})
	}
}
