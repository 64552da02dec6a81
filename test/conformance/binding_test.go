//go:build linux

package conformance

import (
	"fmt"
	"slices"
	"strings"
)

func bindingFacts() []fact {
	return []fact{
		{46, "a role in a deployment", func(d *daemon) {
			d.deployment("f46")
			m := d.good("POST deployment_roles", `{"role":"test-event","deployment":"f46"}`).obj()
			d.keys(m, deploymentRoleKeys)
			d.is(m, map[string]any{"deployment_id": d.good("GET deployments/f46").obj()["id"], "role_id": d.good("GET roles/test-event").obj()["id"]})
			d.is(d.good("GET deployment_roles/test-event?deployment=f46").obj(), map[string]any{"id": m["id"]})
		}},
		{47, "a role on a node", func(d *daemon) {
			n := d.node("a47")
			d.deployment("f47")
			m := d.bind("test-event", n, "f47")
			d.keys(m, nodeRoleKeys)
			d.is(m, map[string]any{"state": 4, "run_count": 0, "cohort": 0, "node_error": false, "node_id": d.good("GET nodes/" + n).obj()["id"]})
		}},
		{48, "what a role asks for comes along", fact48},
		{49, "a parent further up is found", fact49},
		{50, "an implicit parent is on the same node", func(d *daemon) {
			m, n := d.node("m50"), d.node("n50")
			d.deployment("f50")
			first := d.bind("test-implicit", m, "f50")
			d.bind("test-needs-implicit", n, "f50")
			if own := d.nodeRole(n, "test-implicit"); own["id"] == first["id"] {
				d.t.Errorf("%v", own)
			}
		}},
		{51, "what cannot be bound", fact51},
		{52, "commit makes roots todo and the rest blocked", func(d *daemon) {
			n := d.node("a52")
			d.deployment("f52")
			d.bind("test-client", n, "f52")
			d.good("PUT deployments/f52/commit")
			d.at(n, map[string]int{"test-admin": 1, "test-server": 3, "test-library": 3, "test-client": 3})
			if m := d.nodeRole(n, "test-admin"); num(m, "run_count") != 0 {
				d.t.Errorf("it ran on a node that is not available: %v", m)
			}
		}},
		{53, "a node that is up runs all, one at a time", fact53},
		{54, "commit of one node-role", func(d *daemon) {
			n := d.node("a54")
			d.deployment("f54")
			d.bind("test-flaky", n, "f54")
			at := "node_roles/" + id(d.nodeRole(n, "test-flaky"))
			d.good("PUT deployments/f54/attribs/test-flaky-fails", `{"value":false}`)
			d.want(500, "unless deployment_role committed!", "PUT "+at+"/commit")
			d.good("PUT deployment_roles/f54%2Ftest-flaky/commit")
			d.is(d.good("PUT "+at+"/commit").obj(), map[string]any{"state": 1})
			d.want(500, "Cannot commit! unless proposed", "PUT "+at+"/commit")
		}},
		{55, "retry needs active parents", func(d *daemon) {
			n := d.node("a55")
			d.deployment("f55")
			d.bind("test-event-2", n, "f55")
			d.good("PUT deployments/f55/commit")
			d.want(500, "Not all parents are ACTIVE", "PUT node_roles/"+id(d.nodeRole(n, "test-event-2"))+"/retry")
			d.at(n, map[string]int{"test-event": 1, "test-event-2": 3})
		}},
	}
}

func fact48(d *daemon) {
	n := d.node("a48")
	d.deployment("f48")
	m := d.bind("test-client", n, "f48")
	home := d.good("GET deployments/f48").obj()["id"]
	for role, cohort := range map[string]int{"test-admin": 0, "test-server": 1, "test-library": 1, "test-client": 2} {
		d.is(d.nodeRole(n, role), map[string]any{"state": 4, "cohort": cohort, "deployment_id": home})
	}
	if again := d.bind("test-client", n, "f48"); again["id"] != m["id"] {
		d.t.Errorf("bound again it is %v, it was %v", again, m)
	}
	if l := d.good("GET nodes/" + n + "/node_roles").list(); len(l) != 4 {
		d.t.Errorf("there are %d node-roles", len(l))
	}
}

func fact49(d *daemon) {
	m, n := d.ready("m49"), d.ready("n49")
	d.deployment("f49")
	d.bind("test-server", m, "system")
	client := d.bind("test-client", n, "f49")
	d.want(404, "", "GET nodes/"+n+"/node_roles/test-server")
	if l := d.good("GET deployments/f49/node_roles").list(); slices.Contains(names(l, "role_id"), fmt.Sprint(d.good("GET roles/test-server").obj()["id"])) {
		d.t.Errorf("a second test-server: %v", l)
	}
	// Its parent is m's: while that is proposed, the client waits for it.
	d.good("PUT deployments/f49/commit")
	d.is(d.good("GET node_roles/"+id(client)).obj(), map[string]any{"state": 3})
	d.good("PUT nodes/" + m + "/commit")
	d.reach(m, "test-server", 0)
	d.reach(n, "test-client", 0)
	d.good("DELETE node_roles/" + id(client))
	d.gone("node_roles/" + id(client))
}

func fact51(d *daemon) {
	n := d.node("a51")
	d.deployment("f51")
	refused := func(role, says string) {
		d.t.Helper()
		d.want(409, says, "POST node_roles", fmt.Sprintf(`{"role":%q,"node":%q,"deployment":"f51"}`, role, n))
	}
	refused("test-missing", "missing prerequisites")
	refused("test-abstract", "abstract")
	d.bind("test-b", n, "f51")
	refused("test-a", "conflicts with previously-bound role test-b")
	d.bind("test-provides", n, "f51")
	refused("test-event", "provided by previously-bound role test-provides")
	if l := d.good("GET nodes/" + n + "/node_roles").list(); len(l) != 2 {
		d.t.Errorf("node-roles are %v", l)
	}
}

func fact53(d *daemon) {
	n := d.node("a53")
	d.deployment("f53")
	d.bind("test-client-client", n, "f53")
	d.good("PUT deployments/f53/commit")
	d.good("PUT nodes/"+n, `{"alive":"false"}`)
	d.good("PUT nodes/" + n + "/commit")
	all := d.good("GET nodes/" + n + "/node_roles").list()
	if len(all) < 5 {
		d.t.Fatalf("node-roles are %v", all)
	}
	d.good("PUT nodes/"+n, `{"alive":"true"}`)
	await(d.t, "all to be active", func() error {
		busy, left := 0, 0
		for _, o := range d.good("GET nodes/" + n + "/node_roles").list() {
			switch num(o.(map[string]any), "state") {
			case 2:
				busy++
				left++
			case 0:
			default:
				left++
			}
		}
		if busy > 1 {
			d.t.Errorf("%d run at once on one node", busy)
		}
		if left > 0 {
			return fmt.Errorf("%d are left", left)
		}
		return nil
	})
	order := map[string]float64{}
	for _, o := range d.good("GET nodes/" + n + "/node_roles").list() {
		m := o.(map[string]any)
		d.is(m, map[string]any{"run_count": 1, "state": 0})
		order[fmt.Sprint(m["role_id"])] = m["cohort"].(float64)
	}
	// Runs are numbered as they begin: in the order of cohorts, and none before the one before it has ended.
	last, began := -1.0, ""
	for _, o := range d.runsOf(n) {
		if c := order[fmt.Sprint(o["role_id"])]; c < last {
			d.t.Errorf("cohort %v ran after cohort %v", c, last)
		} else {
			last = c
		}
		if start := fmt.Sprint(o["started"]); start < began {
			d.t.Errorf("%v began before %s, when the one before it ended", o, began)
		}
		began = fmt.Sprint(o["finished"])
	}
	if last < 3 {
		d.t.Errorf("the runs end with cohort %v", last)
	}
}

// runsOf is the records of a node's runs, as kubeclamp's own clients see them, in the order in which they began.
func (d *daemon) runsOf(node string) []map[string]any {
	d.t.Helper()
	at := fmt.Sprint(d.good("GET nodes/" + node).obj()["id"])
	var out []map[string]any
	for _, o := range d.good("GET runs", "", "Accept: application/vnd.kubeclamp+json").list() {
		if m := o.(map[string]any); fmt.Sprint(m["node_id"]) == at {
			out = append(out, m)
		}
	}
	slices.SortFunc(out, func(a, b map[string]any) int { return num(a, "id") - num(b, "id") })
	if len(out) == 0 {
		d.t.Errorf("there is no record of a run on %s", node)
	}
	return out
}

// log is the log of a node-role's last run.
func (d *daemon) log(node, role string) string {
	d.t.Helper()
	return strings.TrimSpace(d.good("GET node_roles/" + id(d.nodeRole(node, role)) + "/log").body)
}
