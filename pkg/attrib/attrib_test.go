package attrib

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeclamp/kubeclamp/pkg/barclamp"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/graph"
)

// real is the real barclamp on two nodes: etcd and k8s-master on n1, k8s-minion on n2.
func real(t *testing.T) *crowbar.Snapshot {
	t.Helper()
	data, err := os.ReadFile("../../barclamp.yaml")
	if err != nil {
		t.Fatal(err)
	}
	catalog, err := barclamp.Parse(barclamp.File{Path: "barclamp.yaml", Data: data})
	if err != nil {
		t.Fatal(err)
	}
	s := crowbar.NewSnapshot()
	apply := func(c []crowbar.Change, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		s = s.Apply(s.Rev()+1, c...)
	}
	apply(graph.Import(s, catalog))
	put := func(o crowbar.Object) { apply([]crowbar.Change{{Put: o}}, nil) }
	put(&crowbar.Deployment{ID: s.Next(), Name: "k8s"})
	put(&crowbar.Node{ID: s.Next(), Name: "n1.example.com", Address: "10.0.0.1", Alive: true, Available: true})
	put(&crowbar.Node{ID: s.Next(), Name: "n2.example.com", Address: "10.0.0.2", Alive: true, Available: true})
	for _, b := range []string{"etcd n1", "k8s-master n1", "dns-pool n1", "k8s-minion n2"} {
		r, n, _ := strings.Cut(b, " ")
		apply(graph.Bind(s, graph.Binding{Role: s.RoleNamed(r).ID, Node: s.NodeNamed(n + ".example.com").ID, Deployment: s.DeploymentNamed("k8s").ID}))
	}
	return s
}

func nodeRole(s *crowbar.Snapshot, role, node string) *crowbar.NodeRole {
	return s.NodeRoleOn(s.NodeNamed(node+".example.com").ID, s.RoleNamed(role).ID)
}

func TestCollect(t *testing.T) {
	s := real(t)
	in, err := Collect(s, nodeRole(s, "k8s-master", "n1"))
	if err != nil {
		t.Fatal(err)
	}
	if in.Attribs["etcd-client-port"] != 2379.0 || in.Attribs["kubernetes-service-ip"] != "10.96.0.1" {
		t.Errorf("attribs are %v", in.Attribs)
	}
	for _, c := range in.Computed {
		if _, both := in.Attribs[c.Attrib]; both {
			t.Errorf("%s is computed and given", c.Attrib)
		}
		if c.Deployment != s.DeploymentNamed("k8s").ID {
			t.Errorf("%s belongs to deployment %s", c.Attrib, c.Deployment)
		}
		switch c.Attrib {
		case "k8s-master-server-leaf":
			want := crowbar.Leaf{Authority: "kubernetes", CommonName: "kube-apiserver", Usages: []string{"server"}, IP: []string{"10.96.0.1", "10.0.0.1", "127.0.0.1"},
				DNS: []string{"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "kube-apiserver.kubeclamp.internal", "n1", "localhost"}}
			if d := cmp.Diff(want, *c.Leaf); d != "" || c.Node != "n1" || !in.Secret[c.Attrib] {
				t.Error(d)
			}
		case "kubernetes-ca":
			if c.Authority != "kubernetes" || c.Node != "" || in.Secret[c.Attrib] {
				t.Errorf("%+v", c)
			}
		case "k8s-master-encryption-key":
			if c.Generate != "ring-32" || !in.Secret[c.Attrib] {
				t.Errorf("%+v", c)
			}
		}
	}
	if len(in.Computed) != 11 {
		t.Errorf("%d are computed", len(in.Computed))
	}
}

func TestEveryRoleOfTheRealBarclampCanBeGivenItsAttribs(t *testing.T) {
	s := real(t)
	for nr := range s.NodeRoles() {
		if _, err := Collect(s, nr); err != nil {
			t.Errorf("%s: %v", s.Role(nr.Role).Name, err)
		}
	}
}

func TestDefaultsObeyTheirSchemas(t *testing.T) {
	s := real(t)
	for a := range s.Attribs() {
		if a.Default != nil {
			if err := Check(a, a.Default); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestPrecedence(t *testing.T) {
	s := real(t)
	port := s.AttribNamed("etcd-client-port")
	see := func(want any) {
		t.Helper()
		in, err := Collect(s, nodeRole(s, "flannel", "n2"))
		if err != nil {
			t.Fatal(err)
		}
		if in.Attribs["etcd-client-port"] != want {
			t.Errorf("flannel sees %v, want %v", in.Attribs["etcd-client-port"], want)
		}
	}
	put := func(o crowbar.Object) { s = s.Apply(s.Rev()+1, crowbar.Change{Put: o}) }
	see(2379.0)
	r := *s.RoleNamed("etcd")
	r.Template = with(nil, port.Map, 1.0)
	put(&r)
	see(1.0)
	dep := s.DeploymentNamed("k8s").ID
	dr := *s.DeploymentRoleOf(dep, r.ID)
	dr.Proposed = with(nil, port.Map, 2.0)
	put(&dr)
	see(1.0)
	if c, err := graph.Commit(s, dep); err != nil {
		t.Fatal(err)
	} else {
		s = s.Apply(s.Rev()+1, c...)
	}
	see(2.0)
	n := *s.NodeNamed("n2.example.com")
	n.Hint = with(nil, port.Map, 3.0)
	put(&n)
	see(3.0)
	nr := *nodeRole(s, "etcd", "n1")
	nr.Wall = crowbar.Data{"etcd-client-port": 4.0}
	put(&nr)
	see(4.0)
	nr.Committed = with(nil, port.Map, 5.0)
	put(&nr)
	see(5.0)
}

func TestNodeAttribs(t *testing.T) {
	s := real(t)
	a, n := s.AttribNamed("node-network"), s.NodeNamed("n1.example.com")
	c, err := Set(s, n, a, "10.0.0.0/24")
	if err != nil {
		t.Fatal(err)
	}
	s = s.Apply(s.Rev()+1, c...)
	if v, _, _ := Value(s, s.Node(n.ID), a); v != "10.0.0.0/24" {
		t.Errorf("value is %v", v)
	}
	for node, want := range map[string]any{"n1": "10.0.0.0/24", "n2": ""} {
		in, err := Collect(s, nodeRole(s, "node-prep", node))
		if err != nil || in.Attribs["node-network"] != want {
			t.Errorf("%s sees %v, %v", node, in.Attribs["node-network"], err)
		}
	}
}

func TestSetAndValue(t *testing.T) {
	s := real(t)
	a, dep := s.AttribNamed("etcd-client-port"), s.DeploymentNamed("k8s")
	c, err := Set(s, dep, a, 4001)
	if err != nil {
		t.Fatal(err)
	}
	s = s.Apply(s.Rev()+1, c...)
	if v, _, err := Value(s, dep, a); v != 4001.0 || err != nil {
		t.Errorf("value is %v, %v", v, err)
	}
	nr := nodeRole(s, "etcd", "n1")
	if c, err = Set(s, nr, a, 5001); err != nil {
		t.Fatal(err)
	}
	s = s.Apply(s.Rev()+1, c...)
	if v, _, _ := Value(s, s.NodeRole(nr.ID), a); v != 5001.0 {
		t.Errorf("value is %v", v)
	}
	for name, try := range map[string]struct {
		attrib string
		value  any
		words  string
	}{
		"type": {"etcd-client-port", "x", `[/etcd-client-port]: "x" is not of type int`}, "enum": {"flannel-backend", "carrier-pigeon", "is not one of udp, vxlan"},
		"computed": {"kubernetes-ca", "x", "read-only"}, "required": {"kubernetes-pod-cidr", nil, "a value is required"},
		"sequence": {"node-prep-free-ports", []any{1, "b"}, `[/node-prep-free-ports/1]: "b" is not of type int`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Set(s, dep, s.AttribNamed(try.attrib), try.value)
			if err == nil || !strings.Contains(err.Error(), try.words) || crowbar.KindOf(err) != crowbar.Invalid {
				t.Errorf("error is %v", err)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	type data = crowbar.Data
	port := data{"type": "int", "range": data{"min": 1.0, "max": 65535.0}}
	for _, c := range []struct {
		name   string
		schema data
		value  any
		want   string // "" = well
	}{
		{"int", port, 80.0, ""}, {"int with a part", port, 80.5, "not of type int"}, {"range", port, 70000.0, "is more than 65535"},
		{"pattern", data{"type": "str", "pattern": "/^a+$/"}, "b", "does not match /^a+$/"}, {"pattern met", data{"type": "str", "pattern": "/^a+$/"}, "aa", ""},
		{"length", data{"type": "str", "length": data{"min": 2.0}}, "a", "length of"}, {"scalar", data{"type": "scalar"}, []any{}, "not of type scalar"},
		{"any", data{"type": "any"}, []any{1.0}, ""}, {"unknown type", data{"type": "thing"}, 1.0, "not known"},
		{"map", data{"type": "map", "mapping": data{"a": data{"type": "str", "required": true}}}, data{}, "[/x/a]: is required"},
		{"map's other key", data{"type": "map", "mapping": data{"a": data{"type": "str"}}}, data{"b": 1.0}, "key is not known"},
		{"map's default", data{"type": "map", "mapping": data{"=": data{"type": "int"}}}, data{"b": "c"}, `[/x/b]: "c" is not of type int`},
		{"unique", data{"type": "seq", "sequence": []any{data{"type": "str", "unique": true}}}, []any{"a", "a"}, "is there twice"},
		{"nothing", port, nil, ""}, {"bool", data{"type": "bool"}, "yes", "not of type bool"}, {"float", data{"type": "float"}, 1.5, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := Check(&crowbar.Attrib{Name: "x", Schema: c.schema}, c.value)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("error is %v, want %q", err, c.want)
			}
		})
	}
}
