//go:build linux

package conformance

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The keys of Digital Rebar's objects, beyond OpenCrowbar's.
var rebarKeys = map[string]string{
	"nodes": nodeKeys + " uuid tenant_id provider_id variant arch os_family icon profiles node-control-address state", "deployments": deploymentKeys + " uuid tenant_id profiles",
	"deployment_roles": deploymentRoleKeys + " uuid proposed _proposed _role_name _role_icon", "node_roles": nodeRoleKeys + " uuid tenant_id _role_name _role_icon",
	"roles":   roleKeys + " uuid icon metadata leaverunlog replace_node_icon preceeds requires attribs wanted_attribs",
	"attribs": attribKeys + " uuid", "groups": groupKeys + " uuid", "networks": networkKeys + " uuid", "network_routers": routerKeys + " uuid",
	"network_ranges": rangeKeys + " uuid anon_lease_time bound_lease_time allow_anon_leases allow_bound_leases", "users": userKeys + " uuid tenant_id current_tenant_id",
	"tenants": "id uuid name description parent_id", "providers": "id uuid name type description auth_details tenant_id", "capabilities": "id uuid name description source includes",
}

var aUUID = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`) // as its Go client takes them

// TestRebar: what Digital Rebar's server had otherwise than OpenCrowbar's, asked of a real daemon in that mode.
func TestRebar(t *testing.T) {
	t.Parallel()
	d := start(t, "--compat", "rebar")
	for _, c := range []struct {
		difference string
		holds      func(d *daemon)
	}{
		{"the realm", func(d *daemon) {
			c := d.challenge()
			if c["realm"] != "Rebar" || c["qop"] != "auth" || c["algorithm"] != "MD5" || c["status"] != "401" {
				d.t.Errorf("challenge: %v", c)
			}
			d.good("GET users/" + d.user)
			if a := d.send("GET /api/v2/nodes", "", map[string]string{"Authorization": strings.ReplaceAll(d.signed(d.user, d.pass, "GET", "/api/v2/nodes"), `"Rebar"`, `"Crowbar"`)}); a.code != 401 {
				d.t.Errorf("in the other realm: %s", a)
			}
		}},
		{"content types", func(d *daemon) {
			for request, want := range map[string]string{"GET nodes": "application/vnd.rebar.node.list+json; version=2.0", "GET deployments/system": "application/vnd.rebar.deployment.obj+json; version=2.0",
				"GET nodes/nobody": "application/json; charset=utf-8", "GET digest": "text/plain; charset=utf-8", "PUT nodes/nobody/power": "application/json; charset=utf-8", "GET anneal": "application/json; charset=utf-8",
				"GET /api/status/inventory": "application/vnd.rebar.inventory+json; version=2.0", "PATCH deployments/system": "application/vnd.rebar.framework.error+json; version=2.0"} {
				if got := d.ask(request).header.Get("Content-Type"); got != want {
					d.t.Errorf("%s: %s, want %s", request, got, want)
				}
			}
		}},
		{"errors keep message and status", func(d *daemon) {
			a := d.want(404, "Could not find node with id nobody.", "GET nodes/nobody")
			d.is(a.obj(), map[string]any{"status": 404})
		}},
		{"keys, and a uuid by which each is found", rebarObjects},
		{"a node's traits, provider, hints and address", func(d *daemon) {
			m := d.good("POST nodes", `{"name":"traits.example.org","variant":"vm","arch":"aarch64","os_family":"freebsd","provider":"metal","ip":"10.0.9.1/24","hints":{"test-count":7},"uuid":"","id":null,"profiles":[]}`).obj()
			d.is(m, map[string]any{"variant": "vm", "arch": "aarch64", "os_family": "freebsd", "provider_id": 1, "node-control-address": "10.0.9.1", "bootenv": "unknown"})
			d.is(d.good("GET nodes/traits.example.org/attribs/test-count").obj(), map[string]any{"value": 7})
			d.want(404, "Could not find provider with id aws.", "POST nodes", `{"name":"cloud.example.org","provider":"aws"}`)
			d.want(404, "Could not find profile with id web.", "POST nodes", `{"name":"cloud.example.org","profiles":["web"]}`)
			d.want(404, "Could not find tenant with id mine.", "PUT nodes/traits.example.org", `{"tenant":"mine"}`)
		}},
		{"nodes are matched by attribs", func(d *daemon) {
			n, other := d.node("byattrib"), d.node("byother")
			d.good("PUT nodes/"+n+"/attribs/test-count", `{"value":4711}`)
			if got := names(d.good("POST nodes/match", `{"test-count":4711}`).list(), "name"); !slices.Equal(got, []string{n}) {
				d.t.Errorf("%v", got)
			}
			if got := names(d.good("POST nodes/match", fmt.Sprintf(`{"test-count":4711,"name":%q}`, other)).list(), "name"); len(got) != 0 {
				d.t.Errorf("%v", got)
			}
		}},
		{"a deployment at once", rebarBatch},
		{"networks are called after category and group", func(d *daemon) {
			m := d.good("POST networks", `{"name":"anything","conduit":"1g0","category":"storage","group":"east"}`).obj()
			d.is(m, map[string]any{"name": "storage-east"})
			d.want(409, "storage-east", "POST networks", `{"conduit":"1g1","category":"storage","group":"east"}`)
		}},
		{"groups of switches", func(d *daemon) { d.good("POST groups", `{"name":"sw1","category":"switch"}`) }},
		{"a barclamp as YAML", func(d *daemon) {
			b, err := json.Marshal(map[string]string{"value": "barclamp: { name: byyaml }\nroles:\n  - { name: byyaml-role, jig: noop, icon: star, flags: [leaverunlog], metadata: { a: 1 }, requires: [test-admin] }\n"})
			if err != nil {
				d.t.Fatal(err)
			}
			d.is(d.good("POST barclamps", string(b)).obj(), map[string]any{"name": "byyaml", "source_path": "API_uploaded"})
			m := d.good("GET roles/byyaml-role").obj()
			d.is(m, map[string]any{"icon": "star", "leaverunlog": true, "metadata": map[string]any{"a": 1}, "requires": []string{"test-admin"}, "cohort": 1})
			d.is(d.good("GET roles/test-client").obj(), map[string]any{"icon": "beenhere"})
		}},
		{"attribs themselves are changed", func(d *daemon) {
			d.good("POST attribs", `{"name":"rebar-made","map":"rebar/made","barclamp":"test","writable":true}`)
			d.is(d.good("PUT attribs/rebar-made", `{"description":"made","default":{"value":3}}`).obj(), map[string]any{"description": "made", "default": map[string]any{"value": 3}})
			d.is(d.good("PATCH attribs/rebar-made", `[{"op":"replace","path":"/order","value":7}]`).obj(), map[string]any{"order": 7})
			d.want(409, "its barclamp brought it", "PUT attribs/test-count", `{"description":"x"}`)
		}},
		{"what is fixed: tenants, providers, capabilities", func(d *daemon) {
			d.is(d.good("GET tenants/system").obj(), map[string]any{"id": 1, "parent_id": nil})
			if got := names(d.good("GET providers").list(), "name"); !slices.Equal(got, []string{"metal", "phantom"}) {
				d.t.Errorf("providers are %v", got)
			}
			if got := names(d.good("GET tenants/system/users").list(), "username"); !slices.Contains(got, d.user) {
				d.t.Errorf("users are %v", got)
			}
			mine, _ := d.good("GET users/" + d.user + "/capabilities").obj()["1"].(map[string]any)
			if l, _ := mine["capabilities"].([]any); !slices.Contains(l, any("SUPERUSER")) || !slices.Contains(l, any("NODE_COMMIT")) {
				d.t.Errorf("capabilities are %v", mine)
			}
			d.want(405, "not supported", "POST tenants", `{"name":"mine"}`)
		}},
		{"graphs, parents and children", func(d *daemon) {
			n := d.node("graph")
			d.deployment("graph")
			nr := d.bind("test-client", n, "graph")
			if got := names(d.good("GET node_roles/"+id(nr)+"/parents").list(), "_role_name"); !slices.Equal(got, []string{"test-library", "test-server"}) {
				d.t.Errorf("parents are %v", got)
			}
			admin := d.nodeRole(n, "test-admin")
			if got := names(d.good("GET node_roles/"+id(admin)+"/children").list(), "_role_name"); !slices.Contains(got, "test-server") {
				d.t.Errorf("children are %v", got)
			}
			for path, says := range map[string]string{"node_roles/graph?node_id=" + n: id(nr) + " -> ", "roles/graph?barclamp_id=test": `label="test-client"`} {
				if s, _ := d.good("GET " + path).obj()["string"].(string); !strings.HasPrefix(s, "digraph {") || !strings.Contains(s, says) {
					d.t.Errorf("%s: %s", path, s)
				}
			}
		}},
		{"status: matrix, active, deployments, heartbeat", rebarStatus},
		{"jigs, whoami, scrub, digest, OPTIONS", func(d *daemon) {
			d.is(d.good("PUT jigs/noop/activate").obj(), map[string]any{"active": true})
			d.good("PUT jigs/noop/flush")
			n := d.node("whoami", `"address":"10.0.7.7"`)
			d.is(d.good("POST nodes/whoami", `{"addrs":["fe80::1/64","10.0.7.7/24"],"macs":[]}`).obj(), map[string]any{"name": n})
			d.want(404, "Could not find node", "POST nodes/whoami", `{"addrs":["10.99.99.99/24"]}`)
			d.deployment("scrubbed")
			nr := d.bind("test-event", n, "scrubbed")
			d.good("PUT nodes/" + n + "/scrub")
			d.gone("node_roles/" + id(nr))
			for method, body := range map[string]string{"GET": "success", "POST": "success", "HEAD": "", "DELETE": ""} {
				if a := d.good(method + " digest"); a.body != body {
					d.t.Errorf("%s digest: %s", method, a)
				}
			}
			if a := d.send("OPTIONS /api/v2/nodes", "", nil); a.code != http.StatusNoContent || a.header.Get("Access-Control-Allow-Origin") != "" {
				d.t.Errorf("OPTIONS: %s %v", a, a.header)
			}
		}},
		{"what Digital Rebar had dropped is still there", func(d *daemon) {
			d.developer("kept")
			d.is(d.good("POST users/kept/lock").obj(), map[string]any{"is_locked": true})
			d.good("GET /api/status/queue")
			d.good("GET deployments/system/graph")
		}},
		{"our own clients are answered as ever", func(d *daemon) {
			a := d.send("GET /api/v2/nodes/system-phantom.internal.local", "", map[string]string{"Authorization": "Bearer " + d.key, "Accept": "application/vnd.kubeclamp+json"})
			if _, rebars := a.obj()["uuid"]; a.code != 200 || rebars || !strings.HasPrefix(a.header.Get("Content-Type"), "application/vnd.crowbar.") {
				d.t.Errorf("%s %v", a, a.header)
			}
		}},
	} {
		t.Run(strings.ReplaceAll(c.difference, " ", "_"), func(t *testing.T) { c.holds(d.on(t)) })
	}
}

func rebarObjects(d *daemon) {
	n := d.node("objects")
	d.deployment("objects")
	d.bind("test-event", n, "objects")
	d.good("POST networks", `{"conduit":"1g0","category":"objects","group":"all","deployment":"objects","ranges":[{"name":"host","first":"10.88.0.10/24","last":"10.88.0.20/24"}],"router":{"address":"10.88.0.1/24","pref":5}}`)
	d.t.Cleanup(func() { d.ask("DELETE networks/objects-all") })
	d.good("POST groups", `{"name":"objects","category":"rack"}`)
	for noun, keys := range rebarKeys {
		l := d.good("GET " + noun).list()
		if len(l) == 0 {
			d.t.Errorf("there are no %s", noun)
			continue
		}
		m := l[len(l)-1].(map[string]any)
		d.keys(m, keys)
		if text, _ := m["uuid"].(string); !aUUID.MatchString(text) || num(d.good("GET "+noun+"/"+text).obj(), "id") != num(m, "id") {
			d.t.Errorf("%s: %v", noun, m["uuid"])
		}
	}
	d.want(404, "Could not find node", "GET nodes/0a0b0c0d-0000-5000-8000-000000000001")
}

func rebarBatch(d *daemon) {
	there := d.node("batch1")
	m := d.good("POST deployments", fmt.Sprintf(`{"name":"batch","provider":{"name":"metal"},"attribs":{"test-flaky-fails":false},"role_apply_order":["test-cluster"],"commit":true,`+
		`"nodes":[{"id":%q,"roles":["test-cluster"]},{"id":-1,"count":2,"prefix":"made","roles":{"test-member":true}}]}`, there)).obj()
	d.is(m, map[string]any{"name": "batch", "state": 1})
	for _, n := range []string{"made-001.metal.batch.cloud", "made-002.metal.batch.cloud"} {
		d.at(n, map[string]int{"test-member": 3})
		d.t.Cleanup(func() { d.ask("DELETE nodes/" + n + "?force=true") })
	}
	d.at(there, map[string]int{"test-cluster": 1})
	d.good("PUT deployments/batch/propose")
	d.good("PUT deployments/batch/batch", fmt.Sprintf(`{"nodes":[{"id":%q,"roles":["test-flaky"]}]}`, there))
	d.at(there, map[string]int{"test-flaky": 4})
	d.want(404, "Could not find role with id nosuch.", "PUT deployments/batch/batch", fmt.Sprintf(`{"nodes":[{"id":%q,"roles":["nosuch"]}]}`, there))
}

func rebarStatus(d *daemon) {
	n := d.ready("status")
	d.deployment("status")
	d.good("PUT nodes/"+n, `{"deployment":"status"}`)
	d.bind("test-client", n, "status")
	d.bind("test-service", "status-phantom.internal.local", "status")
	m := d.good("GET /api/status/matrix/status").obj()
	d.is(m, map[string]any{"name": "status", "tenant_id": 1, "state": 0})
	if got := names(m["services"].([]any), "name"); !slices.Equal(got, []string{"test-service"}) {
		d.t.Errorf("services are %v", got)
	}
	heads, _ := m["deployment_roles"].(map[string]any)
	first, _ := heads["0000"].(map[string]any)
	d.is(first, map[string]any{"name": "test-admin", "cohort": 0, "icon": "beenhere"})
	row, _ := m["nodes"].(map[string]any)[id(d.good("GET nodes/"+n).obj())].(map[string]any)
	cells, _ := row["roles"].(map[string]any)
	if len(cells) != 4 || num(cells["0000"].(map[string]any), "state") != 4 {
		d.t.Errorf("the row is %v", row)
	}
	l := d.good("GET /api/status/deployments/status").obj()["nodes"].([]any)
	if !slices.Contains(names(l, "name"), n) {
		d.t.Errorf("nodes are %v", l)
	}
	d.is(d.good("GET /api/status/deployments").obj(), map[string]any{"id": -1, "status": "unknown"})
	if m := d.good("GET /api/status/heartbeat").obj(); num(m, "nodes") != len(d.good("GET nodes").list()) {
		d.t.Errorf("heartbeat: %v", m)
	}
	lately := d.good("PUT /api/status/active", `{"nodes":[99999]}`).obj()
	if text := fmt.Sprint(lately["deleted"]); !strings.Contains(text, "99999") {
		d.t.Errorf("%v", lately)
	}
	if roles, _ := lately["changed"].(map[string]any)["node_roles"].([]any); len(roles) == 0 {
		d.t.Errorf("%v", lately)
	}
}

// TestRebarWalk: the life of a deployment as Digital Rebar's Go client does it: a HEAD, then digests over the path without the
// query, objects whole, changes as patches with tests, node-roles by their uuid.
func TestRebarWalk(t *testing.T) {
	t.Parallel()
	d := start(t, "--compat", "rebar")
	const patch = "Content-Type: application/json-patch+json"
	gobar := func(request string, body ...string) map[string]any {
		t.Helper()
		more := append([]string{}, body...)
		if len(more) == 0 {
			more = append(more, "")
		}
		return d.good(request, append(more, "User-Agent: gobar/v1.0", "Accept: application/json")...).obj()
	}
	dep := gobar("POST deployments", `{"id":0,"uuid":"","name":"walk","description":"","state":0,"system":false,"parent_id":null,"tenant_id":null}`)
	for _, name := range []string{"w1.walk.org", "w2.walk.org"} {
		n := gobar("POST nodes", `{"name":"`+name+`","alive":true,"available":true}`)
		gobar("PATCH nodes/"+name, fmt.Sprintf(`[{"op":"test","path":"/deployment_id","value":%d},{"op":"replace","path":"/deployment_id","value":%d}]`, num(n, "deployment_id"), num(dep, "id")), patch)
		role := gobar("GET roles/test-flaky")
		whole := gobar("GET node_roles/sample")
		whole["id"], whole["uuid"], whole["node_id"], whole["role_id"], whole["created_at"] = 0, "", n["id"], role["id"], nil
		b, err := json.Marshal(whole)
		if err != nil {
			t.Fatal(err)
		}
		nr := gobar("POST node_roles", string(b))
		d.is(nr, map[string]any{"deployment_id": dep["id"], "_role_name": "test-flaky", "state": 4})
	}
	a := gobar("GET deployments/walk/attribs/test-flaky-fails")
	if text, _ := a["uuid"].(string); !aUUID.MatchString(text) {
		t.Errorf("uuid of an attrib with its value: %v", a)
	}
	set := func(to bool) {
		t.Helper()
		now := gobar("GET deployments/walk/attribs/test-flaky-fails")["value"]
		gobar("PATCH deployments/walk/attribs/test-flaky-fails?bucket=user", fmt.Sprintf(`[{"op":"test","path":"/value","value":%v},{"op":"replace","path":"/value","value":%t}]`, now, to), patch)
	}
	set(true)
	gobar("PUT deployments/walk/commit")
	nr := d.reach("w1.walk.org", "test-flaky", -1)
	d.reach("w2.walk.org", "test-flaky", -1)
	set(false)
	gobar("PUT deployments/walk/commit")
	for _, n := range []string{"w1.walk.org", "w2.walk.org"} {
		text, _ := d.nodeRole(n, "test-flaky")["uuid"].(string)
		gobar("PUT node_roles/" + text + "/retry")
		d.reach(n, "test-flaky", 0)
	}
	text, _ := nr["uuid"].(string)
	d.is(gobar("GET node_roles/"+text), map[string]any{"state": 0, "run_count": 1})
	if code := d.converge("walk"); code != 0 {
		t.Errorf("converge ends with %d", code)
	}
	gobar("PUT deployments/walk/redeploy")
	d.settle()
	if a := d.ask("HEAD nodes/w1.walk.org"); a.code != 200 {
		t.Errorf("exists: %s", a)
	}
	for _, path := range []string{"nodes/w1.walk.org", "nodes/w2.walk.org", "deployments/walk"} {
		await(t, path+" to go", func() error {
			if a := d.ask("DELETE " + path); a.code != 200 && a.code != 404 {
				return fmt.Errorf("%s", a)
			}
			return nil
		})
		d.gone(path)
	}
}

// TestBadInputOfRebars: the same kinds of bad input get the same answers in this mode.
func TestBadInputOfRebars(t *testing.T) {
	t.Parallel()
	d := start(t, "--compat", "rebar")
	d.good("POST nodes", `{"name":"n.bad.org","alive":true,"description":"as it was"}`)
	before := d.good("GET nodes").body
	tried := 0
	for kind, tries := range badInput(d) {
		for i, b := range tries {
			if strings.HasPrefix(b.line, "OPTIONS") { // which is answered here
				continue
			}
			tried++
			b.hold(t, fmt.Sprintf("%s %d", kind, i), d.raw(d.text(b), true))
		}
	}
	if after := d.good("GET nodes").body; after != before {
		t.Errorf("nodes were\n%s\nand are\n%s", before, after)
	}
	t.Logf("%d tries", tried)
}
