package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeclamp/kubeclamp/pkg/api"
	"github.com/kubeclamp/kubeclamp/pkg/api/apitest"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// kubeclamp import --from: TestImport takes over an old server by the command line: first shown, then done, then done again.
func TestImport(t *testing.T) {
	for _, mode := range []api.Compat{api.CompatCrowbar, api.CompatRebar} {
		t.Run(string(mode), func(t *testing.T) {
			o, _ := anOld(t, mode)
			for _, args := range []string{
				"deployments create outer", `deployments create {"name":"k8s","parent":"outer","description":"ours"}`,
				`networks create {"name":"admin-internal","category":"admin","group":"internal","conduit":"1g0","deployment":"system","ranges":[{"name":"host","first":"10.9.0.10/24","last":"10.9.0.90/24"}],"router":{"address":"10.9.0.1/24","pref":10}}`,
				`nodes create {"name":"n1.example.com","description":"first","alive":true,"available":true,"bootenv":"local","deployment":"k8s"}`,
				`nodes create {"name":"n2.example.com","deployment":"k8s"}`,
				"bind n1 network-admin-internal -d k8s", "bind n1 flannel -d k8s", "bind n2 docker -d k8s",
				"set -d k8s flannel-backend=host-gw",
				`attribs create {"name":"theirs","map":"a/b","barclamp":"kubeclamp","role":"flannel","writable":true}`,
				"set -d k8s theirs=1",
				"nodes set n1 attrib node-network to 10.9.0.0/24", "noderoles set n1/flannel attrib flannel-port to 8473", "noderoles set n2/docker attrib docker-version to x",
				`groups create {"name":"left","category":"rack","description":"the left one"}`, "groups add n1 to left", "groups add n2 to left",
				`users create {"username":"jane","email":"jane@example.com","is_admin":true}`, `users create {"username":"joe"}`,
			} {
				words := strings.Fields(args)
				if head, object, is := strings.Cut(args, " {"); is {
					words = append(strings.Fields(head), "{"+object)
				}
				if out, errs, code := cli(t, words...); code != 0 {
					t.Fatalf("%s: %d\n%s%s", args, code, out, errs)
				}
			}
			from := os.Getenv(map[api.Compat]string{api.CompatCrowbar: "CROWBAR", api.CompatRebar: "REBAR"}[mode] + "_ENDPOINT")
			t.Setenv("KUBECLAMP_FROM_CA", os.Getenv("KUBECLAMP_CA"))
			t.Setenv("KUBECLAMP_CA", "")
			file := filepath.Join(t.TempDir(), "admin.json")
			here, end, err := rehearse(file, func(h http.Handler) http.Handler { return apitest.Check(t, h) })
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(end)
			t.Setenv("KUBECLAMP_CONFIG", file)
			o.said(&o.writes)
			took := func(more ...string) map[string]string {
				out, errs, code := cli(t, append([]string{"import", "--from", from, "-o", "json"}, more...)...)
				var all []move
				if err := json.Unmarshal([]byte(out), &all); err != nil || code != 0 {
					t.Fatalf("%v %d\n%s%s", err, code, out, errs)
				}
				found := map[string]string{}
				for _, m := range all {
					found[m.Kind+" "+m.Name] = m.Action
				}
				return found
			}
			shown := took()
			if n := here.engine.View().NodeNamed("n1.example.com"); n != nil {
				t.Error("it was only to be shown, and is made")
			}
			for what, action := range map[string]string{"deployment k8s": "make", "node n1.example.com": "make", "network admin-internal": "make", "address 10.9.0.10/24": "make", "attrib k8s: flannel-backend": "make",
				"attrib k8s: theirs": "skip", "attrib n1.example.com: node-network": "make", "attrib n1.example.com/flannel: flannel-port": "make", "attrib n2.example.com/docker: docker-version": "skip",
				"group left": "make", "member left: n1.example.com": "make", "member left: n2.example.com": "skip", "user jane": "make", "user joe": "make", "user operator": "make", "binding n1.example.com/flannel": "make", "node n2.example.com": "skip", "binding n2.example.com/docker": "skip"} {
				if shown[what] != action {
					t.Errorf("%s: %q, want %q", what, shown[what], action)
				}
			}
			done := took("--apply")
			for what, action := range shown {
				if want := strings.Replace(action, "make", "made", 1); done[what] != want {
					t.Errorf("%s: %q, want %q", what, done[what], want)
				}
			}
			s := here.engine.View()
			n, d := s.NodeNamed("n1.example.com"), s.DeploymentNamed("k8s")
			if n == nil || d == nil {
				t.Fatal("they are not here")
			}
			got := []any{n.Address, n.Description, n.BootEnv, n.Alive, n.Deployment == d.ID, d.Description, s.Deployment(d.Parent).Name}
			if diff := cmp.Diff([]any{"10.9.0.10", "first", "local", true, true, "ours", "outer"}, got); diff != "" {
				t.Error(diff)
			}
			if v, _, code := cli(t, "deployments", "get", "k8s", "attrib", "flannel-backend"); code != 0 || !strings.Contains(v, "host-gw") {
				t.Errorf("the attrib is %s", v)
			}
			for _, args := range []string{"nodes get n1 attrib node-network", "noderoles get n1/flannel attrib flannel-port"} {
				if v, errs, code := cli(t, strings.Fields(args)...); code != 0 || !strings.Contains(v, "10.9.0.0/24") && !strings.Contains(v, "8473") {
					t.Errorf("%s: %s%s", args, v, errs)
				}
			}
			jane := s.UserNamed("jane")
			if jane == nil || !jane.Admin || jane.Email != "jane@example.com" || jane.Credentials != nil {
				t.Errorf("%+v", jane)
			}
			if g := s.Group(n.Groups[0]); len(n.Groups) != 1 || g.Name != "left" || g.Category != "rack" || g.Description != "the left one" {
				t.Errorf("%v %+v", n.Groups, g)
			}
			for nr := range s.NodeRoles() {
				if nr.State != crowbar.Proposed {
					t.Errorf("node-role %d is %s: nothing is to run by itself", nr.ID, nr.State)
				}
			}
			for what, action := range took("--apply") {
				if action != "there" && action != "skip" {
					t.Errorf("again: %s: %q", what, action)
				}
			}
			now := here.engine.View()
			for _, k := range []crowbar.Kind{crowbar.KindNode, crowbar.KindDeployment, crowbar.KindDeploymentRole, crowbar.KindNodeRole, crowbar.KindNetwork, crowbar.KindAllocation, crowbar.KindAttrib, crowbar.KindUser, crowbar.KindGroup} {
				if diff := cmp.Diff(slices.Collect(s.All(k)), slices.Collect(now.All(k))); diff != "" {
					t.Errorf("the second time changed something: %s", diff)
				}
			}
			if left := append(o.said(&o.writes), o.said(&o.asked)...); len(left) > 0 {
				t.Errorf("that server is only read, by what it has: %v", left)
			}
		})
	}
}

// Who may not see users takes over all else.
func TestUsersAreHidden(t *testing.T) {
	there, here := &survey{users: []object{{"username": "jane"}}}, &survey{hidden: map[crowbar.Kind]string{crowbar.KindUser: "403"}}
	got := moveUsers(there, here)
	if len(got) != 1 || got[0].Action != "skip" || got[0].do != nil || !strings.Contains(got[0].Why, "here is not shown users: 403") {
		t.Errorf("%+v", got)
	}
}
