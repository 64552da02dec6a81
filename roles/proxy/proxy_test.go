package proxy

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
	"github.com/kubeclamp/kubeclamp/pkg/role/roletest"
)

const squid = "http://198.18.255.254:3128"

func wants(more crowbar.Data) crowbar.Data {
	d := crowbar.Data{"proxy-url": squid, "proxy-no-proxy": []any{}, "node-network": "198.18.0.0/16", "kubernetes-pod-cidr": "10.244.0.0/16",
		"kubernetes-service-cidr": "10.96.0.0/16", "kubernetes-cluster-domain": "cluster.local", "kubernetes-pool-name": "kube-apiserver.kubeclamp.internal"}
	for k, v := range more {
		d[k] = v
	}
	return d
}

func node(more crowbar.Data, packager string) roletest.Make {
	return func(n *roletest.Node) role.Target {
		n.Packager = packager
		n.Write("/etc/environment", "PATH=/usr/bin\n", 0o644)
		if packager == "dnf" {
			n.Write("/etc/dnf/dnf.conf", "[main]\ngpgcheck=1\n", 0o644)
		}
		n.Units["docker.service"] = &roletest.Unit{Distro: true, Active: "active", Enabled: true, Loaded: "distribution"}
		n.ProbeFunc = func(n *roletest.Node, p linux.Probe) (string, int, bool) {
			path := map[string]string{"environment": environment, "dnf": dnfFile, "yum": yumFile}[p.Name]
			if f := n.Files[path]; f != nil {
				return f.Content, 0, true
			}
			return "", 1, true
		}
		return n.Target(wants(more))
	}
}

func TestSuite(t *testing.T) {
	t.Run("apt", func(t *testing.T) { roletest.Suite(t, node(nil, "apt"), New()) })
	t.Run("dnf", func(t *testing.T) { roletest.Suite(t, node(nil, "dnf"), New()) })
}

func TestNoProxyIsNoChange(t *testing.T) {
	n := roletest.NewNode()
	roletest.NothingToDo(t, New(), n, node(crowbar.Data{"proxy-url": ""}, "apt")(n))
}

func TestComesAndGoes(t *testing.T) {
	n := roletest.NewNode()
	make := node(nil, "dnf")
	on := make(n)
	before := n.Picture()
	roletest.Apply(t, New(), on)
	if got := n.Content(dnfFile); got != "[main]\n# BEGIN kubeclamp proxy\nproxy="+squid+"\n# END kubeclamp proxy\ngpgcheck=1\n" {
		t.Errorf("dnf.conf is %q", got)
	}
	if n.Units["docker.service"].Starts != 1 {
		t.Errorf("Docker was restarted %d times, want once", n.Units["docker.service"].Starts)
	}
	on.Attribs["proxy-url"] = ""
	roletest.Apply(t, New(), on)
	after := roletest.Diff(before, n.Picture())
	for _, l := range strings.Split(after, "\n") {
		if l != "" && !strings.Contains(l, " dir ") && !strings.HasPrefix(l, "+ dir ") {
			t.Errorf("left behind: %s", l)
		}
	}
	if n.Units["docker.service"].Starts != 2 {
		t.Errorf("Docker was restarted %d times, want twice", n.Units["docker.service"].Starts)
	}
}

func TestServerOfTheDeployment(t *testing.T) {
	peer := func(node, url string, first, settled bool) role.Peer {
		return role.Peer{Role: "proxy-server", Node: node, First: first, Settled: settled, State: crowbar.Todo, Wall: crowbar.Data{"proxy-server-url": url}}
	}
	for name, c := range map[string]struct {
		peers []role.Peer
		want  string
	}{
		"none":            {nil, ""},
		"one":             {[]role.Peer{peer("admin", squid, true, true)}, squid},
		"not settled":     {[]role.Peer{peer("admin", squid, true, false)}, ""},
		"founder":         {[]role.Peer{peer("a", "http://a:1", false, true), peer("b", "http://b:1", true, true)}, "http://b:1"},
		"own":             {[]role.Peer{peer("a", "http://a:1", true, true), peer("n1", "http://n1:1", false, true)}, "http://n1:1"},
		"founder is away": {[]role.Peer{peer("b", "http://b:1", false, true), peer("c", "http://c:1", false, true), peer("a", "http://a:1", true, false)}, "http://b:1"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := decode(role.Target{Node: "n1", Attribs: wants(crowbar.Data{"proxy-url": ""}), Peers: c.peers})
			if err != nil || s.url != c.want {
				t.Fatalf("%q, %v; want %q", s.url, err, c.want)
			}
		})
	}
}

func TestNoProxy(t *testing.T) {
	on := role.Target{Node: "n1", Attribs: wants(crowbar.Data{"node-network": "", "proxy-no-proxy": []any{"10.9.0.0/24", "mirror.example"}}),
		Peers: []role.Peer{{Role: "node-prep", Node: "n2", Wall: crowbar.Data{"node-prep-network": "10.0.0.0/8"}}, {Role: "node-prep", Node: "n1", Wall: crowbar.Data{"node-prep-network": "198.18.0.0/16"}}}}
	s, err := decode(on)
	want := []string{"localhost", "127.0.0.0/8", "::1", "198.18.0.0/16", "10.244.0.0/16", "10.96.0.0/16", ".cluster.local", ".svc", ".kubeclamp.internal", "10.9.0.0/24", "mirror.example"}
	if d := cmp.Diff(want, s.direct); err != nil || d != "" {
		t.Fatalf("%v %s", err, d)
	}
	on.Peers = append(on.Peers, role.Peer{Role: "node-prep", Node: "n3", Address: "198.18.0.13"})
	if again, err := decode(on); err != nil || cmp.Diff(s.direct, again.direct) != "" {
		t.Errorf("one more node changes no_proxy: %v", again.direct)
	}
	if got := apt(s); !strings.Contains(got, `Acquire::http::Proxy::mirror.example "DIRECT";`) || strings.Contains(got, "10.9") {
		t.Errorf("apt: %s", got)
	}
}

func TestRefusals(t *testing.T) {
	for name, more := range map[string]crowbar.Data{
		"scheme":  {"proxy-url": "squid:3128"},
		"quote":   {"proxy-url": "http://a:1\";x"},
		"path":    {"proxy-url": "http://a:1/pac"},
		"cidr":    {"kubernetes-pod-cidr": "10.244"},
		"network": {"node-network": ""},
		"extra":   {"proxy-no-proxy": []any{"a b"}},
	} {
		if _, err := decode(role.Target{Node: "n1", Attribs: wants(more)}); crowbar.KindOf(err) != crowbar.Invalid {
			t.Errorf("%s: %v, want an error of kind Invalid", name, err)
		}
	}
}

func TestPercentInUnits(t *testing.T) {
	if got := unitEnv(settings{url: "http://u:p%40@a:1", direct: []string{"x"}}); !strings.Contains(got, "HTTP_PROXY=http://u:p%%40@a:1") {
		t.Errorf("%s", got)
	}
}
