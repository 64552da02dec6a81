package barclamp

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

func TestTheRealBarclamp(t *testing.T) {
	data, err := os.ReadFile("../../barclamp.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := Parse(File{"barclamp.yaml", data})
	if err != nil {
		t.Fatal(err)
	}
	if c.Barclamp.Name != "kubeclamp" || c.Barclamp.Version != "1.0" {
		t.Errorf("barclamp is %q version %q", c.Barclamp.Name, c.Barclamp.Version)
	}
	roles := map[string]crowbar.Role{}
	for _, r := range c.Roles {
		roles[r.Name] = r
	}
	etcd := roles["etcd"]
	if !etcd.Flags.Cluster || !etcd.Flags.Milestone || etcd.Jig != "ssh" || time.Duration(etcd.Timeout) != 10*time.Minute {
		t.Errorf("etcd is %+v", etcd)
	}
	if len(etcd.Exclusive) != 1 || etcd.Exclusive[0] != (crowbar.Exclusive{Name: "etcd-membership", Limit: 1, Gate: "peers-active"}) {
		t.Errorf("etcd's exclusives are %+v", etcd.Exclusive)
	}
	if docker, proxy := roles["docker"].Peers, roles["proxy"].Peers; etcd.Peers != nil || docker == nil || len(docker) > 0 || len(proxy) != 2 {
		t.Errorf("peers are %q of etcd, which does not say, %q of docker, %q of proxy", etcd.Peers, docker, proxy)
	}
	for _, a := range c.Attribs {
		switch a.Name {
		case "etcd-client-port":
			if a.RoleName != "etcd" || a.Default != 2379.0 || !a.Writable || a.Map != "etcd/client-port" {
				t.Errorf("etcd-client-port is %+v", a)
			}
		case "etcd-server-leaf":
			if a.Leaf == nil || a.Leaf.Authority != "etcd" || len(a.Leaf.IP) != 2 || a.Writable || !a.Secret {
				t.Errorf("etcd-server-leaf is %+v", a)
			}
		case "node-network":
			if a.RoleName != "" || a.Default != "" {
				t.Errorf("node-network is %+v", a)
			}
		}
	}
	if len(c.Barclamp.Warnings) > 0 || c.Foreign {
		t.Errorf("it is foreign: %v, with warnings %v", c.Foreign, c.Barclamp.Warnings)
	}
	if c.Barclamp.Document["wizard"] == nil {
		t.Error("the document lost its wizard")
	}
}

func TestComplaints(t *testing.T) {
	head := "barclamp: { name: b }\njigs: [{ name: ssh, class: SSH }]\nroles:\n"
	for _, c := range []struct{ name, text, want string }{
		{"unknown flag", head + "  - { name: a, jig: ssh, flags: [implicid] }", `barclamp.yml:4: role "a" has flag "implicid", which is not known: did you mean "implicit"?`},
		{"unknown key", head + "  - { name: a, jig: ssh, requries: [b] }", `barclamp.yml:4: role "a" has key "requries", which is not known: did you mean "requires"?`},
		{"missing name", head + "  - { jig: ssh }", `barclamp.yml:4: role has no name`},
		{"missing jig", head + "  - { name: a }", `barclamp.yml:4: role "a" has no jig`},
		{"duplicate role", head + "  - { name: a, jig: ssh }\n  - { name: a, jig: ssh }", `barclamp.yml:5: role "a" is there already, at barclamp.yml:4`},
		{"duplicate attrib", head + "  - name: a\n    jig: ssh\n    attribs:\n      - { name: x }\n      - { name: x }", `barclamp.yml:8: attrib "x" is there already, at barclamp.yml:7`},
		{"duplicate key", head + "  - { name: a, jig: ssh, jig: local }", `barclamp.yml:4: role "a" has key "jig" twice`},
		{"bad yaml", "barclamp:\n  name: b\n\tx: y\n", `: not YAML: found a tab`},
		{"leaf without authority", head + "  - name: a\n    jig: ssh\n    attribs:\n      - name: x\n        leaf: { common_name: y, usages: [server] }", `barclamp.yml:8: leaf of attrib "x" has no authority`},
		{"leaf with a default", head + "  - name: a\n    jig: ssh\n    attribs:\n      - { name: x, generate: random-32, default: 1 }", `barclamp.yml:7: attrib "x" has generate, so that nobody sets it`},
		{"no barclamp", "roles: []", `barclamp.yml:1: no barclamp`},
		{"a list", "- a", `barclamp.yml:1: the document is not a map`},
		{"timeout", head + "  - { name: a, jig: ssh, timeout: 15 }", `barclamp.yml:4: role "a" has timeout "15"`},
		{"gate", head + "  - { name: a, jig: ssh, exclusive: [{ name: e, gate: shut }] }", `barclamp.yml:4: "shut" is not known here`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse(File{"barclamp.yml", []byte(c.text)})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error is %v\nwant %s", err, c.want)
			}
			if crowbar.KindOf(err) != crowbar.Invalid {
				t.Errorf("kind is %v", crowbar.KindOf(err))
			}
		})
	}
}

func TestAllComplaintsAtOnce(t *testing.T) {
	_, err := Parse(File{"barclamp.yml", []byte("barclamp: {}\nroles:\n  - { jig: ssh }\n  - { name: a, jig: ssh, flags: [x] }\nfoo: 1\n")})
	if got := strings.Count(err.Error(), "\n") + 1; got != 4 {
		t.Errorf("%d complaints, want 4:\n%v", got, err)
	}
}

func TestForeignDocument(t *testing.T) {
	c, err := Parse(File{"crowbar.yml", []byte(`
barclamp: { name: test, display: Test, parent: crowbar, member: [x] }
crowbar: { layout: 2.0 }
debs: { ubuntu: { pkgs: [a] } }
jigs: [{ name: test, class: "BarclampTest::Jig", implementor: test-client }]
roles:
  - name: test-server
    jig: test
    flags: [implicit, leaverunlog]
    events: [{ endpoint: x }]
    wants-attribs: [a, { name: b, at: c }]
    attribs: [{ name: test-thing, schema: { type: str } }]
  - { name: test-client, jig: test, attaches: [test-server] }
`)})
	if err != nil {
		t.Fatal(err)
	}
	r := c.Roles[0]
	if r.Description != "Test Server" || len(r.Wants) != 2 || len(c.Roles[1].Attaches) != 1 || c.Roles[1].Attaches[0] != "test-server" {
		t.Errorf("role is %+v", r)
	}
	if a := c.Attribs[0]; a.Map != "test/thing" || !a.Writable {
		t.Errorf("attrib is %+v", a)
	}
}

func TestAMistakeOfYAMLIsNamedWhereItIs(t *testing.T) {
	long := strings.Repeat("- { a: 1 }\n", 500)
	for _, c := range []struct {
		name, text string
		line       int
	}{
		{"in the middle", "x:\n" + long + " - { b: 2 }\n" + long, 502},
		{"never closed", "x:\n" + long + "- { b: 2\n" + long, 502},
		{"at the end", "x:\n" + long + "- 'b", 502},
		{"in the first line", "x: y: z\n" + long, 1},
		{"in a second document", "x: 1\n---\ny: [\n", 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse(File{"f", []byte("barclamp: { name: b }\n" + c.text)})
			want := fmt.Sprintf("f:%d: not YAML: ", c.line+1)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error is %v, want %s", err, want)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	data, _ := os.ReadFile("../../barclamp.yaml")
	f.Add(data)
	f.Add([]byte("a: &a\n  <<: *a\n"))
	f.Fuzz(func(t *testing.T, data []byte) { _, _ = Parse(File{"f", data}) })
}
