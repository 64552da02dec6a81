package api_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// attribRoutes is every way in to attribs and their values.
func attribRoutes() []route {
	var out []route
	add := func(method, pattern, path, body, form string) {
		out = append(out, route{method + " /api/v2/" + pattern, method + " /api/v2/" + path, body, form})
	}
	for _, c := range []struct{ kind, key, attrib, value string }{
		{"nodes", "n1", "node-network", "10.0.0.0/24"}, {"roles", "proxy", "proxy-url", "http://10.0.0.9:3128"}, {"deployments", "k8s", "proxy-url", "http://10.0.0.9:3128"},
		{"deployment_roles", "k8s%2Fproxy", "proxy-url", "http://10.0.0.9:3128"}, {"node_roles", "n1%2Fproxy", "proxy-url", "http://10.0.0.9:3128"},
	} {
		at, one := c.kind+"/{id}/attribs", c.kind+"/"+c.key+"/attribs"
		add("GET", at, one, "", "attrib.list")
		add("GET", at+"/{attrib}", one+"/"+c.attrib, "", "attrib.obj")
		add("PUT", at+"/{attrib}", one+"/"+c.attrib, `{"value":"`+c.value+`"}`, "attrib.obj")
		add("PATCH", at+"/{attrib}", one+"/"+c.attrib, `[{"op":"test","path":"/value","value":"`+c.value+`"},{"op":"replace","path":"/value","value":""}]`, "attrib.obj")
		add("DELETE", at+"/{attrib}", one+"/"+c.attrib, "", "attrib.obj")
	}
	add("POST", "barclamps", "barclamps", `{"value":{"barclamp":{"name":"test","source_path":"/opt/test"}}}`, "barclamp.obj")
	add("PUT", "barclamps/{id}", "barclamps/test", `{"value":{"barclamp":{"name":"test","source_path":"/opt/test"}}}`, "barclamp.obj")
	add("POST", "attribs", "attribs", `{"name":"bdd_data_there","map":"bdd/easyway","barclamp":"test","writable":true}`, "attrib.obj")
	add("PUT", "attribs/{id}", "attribs/bdd_data_there", `{"description":"there","default":7}`, "attrib.obj")
	add("PATCH", "attribs/{id}", "attribs/bdd_data_there", `[{"op":"replace","path":"/description","value":"here"}]`, "attrib.obj")
	add("DELETE", "attribs/{id}", "attribs/bdd_data_there", "", "attrib.empty")
	return out
}

// testBarclamp is a document as OpenCrowbar's Go client sends one: null for lists that are not there.
const testBarclamp = `{"value":{"barclamp":{"name":"test","description":"","source_path":"/opt/test/crowbar.yml","version":"1","parent":""},"hammers":null,"jigs":null,
	"roles":[{"name":"test-a","jig":"noop","flags":["milestone"],"requires":null,"attribs":[{"name":"test-size","map":"test/size","default":3,"schema":{"type":"int"}}]}],
	"attribs":[{"name":"test-random","map":"test/random","default":0}]}}`

func TestBarclampsOnTheWire(t *testing.T) {
	w := converged(t)
	w.crowbar = true
	var b map[string]any
	w.json("POST /api/v2/barclamps", testBarclamp, &b)
	id := jsonID(b)
	if b["name"] != "test" || b["source_path"] != "/opt/test/crowbar.yml" || b["version"] != "1" {
		t.Errorf("imported: %v", b)
	}
	for request, want := range map[string]string{
		"GET /api/v2/roles/test-a": "cohort", "GET /api/v2/attribs/test-size": "writable", "GET /api/v2/attribs/test-random": "map"} {
		if a := w.admin(request, ""); a.code != 200 || !strings.Contains(a.text, want) {
			t.Errorf("%s: %d %s", request, a.code, a.text)
		}
	}
	w.json("POST /api/v2/attribs", `{"name":"mine","map":"my/own","barclamp":"test","writable":"true"}`, &map[string]any{})
	w.json("PUT /api/v2/roles/test-a", `{"template":{"test":{"size":7}}}`, &map[string]any{})
	w.json("PUT /api/v2/barclamps/test", strings.Replace(testBarclamp, `"default":3`, `"default":4`, 1), &b)
	if jsonID(b) != id {
		t.Errorf("again: id %s, was %s", jsonID(b), id)
	}
	var a map[string]any
	w.json("GET /api/v2/attribs/test-size", "", &a)
	if fmt.Sprint(a["default"]) != "map[value:4]" {
		t.Errorf("default: %v", a["default"])
	}
	w.json("GET /api/v2/attribs/mine", "", &a)
	w.json("GET /api/v2/roles/test-a/attribs/test-size", "", &a)
	if a["value"] != 7.0 {
		t.Errorf("an import took an operator's template away: %v", a["value"])
	}
	for _, c := range []struct {
		request, body string
		code          int
		says          string
	}{
		{"POST /api/v2/barclamps", `{"value":{"barclamp":{"name":"x"}}}`, 500, "Barclamp metadata malformed!"},
		{"POST /api/v2/barclamps", `{"value":{"barclamp":{"source_path":"x"}}}`, 500, "Barclamp metadata malformed!"},
		{"POST /api/v2/barclamps", `{}`, 500, "value"},
		{"POST /api/v2/barclamps", `{"value":{"barclamp":{"name":"x","source_path":"x"},"jigs":[{"class":"X"}]}}`, 500, "Jigs must have a name"},
		{"POST /api/v2/barclamps", `{"value":{"barclamp":{"name":"x","source_path":"x"},"jigs":[{"name":"x"}]}}`, 500, "Jigs must have a type"},
		{"POST /api/v2/barclamps", `{"value":{"barclamp":{"name":"x","source_path":"x"},"roles":[{"name":"x-a","jig":"nope"}]}}`, 404, "nope"},
		{"POST /api/v2/barclamps", `{"value":{"barclamp":{"name":"x","source_path":"x","parent":"nope"}}}`, 404, "nope"},
		{"POST /api/v2/barclamps", `{"value":{"barclamp":{"name":"x","source_path":"x"},"roles":[{"name":"x-a","jig":"noop","attribs":[{"name":"x-b","schema":{"type":"what"}}]}]}}`, 409, "what"},
		{"POST /api/v2/barclamps", `{"value":{"barclamp":{"name":"x y","source_path":"x"}}}`, 409, "x y"},
		{"PUT /api/v2/barclamps/test", `{"value":{"barclamp":{"name":"other","source_path":"x"}}}`, 500, "Cannot change the name of a barclamp via update!"},
		{"DELETE /api/v2/barclamps/test", "", 405, "DELETE"},
		{"POST /api/v2/attribs", `{"name":"more","barclamp":"nope"}`, 404, "nope"},
		{"POST /api/v2/attribs", `{"name":"more"}`, 500, "barclamp"},
		{"POST /api/v2/attribs", `{"name":"mine","barclamp":"test"}`, 409, "already"},
		{"POST /api/v2/attribs", `{"name":"more","barclamp":"test","schema":{"type":"what"}}`, 409, "what"},
		{"PUT /api/v2/attribs/mine", `{"value":1}`, 405, "PUT"},
		{"DELETE /api/v2/attribs/test-size", "", 409, "barclamp"},
		{"DELETE /api/v2/attribs/mine", "", 200, "deleted"},
	} {
		if a := w.admin(c.request, c.body); a.code != c.code || !strings.Contains(a.message(), c.says) {
			t.Errorf("%s %s: %d %s, want %d with %q", c.request, c.body, a.code, a.text, c.code, c.says)
		}
	}
}

// TestBuckets is section 6 of the reference: what each bucket of each carrier reads, and where a write goes.
func TestBuckets(t *testing.T) {
	w := converged(t)
	w.crowbar = true
	w.json("POST /api/v2/barclamps", testBarclamp, &map[string]any{})
	w.json("POST /api/v2/node_roles", `{"node":"n1","role":"test-a","deployment":"k8s"}`, &map[string]any{})
	s := w.engine.View()
	nr := s.NodeRoleOn(s.NodeNamed("n1.example.org").ID, s.RoleNamed("test-a").ID)
	if _, err := w.engine.UpdateNode(t.Context(), nr.Node, func(n *crowbar.Node) error {
		n.Discovery = crowbar.Data{"test": crowbar.Data{"random": "found"}}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	put := func(path, body string) {
		t.Helper()
		w.json("PUT /api/v2/"+path, body, &map[string]any{})
	}
	put("roles/test-a/attribs/test-size", `{"value":10}`)
	put("deployments/k8s/attribs/test-size", `{"value":11}`)
	put("node_roles/n1%2Ftest-a/attribs/test-size", `{"value":12}`)
	for _, at := range []string{"nodes/n1/attribs/test-random", "roles/test-a/attribs/test-size", "deployment_roles/k8s%2Ftest-a/attribs/test-size", "node_roles/n1%2Ftest-a/attribs/test-size"} {
		put(at+"?bucket=note", `{"value":"remember `+at[:5]+`"}`)
	}
	for _, c := range []struct {
		path, bucket string
		want         any
	}{
		{"nodes/n1/attribs/test-random", "all", "found"}, {"nodes/n1/attribs/test-random", "discovery", "found"}, {"nodes/n1/attribs/test-random", "wall", "found"},
		{"nodes/n1/attribs/test-random", "user", 0.0}, {"nodes/n1/attribs/test-random", "note", "remember nodes"},
		{"roles/test-a/attribs/test-size", "", 10.0}, {"roles/test-a/attribs/test-size", "note", "remember roles"}, {"roles/test-a/attribs/test-size", "user", 10.0},
		{"deployment_roles/k8s%2Ftest-a/attribs/test-size", "", 11.0}, {"deployment_roles/k8s%2Ftest-a/attribs/test-size", "committed", 3.0},
		{"deployment_roles/k8s%2Ftest-a/attribs/test-size", "wall", 3.0}, {"deployments/k8s/attribs/test-size", "user", 11.0}, {"deployments/k8s/attribs/test-size", "note", "remember deplo"},
		{"node_roles/n1%2Ftest-a/attribs/test-size", "", 12.0}, {"node_roles/n1%2Ftest-a/attribs/test-size", "user", 12.0}, {"node_roles/n1%2Ftest-a/attribs/test-size", "committed", 10.0},
		{"node_roles/n1%2Ftest-a/attribs/test-size", "system", 3.0}, {"node_roles/n1%2Ftest-a/attribs/test-size", "wall", 3.0}, {"nodes/n1/attribs/test-size", "user", 12.0},
		{"node_roles/n1%2Ftest-a/attribs/test-size", "note", "remember node_"},
	} {
		var a map[string]any
		w.json("GET /api/v2/"+c.path+"?bucket="+c.bucket, "", &a)
		if a["value"] != c.want {
			t.Errorf("%s, bucket %q: %v, want %v", c.path, c.bucket, a["value"], c.want)
		}
		if len(a) != 14 {
			t.Errorf("%s: keys %s", c.path, keysOf(a))
		}
	}
	for _, c := range []struct {
		request, body string
		code          int
		says          string
	}{
		{"PUT /api/v2/nodes/n1/attribs/test-random", `{"value":1}`, 500, "Attrib test-random is read-only"},
		{"PUT /api/v2/node_roles/n1%2Ftest-a/attribs/test-size", `{"value":"abc"}`, 500, "failed schema validation"},
		{"PUT /api/v2/node_roles/n1%2Ftest-a/attribs/test-size?bucket=wall", `{"value":1}`, 405, "bucket"},
		{"PATCH /api/v2/node_roles/n1%2Ftest-a/attribs/test-size?bucket=discovery", `[{"op":"replace","path":"/value","value":1}]`, 405, "bucket"},
		{"GET /api/v2/nodes/n1/attribs/test-random?bucket=pail", "", 500, "bucket"},
		{"GET /api/v2/nodes/n2/attribs/test-size", "", 404, "not bound"},
		{"GET /api/v2/nodes/n1/attribs/nope", "", 404, "Could not find attrib with id nope."},
		{"PATCH /api/v2/nodes/n1/attribs/node-network", `[{"op":"replace","path":"/name","value":"x"}]`, 500, "Cannot update attribute name for Attrib"},
		{"PATCH /api/v2/nodes/n1/attribs/node-network", `[{"op":"test","path":"/value","value":"no"},{"op":"replace","path":"/value","value":"x"}]`, 500, "test"},
	} {
		if a := w.admin(c.request, c.body); a.code != c.code || !strings.Contains(a.message(), c.says) {
			t.Errorf("%s %s: %d %s, want %d with %q", c.request, c.body, a.code, a.text, c.code, c.says)
		}
	}
	// As OpenCrowbar's Go client sets an attrib, and as its page does.
	var a map[string]any
	w.json("PATCH /api/v2/deployments/k8s/attribs/test-size?bucket=user", `[{"op":"test","path":"/value","value":11},{"op":"replace","path":"/value","value":21}]`, &a)
	if a["value"] != 21.0 {
		t.Errorf("patched: %v", a["value"])
	}
	w.json("PUT /api/v2/nodes/n1/attribs/node-network?attrib[value]=10.0.0.0/24", "", &a)
	if a["value"] != "10.0.0.0/24" {
		t.Errorf("by form: %v", a["value"])
	}
	// The list has every attrib.
	var all []map[string]any
	for _, c := range []string{"nodes/n1", "roles/test-a", "deployments/k8s", "deployment_roles/k8s%2Ftest-a", "node_roles/n1%2Ftest-a"} {
		w.json("GET /api/v2/"+c+"/attribs", "", &all)
		if len(all) != w.engine.View().Count(crowbar.KindAttrib) {
			t.Errorf("%s has %d attribs of %d", c, len(all), w.engine.View().Count(crowbar.KindAttrib))
		}
		b, _ := json.Marshal(all)
		for _, secret := range w.secret {
			if strings.Contains(string(b), secret) {
				t.Errorf("%s: a secret is shown", c)
			}
		}
	}
}
