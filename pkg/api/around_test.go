package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// aroundRoutes is every way in to what is around nodes, in an order in which all of them go well on a converged world.
func (w *world) aroundRoutes() []route {
	var out []route
	add := func(method, pattern, path, body, form string) {
		out = append(out, route{method + " /api/v2/" + pattern, method + " /api/v2/" + path, body, form})
	}
	std := func(kind, key, create, patch string) {
		one := strings.TrimSuffix(kind, "s")
		if create != "" {
			add("POST", kind, kind, create, one+".obj")
		}
		add("GET", kind, kind, "", one+".list")
		add("GET", kind+"/sample", kind+"/sample", "", one+".obj")
		add("POST", kind+"/match", kind+"/match", `{"id":7}`, one+".list")
		add("GET", kind+"/{id}", kind+"/"+key, "", one+".obj")
		if patch != "" {
			add("PUT", kind+"/{id}", kind+"/"+key, "{}", one+".obj")
			add("PATCH", kind+"/{id}", kind+"/"+key, patch, one+".obj")
		}
	}
	std("groups", "r1", `{"name":"r1","category":"rack"}`, `[{"op":"replace","path":"/description","value":"first rack"}]`)
	add("POST", "groups/{id}/nodes", "groups/r1/nodes", `{"node":"n1"}`, "text/plain; charset=utf-8")
	add("POST", "groups/{id}/nodes/{node}", "groups/r1/nodes/n2", "", "text/plain; charset=utf-8")
	add("GET", "groups/{id}/nodes", "groups/r1/nodes", "", "node.list")
	add("GET", "nodes/{id}/groups", "nodes/n1/groups", "", "group.list")
	add("DELETE", "groups/{id}/nodes/{node}", "groups/r1/nodes/n1", "", "text/plain; charset=utf-8")
	add("DELETE", "groups/{id}", "groups/r1", "", "group.empty")

	std("networks", "data", `{"name":"data","conduit":"1g1","deployment":"k8s"}`, `[{"op":"replace","path":"/vlan","value":7}]`)
	std("network_ranges", "data%2Fhost", `{"network":"data","name":"host","first":"10.1.0.10/24","last":"10.1.0.99/24"}`, `[{"op":"replace","path":"/last","value":"10.1.0.199/24"}]`)
	std("network_routers", "10.1.0.1", `{"network":"data","address":"10.1.0.1/24"}`, `[{"op":"replace","path":"/pref","value":10}]`)
	std("network_allocations", "10.1.0.10", `{"network":"data","node":"n1"}`, "")
	add("POST", "networks/{id}/ip", "networks/data/ip", `{"node":"n2"}`, "application/json; charset=utf-8")
	add("POST", "networks/{id}/allocate_ip", "networks/data/allocate_ip", `{"node_id":"n3","range":"host","suggestion":"10.1.0.50"}`, "application/json; charset=utf-8")
	add("GET", "networks/{id}/ip", "networks/data/ip?node=n1", "", "allocations.array")
	add("GET", "networks/{id}/allocations", "networks/data/allocations?node=n1", "", "allocations.array")
	add("GET", "networks/{id}/auto_ranges/{node}", "networks/data/auto_ranges/n1", "", "network_range.list")
	add("GET", "networks/{id}/network_allocations", "networks/data/network_allocations", "", "network_allocation.list")
	add("GET", "network_ranges/{id}/network_allocations", "network_ranges/data%2Fhost/network_allocations", "", "network_allocation.list")
	add("POST", "nodes", "nodes", `{"name":"n6.example.org","ip":"10.1.0.60/24","mac":"00:11:22:33:44:55","address":"10.0.0.6","deployment":"k8s"}`, "node.obj")
	add("PUT", "nodes/{id}/node_roles/{role}", "nodes/n6/node_roles/network-data", `{"data":{}}`, "node_role.obj")
	add("GET", "deployments/{id}/graph", "deployments/k8s/graph", "", "deployment.array")
	add("GET", "nodes/{id}/addresses", "nodes/n1/addresses", "", "addresses.array")
	add("GET", "deployments/{id}/networks", "deployments/k8s/networks", "", "network.list")
	for _, k := range []string{"networks", "network_ranges", "network_allocations", "hammers"} {
		add("GET", "nodes/{id}/"+k, "nodes/n1/"+k, "", strings.TrimSuffix(k, "s")+".list")
	}
	for kind, x := range map[string]struct{ key, create string }{"network_ranges": {"dhcp", `{"name":"dhcp","first":"10.1.0.200/24","last":"10.1.0.220/24"}`}, "network_routers": {"any", `{"address":"10.1.0.2/24"}`}} {
		one := strings.TrimSuffix(kind, "s")
		if kind == "network_routers" {
			add("DELETE", kind+"/{id}", kind+"/10.1.0.1", "", one+".empty")
		}
		add("POST", "networks/{id}/"+kind, "networks/data/"+kind, x.create, one+".obj")
		add("GET", "networks/{id}/"+kind, "networks/data/"+kind, "", one+".list")
		add("GET", "networks/{id}/"+kind+"/{part}", "networks/data/"+kind+"/"+x.key, "", one+".obj")
		add("PUT", "networks/{id}/"+kind+"/{part}", "networks/data/"+kind+"/"+x.key, "{}", one+".obj")
		add("PATCH", "networks/{id}/"+kind+"/{part}", "networks/data/"+kind+"/"+x.key, "[]", one+".obj")
		add("DELETE", "networks/{id}/"+kind+"/{part}", "networks/data/"+kind+"/"+x.key, "", one+".empty")
	}

	std("dns_name_filters", "all", `{"name":"all","matcher":"net.name == \"data\"","priority":10,"service":"system","template":"{{node.name}}.example.org"}`, `[{"op":"replace","path":"/priority","value":20}]`)
	add("GET", "dns_name_entries", "dns_name_entries", "", "dns_name_entry.list")
	add("GET", "dns_name_entries/sample", "dns_name_entries/sample", "", "dns_name_entry.obj")
	add("POST", "dns_name_entries/match", "dns_name_entries/match", `{"rr_type":"A"}`, "dns_name_entry.list")
	add("GET", "dns_name_entries/{id}", "dns_name_entries/n1.example.org", "", "dns_name_entry.obj")
	add("DELETE", "dns_name_filters/{id}", "dns_name_filters/all", "", "dns_name_filter.empty")
	add("DELETE", "nodes/{id}", "nodes/n6", "", "node.empty")
	for _, ip := range []string{"10.1.0.10", "10.1.0.11", "10.1.0.50"} {
		add("DELETE", "network_allocations/{id}", "network_allocations/"+ip, "", "network_allocation.empty")
	}
	add("DELETE", "network_ranges/{id}", "network_ranges/data%2Fhost", "", "network_range.empty")
	add("DELETE", "networks/{id}", "networks/data", "", "network.empty")

	std("available_hammers", "ipmi", `{"name":"ipmi","klass":"IpmiHammer","priority":5}`, `[{"op":"replace","path":"/priority","value":6}]`)
	std("hammers", "n1%2Fipmi", `{"node":"n1","available_hammer":"ipmi","username":"root","authenticator":"calvin"}`, `[{"op":"replace","path":"/username","value":"ops"}]`)
	add("DELETE", "hammers/{id}", "hammers/n1%2Fipmi", "", "hammer.empty")
	add("DELETE", "available_hammers/{id}", "available_hammers/ipmi", "", "available_hammer.empty")

	std("event_sinks", "example.org%2Fhook", `{"endpoint":"https://example.org/hook","secret":"correct horse battery"}`, `[{"op":"replace","path":"/notes","value":"ours"}]`)
	add("GET", "event_sinks/{id}/event_selectors", "event_sinks/"+w.sink+"/event_selectors", "", "event_selector.list")
	std("event_selectors", w.selector, `{"event_sink":"https://example.org/hook","selector":{"event":"on_active"}}`, `[{"op":"replace","path":"/selector","value":{"event":"*"}}]`)
	add("DELETE", "event_selectors/{id}", "event_selectors/"+w.selector, "", "event_selector.empty")
	add("DELETE", "event_sinks/{id}", "event_sinks/example.org%2Fhook", "", "event_sink.empty")

	std("users", "ann", `{"username":"ann","email":"ann@example.org","password":"correct horse","password_confirmation":"correct horse"}`, `[{"op":"replace","path":"/email","value":"a@example.org"}]`)
	add("PUT", "users/{id}/reset_password", "users/ann/reset_password", `{"password":"battery staple","password_confirmation":"battery staple"}`, "user.obj")
	for _, verb := range []string{"POST", "DELETE"} {
		add(verb, "users/{id}/admin", "users/ann/admin", "", "user.obj")
		add(verb, "users/{id}/lock", "users/ann/lock", "", "user.obj")
	}
	add("GET", "users/{id}/capabilities", "users/ann/capabilities", "", "json.array")
	add("DELETE", "users/{id}", "users/ann", "", "user.empty")

	add("POST", "tokens", "tokens", `{"name":"robot","right":"operator","deployments":["k8s"],"expires":"24h"}`, "token.obj")
	add("GET", "tokens", "tokens", "", "token.list")
	add("GET", "tokens/sample", "tokens/sample", "", "token.obj")
	add("POST", "tokens/match", "tokens/match", `{"right":"operator"}`, "token.list")
	add("GET", "tokens/{id}", "tokens/robot", "", "token.obj")
	add("DELETE", "tokens/{id}", "tokens/robot", "", "token.empty")
	return out
}

// json reads an answer that must be 200.
func (w *world) json(request, body string, into any) {
	w.t.Helper()
	a := w.admin(request, body)
	if a.code != http.StatusOK {
		w.t.Fatalf("%s: %d %s", request, a.code, a.text)
	}
	if err := json.Unmarshal([]byte(a.text), into); err != nil {
		w.t.Fatalf("%s: %v in %s", request, err, a.text)
	}
}

func keysOf(m map[string]any) string { return strings.Join(slices.Sorted(maps.Keys(m)), " ") }

// TestKeysAroundNodes holds objects to the keys that OpenCrowbar's have.
func TestKeysAroundNodes(t *testing.T) {
	w := converged(t)
	w.crowbar = true
	w.json("POST /api/v2/groups", `{"name":"bddthings"}`, &map[string]any{})
	w.json("POST /api/v2/networks", `{"name":"foo2","conduit":"1g0","deployment":"system","ranges":[{"name":"host","first":"10.10.13.100/24","last":"10.10.13.200/24"}],"router":{"address":"10.10.13.1/24","pref":10}}`, &map[string]any{})
	w.json("POST /api/v2/network_allocations", `{"node":"n1","network":"foo2"}`, &map[string]any{})
	w.json("POST /api/v2/dns_name_filters", `{"name":"f","matcher":"net.name == \"foo2\"","priority":5,"service":"system","template":"{{node.name}}.example.org"}`, &map[string]any{})
	w.json("POST /api/v2/users", `{"username":"ann","email":"ann@example.org","password":"correct horse","digest":true}`, &map[string]any{})
	for path, want := range map[string]string{
		"groups/bddthings":                  "category created_at description id name order updated_at",
		"networks/foo2":                     "category conduit configure created_at deployment_id description group id name order pbr team_mode updated_at use_bridge use_team use_vlan v6prefix vlan",
		"networks/foo2/network_ranges/host": "conduit created_at first id last name network_id overlap team_mode updated_at use_bridge use_team use_vlan vlan",
		"networks/foo2/network_routers/any": "address created_at id network_id pref updated_at",
		"network_allocations/10.10.13.100":  "address created_at id network_id network_range_id node_id updated_at",
		"dns_name_filters/f":                "created_at id matcher name priority service template updated_at",
		"dns_name_entries/n1.example.org":   "created_at dns_name_filter_id id name network_allocation_id rr_type updated_at",
		"available_hammers/ssh":             "created_at id klass name priority updated_at",
		"hammers/n1%2Fssh":                  "actions available_hammer_id endpoint id name node_id priority username",
		"users/ann":                         "created_at email id is_admin is_locked updated_at username",
	} {
		var byName, byID map[string]any
		w.json("GET /api/v2/"+path, "", &byName)
		if got := keysOf(byName); got != want {
			t.Errorf("%s: keys %s, want %s", path, got, want)
		}
		kind, _, _ := strings.Cut(path, "/")
		if i := strings.LastIndex(path, "/network_"); i > 0 {
			kind, _, _ = strings.Cut(path[i+1:], "/")
		}
		w.json("GET /api/v2/"+kind+"/"+jsonID(byName), "", &byID)
		if jsonID(byName) != jsonID(byID) {
			t.Errorf("%s by id is another one", path)
		}
		if a := w.admin("HEAD /api/v2/"+path, ""); a.code != 200 || a.text != "" {
			t.Errorf("HEAD %s: %d", path, a.code)
		}
		if a := w.admin("GET /api/v2/"+kind+"/thisdoesnotexist", ""); a.code != 404 || !strings.HasPrefix(a.message(), "Could not find ") || !strings.HasSuffix(a.message(), " with id thisdoesnotexist.") {
			t.Errorf("%s: %d %s", kind, a.code, a.text)
		}
	}
}

func jsonID(o map[string]any) string {
	b, _ := json.Marshal(o["id"])
	return string(b)
}

// TestNetworksOnTheWire is what OpenCrowbar's tests say of networks.
func TestNetworksOnTheWire(t *testing.T) {
	w := converged(t)
	w.crowbar = true
	var n map[string]any
	w.json("POST /api/v2/networks", `{"name":"v6a","conduit":"1g0","deployment":"system","v6prefix":"auto"}`, &n)
	if p, _ := n["v6prefix"].(string); !regexp.MustCompile(`^([a-f0-9]{1,4}:){3}[a-f0-9]{1,4}$`).MatchString(p) {
		t.Errorf("auto: %v", n["v6prefix"])
	}
	w.json("POST /api/v2/networks", `{"name":"v6b","conduit":"1g0","v6prefix":"f00d:beef:cafe:dead"}`, &n)
	if n["v6prefix"] != "f00d:beef:cafe:dead" {
		t.Errorf("given: %v", n["v6prefix"])
	}
	w.json("POST /api/v2/networks", `{"name":"v6c","conduit":"1g0","vlan":"12"}`, &n)
	if n["v6prefix"] != nil || n["use_vlan"] != true || n["vlan"] != 12.0 || n["order"] != 1000.0 || n["team_mode"] != 5.0 || n["configure"] != true || n["category"] != "general" {
		t.Errorf("defaults: %v", n)
	}
	if a := w.admin("POST /api/v2/networks", `{"name":"v6d"}`); a.code != 500 || !strings.Contains(a.message(), "conduit") {
		t.Errorf("no conduit: %d %s", a.code, a.text)
	}
	if a := w.admin("POST /api/v2/networks", `{"name":"v6c","conduit":"1g0"}`); a.code != 409 {
		t.Errorf("twice: %d %s", a.code, a.text)
	}
	// Its role comes with it, and its attribs.
	var role map[string]any
	w.json("GET /api/v2/roles/network-v6c", "", &role)
	if role["implicit"] != true || role["milestone"] != true {
		t.Errorf("role: %v", role)
	}
	var attribs []map[string]any
	w.json("POST /api/v2/attribs/match", `{"role_id":`+jsonID(role)+`}`, &attribs)
	if len(attribs) != 9 {
		t.Errorf("%d attribs", len(attribs))
	}
	// A router: one a network, which it does not leave.
	w.json("POST /api/v2/network_routers", `{"address":"10.10.15.1/24","network":"v6a"}`, &n)
	if n["pref"] != 65536.0 {
		t.Errorf("pref: %v", n)
	}
	if a := w.admin("POST /api/v2/network_routers", `{"address":"10.10.15.2/24","network":"v6a"}`); a.code != 409 {
		t.Errorf("a second router: %d %s", a.code, a.text)
	}
	was := n["network_id"]
	w.json("PUT /api/v2/networks/v6a/network_routers/any", `{"pref":100,"network_id":1}`, &n)
	if n["pref"] != 100.0 || n["network_id"] != was {
		t.Errorf("changed: %v", n)
	}
	w.json("POST /api/v2/network_routers", `{"address":"10.10.17.1","network":"v6b"}`, &n)
	w.json("DELETE /api/v2/networks/v6a/network_routers/whatever", "", &n)
	var none []any
	w.json("GET /api/v2/networks/v6a/network_routers", "", &none)
	if len(none) != 0 {
		t.Errorf("routers: %v", none)
	}
	// A range says what its network says, until it says otherwise, and again when that is cleared.
	w.json("POST /api/v2/networks/v6a/network_ranges", `{"name":"host","first":"10.10.15.10/24","last":"10.10.15.20/24","vlan":3}`, &n)
	w.json("PATCH /api/v2/networks/v6a/network_ranges/host", `[{"op":"replace","path":"/vlan","value":null}]`, &n)
	if n["vlan"] != nil || n["conduit"] != nil {
		t.Errorf("cleared: %v", n)
	}
	if a := w.admin("POST /api/v2/networks/v6a/network_ranges", `{"name":"more","first":"10.10.15.15/24","last":"10.10.15.30/24"}`); a.code != 409 {
		t.Errorf("an overlap: %d %s", a.code, a.text)
	}
	// A network is found by an address in it.
	var all []map[string]any
	w.json("GET /api/v2/networks/10.10.15.12", "", &n)
	if n["name"] != "v6a" {
		t.Errorf("by address: %v", n)
	}
	w.json("GET /api/v2/networks?address=10.10.15.12", "", &n)
	if n["name"] != "v6a" {
		t.Errorf("by ?address: %v", n)
	}
	w.json("GET /api/v2/networks?category=none", "", &all)
	if len(all) != 0 {
		t.Errorf("by ?category: %v", all)
	}
	// Nobody deletes or moves the network over which nodes are managed.
	w.json("POST /api/v2/networks", `{"name":"admin","conduit":"1g5","category":"admin"}`, &n)
	if a := w.admin("DELETE /api/v2/networks/admin", ""); a.code != 405 {
		t.Errorf("admin: %d %s", a.code, a.text)
	}
	w.json("DELETE /api/v2/networks/v6c", "", &n)
	if a := w.admin("GET /api/v2/roles/network-v6c", ""); a.code != 404 {
		t.Errorf("its role: %d", a.code)
	}
}

func TestAddressesOnTheWire(t *testing.T) {
	w := converged(t)
	w.crowbar = true
	var n map[string]any
	w.json("POST /api/v2/networks", `{"name":"foo2","conduit":"1g0","ranges":"[{\"name\":\"host\",\"first\":\"10.10.13.100/24\",\"last\":\"10.10.13.101/24\"}]"}`, &n)
	w.json("POST /api/v2/network_allocations", `{"node":"n1","network":"foo2","address":"10.10.13.101"}`, &n)
	if n["address"] != "10.10.13.101/24" {
		t.Errorf("suggested: %v", n)
	}
	again := n["id"]
	w.json("POST /api/v2/network_allocations", `{"node":"n1","network":"foo2"}`, &n)
	if n["id"] != again {
		t.Errorf("again: %v", n)
	}
	var plain []string
	w.json("GET /api/v2/networks/foo2/allocations?node=n1", "", &plain)
	if !slices.Equal(plain, []string{"10.10.13.101/24"}) {
		t.Errorf("allocations: %v", plain)
	}
	w.json("GET /api/v2/nodes/n1/addresses?network=foo2", "", &n)
	if n["node"] != "n1.example.org" || n["network"] != "foo2" || len(n["addresses"].([]any)) != 1 {
		t.Errorf("addresses: %v", n)
	}
	var list []map[string]any
	w.json("POST /api/v2/networks/foo2/allocate_ip", `{"node_id":"n2"}`, &list)
	if len(list) != 1 || list[0]["address"] != "10.10.13.100/24" {
		t.Errorf("allocate_ip: %v", list)
	}
	if a := w.admin("POST /api/v2/network_allocations", `{"node":"n3","network":"foo2"}`); a.code != 409 || !strings.Contains(a.message(), "out of addresses!") {
		t.Errorf("full: %d %s", a.code, a.text)
	}
	if a := w.admin("DELETE /api/v2/network_allocations/10.10.13.100", ""); a.code != 200 {
		t.Errorf("taken back: %d %s", a.code, a.text)
	}
	w.json("GET /api/v2/network_allocations?node=n1", "", &list)
	if len(list) != 1 {
		t.Errorf("of n1: %v", list)
	}
	w.json("GET /api/v2/network_allocations?node=n2", "", &list)
	if len(list) != 0 {
		t.Errorf("of n2: %v", list)
	}
}

// TestANodeThatArrives says by its address in which network it is, as OpenCrowbar's discovery does.
func TestANodeThatArrives(t *testing.T) {
	w := converged(t)
	w.crowbar = true
	var o map[string]any
	w.json("POST /api/v2/networks", `{"name":"foo2","conduit":"1g0","ranges":[{"name":"host","first":"10.10.13.100/24","last":"10.10.13.120/24"}]}`, &o)
	w.json("POST /api/v2/nodes", `{"name":"new.example.org","ip":"10.10.13.110/24","mac":"00:11:22:33:44:55"}`, &o)
	var plain []string
	w.json("GET /api/v2/networks/foo2/allocations?node=new.example.org", "", &plain)
	if !slices.Equal(plain, []string{"10.10.13.110/24"}) {
		t.Errorf("addresses: %v", plain)
	}
	w.json("GET /api/v2/nodes/new/node_roles/network-foo2", "", &o)
	n := w.engine.View().NodeNamed("new.example.org")
	if n.Address != "10.10.13.110" || fmt.Sprint(n.Hint) != "map[admin_macs:[00:11:22:33:44:55] foo2-v4addr:10.10.13.110/24]" {
		t.Errorf("%s, hints %v", n.Address, n.Hint)
	}
	w.json("POST /api/v2/nodes", `{"name":"far.example.org","ip":"172.16.0.1/24"}`, &o)
	w.json("GET /api/v2/nodes/far/node_roles", "", &[]any{})
	// It is let do no more than a milestone, and all again.
	w.json("PUT /api/v2/nodes/new", `{"target_role_id":"network-foo2"}`, &o)
	if o["target_role_id"] == nil {
		t.Errorf("target: %v", o)
	}
	w.json("PATCH /api/v2/nodes/new", `[{"op":"replace","path":"/target_role_id","value":null}]`, &o)
	if o["target_role_id"] != nil {
		t.Errorf("no target: %v", o)
	}
	if a := w.admin("PUT /api/v2/nodes/new", `{"target_role_id":"etcd"}`); a.code != 409 {
		t.Errorf("a target that is not bound: %d %s", a.code, a.text)
	}
	var graph []map[string]any
	w.json("GET /api/v2/deployments/k8s/graph", "", &graph)
	names := map[string][]any{}
	for _, v := range graph {
		names[fmt.Sprint(v["name"])] = v["adjacencies"].([]any)
	}
	if len(names["n1: etcd"]) == 0 {
		t.Errorf("nothing comes after etcd: %v", names)
	}
}

func TestUsersOnTheWire(t *testing.T) {
	w := converged(t)
	w.crowbar = true
	var u map[string]any
	w.json("GET /api/v2/users/sample", "", &u)
	if len(u) != 0 {
		t.Errorf("sample: %v", u)
	}
	w.json("POST /api/v2/users", `{"username":"Ann","email":"ann@example.org","password":"correct horse","password_confirmation":"correct horse","is_admin":false,"digest":true}`, &u)
	if u["is_admin"] != false || u["is_locked"] != false {
		t.Errorf("made: %v", u)
	}
	for _, c := range []struct {
		body string
		code int
	}{
		{`{"username":"ann","email":"x@example.org","password":"correct horse"}`, 409},
		{`{"username":"bob","password":"short"}`, 409},
		{`{"username":"bob","password":"correct horse","password_confirmation":"another one"}`, 409},
		{`{"email":"bob@example.org"}`, 500},
		{`{"username":"bo:b"}`, 409},
	} {
		if a := w.admin("POST /api/v2/users", c.body); a.code != c.code {
			t.Errorf("%s: %d %s", c.body, a.code, a.text)
		}
	}
	if a := w.admin("GET /api/v2/users/bob", ""); a.code != 404 {
		t.Errorf("a user whose password was refused is there: %s", a.text)
	}
	if a := w.digest("Ann", "correct horse", "GET /api/v2/users/ann", ""); a.code != 200 {
		t.Errorf("sees herself: %d %s", a.code, a.text)
	}
	if a := w.digest("Ann", "correct horse", "GET /api/v2/users", ""); a.code != 403 {
		t.Errorf("sees all: %d", a.code)
	}
	w.json("POST /api/v2/users/Ann/admin", "", &u)
	if a := w.digest("Ann", "correct horse", "GET /api/v2/users", ""); u["is_admin"] != true || a.code != 200 {
		t.Errorf("as admin: %v, %d", u, a.code)
	}
	w.json("DELETE /api/v2/users/Ann/admin", "", &u)
	w.json("POST /api/v2/users/Ann/lock", "", &u)
	if a := w.digest("Ann", "correct horse", "GET /api/v2/nodes", ""); u["is_locked"] != true || a.code != 401 {
		t.Errorf("locked: %v, %d", u, a.code)
	}
	w.json("DELETE /api/v2/users/Ann/lock", "", &u)
	w.json("PUT /api/v2/users/Ann/reset_password", `{"password":"battery staple","password_confirmation":"battery staple"}`, &u)
	if a := w.digest("Ann", "correct horse", "GET /api/v2/nodes", ""); a.code != 401 {
		t.Errorf("the old password: %d", a.code)
	}
	if a := w.digest("Ann", "battery staple", "GET /api/v2/nodes", ""); u["is_locked"] != false || a.code != 200 {
		t.Errorf("the new password: %d", a.code)
	}
	b := &browser{w: w}
	if resp := b.send("POST", "/my/users/sign_in", url.Values{"user[username]": {"Ann"}, "user[password]": {"battery staple"}}.Encode(), nil); resp.StatusCode != http.StatusFound {
		t.Errorf("sign in: %d", resp.StatusCode)
	}
	w.json("PUT /api/v2/users/Ann", `{"email":"new@example.org"}`, &u)
	if u["email"] != "new@example.org" {
		t.Errorf("email: %v", u)
	}
	for _, accept := range []bool{true, false} {
		w.crowbar = accept
		if a := w.admin("GET /api/v2/users/Ann", ""); strings.Contains(a.text, "credentials") {
			t.Errorf("credentials are shown: %s", a.text)
		}
	}
}

func TestNamesOnTheWire(t *testing.T) {
	w := converged(t)
	w.crowbar = true
	var o map[string]any
	w.json("POST /api/v2/networks", `{"name":"foo2","conduit":"1g0","ranges":[{"name":"host","first":"10.10.13.100/24","last":"10.10.13.120/24"}]}`, &o)
	for _, n := range []string{"n1", "n2", "n4"} {
		w.json("POST /api/v2/network_allocations", `{"node":"`+n+`","network":"foo2"}`, &o)
	}
	w.json("POST /api/v2/dns_name_filters", `{"name":"kube-apiserver","priority":1000,"matcher":"node.role has \"k8s-master\"","template":"kube-apiserver.example.com","service":"system"}`, &o)
	w.json("POST /api/v2/dns_name_filters", `{"name":"first","priority":1,"matcher":"net.name == \"other\"","template":"{{node.name}}.example.com","service":"system"}`, &o)
	var list []map[string]any
	w.json("POST /api/v2/dns_name_entries/match", `{"name":"kube-apiserver.example.com","rr_type":"A"}`, &list)
	if len(list) != 2 {
		t.Errorf("entries: %v", list)
	}
	w.json("DELETE /api/v2/network_allocations/10.10.13.100", "", &o)
	w.json("GET /api/v2/dns_name_entries", "", &list)
	if len(list) != 1 {
		t.Errorf("entries: %v", list)
	}
	w.json("GET /api/v2/dns_name_filters", "", &list)
	if len(list) != 2 || list[0]["name"] != "first" {
		t.Errorf("filters go by priority: %v", list)
	}
	for body, code := range map[string]int{
		`{"name":"x","priority":1,"matcher":"net.name == \"a\"","template":"{{node.name}}.b","service":"system"}`: 409,
		`{"name":"x","priority":2,"matcher":"what?","template":"{{node.name}}.b","service":"system"}`:             409,
		`{"name":"x","priority":2,"template":"{{node.name}}.b","service":"system"}`:                               500,
	} {
		if a := w.admin("POST /api/v2/dns_name_filters", body); a.code != code {
			t.Errorf("%s: %d %s", body, a.code, a.text)
		}
	}
}

func TestHammersAndGroupsOnTheWire(t *testing.T) {
	w := converged(t)
	w.crowbar = true
	var list []map[string]any
	w.json("GET /api/v2/nodes/n1/hammers", "", &list)
	if len(list) != 1 || list[0]["username"] != "root" || list[0]["name"] != "ssh" {
		t.Fatalf("hammers of n1: %v", list)
	}
	var o map[string]any
	w.json("PUT /api/v2/hammers/"+jsonID(list[0]), `{"username":"ops","endpoint":"10.9.0.1:2222"}`, &o)
	if n := w.engine.View().NodeNamed("n1.example.org"); n.SSH.User != "ops" || n.SSH.Host != "10.9.0.1" || n.SSH.Port != 2222 {
		t.Errorf("n1 is reached as %+v", n.SSH)
	}
	if a := w.admin("DELETE /api/v2/hammers/"+jsonID(list[0]), ""); a.code != 409 {
		t.Errorf("the ssh hammer: %d %s", a.code, a.text)
	}
	w.json("POST /api/v2/available_hammers", `{"name":"ipmi","klass":"IpmiHammer"}`, &o)
	w.json("POST /api/v2/hammers", `{"node_id":"n1","available_hammer_id":"ipmi","username":"ADMIN","authenticator":"calvin"}`, &o)
	h := w.engine.View().HammersOf(w.engine.View().NodeNamed("n1.example.org").ID)[1]
	if len(h.Authenticator) == 0 || bytes.Contains(h.Authenticator, []byte("calvin")) {
		t.Errorf("the credential of a hammer lies as %q", h.Authenticator)
	}
	for _, accept := range []bool{true, false} {
		if w.crowbar = accept; strings.Contains(w.admin("GET /api/v2/hammers", "").text, "authenticator") {
			t.Error("the credential of a hammer is shown")
		}
	}
	w.crowbar = true
	for request, code := range map[string]int{"DELETE /api/v2/available_hammers/ssh": 409, "DELETE /api/v2/available_hammers/ipmi": 409} {
		if a := w.admin(request, ""); a.code != code {
			t.Errorf("%s: %d %s", request, a.code, a.text)
		}
	}
	for category, code := range map[string]int{"ui": 200, "rack": 200, "tag": 200, "class": 200, "other": 409} {
		if a := w.admin("POST /api/v2/groups", `{"name":"g_`+category+`","category":"`+category+`"}`); a.code != code {
			t.Errorf("category %s: %d %s", category, a.code, a.text)
		}
	}
	if a := w.admin("POST /api/v2/groups/g_rack/nodes", `{"node_id":"n1"}`); a.code != 200 || !strings.HasPrefix(a.text, "Successfully added n1.example.org") {
		t.Errorf("added: %d %s", a.code, a.text)
	}
	w.json("GET /api/v2/groups/g_rack/nodes", "", &list)
	if len(list) != 1 || list[0]["name"] != "n1.example.org" {
		t.Errorf("members: %v", list)
	}
	w.json("DELETE /api/v2/groups/g_rack", "", &o)
	w.json("GET /api/v2/nodes/n1/groups", "", &list)
	if len(list) != 0 {
		t.Errorf("groups of n1: %v", list)
	}
}

// TestLimitedCallersAround is what one may do whose right is limited to a deployment.
func TestLimitedCallersAround(t *testing.T) {
	w := converged(t)
	if _, err := w.engine.CreateDeployment(t.Context(), "elsewhere", "", 0); err != nil {
		t.Fatal(err)
	}
	_, text, err := w.engine.CreateToken(t.Context(), crowbar.Token{Name: "t", Right: crowbar.RightOperator, Deployments: []string{"elsewhere"}}, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		request, body string
		code          int
	}{
		{"POST /api/v2/networks", `{"name":"mine","conduit":"1g0","deployment":"elsewhere","ranges":[{"name":"host","first":"10.2.0.10/24","last":"10.2.0.20/24"}]}`, 200},
		{"POST /api/v2/networks", `{"name":"theirs","conduit":"1g0","deployment":"k8s"}`, 403},
		{"POST /api/v2/networks", `{"name":"theirs","conduit":"1g0"}`, 403},
		{"PUT /api/v2/networks/mine", `{"deployment":"k8s"}`, 403},
		{"PUT /api/v2/networks/mine", `{"description":"mine"}`, 200},
		{"POST /api/v2/network_allocations", `{"node":"n1","network":"mine"}`, 403},
		{"POST /api/v2/node_roles", `{"node":"n1","role":"etcd","deployment":"elsewhere"}`, 403},
		{"POST /api/v2/groups", `{"name":"g"}`, 403},
		{"PUT /api/v2/hammers/n1%2Fssh", `{"username":"me"}`, 403},
		{"DELETE /api/v2/networks/mine", "", 200},
	} {
		if a := w.ask("Bearer "+text, c.request, c.body); a.code != c.code {
			t.Errorf("%s %s: %d %s, want %d", c.request, c.body, a.code, a.text, c.code)
		}
	}
}
