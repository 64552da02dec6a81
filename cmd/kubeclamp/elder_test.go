package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeclamp/kubeclamp/pkg/api"
	"github.com/kubeclamp/kubeclamp/pkg/client"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// elders are the requests of OpenCrowbar's API, from its routes: everything else is refused, as there.
var elders = regexp.MustCompile(`^(` + strings.Join([]string{
	`(GET|HEAD) /api/v2/digest`,
	`GET /api/v2/(attribs|available_hammers|barclamps|deployments|deployment_roles|nodes|node_roles|roles|jigs|hammers|groups|networks|network_ranges|network_routers|network_allocations|dns_name_filters|dns_name_entries|runs|users)(/[^/]+)?`,
	`POST /api/v2/(attribs|barclamps|deployments|deployment_roles|nodes|node_roles|hammers|groups|networks|network_ranges|network_routers|dns_name_filters|users)(/match)?`,
	`(PUT|PATCH|DELETE) /api/v2/(attribs|barclamps|deployments|deployment_roles|nodes|node_roles|roles|jigs|hammers|groups|networks|network_ranges|network_routers|dns_name_filters|users)/[^/]+`,
	`GET /api/v2/deployments/[^/]+/(nodes|roles|node_roles|deployment_roles|attribs)`,
	`PUT /api/v2/(deployments|nodes|deployment_roles|node_roles)/[^/]+/(propose|commit)`,
	`PUT /api/v2/node_roles/[^/]+/retry`,
	`PUT /api/v2/deployments/[^/]+/recall`,
	`GET /api/v2/nodes/[^/]+/(node_roles|hammers|attribs|roles|network_allocations|power|addresses)`,
	`GET /api/v2/nodes/[^/]+/node_roles/[^/]+`,
	`GET /api/v2/networks/[^/]+/(network_ranges|network_routers|network_allocations)`,
	`(GET|PUT|PATCH) /api/v2/(nodes|roles|node_roles|deployments|deployment_roles)/[^/]+/attribs/[^/]+`,
	`GET /api/v2/(roles|node_roles|deployment_roles)/[^/]+/attribs`,
	`GET /api/v2/groups/[^/]+/nodes`,
	`(POST|DELETE) /api/v2/groups/[^/]+/nodes/[^/]+`,
}, "|") + `)$`)

// old is a server that was written before kubeclamp: what it does not know is not there, and nobody has a token.
type old struct {
	mu     sync.Mutex
	writes []string // what changed something
	asked  []string // what it has no request for
}

func (o *old) front(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request := r.Method + " " + r.URL.EscapedPath()
		known := elders.MatchString(request)
		o.mu.Lock()
		if !known && request != "GET /api/v2/daemons" { // by which a kubeclampd is known
			o.asked = append(o.asked, request)
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			o.writes = append(o.writes, request)
		}
		o.mu.Unlock()
		if strings.HasPrefix(r.Header.Get("Authorization"), "Bearer") {
			http.Error(w, "no tokens here", http.StatusUnauthorized)
			return
		}
		if !known && r.Header.Get("Authorization") != "" {
			http.Error(w, "<html>no route matches</html>", http.StatusNotFound)
			return
		}
		r.Header.Set("Accept", "application/json")
		h.ServeHTTP(w, r)
	})
}

func (o *old) said(list *[]string) []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := *list
	*list = nil
	return out
}

// anOld starts one, and has the command line reach it as OpenCrowbar's clients would.
func anOld(t *testing.T, mode api.Compat) (*old, *rehearsal) {
	t.Helper()
	o, file := &old{}, filepath.Join(t.TempDir(), "admin.json")
	r, end, err := rehearse(file, o.front, func(c *api.Config) { c.Compat = mode })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(end)
	made, err := r.engine.Make(context.Background(), &crowbar.User{Username: "operator", Admin: true})
	if err == nil {
		err = r.engine.SetPassword(context.Background(), made.Key(), "a good long password", true)
	}
	if err != nil {
		t.Fatal(err)
	}
	var conf client.Config
	b, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(b, &conf)
	}
	if err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(filepath.Dir(file), "ca.pem")
	if err := os.WriteFile(ca, []byte(conf.CA), 0o600); err != nil {
		t.Fatal(err)
	}
	family := map[api.Compat]string{api.CompatCrowbar: "CROWBAR", api.CompatRebar: "REBAR"}[mode]
	for k, v := range map[string]string{"KUBECLAMP_CONFIG": filepath.Join(filepath.Dir(file), "none.json"), "KUBECLAMP_CA": ca, family + "_ENDPOINT": conf.Endpoint, family + "_KEY": "operator:a good long password", "XDG_CONFIG_HOME": t.TempDir()} {
		t.Setenv(k, v)
	}
	return o, r
}

// TestDriveElders: the verbs that OpenCrowbar's API can do work against a server that can nothing else.
func TestDriveElders(t *testing.T) {
	for mode, name := range map[api.Compat]string{api.CompatCrowbar: "OpenCrowbar", api.CompatRebar: "Digital Rebar"} {
		t.Run(string(mode), func(t *testing.T) {
			o, r := anOld(t, mode)
			for _, step := range []struct {
				args string
				code int
				want string // of what is printed
			}{
				{"ping", 0, name},
				{`nodes create {"name":"n1.example.com","alive":true,"available":true}`, 0, "n1.example.com"},
				{"deployments create k8s", 0, "k8s"},
				{"nodes update n1 deployment=k8s", 0, "n1.example.com"},
				{"bind n1 node-prep -d k8s", 0, "bound node-prep to n1"},
				{"nodes bind n1 to docker -d k8s", 0, "bound docker to n1"},
				{"bind n1 flannel -d k8s", 0, "bound flannel"},
				{"set -d k8s flannel-backend=udp", 0, ""},
				{"deployments get k8s attrib flannel-backend", 0, "udp"},
				{"deployments set k8s attrib flannel-backend to host-gw", 0, "host-gw"},
				{"noderoles list -d k8s", 0, "n1/docker"},
				{"status -d k8s", 0, "docker"},
				{"nodes list", 0, "n1.example.com"},
				{"nodes list --limit 1", 0, ""},
				{"deployments list -o json", 0, `"k8s"`},
				{"roles list -o name", 0, "docker"},
				{"commit -d k8s", 0, ""},
				{"nodes commit n1", -1, ""},
			} {
				args := strings.Fields(step.args)
				if head, object, is := strings.Cut(step.args, " {"); is {
					args = append(strings.Fields(head), "{"+object)
				}
				out, errs, code := cli(t, args...)
				if step.code >= 0 && code != step.code || !strings.Contains(out+errs, step.want) {
					t.Fatalf("kubeclamp %s: %d\n%s%s", step.args, code, out, errs)
				}
			}
			if _, err := r.engine.UpdateNode(t.Context(), r.engine.View().NodeNamed("n1.example.com").ID, func(n *crowbar.Node) error { n.Address = "10.0.0.1"; return nil }); err != nil {
				t.Fatal(err)
			}
			for nr := range r.engine.View().NodeRoles() {
				if nr.State == crowbar.Proposed {
					t.Errorf("node-role %d is still proposed", nr.ID)
				}
			}
			r.anneal(nil, nil)
			for _, verb := range []string{"converge k8s --timeout 20s", "wait k8s --timeout 20s"} {
				if out, errs, code := cli(t, strings.Fields(verb)...); code != 0 || !strings.Contains(out, "active") {
					t.Errorf("%s: %d\n%s%s", verb, code, out, errs)
				}
			}
			if out, errs, code := cli(t, "noderoles", "retry", "n1/docker"); code != 0 {
				t.Errorf("retry: %d\n%s%s", code, out, errs)
			}
			if out, errs, code := cli(t, "logs", "n1/docker"); code != 0 {
				t.Errorf("logs: %d\n%s%s", code, out, errs)
			}
			if d := cmp.Diff([]string(nil), o.said(&o.asked)); d != "" {
				t.Errorf("it was asked for what it has not:\n%s", d)
			}
			refusals(t, o, name)
		})
	}
}

// refusals: what those servers cannot do is said so, and nothing has been changed.
func refusals(t *testing.T, o *old, name string) {
	o.said(&o.writes)
	file := filepath.Join(t.TempDir(), "cluster.yaml")
	if err := os.WriteFile(file, []byte("deployment: k8s\nnodes:\n- { name: n1, address: 10.0.0.1, roles: [docker] }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{"apply -f " + file, "plan -f " + file, "plan -d k8s", "drift -d k8s", "converge k8s --force", "converge k8s --watch", "unset -d k8s flannel-backend", "why n1/docker", "kubeconfig -d k8s", "report -d k8s",
		"nodes forget n1", "deployments pause k8s", "deployments cancel k8s", "noderoles cancel n1/docker", "logs n1/docker --attempt 1", "events", "export k8s", "destroy k8s --yes", "secrets status", "state export " + filepath.Join(t.TempDir(), "state"),
		"audit list", "explain flannel-backend -d k8s", "daemons list", "nodes create n2.example.com --address 10.0.0.2", "nodes update n1 --ssh-user me", "nodes list --sort name", "nodes list --filter name=n1", "graph -d k8s"} {
		out, errs, code := cli(t, strings.Fields(args)...)
		if code == 0 && strings.HasPrefix(args, "graph") {
			continue
		}
		if code != 3 || !strings.Contains(errs, name) || !strings.Contains(errs, "nothing was changed") {
			t.Errorf("kubeclamp %s: %d\n%s%s", args, code, out, errs)
		}
	}
	if d := cmp.Diff([]string(nil), o.said(&o.writes)); d != "" {
		t.Errorf("something was changed:\n%s", d)
	}
	if d := cmp.Diff([]string(nil), o.said(&o.asked)); d != "" {
		t.Errorf("it was asked for what it has not:\n%s", d)
	}
}

// TestDigestToKubeclampd: a user may sign in to a kubeclampd by digest too, and misses nothing.
func TestDigestToKubeclampd(t *testing.T) {
	file := filepath.Join(t.TempDir(), "admin.json")
	r, end, err := rehearse(file, func(h http.Handler) http.Handler { return h })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(end)
	made, err := r.engine.Make(context.Background(), &crowbar.User{Username: "operator", Admin: true})
	if err == nil {
		err = r.engine.SetPassword(context.Background(), made.Key(), "a good long password", true)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBECLAMP_CONFIG", file)
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("operator:a good long password\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]string{"ping": "kubeclampd at https://", "users show me -o json": `"operator"`, "daemons list": "", "nodes create n1 --address 10.0.0.1": "n1"} {
		if out, errs, code := cli(t, append([]string{"--key", "@" + key}, strings.Fields(args)...)...); code != 0 || !strings.Contains(out, want) {
			t.Errorf("%s: %d\n%s%s", args, code, out, errs)
		}
	}
	if _, errs, code := cli(t, "--key", "operator:wrong", "nodes", "list"); code != 3 || !strings.Contains(errs, "does not let user operator in") {
		t.Errorf("with a wrong password: %d %s", code, errs)
	}
	if _, errs, code := cli(t, "--key", "operator", "nodes", "list"); code != 3 || !strings.Contains(errs, "want USER:PASSWORD") {
		t.Errorf("without a password: %d %s", code, errs)
	}
	if fmt.Sprint(r.engine.View().Count(crowbar.KindNode)) == "0" {
		t.Error("there is no node")
	}
}
