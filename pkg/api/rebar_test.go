package api_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/api"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// rebar is a converged world that speaks to Digital Rebar's clients.
func rebar(t *testing.T) *world {
	t.Helper()
	w := converged(t).another(func(c *apiConfig) { c.Compat = api.CompatRebar })
	w.crowbar = true
	w.logs.lines = make(chan string) // of every node-role that is shown
	close(w.logs.lines)
	return w
}

func (a answer) object(t *testing.T) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(a.text), &m); err != nil {
		t.Fatalf("%v: %s", err, a.text)
	}
	return m
}

// TestEveryNounInRebarsWords: everything that is listed, shown and sampled has Digital Rebar's content type and a uuid, by which it
// is found again. What is answered is held against the description.
func TestEveryNounInRebarsWords(t *testing.T) {
	w := rebar(t)
	seen := map[string]string{}
	ours := []string{"daemon.list", "audit.list", "certificate.list", "backup.list"} // nouns that Digital Rebar has not
	for _, r := range w.routes() {
		method, path, _ := strings.Cut(r.request, " ")
		words := strings.Split(strings.TrimPrefix(path, "/api/v2/"), "/")
		if method != http.MethodGet || len(words) != 1 || !strings.HasPrefix(path, "/api/v2/") || !strings.HasSuffix(r.form, ".list") || slices.Contains(ours, r.form) {
			continue
		}
		a := w.admin(r.request, "")
		if a.code != http.StatusOK || a.header.Get("Content-Type") != "application/vnd.rebar."+r.form+"+json; version=2.0" {
			t.Errorf("%s: %d %s", r.request, a.code, a.header.Get("Content-Type"))
		}
		var all []map[string]any
		if err := json.Unmarshal([]byte(a.text), &all); err != nil {
			t.Fatalf("%s: %v", r.request, err)
		}
		for i, o := range all {
			id, _ := o["uuid"].(string)
			if seen[id] != "" || len(id) != 36 {
				t.Errorf("%s: %q is the uuid of %s too", path, id, seen[id])
			}
			seen[id] = path
			if i > 3 || words[0] == "runs" { // runs are asked for by their node
				continue
			}
			if got := w.admin("GET "+path+"/"+strings.ToUpper(id), "").object(t); fmt.Sprint(got["id"]) != fmt.Sprint(o["id"]) {
				t.Errorf("%s/%s is %v, want %v", path, id, got, o)
			}
		}
	}
	if len(seen) < 200 {
		t.Errorf("there are %d objects", len(seen))
	}
	for id := range seen {
		other := id[:35] + "0"
		if other == id {
			other = id[:35] + "1"
		}
		if a := w.admin("GET /api/v2/nodes/"+other, ""); a.code != http.StatusNotFound || a.header.Get("Content-Type") != "application/json; charset=utf-8" {
			t.Errorf("%s: %d %s %s", other, a.code, a.header.Get("Content-Type"), a.text)
		}
		break
	}
}

// TestRebarsRoutes: what is answered to Digital Rebar's clients is as the description says, all of it.
func TestRebarsRoutes(t *testing.T) {
	w := rebar(t)
	w = w.another(func(c *apiConfig) { c.Compat, c.Auditing = api.CompatRebar, w.engine })
	for _, r := range w.routes() {
		w.logs.lines = make(chan string)
		close(w.logs.lines)
		request := r.request
		if strings.HasPrefix(r.pattern, "GET /api/v2/runs/{id}") {
			request = "GET /api/v2/runs/n1"
		}
		if strings.HasSuffix(r.pattern, " /api/v2/nodes") && strings.HasPrefix(r.pattern, "POST") {
			r.body = strings.Replace(r.body, "{", `{"available":true,"alive":true,`, 1)
		}
		named := strings.NewReplacer("networks/data", "networks/general-default", `"network":"data"`, `"network":"general-default"`, "data%2F", "general-default%2F", "network-data", "network-general-default", `\"data\"`, `\"general-default\"`)
		request, r.body = named.Replace(request), named.Replace(r.body) // a network is called after its category and its group
		if a := w.admin(request, r.body); a.code != http.StatusOK {
			t.Errorf("%s: %d %s", request, a.code, a.text)
		}
	}
}

// TestRebarsKeys: what Digital Rebar's objects have beyond OpenCrowbar's, and what of it can be said.
func TestRebarsKeys(t *testing.T) {
	w := rebar(t)
	w.admin("POST /api/v2/nodes", `{"name":"d1.example.org","deployment":"k8s","variant":"vm","arch":"aarch64","os_family":"freebsd","provider":"metal","tenant_id":1,"hints":{"node-control-address":"10.0.9.1/24","node-network":"10.0.9.0/24"}}`)
	for path, want := range map[string]map[string]any{
		"nodes/d1": {"variant": "vm", "arch": "aarch64", "os_family": "freebsd", "bootenv": "unknown", "node-control-address": "10.0.9.1", "provider_id": 1.0, "tenant_id": 1.0, "state": 0.0, "available": false},
		"nodes/n1": {"variant": "metal", "arch": "x86_64", "os_family": "linux", "icon": "memory", "state": 0.0}, "nodes/k8s-phantom.internal.local": {"variant": "phantom", "provider_id": 2.0},
		"nodes/d1/attribs/node-network": {"value": "10.0.9.0/24"}, "nodes/sample": {"bootenv": "unknown", "variant": "metal"},
		"roles/k8s-minion": {"icon": "memory", "leaverunlog": false}, "node_roles/n1%2Fetcd": {"_role_name": "etcd", "_role_icon": "memory"}, "deployment_roles/k8s%2Fetcd": {"proposed": false, "_role_name": "etcd"},
		"deployments/k8s": {"tenant_id": 1.0}, "tenants/system": {"parent_id": nil}, "providers/1": {"name": "metal"},
	} {
		got := w.admin("GET /api/v2/"+path, "").object(t)
		for key, v := range want {
			if got[key] != v {
				t.Errorf("%s: %s is %v, want %v", path, key, got[key], v)
			}
		}
	}
	etcd := w.admin("GET /api/v2/roles/etcd", "").object(t)
	if l, _ := etcd["attribs"].([]any); !slices.Contains(l, any("etcd-client-port")) {
		t.Errorf("etcd has the attribs %v", l)
	}
	for _, c := range []struct {
		request, body string
		code          int
		says          string
	}{
		{"POST /api/v2/nodes", `{"name":"d2.example.org","provider":"aws"}`, 404, "Could not find provider with id aws."},
		{"POST /api/v2/nodes", `{"name":"d2.example.org","tenant_id":7}`, 404, "Could not find tenant with id 7."},
		{"POST /api/v2/nodes", `{"name":"d2.example.org","profiles":["web"]}`, 404, "Could not find profile with id web."},
		{"POST /api/v2/nodes", `{"name":"d2.example.org","hints":{"nope":1}}`, 404, "Could not find attrib with id nope."},
		{"PUT /api/v2/nodes/d1", `{"profiles":["web"]}`, 404, "Could not find profile"},
		{"PUT /api/v2/deployments/k8s", `{"tenant":"mine"}`, 404, "Could not find tenant"},
		{"POST /api/v2/deployments", `{"name":"two","system":true}`, 409, "Only one system deployment"},
		{"PATCH /api/v2/nodes/d1", `[{"op":"replace","path":"/variant","value":"x"}]`, 500, "Cannot update attribute variant for Node"},
		{"PATCH /api/v2/nodes/d1", `[{"op":"test","path":"/variant","value":"vm"},{"op":"replace","path":"/uuid","value":"x"},{"op":"replace","path":"/description","value":"d"}]`, 200, `"description":"d"`},
		{"GET /api/v2/nodes/d2.example.org", "", 404, "Could not find node"},
		{"POST /api/v2/tenants", `{"name":"mine"}`, 405, "not supported"},
	} {
		if a := w.admin(c.request, c.body); a.code != c.code || !strings.Contains(a.text, c.says) {
			t.Errorf("%s %s: %d %s, want %d with %q", c.request, c.body, a.code, a.text, c.code, c.says)
		}
	}
}

// TestBatch: a deployment with nodes, roles and attribs in one request.
func TestBatch(t *testing.T) {
	w := rebar(t)
	for _, c := range []struct {
		body string
		code int
		says string
	}{
		{`{}`, 409, "Nodes List is required"},
		{`{"nodes":[{"id":"nope","roles":[]}]}`, 404, "Could not find node"},
		{`{"nodes":[{"id":"n1","roles":["nope"]}]}`, 404, "Could not find role"},
		{`{"nodes":[{"count":2,"roles":["etcd"]}]}`, 409, "Provider required"},
		{`{"nodes":[{"count":2000,"provider":{"name":"metal"},"roles":["etcd"]}]}`, 409, "at most 1000"},
		{`{"nodes":[{"provider":{"name":"aws"},"roles":["etcd"]}]}`, 404, "Could not find provider"},
		{`{"nodes":[{"id":"n1","profiles":["p"]}]}`, 404, "Could not find profile"},
		{`{"nodes":[],"attribs":{"nope":1}}`, 404, "Could not find attrib"},
		{`{"nodes":"many"}`, 400, "nodes"},
	} {
		before := w.engine.View()
		w.admin("POST /api/v2/deployments", `{"name":"batch"}`)
		at := w.engine.View().Rev()
		if a := w.admin("PUT /api/v2/deployments/batch/batch", c.body); a.code != c.code || !strings.Contains(a.text, c.says) {
			t.Errorf("%s: %d %s, want %d with %q", c.body, a.code, a.text, c.code, c.says)
		}
		if now := w.engine.View().Rev(); now != at {
			t.Errorf("%s changed the state", c.body)
		}
		w.admin("DELETE /api/v2/deployments/batch", "")
		if n := w.engine.View().Count(crowbar.KindNode); n != before.Count(crowbar.KindNode) {
			t.Errorf("%s left a node", c.body)
		}
	}
	if a := w.admin("PUT /api/v2/deployments/k8s/batch", `{"nodes":[]}`); a.code != 409 || !strings.Contains(a.text, "must be proposed") {
		t.Errorf("a committed one: %d %s", a.code, a.text)
	}
	w.admin("POST /api/v2/nodes", `{"name":"b1.example.org","address":"10.0.8.1"}`)
	a := w.admin("POST /api/v2/deployments", `{"name":"many","commit":true,"provider":{"name":"metal"},"attribs":{"etcd-client-port":12379},"role_apply_order":["etcd"],
		"nodes":[{"id":"b1.example.org","roles":["etcd"]},{"id":-1,"count":2,"prefix":"w","roles":{"k8s-minion":true,"etcd":false}}]}`)
	if a.code != http.StatusOK || a.object(t)["state"] != 1.0 {
		t.Fatalf("%d %s", a.code, a.text)
	}
	roles := map[string]bool{}
	for _, o := range w.list("GET /api/v2/deployments/many/nodes") {
		name := o["name"].(string)
		for _, r := range w.list("GET /api/v2/nodes/" + name + "/roles") {
			roles[name+" "+r["name"].(string)] = true
		}
	}
	for _, want := range []string{"b1.example.org etcd", "w-001.metal.many.cloud k8s-minion", "w-002.metal.many.cloud k8s-minion"} {
		if !roles[want] {
			t.Errorf("there is no %s in %v", want, slices.Sorted(maps.Keys(roles)))
		}
	}
	if roles["w-001.metal.many.cloud etcd"] || roles["b1.example.org k8s-minion"] {
		t.Errorf("more was bound than was said: %v", slices.Sorted(maps.Keys(roles)))
	}
	if a := w.admin("GET /api/v2/deployments/many/attribs/etcd-client-port", ""); a.object(t)["value"] != 12379.0 {
		t.Errorf("the attrib is %s", a.text)
	}
}

func (w *world) list(request string) (all []map[string]any) {
	w.t.Helper()
	if err := json.Unmarshal([]byte(w.admin(request, "").text), &all); err != nil {
		w.t.Fatalf("%s: %v", request, err)
	}
	return all
}

// TestLimitedCallersStayInTheirDeployment: a batch and a scrub touch more than the object in their path.
func TestLimitedCallersStayInTheirDeployment(t *testing.T) {
	w := rebar(t)
	dep, err := w.engine.CreateDeployment(t.Context(), "mine", "", 0)
	if err != nil {
		t.Fatal(err)
	}
	_, text, err := w.engine.CreateToken(t.Context(), crowbar.Token{Name: "limited", Right: crowbar.RightOperator, Deployments: []string{"mine"}}, 0)
	if err != nil {
		t.Fatal(err)
	}
	n := w.engine.View().NodeNamed("n4.example.org")
	if _, err := w.engine.UpdateNode(t.Context(), n.ID, func(n *crowbar.Node) error { n.Deployment = dep.ID; return nil }); err != nil {
		t.Fatal(err)
	}
	at := w.engine.View().Rev()
	for _, c := range [][2]string{{"PUT /api/v2/deployments/mine/batch", `{"nodes":[{"id":"n1","roles":[]}]}`}, {"PUT /api/v2/nodes/n4/scrub", ""}} {
		if a := w.ask("Bearer "+text, c[0], c[1]); a.code != http.StatusForbidden || !strings.Contains(a.text, "may change mine alone") {
			t.Errorf("%s: %d %s", c[0], a.code, a.text)
		}
	}
	if w.engine.View().Rev() != at {
		t.Error("the state has changed")
	}
	if a := w.admin("PUT /api/v2/nodes/n4/scrub", ""); a.code != http.StatusOK {
		t.Errorf("scrub: %d %s", a.code, a.text)
	}
	for _, nr := range w.engine.View().NodeRolesOn(n.ID) {
		if !nr.Removing && nr.Deployment != dep.ID {
			t.Errorf("node-role %d stays", nr.ID)
		}
	}
}
