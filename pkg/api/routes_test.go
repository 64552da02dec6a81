package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// route is one way in, with a request that is answered well.
type route struct {
	pattern, request, body, form string
}

func kinds() []crowbar.Kind {
	return []crowbar.Kind{crowbar.KindBarclamp, crowbar.KindRole, crowbar.KindJig, crowbar.KindAttrib, crowbar.KindNode,
		crowbar.KindDeployment, crowbar.KindDeploymentRole, crowbar.KindNodeRole, crowbar.KindRun}
}

// routes is every way in, in an order in which all of them go well on a converged world.
func (w *world) routes() []route {
	doc := func(f func(*crowbar.Cluster)) string {
		c := cluster()
		f(&c)
		b, err := json.Marshal(c)
		if err != nil {
			w.t.Fatal(err)
		}
		return string(b)
	}
	same := doc(func(*crowbar.Cluster) {})
	all := []route{}
	show := map[crowbar.Kind]string{crowbar.KindBarclamp: "kubeclamp", crowbar.KindRole: "etcd", crowbar.KindJig: "ssh", crowbar.KindAttrib: "etcd-client-port",
		crowbar.KindNode: "n1", crowbar.KindDeployment: "k8s", crowbar.KindDeploymentRole: "k8s%2Fetcd", crowbar.KindNodeRole: "n1%2Fetcd", crowbar.KindRun: ""}
	for r := range w.engine.View().Runs() {
		show[crowbar.KindRun] = r.ID.String()
	}
	for _, k := range kinds() {
		one := strings.TrimSuffix(string(k), "s")
		all = append(all, route{"GET /api/v2/" + string(k), "GET /api/v2/" + string(k), "", one + ".list"},
			route{"GET /api/v2/" + string(k) + "/{id}", "GET /api/v2/" + string(k) + "/" + show[k], "", one + ".obj"})
		if k != crowbar.KindRun {
			all = append(all, route{"GET /api/v2/" + string(k) + "/sample", "GET /api/v2/" + string(k) + "/sample", "", one + ".obj"},
				route{"POST /api/v2/" + string(k) + "/match", "POST /api/v2/" + string(k) + "/match", `{"id":7}`, one + ".list"})
		}
	}
	for carrier, below := range map[crowbar.Kind]string{crowbar.KindDeployment: "nodes roles node_roles deployment_roles", crowbar.KindNode: "node_roles roles deployment_roles",
		crowbar.KindRole: "nodes node_roles deployment_roles", crowbar.KindDeploymentRole: "nodes roles node_roles"} {
		for _, k := range strings.Fields(below) {
			all = append(all, route{"GET /api/v2/" + string(carrier) + "/{id}/" + k, "GET /api/v2/" + string(carrier) + "/" + show[carrier] + "/" + k, "", strings.TrimSuffix(k, "s") + ".list"})
		}
	}
	all = append(all,
		route{"GET /api/v2/nodes/{id}/node_roles/{role}", "GET /api/v2/nodes/n1/node_roles/etcd", "", "node_role.obj"},
		route{"GET /api/v2/anneal", "GET /api/v2/anneal", "", "application/json; charset=utf-8"},
		route{"GET /api/status/nodes", "GET /api/status/nodes", "", "node.array"},
		route{"GET /api/status/nodes/{id}", "GET /api/status/nodes/n1", "", "node.array"},
		route{"GET /api/status/deployments/{id}", "GET /api/status/deployments/k8s", "", "deployment.array"},
		route{"GET /api/status/queue", "GET /api/status/queue", "", "queue.array"},
		route{"GET /api/status/heartbeat", "GET /api/status/heartbeat", "", "application/json; charset=utf-8"},
		route{"GET /api/status/inventory", "GET /api/status/inventory", "", "inventory"},
		route{"GET /api/status/inventory/{id}", "GET /api/status/inventory/k8s", "", "inventory"},
		route{"GET /api/v2/daemons", "GET /api/v2/daemons", "", "daemon.list"},
		route{"GET /api/v2/health", "GET /api/v2/health", "", "health.list"},
		route{"GET /api/v2/audit", "GET /api/v2/audit", "", "audit.list"},
		route{"GET /api/v2/audit/verify", "GET /api/v2/audit/verify", "", "audit.check"},
		route{"GET /api/v2/events", "GET /api/v2/events?follow=false", "", "text/event-stream"},
		route{"GET /api/v2/node_roles/{id}/explain", "GET /api/v2/node_roles/n1%2Fetcd/explain", "", "node_role.explain"},
		route{"GET /api/v2/attribs/{id}/uses", "GET /api/v2/attribs/etcd-client-port/uses", "", "attrib.uses"},
		route{"GET /api/v2/secrets/status", "GET /api/v2/secrets/status", "", "secret.status"},
		route{"GET /api/v2/certificates", "GET /api/v2/certificates", "", "certificate.list"},
		route{"GET /api/v2/node_roles/{id}/parents", "GET /api/v2/node_roles/n1%2Fetcd/parents", "", "node_role.list"},
		route{"GET /api/v2/node_roles/{id}/children", "GET /api/v2/node_roles/n1%2Fetcd/children", "", "node_role.list"},
		route{"GET /api/v2/node_roles/graph", "GET /api/v2/node_roles/graph?node_id=n1", "", "application/json; charset=utf-8"},
		route{"GET /api/v2/roles/graph", "GET /api/v2/roles/graph", "", "application/json; charset=utf-8"},
		route{"POST /api/v2/nodes/whoami", "POST /api/v2/nodes/whoami", `{"addrs":["10.0.0.1/24"]}`, "node.obj"},
		route{"POST /api/v2/digest", "POST /api/v2/digest", "", "text/plain; charset=utf-8"},
		route{"DELETE /api/v2/digest", "DELETE /api/v2/digest", "", "text/plain; charset=utf-8"},
		route{"GET /api/status/deployments", "GET /api/status/deployments", "", "deployment.array"},
		route{"GET /api/status/matrix/{id}", "GET /api/status/matrix/k8s", "", "deployment.array"},
		route{"GET /api/status/active", "GET /api/status/active?age=60", "", "node_role.array"},
		route{"PUT /api/status/active", "PUT /api/status/active", `{"nodes":[1,999999]}`, "node_role.array"},
		route{"GET /api/v2/tenants", "GET /api/v2/tenants", "", "tenant.list"},
		route{"POST /api/v2/tenants/match", "POST /api/v2/tenants/match", `{"name":"system"}`, "tenant.list"},
		route{"GET /api/v2/tenants/{id}", "GET /api/v2/tenants/system", "", "tenant.obj"},
		route{"GET /api/v2/tenants/{id}/users", "GET /api/v2/tenants/1/users", "", "user.list"},
		route{"GET /api/v2/providers", "GET /api/v2/providers", "", "provider.list"},
		route{"POST /api/v2/providers/match", "POST /api/v2/providers/match", `{"id":2}`, "provider.list"},
		route{"GET /api/v2/providers/templates", "GET /api/v2/providers/templates", "", "json.array"},
		route{"GET /api/v2/providers/{id}", "GET /api/v2/providers/metal", "", "provider.obj"},
		route{"GET /api/v2/providers/{id}/nodes", "GET /api/v2/providers/phantom/nodes", "", "node.list"},
		route{"GET /api/v2/capabilities", "GET /api/v2/capabilities", "", "capability.list"},
		route{"POST /api/v2/capabilities/match", "POST /api/v2/capabilities/match", `{"name":"SUPERUSER"}`, "capability.list"},
		route{"GET /api/v2/capabilities/{id}", "GET /api/v2/capabilities/NODE_READ", "", "capability.obj"},
		route{"GET /api/v2/openapi.yaml", "GET /api/v2/openapi.yaml", "", "application/yaml"},
		route{"GET /api/v2/openapi.json", "GET /api/v2/openapi.json", "", "application/json"},
		route{"GET /api/v2/digest", "GET /api/v2/digest", "", "text/plain; charset=utf-8"},
		route{"GET /utils/digest", "GET /utils/digest", "", "text/plain; charset=utf-8"},
	)
	all = append(all, slices.Concat(attribRoutes(), w.aroundRoutes())...)
	return append(all,
		route{"GET /api/v2/deployments/{id}/plan", "GET /api/v2/deployments/k8s/plan?rerun=true", "", "deployment.plan"},
		route{"POST /api/v2/deployments/{id}/plan", "POST /api/v2/deployments/k8s/plan", same, "deployment.plan"},
		route{"PUT /api/v2/deployments/{id}/plan", "PUT /api/v2/deployments/planned/plan", w.sealed(), "deployment.apply"},
		route{"GET /api/v2/deployments/{id}/drift", "GET /api/v2/deployments/k8s/drift", "", "deployment.drift"},
		route{"PUT /api/v2/deployments/{id}/mend", "PUT /api/v2/deployments/k8s/mend", "", "deployment.mend"},
		route{"GET /api/v2/deployments/{id}/strays", "GET /api/v2/deployments/k8s/strays", "", "deployment.strays"},
		route{"PUT /api/v2/deployments/{id}/strays", "PUT /api/v2/deployments/k8s/strays", "", "deployment.strays"},
		route{"GET /api/v2/deployments/{id}/document", "GET /api/v2/deployments/k8s/document", "", "deployment.document"},
		route{"PUT /api/v2/deployments/{id}/apply", "PUT /api/v2/deployments/k8s/apply", same, "deployment.apply"},
		route{"GET /api/v2/deployments/{id}/status", "GET /api/v2/deployments/k8s/status", "", "deployment.status"},
		route{"GET /api/v2/deployments/{id}/report", "GET /api/v2/deployments/k8s/report", "", "deployment.report"},
		route{"POST /api/v2/deployments/{id}/kubeconfig", "POST /api/v2/deployments/k8s/kubeconfig", "", "application/yaml"},
		route{"GET /api/v2/node_roles/{id}/why", "GET /api/v2/node_roles/n4%2Fk8s-minion/why", "", "node_role.why"},
		route{"GET /api/v2/deployments/{id}/why", "GET /api/v2/deployments/k8s/why", "", "deployment.why"},
		route{"PUT /api/v2/node_roles/{id}/cancel", "PUT /api/v2/node_roles/n4%2Fk8s-minion/cancel", "", "node_role.obj"},
		route{"GET /api/v2/node_roles/{id}/log", "GET /api/v2/node_roles/n4%2Fk8s-minion/log", "", "text/plain; charset=utf-8"},
		route{"PUT /api/v2/node_roles/{id}/retry", "PUT /api/v2/node_roles/n4%2Fk8s-minion/retry", "", "node_role.obj"},
		route{"POST /api/v2/nodes", "POST /api/v2/nodes", `{"name":"n5.example.org","address":"10.0.0.5","deployment":"k8s"}`, "node.obj"},
		route{"PUT /api/v2/nodes/{id}", "PUT /api/v2/nodes/n5", `{"description":"spare"}`, "node.obj"},
		route{"PATCH /api/v2/nodes/{id}", "PATCH /api/v2/nodes/n5", `[{"op":"test","path":"/description","value":"spare"},{"op":"replace","path":"/description","value":"new"}]`, "node.obj"},
		route{"POST /api/v2/node_roles", "POST /api/v2/node_roles", `{"role":"k8s-minion","node":"n5"}`, "node_role.obj"},
		route{"PUT /api/v2/node_roles/{id}", "PUT /api/v2/node_roles/n5%2Fk8s-minion", `{"data":{}}`, "node_role.obj"},
		route{"PATCH /api/v2/node_roles/{id}", "PATCH /api/v2/node_roles/n5%2Fk8s-minion", `[{"op":"add","path":"/data","value":{}}]`, "node_role.obj"},
		route{"PUT /api/v2/nodes/{id}/propose", "PUT /api/v2/nodes/n5/propose", "", "node.obj"},
		route{"PUT /api/v2/nodes/{id}/commit", "PUT /api/v2/nodes/n5/commit", "", "node.obj"},
		route{"PUT /api/v2/nodes/{id}/redeploy", "PUT /api/v2/nodes/n5/redeploy", "", "node.obj"},
		route{"PUT /api/v2/node_roles/{id}/propose", "PUT /api/v2/node_roles/n5%2Fk8s-minion/propose", "", "node_role.obj"},
		route{"PUT /api/v2/node_roles/{id}/commit", "PUT /api/v2/node_roles/n5%2Fk8s-minion/commit", "", "node_role.obj"},
		route{"PUT /api/v2/nodes/{id}/scrub", "PUT /api/v2/nodes/n5/scrub", "", "node.obj"},
		route{"DELETE /api/v2/node_roles/{id}", "DELETE /api/v2/node_roles/n5%2Fk8s-minion", "", "node_role.empty"},
		route{"GET /api/v2/nodes/{id}/power", "GET /api/v2/nodes/n5/power", "", "json.array"},
		route{"PUT /api/v2/nodes/{id}/power", "PUT /api/v2/nodes/n5/power?poweraction=reboot", "", "json.result"},
		route{"DELETE /api/v2/nodes/{id}", "DELETE /api/v2/nodes/n5", "", "node.empty"},
		route{"POST /api/v2/deployments", "POST /api/v2/deployments", `{"name":"other"}`, "deployment.obj"},
		route{"PUT /api/v2/deployments/{id}/{verb}", "PUT /api/v2/deployments/other/commit", "", "deployment.obj"},
		route{"PUT /api/v2/deployments/{id}", "PUT /api/v2/deployments/other", `{"description":"another"}`, "deployment.obj"},
		route{"PATCH /api/v2/deployments/{id}", "PATCH /api/v2/deployments/other", `[{"op":"replace","path":"/name","value":"second"}]`, "deployment.obj"},
		route{"POST /api/v2/deployments/{id}/roles", "POST /api/v2/deployments/second/roles", `{"role":"etcd"}`, "deployment.obj"},
		route{"POST /api/v2/deployment_roles", "POST /api/v2/deployment_roles", `{"role":"etcd","deployment":"second"}`, "deployment_role.obj"},
		route{"PUT /api/v2/deployment_roles/{id}", "PUT /api/v2/deployment_roles/second%2Fetcd", `{"data":{}}`, "deployment_role.obj"},
		route{"PATCH /api/v2/deployment_roles/{id}", "PATCH /api/v2/deployment_roles/second%2Fetcd", `[]`, "deployment_role.obj"},
		route{"PUT /api/v2/deployment_roles/{id}/commit", "PUT /api/v2/deployment_roles/second%2Fetcd/commit", "", "deployment_role.obj"},
		route{"PUT /api/v2/deployment_roles/{id}/propose", "PUT /api/v2/deployment_roles/second%2Fetcd/propose", "", "deployment_role.obj"},
		route{"DELETE /api/v2/deployment_roles/{id}", "DELETE /api/v2/deployment_roles/second%2Fetcd", "", "deployment_role.empty"},
		route{"PUT /api/v2/roles/{id}", "PUT /api/v2/roles/etcd", `{"description":"etcd"}`, "role.obj"},
		route{"PATCH /api/v2/roles/{id}", "PATCH /api/v2/roles/etcd", `[]`, "role.obj"},
		route{"PUT /api/v2/jigs/{id}", "PUT /api/v2/jigs/ssh", `{"description":"by ssh"}`, "jig.obj"},
		route{"PATCH /api/v2/jigs/{id}", "PATCH /api/v2/jigs/ssh", `[]`, "jig.obj"},
		route{"PUT /api/v2/jigs/{id}/activate", "PUT /api/v2/jigs/ssh/activate", "", "jig.obj"},
		route{"PUT /api/v2/jigs/{id}/flush", "PUT /api/v2/jigs/ssh/flush", "", "jig.obj"},
		route{"PUT /api/v2/deployments/{id}/{verb}", "PUT /api/v2/deployments/second/propose", "", "deployment.obj"},
		route{"PUT /api/v2/deployments/{id}/batch", "PUT /api/v2/deployments/second/batch", `{"nodes":[]}`, "deployment.obj"},
		route{"DELETE /api/v2/deployments/{id}", "DELETE /api/v2/deployments/second", "", "deployment.empty"},
		route{"PUT /api/v2/node_roles/{id}/act", "PUT /api/v2/node_roles/n1%2Fetcd/act", `{"action":"look"}`, "node_role.act"},
		route{"GET /api/v2/backups", "GET /api/v2/backups", "", "backup.list"},
		route{"POST /api/v2/backups", "POST /api/v2/backups", `{"deployment":"system"}`, "backup.obj"},
		route{"PUT /api/v2/backups/{id}/verify", "PUT /api/v2/backups/b1/verify", "", "backup.obj"},
		route{"DELETE /api/v2/backups/{id}", "DELETE /api/v2/backups/b1", "", "backup.empty"},
		route{"POST /api/v2/secrets/rotate", "POST /api/v2/secrets/rotate", `{}`, "secret.status"},
		route{"POST /api/v2/certificates/renew", "POST /api/v2/certificates/renew", `{}`, "certificate.renewed"},
		route{"POST /api/v2/certificates/rotate", "POST /api/v2/certificates/rotate", `{"names":[],"plan":true}`, "certificate.rotation"},
		route{"GET /api/v2/state", "GET /api/v2/state", "", "application/jsonl"},
		route{"PUT /api/v2/state", "PUT /api/v2/state?replace=true", w.export(), "state.copy"},
		route{"POST /api/v2/secrets/forget", "POST /api/v2/secrets/forget", `{"key":"` + w.spare + `"}`, "secret.status"},
	)
}

// export is the whole state as it is now.
func (w *world) export() string {
	w.t.Helper()
	var b strings.Builder
	if err := w.engine.ExportState(w.t.Context(), &b); err != nil {
		w.t.Fatal(err)
	}
	return b.String()
}

func TestEveryRouteIsTried(t *testing.T) {
	w := converged(t)
	var tried []string
	for _, r := range w.routes() {
		tried = append(tried, r.pattern)
	}
	all := w.api.Routes()
	if len(all) < 40 {
		t.Fatalf("there are only %d routes", len(all))
	}
	for _, p := range all {
		if !slices.Contains(tried, p) {
			t.Errorf("%s is not in the table of routes", p)
		}
	}
}

func TestRoutesAnswer(t *testing.T) {
	w := converged(t)
	w = w.another(func(c *apiConfig) { c.Auditing = w.engine })
	for _, r := range w.routes() {
		w.logs.lines = make(chan string, 1)
		w.logs.lines <- "one line\n"
		close(w.logs.lines)
		a := w.admin(r.request, r.body)
		if a.code != http.StatusOK || a.form != r.form {
			t.Errorf("%s: %d %s, want 200 %s\n%s", r.request, a.code, a.form, r.form, a.text)
		}
		if a.header.Get("Cache-Control") != "no-store" || a.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: headers %v", r.request, a.header)
		}
	}
}

// TestDefaultDeny tries every route, and addresses that are none, without the token and with wrong ones.
func TestDefaultDeny(t *testing.T) {
	w := converged(t)
	before := w.engine.View().Rev()
	requests := []string{"GET /", "GET /api/v2/nothing", "DELETE /api/v2/nodes", "GET /debug/pprof/", "OPTIONS /api/v2/nodes", "HEAD /api/v2/nodes", "GET /api/v2/../v2/nodes"}
	bodies := map[string]string{}
	for _, r := range w.routes() {
		requests = append(requests, r.request)
		bodies[r.request] = r.body
	}
	for _, auth := range []string{"", "Bearer", "Bearer ", "Bearer wrong", "Bearer " + token + "x", "Bearer " + token[1:], "bearer " + token, "Basic " + token, token} {
		for _, request := range requests {
			a := w.ask(auth, request, bodies[request])
			if a.code != http.StatusUnauthorized || a.header.Get("WWW-Authenticate") == "" {
				t.Errorf("%q %s: %d %s", auth, request, a.code, a.text)
			}
			if strings.Contains(a.text, token) {
				t.Errorf("%q %s: the answer tells the token", auth, request)
			}
		}
	}
	if after := w.engine.View().Rev(); after != before {
		t.Errorf("the state moved from revision %d to %d", before, after)
	}
}

func TestWhatIsNotThere(t *testing.T) {
	w := converged(t)
	for _, c := range []struct {
		request, body string
		code          int
		says          string
	}{
		{"GET /api/v2/nothing", "", 404, "/api/v2/"},
		{"PATCH /api/v2/node_roles", "[]", 405, "GET, POST"},
		{"GET /api/v2/secrets", "", 404, "nothing"},
		{"GET /api/v2/kubernetes", "", 404, "nothing"},
		{"GET /api/v2/nodes/n9", "", 404, "Could not find node with id n9. (known: "},
		{"GET /api/v2/nodes/n9", "", 404, "n1.example.org, n2.example.org"},
		{"GET /api/v2/nodes/12345", "", 404, "12345"},
		{"GET /api/v2/roles/etcdd", "", 404, "etcd, flannel"},
		{"GET /api/v2/node_roles/n1%2Fnope", "", 404, "n1/etcd"},
		{"GET /api/v2/deployment_roles/nope%2Fetcd", "", 404, "k8s/etcd"},
		{"GET /api/v2/runs/n1", "", 404, "known: "},
		{"DELETE /api/v2/nodes/n9", "", 404, "n9"},
		{"PUT /api/v2/deployments/nope/commit", "", 404, "k8s"},
		{"PUT /api/v2/deployments/k8s/explode", "", 404, "commit, propose, recall, rerun, redeploy, release, pause, resume, cancel, dismantle, apply"},
		{"GET /api/v2/deployments/nope/status", "", 404, "nope"},
		{"GET /api/v2/deployments/k8s/attribs/nope", "", 404, "nope"},
		{"PUT /api/v2/node_roles/n1%2Fnope/retry", "", 404, "n1/nope"},
		{"POST /api/v2/node_roles", `{"role":"nope","node":"n1"}`, 404, "k8s-minion"},
		{"POST /api/v2/node_roles", `{"role":"etcd","node":"n1","deployment":"nope"}`, 404, "k8s"},
		{"POST /api/v2/deployments", `{"name":"x","parent":"nope"}`, 404, "system"},
	} {
		a := w.admin(c.request, c.body)
		if a.code != c.code || !strings.Contains(a.message(), c.says) {
			t.Errorf("%s: %d %s; want %d with %q", c.request, a.code, a.text, c.code, c.says)
		}
	}
	if a := w.admin("POST /api/v2/nodes/n1", ""); a.header.Get("Allow") != "GET, PUT, PATCH, DELETE" {
		t.Errorf("Allow: %s", a.header.Get("Allow"))
	}
}

func TestWhatIsRefused(t *testing.T) {
	w := converged(t)
	big := `{"description":"` + strings.Repeat("x", 5<<20) + `"}`
	before := w.engine.View().Rev()
	for _, c := range []struct {
		request, body string
		code          int
		says          string
	}{
		{"POST /api/v2/nodes", `{"name":"n1.example.org","address":"10.0.0.77"}`, 409, "n1.example.org"},
		{"POST /api/v2/nodes", `{"name":"n1.other.org","address":"10.0.0.77"}`, 409, `would both be "n1"`},
		{"POST /api/v2/nodes", `{"name":"n7","address":"10.0.0.1"}`, 409, "10.0.0.1"},
		{"POST /api/v2/nodes", `{"name":"N7","address":"10.0.0.7"}`, 422, "lower case"},
		{"POST /api/v2/nodes", `{"name":"n7"}`, 422, "address"},
		{"POST /api/v2/nodes", `{"name":`, 422, "request body"},
		{"POST /api/v2/nodes", ``, 422, "name: it is missing"},
		{"POST /api/v2/nodes", `{"name":"n7","address":"10.0.0.7"} {}`, 422, "after top-level value"},
		{"POST /api/v2/nodes", `{"name":{"a":1}}`, 422, "string"},
		{"POST /api/v2/nodes", `{"name":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`, 422, "nested deeper than 64"},
		{"PATCH /api/v2/nodes/n1", `{"description":"x"}`, 422, "Patch not formatted properly"},
		{"PATCH /api/v2/nodes/n1", `[{"op":"replace","path":"/system","value":true}]`, 422, "Cannot update attribute system for Node"},
		{"PATCH /api/v2/nodes/n1", `[{"op":"test","path":"/description","value":"no"},{"op":"replace","path":"/description","value":"d"}]`, 409, "test failed"},
		{"POST /api/v2/nodes", `[]`, 422, "request body"},
		{"PUT /api/v2/nodes/n1", big, 413, "too large"},
		{"PUT /api/v2/deployments/k8s/apply", `{"deployment":"k8s","nodes":[{"name":"` + strings.Repeat("n", 5<<20) + `"}]}`, 413, "too large"},
		{"PUT /api/v2/deployments/k8s/apply", `{"deployment":"other","nodes":[]}`, 422, "the address says"},
		{"PUT /api/v2/deployments/k8s/apply", `{"deployment":"k8s","nodess":[]}`, 422, "nodess"},
		{"PUT /api/v2/deployments/k8s/apply", `{"deployment":"k8s","attribs":{"flannel-backend":"carrier-pigeon"},"nodes":[{"name":"n1.example.org","address":"10.0.0.1","roles":["nope"]}]}`, 404, "attribs.flannel-backend"},
		{"PUT /api/v2/deployments/k8s/attribs/flannel-backend", `{"value":"carrier-pigeon"}`, 422, "flannel-backend"},
		{"PUT /api/v2/deployments/k8s/attribs/etcd-server-leaf", `{"value":"x"}`, 422, "read-only"},
		{"POST /api/v2/node_roles", `{"role":"etcd"}`, 422, "node: it is missing"},
		{"POST /api/v2/node_roles", `{"node":"n1"}`, 422, "role: it is missing"},
		{"DELETE /api/v2/deployments/k8s", "", 409, "is applied"},
		{"DELETE /api/v2/deployments/system", "", 409, "root"},
		{"DELETE /api/v2/nodes/k8s-phantom", "", 409, "phantom"},
		{"PUT /api/v2/deployments/system/propose", "", 409, "system"},
		{"POST /api/v2/deployments", `{"name":"k8s"}`, 409, "already"},
		{"GET /api/v2/deployments/k8s/status?after=soon", "", 422, "after=soon"},
		{"GET /api/v2/deployments/k8s/report?since=noon", "", 422, "since"},
		{"GET /api/v2/node_roles/n1%2Fetcd/log?attempt=first", "", 422, "attempt=first"},
	} {
		a := w.admin(c.request, c.body)
		if a.code != c.code || !strings.Contains(a.message(), c.says) {
			t.Errorf("%s %.60s: %d %.400s; want %d with %q", c.request, c.body, a.code, a.text, c.code, c.says)
		}
	}
	if after := w.engine.View().Rev(); after != before {
		t.Errorf("refused requests moved the state from revision %d to %d", before, after)
	}
}

func TestNamesOfNodes(t *testing.T) {
	w := converged(t)
	id := w.id(crowbar.KindNode, "n2.example.org")
	if got := w.id(crowbar.KindNode, "n2"); got != id {
		t.Errorf("short name: %s, want %s", got, id)
	}
	if got := w.id(crowbar.KindNode, id); got != id {
		t.Errorf("id: %s", got)
	}
	if a, b := w.id(crowbar.KindNodeRole, "n2/etcd"), w.id(crowbar.KindNodeRole, "n2.example.org/etcd"); a != b {
		t.Errorf("n2/etcd is %s, n2.example.org/etcd is %s", a, b)
	}
	if err := w.Show(t.Context(), crowbar.KindNode, "admin", nil); crowbar.KindOf(err) != crowbar.NotFound {
		t.Errorf("admin, where there is none: %v", err)
	}
	body := map[string]any{"name": "boss.example.org", "address": "10.0.0.100", "admin": true, "jig_name": "local"}
	if err := w.Create(t.Context(), crowbar.KindNode, body, nil); err != nil {
		t.Fatal(err)
	}
	var n crowbar.Node
	if err := w.Show(t.Context(), crowbar.KindNode, "admin", &n); err != nil || n.Name != "boss.example.org" {
		t.Errorf("admin is %q, %v", n.Name, err)
	}
	// A server may have the short name of a phantom; then the whole name is needed.
	if err := w.Create(t.Context(), crowbar.KindNode, map[string]any{"name": "k8s-phantom.example.org", "address": "10.0.0.101"}, nil); err != nil {
		t.Fatal(err)
	}
	err := w.Show(t.Context(), crowbar.KindNode, "k8s-phantom", nil)
	if crowbar.KindOf(err) != crowbar.Conflict || !strings.Contains(fmt.Sprint(err), "whole name") {
		t.Errorf("a name of two nodes: %v", err)
	}
	err = w.Do(t.Context(), crowbar.KindNodeRole, "k8s-phantom/k8s-config", "retry", nil)
	if crowbar.KindOf(err) != crowbar.Conflict || !strings.Contains(fmt.Sprint(err), "whole name") {
		t.Errorf("a node-role on one of two nodes: %v", err)
	}
}
