//go:build linux

package conformance

import (
	"fmt"
	"testing"
)

// TestGoClients: what the two clients in Go send, and need to read, beyond what the facts say of them.
func TestGoClients(t *testing.T) {
	t.Parallel()
	d := start(t)
	for _, c := range []struct {
		name  string
		holds func(d *daemon)
	}{
		{"update is a patch with tests that may name keys which the client made up", func(d *daemon) {
			n := d.node("update")
			m := d.good("GET nodes/" + n).obj()
			patch := fmt.Sprintf(`[{"op":"test","path":"/id","value":%d},{"op":"test","path":"/name","value":%q},{"op":"add","path":"/node-control-address","value":"10.0.0.1"},`+
				`{"op":"add","path":"/state","value":0},{"op":"replace","path":"/description","value":"by a client"},{"op":"replace","path":"/bootenv","value":"local"}]`, num(m, "id"), n)
			d.is(d.good("PATCH nodes/"+n, patch, "Content-Type: application/json-patch+json").obj(), map[string]any{"description": "by a client", "bootenv": "local"})
			nr := d.bind("test-event", n, "system")
			d.is(d.good("PATCH node_roles/"+id(nr), `[{"op":"test","path":"/state","value":4},{"op":"replace","path":"/node_error","value":true},{"op":"add","path":"/_role_name","value":"x"}]`).obj(),
				map[string]any{"node_error": false})
		}},
		{"move is a patch of deployment_id", func(d *daemon) {
			n := d.node("move")
			d.deployment("moved")
			to := num(d.good("GET deployments/moved").obj(), "id")
			d.is(d.good("PATCH nodes/"+n, fmt.Sprintf(`[{"op":"replace","path":"/deployment_id","value":%d}]`, to)).obj(), map[string]any{"deployment_id": to})
			d.good("PUT nodes/"+n, `{"deployment":"system"}`)
		}},
		{"verbs are put without a body", func(d *daemon) {
			n := d.node("verbs")
			d.deployment("verbs")
			nr := d.bind("test-event", n, "verbs")
			for _, verb := range []string{"deployments/verbs/commit", "nodes/" + n + "/commit", "deployments/verbs/propose", "deployments/verbs/commit"} {
				d.good("PUT " + verb)
			}
			d.reach(n, "test-event", 0)
			d.is(d.good("PUT node_roles/"+id(nr)+"/retry").obj(), map[string]any{"id": nr["id"]})
			d.settle()
		}},
		{"exists is a HEAD", func(d *daemon) {
			for path, code := range map[string]int{"nodes/system-phantom.internal.local": 200, "roles/test-admin": 200, "deployments/system": 200, "nodes/nobody": 404, "users/" + d.user: 200} {
				if a := d.ask("HEAD " + path); a.code != code || a.body != "" {
					d.t.Errorf("HEAD %s: %s, want %d", path, a, code)
				}
			}
		}},
		{"addresses are matched", func(d *daemon) {
			n := d.node("addresses")
			d.network("addresses", `"deployment":"system","ranges":[{"name":"host","first":"10.101.0.10/24","last":"10.101.0.20/24"}]`)
			d.bind("network-addresses", n, "system")
			l := d.good("POST network_allocations/match", fmt.Sprintf(`{"node_id":%d}`, num(d.good("GET nodes/"+n).obj(), "id"))).list()
			if got := names(l, "address"); len(got) != 1 || got[0] != "10.101.0.10/24" {
				d.t.Errorf("addresses are %v", got)
			}
			d.good("DELETE nodes/" + n + "?force=true")
		}},
		{"a barclamp as the client's structs have it, and its version is text", func(d *daemon) {
			m := d.good("POST barclamps", `{"value":{"barclamp":{"name":"goclient","display":"","description":"","version":"2.E","source_path":"/tmp/goclient.yml","parent":"crowbar","member":null,"os_support":null},`+
				`"roles":[{"name":"goclient-role","description":"","jig":"noop","flags":null,"requires":["test-admin"],"conflicts":null,"provides":null,"attribs":null,"wants-attribs":null}],"jigs":null,"attribs":null,"hammers":null}}`).obj()
			for _, o := range []map[string]any{m, d.good("GET barclamps/goclient").obj()} {
				if _, text := o["version"].(string); !text {
					d.t.Errorf("version is %v", o["version"])
				}
			}
			d.is(d.good("GET roles/goclient-role").obj(), map[string]any{"cohort": 1, "jig_name": "noop"})
		}},
	} {
		t.Run(c.name, func(t *testing.T) { c.holds(d.on(t)) })
	}
}
