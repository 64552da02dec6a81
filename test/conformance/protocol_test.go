//go:build linux

package conformance

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
)

func protocolFacts() []fact {
	return []fact{
		{1, "no credentials get a challenge", func(d *daemon) {
			a := d.send("GET /api/status/nodes", "", map[string]string{"Accept": "application/json"})
			if a.code != http.StatusUnauthorized || !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Digest realm=") {
				d.t.Errorf("%s, WWW-Authenticate: %s", a, a.header.Get("WWW-Authenticate"))
			}
		}},
		{2, "a browser is led to the sign-in page", fact2},
		{3, "signing in by form gives a cookie for the API", fact3},
		{4, "digest challenge and success", fact4},
		{5, "the signed uri with the query or without", fact5},
		{6, "content type of a list", func(d *daemon) {
			a := d.good("GET nodes")
			if ct := a.header.Get("Content-Type"); ct != "application/vnd.crowbar.node.list+json; version=2.0" || a.list() == nil {
				d.t.Errorf("%q: %s", ct, a)
			}
		}},
		{7, "what is not found is named", func(d *daemon) {
			for _, noun := range []string{"node", "attrib", "barclamp", "network"} {
				a := d.ask("GET " + noun + "s/thisdoesnotexist")
				if want := "Could not find " + noun + " with id thisdoesnotexist."; a.code != http.StatusNotFound || num(a.obj(), "status") != 404 || a.message() != want {
					d.t.Errorf("%s; want %q", a, want)
				}
			}
		}},
		{8, "x-return-attributes chooses keys", func(d *daemon) {
			d.node("a08")
			l := d.good("GET nodes", "", `x-return-attributes: ["name","id"]`).list()
			for _, o := range l {
				d.keys(o.(map[string]any), "id name")
			}
			if !slices.Contains(names(l, "name"), "a08.example.org") {
				d.t.Errorf("nodes are %v", l)
			}
		}},
		{9, "match is exact", func(d *daemon) {
			d.node("x09")
			d.node("y09")
			if a := d.good("POST nodes/match", "{}"); a.body != "[]\n" && a.body != "[]" {
				d.t.Errorf("match of nothing: %s", a)
			}
			if l := d.good("POST nodes/match", `{"nosuchcolumn":1}`).list(); l == nil || len(l) != 0 {
				d.t.Errorf("match of unknown columns: %v", l)
			}
			if l := d.good("POST nodes/match", `{"name":"x09.example.org"}`).list(); len(l) != 1 || l[0].(map[string]any)["name"] != "x09.example.org" {
				d.t.Errorf("match by name: %v", l)
			}
			if l := d.good("POST nodes/match", `{"name":"x09.example.org","alive":false}`).list(); len(l) != 0 {
				d.t.Errorf("match by name and another column: %v", l)
			}
		}},
		{10, "sample of a node", func(d *daemon) {
			m := d.good("GET nodes/sample").obj()
			d.keys(m, "name description admin system allocated alive available bootenv quirks")
			d.is(m, map[string]any{"alive": false, "available": false, "allocated": false, "admin": false, "bootenv": "sledgehammer"})
		}},
		{11, "sample of a user", func(d *daemon) {
			if m := d.good("GET users/sample").obj(); m == nil || len(m) != 0 {
				d.t.Errorf("%v", m)
			}
		}},
		{12, "id and name give the same object", fact12},
		{13, "JSON patch with a test", fact13},
		{14, "what a patch may not touch", func(d *daemon) {
			n := d.node("a14")
			for _, key := range []string{"system", "admin"} {
				d.want(500, "Cannot update attribute "+key+" for Node", "PATCH nodes/"+n, `[{"op":"replace","path":"/`+key+`","value":true}]`)
				if d.good("GET nodes/" + n).obj()[key] != false {
					d.t.Errorf("%s has changed", key)
				}
			}
		}},
	}
}

func fact2(d *daemon) {
	at := "/"
	for range 5 {
		a := d.send("GET "+at, "", map[string]string{"Accept": "text/html"})
		if a.code/100 == 3 {
			at = a.header.Get("Location")
			continue
		}
		for _, word := range []string{"Sign In", "Username", "Password"} {
			if a.code != http.StatusOK || !strings.Contains(a.body, word) {
				d.t.Errorf("%s: %s; it has no %q", at, a, word)
			}
		}
		return
	}
	d.t.Errorf("it leads on and on, now to %s", at)
}

// developer makes a user who may sign in.
func (d *daemon) developer(name string) (password string) {
	d.t.Helper()
	password = "Cr0wbar!! of " + name
	body, err := json.Marshal(map[string]any{"username": name, "password": password, "password_confirmation": password, "email": name + "@example.org", "digest": true})
	if err != nil {
		d.t.Fatal(err)
	}
	d.good("POST users", string(body))
	d.t.Cleanup(func() { d.ask("DELETE users/" + name) })
	return password
}

func fact3(d *daemon) {
	password := d.developer("developer")
	form := url.Values{"user[username]": {"developer"}, "user[password]": {password}}.Encode()
	a := d.send("POST /my/users/sign_in", form, map[string]string{"Content-Type": "application/x-www-form-urlencoded"})
	cookie, rest, ok := strings.Cut(a.header.Get("Set-Cookie"), "; ")
	if a.code != http.StatusFound || !ok || rest == "" {
		d.t.Fatalf("%s, Set-Cookie: %s", a, a.header.Get("Set-Cookie"))
	}
	if a := d.send("GET /api/v2/nodes", "", map[string]string{"Cookie": cookie}); a.code != http.StatusOK || a.list() == nil {
		d.t.Errorf("with the cookie: %s", a)
	}
	if a := d.send("GET /api/v2/nodes", "", map[string]string{"Cookie": cookie + "x"}); a.code != http.StatusUnauthorized {
		d.t.Errorf("with a forged cookie: %s", a)
	}
}

func fact4(d *daemon) {
	c := d.challenge()
	if c["status"] != "401" || c["realm"] != "Crowbar" || c["qop"] != "auth" || c["algorithm"] != "MD5" || c["nonce"] == "" || c["opaque"] == "" {
		d.t.Errorf("challenge: %v", c)
	}
	for k := range c {
		if !slices.Contains([]string{"status", "realm", "domain", "nonce", "opaque", "stale", "algorithm", "qop"}, k) {
			d.t.Errorf("the clients do not know %q", k)
		}
	}
	for pass, code := range map[string]int{d.pass: 200, d.pass + "x": 401} {
		if a := d.send("HEAD /api/v2/digest", "", map[string]string{"Authorization": d.signed(d.user, pass, "HEAD", "/api/v2/digest")}); a.code != code {
			d.t.Errorf("%s, want %d", a, code)
		}
	}
	if a := d.good("GET digest"); a.body != "success" {
		d.t.Errorf("%s", a)
	}
}

func fact5(d *daemon) {
	for uri, code := range map[string]int{"/api/v2/nodes": 200, "/api/v2/nodes?x=y": 200, "/api/v2/nodes?x=z": 401, "/api/v2/roles": 401} {
		if a := d.send("GET /api/v2/nodes?x=y", "", map[string]string{"Authorization": d.signed(d.user, d.pass, "GET", uri)}); a.code != code {
			d.t.Errorf("signed over %s: %s, want %d", uri, a, code)
		}
	}
}

func fact12(d *daemon) {
	n := d.node("a12")
	d.deployment("f12")
	d.good("POST networks", `{"name":"net12","conduit":"1g0","deployment":"f12","ranges":[{"name":"host","first":"10.12.0.10/24","last":"10.12.0.20/24"}]}`)
	d.t.Cleanup(func() { d.ask("DELETE networks/net12") })
	d.good("POST groups", `{"name":"g12","category":"rack"}`)
	d.t.Cleanup(func() { d.ask("DELETE groups/g12") })
	for _, path := range []string{"barclamps/crowbar", "roles/test-admin", "jigs/noop", "attribs/test-random", "nodes/" + n, "deployments/f12", "users/" + d.user,
		"networks/net12", "groups/g12", "available_hammers/ssh", "networks/net12/network_ranges/host"} {
		by := d.good("GET " + path).obj()
		folder := path[:strings.LastIndex(path, "/")+1]
		if got := d.good("GET " + folder + fmt.Sprint(num(by, "id"))).obj(); !reflect.DeepEqual(got, by) || num(by, "id") == 0 {
			d.t.Errorf("%s is\n%v, by its id\n%v", path, by, got)
		}
	}
}

func fact13(d *daemon) {
	n := d.node("a13")
	const patch = "Content-Type: application/json-patch+json"
	a := d.good("PATCH nodes/"+n, `[{"op":"test","path":"/description","value":null},{"op":"replace","path":"/description","value":"d"}]`, patch)
	d.is(a.obj(), map[string]any{"description": "d"})
	d.want(500, "", "PATCH nodes/"+n, `[{"op":"test","path":"/description","value":"other"},{"op":"replace","path":"/description","value":"e"}]`, patch)
	d.is(d.good("GET nodes/"+n).obj(), map[string]any{"description": "d"})
	a = d.good("PATCH nodes/"+n, `[{"op":"remove","path":"/description"},{"op":"add","path":"/bootenv","value":"local"}]`, patch)
	d.is(a.obj(), map[string]any{"description": nil, "bootenv": "local"})
	d.want(500, "Patch not formatted properly", "PATCH nodes/"+n, `{"description":"x"}`, patch)
}
