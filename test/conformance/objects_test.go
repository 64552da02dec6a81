//go:build linux

package conformance

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

func objectFacts() []fact {
	return append([]fact{
		{15, "the admin node", fact15},
		{16, "a new node", func(d *daemon) {
			n := d.good("POST nodes", `{"name":"a16.example.org","alive":"true","bootenv":"local"}`).obj()
			d.t.Cleanup(func() { d.ask("DELETE nodes/a16.example.org?force=true") })
			system := d.good("GET deployments/system").obj()
			d.keys(n, nodeKeys)
			d.is(n, map[string]any{"alive": true, "available": false, "bootenv": "local", "deployment_id": system["id"]})
		}},
		{17, "names of nodes", fact17},
		{18, "a node without a name", func(d *daemon) { d.want(500, "name", "POST nodes", `{"description":"x"}`) }},
		{19, "a node moves to a deployment by name", func(d *daemon) {
			n := d.node("a19")
			d.deployment("f19")
			to := d.good("GET deployments/f19").obj()
			d.is(d.good("PUT nodes/"+n, `{"deployment":"f19"}`).obj(), map[string]any{"deployment_id": to["id"]})
			d.is(d.good("GET nodes/"+n).obj(), map[string]any{"deployment_id": to["id"]})
			d.good("PUT nodes/"+n, `{"deployment":"system"}`)
		}},
		{20, "available can be taken away", func(d *daemon) {
			n := d.ready("a20")
			d.is(d.good("GET nodes/"+n).obj(), map[string]any{"available": true})
			d.is(d.good("PUT nodes/"+n, `{"available":"false"}`).obj(), map[string]any{"available": false})
		}},
		{21, "a node is deleted", fact21},
		{22, "the only admin node stays", func(d *daemon) {
			n := d.node("a22", `"admin":true`)
			d.want(409, "last admin node", "DELETE nodes/"+n)
			d.good("GET nodes/" + n)
		}},
		{23, "the system deployment", func(d *daemon) {
			m := d.good("GET deployments/system").obj()
			d.keys(m, deploymentKeys)
			d.is(m, map[string]any{"system": true, "parent_id": nil, "name": "system"})
		}},
		{24, "a new deployment and its phantom", func(d *daemon) {
			d.deployment("f24")
			m, system := d.good("GET deployments/f24").obj(), d.good("GET deployments/system").obj()
			d.keys(m, deploymentKeys)
			d.is(m, map[string]any{"parent_id": system["id"], "state": 0, "system": false})
			d.is(d.good("GET nodes/f24-phantom.internal.local").obj(), map[string]any{"system": true, "alive": true, "deployment_id": m["id"]})
		}},
		{25, "deployments that stay", func(d *daemon) {
			d.deployment("f25")
			d.deployment("f25-child", `"parent":"f25"`)
			for _, name := range []string{"system", "f25"} {
				d.want(409, "", "DELETE deployments/"+name)
				d.good("GET deployments/" + name)
			}
		}},
		{26, "the system deployment is not proposed", func(d *daemon) {
			a := d.want(500, "", "PUT deployments/system/propose")
			if !strings.Contains(strings.Join(strings.Fields(a.message()), " "), "Cannot propose a system deployment") {
				d.t.Errorf("%s", a)
			}
		}},
		{27, "barclamps are there and stay", func(d *daemon) {
			have := names(d.good("GET barclamps").list(), "name")
			for _, name := range []string{"crowbar", "network", "provisioner"} {
				if !slices.Contains(have, name) {
					d.t.Errorf("no %s in %v", name, have)
				}
			}
			d.want(405, "DELETE", "DELETE barclamps/crowbar")
			d.good("GET barclamps/crowbar")
		}},
		{28, "a barclamp without source_path", func(d *daemon) {
			d.want(500, "Barclamp metadata malformed!", "POST barclamps", `{"value":{"barclamp":{"name":"x"}}}`)
		}},
		{29, "a barclamp with wrong jigs", func(d *daemon) {
			d.want(404, "nosuchjig", "POST barclamps", `{"value":{"barclamp":{"name":"x29","source_path":"/x"},"roles":[{"name":"x29-role","jig":"nosuchjig"}]}}`)
			d.want(500, "Jigs must have a name", "POST barclamps", `{"value":{"barclamp":{"name":"x29","source_path":"/x"},"jigs":[{"class":"x"}]}}`)
			d.want(404, "", "GET barclamps/x29")
		}},
		{30, "a barclamp is imported again", fact30},
		{31, "roles and their cohorts", func(d *daemon) {
			d.keys(d.good("GET roles/test-admin").obj(), roleKeys)
			for name, cohort := range map[string]int{"test-admin": 0, "test-server": 1, "test-library": 1, "test-client": 2, "test-client-client": 3} {
				if m := d.good("GET roles/" + name).obj(); num(m, "cohort") != cohort {
					d.t.Errorf("%s is in cohort %v, want %d", name, m["cohort"], cohort)
				}
			}
		}},
		{32, "roles are not posted", func(d *daemon) { d.want(405, "POST", "POST roles", `{"name":"x32"}`) }},
		{33, "attribs", func(d *daemon) {
			l := d.good("GET attribs").list()
			found := false
			for _, o := range l {
				m := o.(map[string]any)
				d.keys(m, attribKeys)
				found = found || m["name"] == "test-random" && m["map"] == "test/random"
			}
			if !found || len(l) < 5 {
				d.t.Errorf("there is no test-random among %d attribs", len(l))
			}
		}},
		{34, "an attrib that was posted", fact34},
		{35, "attribs without an object, and buckets", func(d *daemon) {
			n := d.node("a35")
			d.want(405, "", "PUT attribs/test-count", `{"value":1}`)
			d.want(405, "", "PUT nodes/"+n+"/attribs/test-count?bucket=wall", `{"value":1}`)
			d.is(d.good("PUT nodes/"+n+"/attribs/test-count?bucket=user", `{"value":2}`).obj(), map[string]any{"value": 2})
		}},
		{36, "a value against its schema", func(d *daemon) {
			n := d.node("a36")
			d.want(500, "failed schema validation", "PUT nodes/"+n+"/attribs/test-count", `{"value":"abc"}`)
			d.is(d.good("GET nodes/"+n+"/attribs/test-count").obj(), map[string]any{"value": 1})
		}},
		{37, "an attrib's default", func(d *daemon) {
			n := d.node("a37")
			m := d.good("GET nodes/" + n + "/attribs/test-count").obj()
			d.keys(m, attribKeys+" value")
			d.is(m, map[string]any{"value": 1, "name": "test-count"})
		}},
		{38, "groups", fact38},
		{39, "a node's ssh hammer", func(d *daemon) {
			n := d.node("a39", `"address":"10.39.0.1"`)
			l := d.good("GET nodes/" + n + "/hammers").list()
			if len(l) != 1 {
				d.t.Fatalf("hammers are %v", l)
			}
			m := l[0].(map[string]any)
			if _, shown := m["authenticator"]; shown || len(m) != 8 {
				d.t.Errorf("%d keys: %v", len(m), m)
			}
			d.is(m, map[string]any{"name": "ssh", "username": "root"})
		}},
		{40, "power", func(d *daemon) {
			n := d.node("a40", `"address":"127.0.0.1"`, `"jig_name":"noop"`)
			if l := d.good("GET nodes/" + n + "/power").list(); !slices.Contains(l, any("reboot")) {
				d.t.Errorf("power actions are %v", l)
			}
			d.want(501, "not available", "PUT nodes/"+n+"/power?poweraction=get_funky")
			m := d.good("PUT nodes/" + n + "/power?poweraction=reboot").obj()
			d.is(m, map[string]any{"action": "reboot", "id": d.good("GET nodes/" + n).obj()["id"]})
			if _, ok := m["result"]; !ok {
				d.t.Errorf("%v", m)
			}
		}},
	}, networkFacts()...)
}

func fact15(d *daemon) {
	n := d.node("admin15", `"admin":true`)
	d.good("PUT nodes/" + n + "/commit")
	m := d.good("GET nodes/" + n).obj()
	d.keys(m, nodeKeys)
	d.is(m, map[string]any{"deployment_id": d.good("GET deployments/system").obj()["id"], "admin": true, "alive": true, "available": true})
	d.is(d.good("GET nodes/admin").obj(), map[string]any{"name": n})
	d.settle()
}

func fact17(d *daemon) {
	for _, name := range []string{"short", "two.labels", "-.-", "sp ace.example.org", strings.Repeat("x", 64) + ".example.org"} {
		d.want(409, "Validation failed", "POST nodes", fmt.Sprintf(`{"name":%q}`, name))
	}
	m := d.good("POST nodes", `{"name":"A17.Example.ORG"}`).obj()
	d.t.Cleanup(func() { d.ask("DELETE nodes/a17.example.org?force=true") })
	d.is(m, map[string]any{"name": "a17.example.org"})
	for _, name := range []string{"a17.example.org", "A17.EXAMPLE.org"} {
		d.want(409, "a17.example.org", "POST nodes", fmt.Sprintf(`{"name":%q}`, name))
	}
}

func fact21(d *daemon) {
	fresh, worked := d.node("a21"), d.ready("b21")
	d.deployment("f21")
	d.bind("test-event", worked, "f21")
	d.good("PUT deployments/f21/commit")
	d.reach(worked, "test-event", 0)
	for _, n := range []string{fresh, worked} {
		if a := d.good("DELETE nodes/" + n); a.message() == "" {
			d.t.Errorf("%s", a)
		}
		d.gone("nodes/" + n)
		d.want(404, "", "GET runs/"+n)
	}
}

// barclamp30 is a document whose attrib has a default and a description.
func barclamp30(value, text string) string {
	return fmt.Sprintf(`{"value":{"barclamp":{"name":"again30","source_path":"/again30"},"roles":[{"name":"again30-role","jig":"noop",`+
		`"attribs":[{"name":"again30-attrib","description":%q,"map":"again30/attrib","default":%q,"schema":{"type":"str"}}]}]}}`, text, value)
}

func fact30(d *daemon) {
	first := d.good("POST barclamps", barclamp30("one", "first")).obj()
	role, attrib := d.good("GET roles/again30-role").obj(), d.good("GET attribs/again30-attrib").obj()
	d.is(attrib, map[string]any{"description": "first"})
	again := d.good("POST barclamps", barclamp30("two", "second")).obj()
	if first["id"] != again["id"] || again["name"] != "again30" {
		d.t.Errorf("it was %v and is %v", first, again)
	}
	d.is(d.good("GET roles/again30-role").obj(), map[string]any{"id": role["id"]})
	now := d.good("GET attribs/again30-attrib").obj()
	d.is(now, map[string]any{"id": attrib["id"], "description": "second"})
	d.is(now["default"].(map[string]any), map[string]any{"value": "two"})
}

func fact34(d *daemon) {
	n := d.node("a34")
	d.keys(d.good("POST attribs", `{"name":"bdd_data_there","map":"bdd/easyway","barclamp":"test","writable":true}`).obj(), attribKeys)
	d.good("POST attribs", `{"name":"bdd_data_fixed","map":"bdd/hardway","barclamp":"test"}`)
	d.t.Cleanup(func() {
		for _, name := range []string{"bdd_data_there", "bdd_data_fixed"} {
			d.good("DELETE attribs/" + name)
			d.gone("attribs/" + name)
		}
	})
	d.is(d.good("PUT nodes/"+n+"/attribs/bdd_data_there", `{"value":"456"}`).obj(), map[string]any{"value": "456"})
	d.is(d.good("GET nodes/"+n+"/attribs/bdd_data_there").obj(), map[string]any{"value": "456"})
	d.want(500, "Attrib bdd_data_fixed is read-only", "PUT nodes/"+n+"/attribs/bdd_data_fixed", `{"value":"456"}`)
}

func fact38(d *daemon) {
	made := func(name, category string) map[string]any {
		m := d.good("POST groups", fmt.Sprintf(`{"name":%q,"category":%q}`, name, category)).obj()
		d.t.Cleanup(func() { d.good("DELETE groups/" + id(m)) })
		return m
	}
	made("bddthings", "ui")
	d.keys(d.good("GET groups/bddthings").obj(), groupKeys)
	for _, category := range []string{"ui", "rack", "tag", "class"} {
		d.is(made("g38"+category, category), map[string]any{"category": category})
	}
	d.want(409, "category", "POST groups", `{"name":"g38","category":"sometimes"}`)
	n := d.node("a38")
	d.good("POST groups/g38rack/nodes/" + n)
	if l := names(d.good("GET groups/g38rack/nodes").list(), "name"); !slices.Equal(l, []string{n}) {
		d.t.Errorf("nodes of the group are %v", l)
	}
	d.good("DELETE groups/g38rack/nodes/" + n)
	if l := d.good("GET groups/g38rack/nodes").list(); len(l) != 0 {
		d.t.Errorf("nodes of the group are %v", l)
	}
}

func networkFacts() []fact {
	return []fact{
		{41, "IPv6 prefixes of networks", func(d *daemon) {
			d.deployment("f41")
			for name, c := range map[string]struct{ said, want string }{
				"v6a": {`,"v6prefix":"auto"`, `^([a-f0-9]{1,4}:){3}[a-f0-9]{1,4}$`}, "v6b": {`,"v6prefix":"f00d:beef:cafe:dead"`, "^f00d:beef:cafe:dead$"}, "v6c": {"", "^<nil>$"},
			} {
				m := d.network(name, `"deployment":"f41"`+c.said)
				d.keys(m, networkKeys)
				if got := fmt.Sprint(m["v6prefix"]); !regexp.MustCompile(c.want).MatchString(got) {
					d.t.Errorf("%s: v6prefix is %s, want %s", name, got, c.want)
				}
			}
		}},
		{42, "a network's ranges, role and attribs", fact42},
		{43, "a network's router", fact43},
		{44, "network admin stays", func(d *daemon) {
			d.good("POST networks", `{"name":"admin","conduit":"1g0"}`)
			d.want(405, "stays", "DELETE networks/admin")
			d.good("GET networks/admin")
		}},
		{45, "users", fact45},
	}
}

// network makes a network, which goes at the end.
func (d *daemon) network(name, more string) map[string]any {
	d.t.Helper()
	m := d.good("POST networks", fmt.Sprintf(`{"name":%q,"conduit":"1g0",%s}`, name, more)).obj()
	d.t.Cleanup(func() {
		if a := d.ask("DELETE networks/" + name); a.code != http.StatusOK {
			d.t.Errorf("delete network %s: %s", name, a)
		}
	})
	return m
}

func fact42(d *daemon) {
	d.network("foo2", `"deployment":"system","ranges":[{"name":"bar2","first":"10.10.13.100/24","last":"10.10.13.200/24"}]`)
	m := d.good("GET networks/foo2/network_ranges/bar2").obj()
	d.keys(m, rangeKeys)
	d.is(m, map[string]any{"name": "bar2", "first": "10.10.13.100/24", "last": "10.10.13.200/24"})
	role := d.good("GET roles/network-foo2").obj()
	d.is(role, map[string]any{"implicit": true, "milestone": true})
	l := slices.DeleteFunc(d.good("GET roles/network-foo2/attribs").list(), func(o any) bool { return o.(map[string]any)["role_id"] != role["id"] })
	want := []string{}
	for _, what := range []string{"addresses", "conduit", "resolved_conduit", "targets", "team_mode", "use_bridge", "use_team", "use_vlan", "vlan"} {
		want = append(want, "network-foo2_"+what)
	}
	if got := names(l, "name"); !slices.Equal(got, want) {
		d.t.Errorf("attribs are %v, want %v", got, want)
	}
}

func fact43(d *daemon) {
	d.network("router1", `"deployment":"system"`)
	d.network("router2", `"deployment":"system"`)
	m := d.good("POST network_routers", `{"address":"10.10.15.1/24","network":"router1"}`).obj()
	d.keys(m, routerKeys)
	d.is(m, map[string]any{"pref": 65536, "address": "10.10.15.1/24"})
	d.want(409, "already", "POST network_routers", `{"address":"10.10.15.2/24","network":"router1"}`)
	d.is(d.good("POST network_routers", `{"address":"10.10.17.1","network":"router2"}`).obj(), map[string]any{"address": "10.10.17.1"})
	d.is(d.good("PUT networks/router2/network_routers/any", `{"pref":100}`).obj(), map[string]any{"pref": 100})
	mine := d.good("GET networks/router2").obj()["id"]
	d.is(d.good("PUT networks/router2/network_routers/any", `{"network_id":1}`).obj(), map[string]any{"network_id": mine})
	d.good("DELETE networks/router2/network_routers/any")
	if l := d.good("GET networks/router2/network_routers").list(); l == nil || len(l) != 0 {
		d.t.Errorf("routers are %v", l)
	}
}

func fact45(d *daemon) {
	password := d.developer("user45")
	m := d.good("GET users/user45").obj()
	d.keys(m, userKeys)
	d.is(m, map[string]any{"is_admin": false, "is_locked": false, "email": "user45@example.org"})
	for _, c := range []struct{ request, key, value string }{
		{"POST users/user45/admin", "is_admin", "true"}, {"DELETE users/user45/admin", "is_admin", "false"},
		{"POST users/user45/lock", "is_locked", "true"}, {"DELETE users/user45/lock", "is_locked", "false"},
	} {
		d.is(d.good(c.request).obj(), map[string]any{c.key: c.value})
		d.is(d.good("GET users/user45").obj(), map[string]any{c.key: c.value})
	}
	signs := func(pass string, code int) {
		d.t.Helper()
		if a := d.send("GET /api/v2/users/user45", "", map[string]string{"Authorization": d.signed("user45", pass, "GET", "/api/v2/users/user45")}); a.code != code {
			d.t.Errorf("user45 signs: %s, want %d", a, code)
		}
	}
	signs(password, 200)
	d.good("PUT users/user45/reset_password", `{"password":"another of 45","password_confirmation":"another of 45"}`)
	signs("another of 45", 200)
	signs(password, 401)
	d.is(d.good("PUT users/user45", `{"email":"new45@example.org"}`).obj(), map[string]any{"email": "new45@example.org"})
}
