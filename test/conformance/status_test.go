//go:build linux

package conformance

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

func statusFacts() []fact {
	return []fact{
		{71, "heartbeat", func(d *daemon) {
			n := d.node("a71")
			d.deployment("f71")
			d.bind("test-event-2", n, "f71")
			m := d.good("GET /api/status/heartbeat").obj()
			d.keys(m, "active todo error elapsed")
			total := len(d.good("GET node_roles").list())
			if num(m, "todo") != total-num(m, "active")-num(m, "error") || num(m, "todo") < 2 {
				d.t.Errorf("of %d: %v", total, m)
			}
		}},
		{72, "status of a deployment", fact72},
		{73, "status of nodes", func(d *daemon) {
			n := d.node("a73")
			m := d.good("GET nodes/" + n).obj()
			for _, at := range []string{"/api/status/nodes", "/api/status/nodes/" + n} {
				s, _ := d.good("GET " + at).obj()[id(m)].(map[string]any)
				d.keys(s, "name state status strStatus")
				d.is(s, map[string]any{"name": n, "state": 0, "status": "active"})
				if text := fmt.Sprint(s["strStatus"]); len(strings.Split(text, "\n")) != 3 || !strings.HasPrefix(text, "Alive\n") {
					d.t.Errorf("strStatus is %q", text)
				}
			}
		}},
		{74, "Ansible's inventory", fact74},
		{75, "the Go clients bind with a whole object and set by patch", fact75},
		{76, "converge", fact76},
		{77, "names of a pool of masters", fact77},
		{79, "a minion waits for all masters", fact79},
		{80, "a minion alone brings master and etcd", fact80},
	}
}

func fact72(d *daemon) {
	d.deployment("f72")
	m := d.good("GET /api/status/deployments/f72").obj()
	d.is(m, map[string]any{"id": d.good("GET deployments/f72").obj()["id"], "status": "proposed", "state": 0, "md5": ""})
	if roles, ok := m["node_roles"].(map[string]any); !ok || len(roles) != 0 {
		d.t.Errorf("%v", m)
	}
	n := d.ready("a72")
	nr := d.bind("test-event", n, "f72")
	d.good("PUT deployments/f72/commit")
	d.reach(n, "test-event", 0)
	m = d.good("GET /api/status/deployments/f72").obj()
	d.is(m, map[string]any{"status": "active", "state": 2, "md5": md5hex(id(nr))})
	d.is(m["node_roles"].(map[string]any)[id(nr)].(map[string]any), map[string]any{"status": "active", "state": 0})
	d.good("PUT nodes/" + n + "/commit")
	d.settle()
	system := d.good("GET /api/status/deployments/system").obj()
	if !slices.Contains([]string{"active", "committed"}, fmt.Sprint(system["status"])) || !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(fmt.Sprint(system["md5"])) {
		d.t.Errorf("system: %v", system)
	}
}

func fact74(d *daemon) {
	n, admin := d.node("a74"), d.node("admin74", `"admin":true`)
	m := d.good("GET /api/status/inventory").obj()
	vars := m["all"].(map[string]any)["vars"].(map[string]any)
	d.is(vars, map[string]any{"ansible_ssh_user": "root", "ansible_ssh_port": 22})
	hosts := m["system"].(map[string]any)["hosts"].([]any)
	if !slices.Contains(hosts, any(n)) || slices.Contains(hosts, any(admin)) || slices.Contains(hosts, any("system-phantom.internal.local")) {
		d.t.Errorf("hosts are %v", hosts)
	}
	if meta, ok := m["_meta"].(map[string]any); !ok || meta["hostvars"].(map[string]any)[n] == nil {
		d.t.Errorf("_meta is %v", m["_meta"])
	}
	if m := d.good("GET /api/status/inventory?hostvar=none").obj(); m["_meta"] != nil || m["system"] == nil {
		d.t.Errorf("without hostvars: %v", m)
	}
	flat := d.good("GET /api/status/inventory?hostvar=" + n).obj()
	d.is(flat, map[string]any{"alive": true, "available": false, "cpu_count": -1, "memory": 1})
	d.want(404, "", "GET /api/status/inventory?hostvar=nosuch74")
	d.deployment("f74")
	d.network("net74", `"deployment":"f74","ranges":[{"name":"host","first":"10.74.0.10/24","last":"10.74.0.20/24"}]`)
	d.good("POST groups", `{"name":"g74","category":"rack"}`)
	d.t.Cleanup(func() { d.good("DELETE groups/g74") })
	d.good("POST groups/g74/nodes/" + n)
	nr := d.bind("network-net74", n, "f74")
	m = d.good("GET /api/status/inventory").obj()
	d.is(m, map[string]any{"rack_g74": []string{n}})
	d.is(m["f74"].(map[string]any)["vars"].(map[string]any), map[string]any{"networks": []string{"net74"}, "roles": []string{"network-net74", "network-server"}})
	d.is(d.good("GET /api/status/inventory?hostvar="+n).obj(), map[string]any{"network.net74.host": "10.74.0.10"})
	d.good("DELETE node_roles/" + id(nr))
	d.gone("node_roles/" + id(nr))
}

// fact75 sends what the Go clients send for `nodes bind N to R` and `deployments set D attrib A to {"value": X}`.
func fact75(d *daemon) {
	n := d.node("a75")
	d.deployment("f75")
	d.good("PUT nodes/"+n, `{"deployment":"f75"}`)
	d.t.Cleanup(func() { d.ask("PUT nodes/"+n, `{"deployment":"system"}`) })
	d.good("GET users/" + d.user) // on every command
	node, role := d.good("GET nodes/"+n).obj(), d.good("GET roles/test-flaky").obj()
	d.good("GET node_roles/sample")
	m := d.good("POST node_roles", fmt.Sprintf(`{"id":null,"uuid":"","name":null,"node_id":%d,"role_id":%d,"deployment_id":null,"state":4,"status":null,"runlog":"","available":true,`+
		`"order":10000,"cohort":0,"run_count":0,"node_error":false,"tenant_id":null,"proposed_data":null,"committed_data":null,"sysdata":null,"wall":null,"created_at":null,"updated_at":null}`, num(node, "id"), num(role, "id"))).obj()
	d.keys(m, nodeRoleKeys)
	d.is(m, map[string]any{"node_id": node["id"], "role_id": role["id"], "state": 4, "deployment_id": d.good("GET deployments/f75").obj()["id"]})
	a := d.good("GET deployments/f75/attribs/test-flaky-fails").obj()
	d.is(a, map[string]any{"value": false})
	patch := fmt.Sprintf(`[{"op":"test","path":"/value","value":%v},{"op":"replace","path":"/value","value":true}]`, a["value"])
	d.is(d.good("PATCH deployments/f75/attribs/test-flaky-fails?bucket=user", patch, "Content-Type: application/json-patch+json").obj(), map[string]any{"value": true})
	d.is(d.good("GET deployments/f75/attribs/test-flaky-fails").obj(), map[string]any{"value": true})
	d.want(500, "", "PATCH deployments/f75/attribs/test-flaky-fails?bucket=user", patch, "Content-Type: application/json-patch+json") // its test fails now
	d.want(500, "", "PATCH deployments/f75/attribs/test-flaky-fails?bucket=user", `[{"op":"replace","path":"/description","value":"x"}]`, "Content-Type: application/json-patch+json")
}

// converge is what the three clients did: crowbar in Ruby asked anneal, the two in Go looked at the node-roles.
func (d *daemon) converge(deployment string) (code int) {
	d.t.Helper()
	await(d.t, "deployment "+deployment+" to converge", func() error {
		left := 0
		for _, o := range d.good("GET deployments/" + deployment + "/node_roles").list() {
			switch num(o.(map[string]any), "state") {
			case -1:
				code = 1
				return nil
			case 0:
			default:
				left++
			}
		}
		if left > 0 {
			return fmt.Errorf("%d are left", left)
		}
		return nil
	})
	return code
}

func fact76(d *daemon) {
	n := d.ready("a76")
	d.deployment("f76")
	d.bind("test-event-2", n, "f76")
	d.good("PUT deployments/f76/commit")
	if code := d.converge("f76"); code != 0 {
		d.t.Errorf("converge ends with %d", code)
	}
	if a := d.settle(); a.code != http.StatusOK {
		d.t.Errorf("anneal: %s", a)
	}
	d.bind("test-fails", n, "f76")
	d.good("PUT deployments/f76/commit")
	if code := d.converge("f76"); code == 0 {
		d.t.Errorf("converge ends with 0 where a role failed")
	}
	if a := d.settle(); a.code != http.StatusConflict {
		d.t.Errorf("anneal: %s", a)
	}
}

func fact77(d *daemon) {
	d.deployment("f77")
	d.network("pool77", `"deployment":"f77","ranges":[{"name":"host","first":"10.77.0.10/24","last":"10.77.0.20/24"}]`)
	m := d.good("POST dns_name_filters", `{"name":"kube-apiserver","priority":1000,"matcher":"node.role has \"test-cluster\"","template":"kube-apiserver.example.com","service":"system"}`).obj()
	d.t.Cleanup(func() { d.good("DELETE dns_name_filters/" + id(m)) })
	entries := func() []any {
		var l []any
		for _, o := range d.good("GET dns_name_entries").list() {
			if o.(map[string]any)["name"] == "kube-apiserver.example.com" {
				l = append(l, o)
			}
		}
		return l
	}
	for _, name := range []string{"m77", "n77"} {
		n := d.node(name)
		d.bind("test-cluster", n, "f77")
		d.bind("network-pool77", n, "f77")
	}
	l := entries()
	if len(l) != 2 || !slices.Equal(names(l, "rr_type"), []string{"A", "A"}) {
		d.t.Fatalf("entries are %v", l)
	}
	var addresses []string
	for _, o := range l {
		a := d.good("GET network_allocations/" + fmt.Sprint(num(o.(map[string]any), "network_allocation_id"))).obj()
		addresses = append(addresses, fmt.Sprint(a["address"]))
	}
	slices.Sort(addresses)
	if !slices.Equal(addresses, []string{"10.77.0.10/24", "10.77.0.11/24"}) {
		d.t.Errorf("addresses are %v", addresses)
	}
	d.good("DELETE network_allocations/" + fmt.Sprint(num(l[0].(map[string]any), "network_allocation_id")))
	if l := entries(); len(l) != 1 {
		d.t.Errorf("entries are %v", l)
	}
	for _, name := range []string{"m77", "n77"} {
		d.good("DELETE nodes/" + name + ".example.org?force=true")
	}
}

// server makes a node on which the shipped roles run without a server behind it.
func (d *daemon) server(name, address string) string {
	d.t.Helper()
	return d.node(name, fmt.Sprintf(`"address":%q`, address), `"jig_name":"noop"`)
}

func fact79(d *daemon) {
	m1, m2, w := d.server("m1f79", "10.79.0.1"), d.server("m2f79", "10.79.0.2"), d.server("wf79", "10.79.0.3")
	d.deployment("f79")
	d.bind("k8s-master", m1, "f79")
	d.bind("etcd", m2, "f79")
	d.bind("k8s-master", m2, "f79")
	d.bind("k8s-minion", w, "f79")
	for _, role := range []string{"k8s-master", "etcd"} {
		d.want(404, "", "GET nodes/"+w+"/node_roles/"+role)
	}
	d.good("PUT deployments/f79/commit")
	d.good("PUT nodes/"+m1, `{"available":true}`)
	d.good("PUT nodes/"+w, `{"available":true}`)
	d.at(w, map[string]int{"k8s-minion": 3})
	d.reach(m1, "etcd", 0)
	d.at(m1, map[string]int{"k8s-master": 3}) // its own etcd is there; the other member is not yet
	d.good("PUT nodes/"+m2, `{"available":true}`)
	d.reach(m2, "k8s-master", 0)
	d.reach(m1, "k8s-master", 0)
	d.reach(w, "k8s-minion", 0)
	for _, n := range []string{m1, m2} {
		if began, ended := d.lastRun(w, "k8s-minion")["started"], d.lastRun(n, "k8s-master")["finished"]; fmt.Sprint(began) < fmt.Sprint(ended) {
			d.t.Errorf("the minion began at %v, the master on %s ended at %v", began, n, ended)
		}
	}
	pool := d.good("GET deployments/f79/attribs/kubernetes-pool-name").obj()
	if name := fmt.Sprint(pool["value"]); !strings.HasPrefix(name, "kube-apiserver.") {
		d.t.Errorf("the masters' common name is %s", name)
	}
}

// lastRun is the record of the last run of a role on a node.
func (d *daemon) lastRun(node, role string) map[string]any {
	d.t.Helper()
	at := d.good("GET roles/" + role).obj()["id"]
	var last map[string]any
	for _, r := range d.runsOf(node) {
		if r["role_id"] == at {
			last = r
		}
	}
	return last
}

func fact80(d *daemon) {
	w := d.server("wf80", "10.80.0.1")
	d.deployment("f80")
	d.bind("k8s-minion", w, "f80")
	for _, role := range []string{"etcd", "k8s-master", "flannel", "docker"} {
		d.at(w, map[string]int{role: 4})
	}
}
