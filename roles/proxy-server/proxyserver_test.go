package proxyserver

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
	"github.com/kubeclamp/kubeclamp/pkg/role/roletest"
)

func wants(more crowbar.Data) crowbar.Data {
	d := crowbar.Data{"node-network": "", "proxy-server-port": 3128, "proxy-server-listen": "", "proxy-server-allow": []any{}, "proxy-server-cache-mb": 1024}
	for k, v := range more {
		d[k] = v
	}
	return d
}

// squid answers as the real one does to the two questions of tunnel.
func squid(network, addr string) (net.Conn, error) {
	here, there := net.Pipe()
	go func() {
		defer there.Close()
		r := bufio.NewReader(there)
		if req, err := http.ReadRequest(r); err != nil || req.Method != http.MethodConnect || req.Host != addr {
			return
		}
		there.Write([]byte("HTTP/1.1 200 Connection established\r\n\r\n"))
		if _, err := http.ReadRequest(r); err == nil {
			there.Write([]byte("HTTP/1.1 400 Bad Request\r\nServer: squid/5.7\r\nContent-Length: 0\r\n\r\n"))
		}
	}()
	return here, nil
}

func onSystemd(n *roletest.Node) role.Target {
	n.Users["proxy"], n.Groups["proxy"] = true, true
	n.Probe["addresses"] = "2: eth0    inet 198.18.0.11/16 brd 198.18.255.255 scope global eth0\n"
	n.Handle = func(n *roletest.Node, c jig.Cmd) jig.Exit {
		for _, p := range c.Argv[3:] { // the removal of its folders
			delete(n.Files, p)
		}
		return jig.Exit{}
	}
	n.Brings["squid"] = []string{"squid.service"}
	n.HandleDial = func(network, addr string) (net.Conn, error) {
		if u := n.Units[unitName]; u == nil || u.Active != "active" {
			return nil, errors.New("connection refused")
		}
		return squid(network, addr)
	}
	return n.Target(wants(nil))
}

// bare is an admin host without systemd, on which the role has to keep the process itself.
func bare(n *roletest.Node) role.Target {
	onSystemd(n)
	n.NoSystemd = true
	n.ProbeFunc = func(n *roletest.Node, p linux.Probe) (string, int, bool) {
		return n.Content("started"), 0, p.Name == "process"
	}
	n.Handle = func(n *roletest.Node, c jig.Cmd) jig.Exit {
		if len(c.Argv) == 6 { // launch: conf, run folder, hash
			n.Write("started", c.Argv[5], 0o644)
		} else {
			delete(n.Files, "started")
		}
		return jig.Exit{}
	}
	n.HandleDial = func(network, addr string) (net.Conn, error) {
		if n.Content("started") == "" {
			return nil, errors.New("connection refused")
		}
		return squid(network, addr)
	}
	return n.Target(wants(nil))
}

func TestSuite(t *testing.T) {
	t.Run("systemd", func(t *testing.T) { roletest.Suite(t, onSystemd, New()) })
}

func TestWithoutSystemd(t *testing.T) {
	n := roletest.NewNode()
	on := bare(n)
	res := roletest.Apply(t, New(), on)
	if res.Wall["proxy-server-url"] != "http://198.18.0.11:3128" {
		t.Fatalf("wall %v", res.Wall)
	}
	roletest.NothingToDo(t, New(), n, on)
	first := n.Content("started")
	on.Attribs["proxy-server-cache-mb"] = 2048
	roletest.Apply(t, New(), on)
	if n.Content("started") == first {
		t.Fatal("a new configuration did not restart it")
	}
	delete(n.Files, "started")
	if res := roletest.Apply(t, New(), on); len(res.Changes) != 1 || res.Changes[0].Do != "start" {
		t.Fatalf("the process died; changes are %v, want one start", res.Changes)
	}
	if err := New().(role.Remover).Remove(context.Background(), on); err != nil || n.Files["started"] != nil || n.Files[confFile] != nil {
		t.Fatalf("after a removal: %v, started %v, configuration %v", err, n.Files["started"], n.Files[confFile])
	}
	if len(n.Units) > 1 || n.Files[theirs] != nil {
		t.Fatalf("units were touched on a host without systemd: %v", n.Units)
	}
}

func TestTheirSquidStays(t *testing.T) {
	n := roletest.NewNode()
	on := onSystemd(n)
	n.Packages["squid"] = true
	n.Units["squid.service"] = &roletest.Unit{Distro: true, Enabled: true, Active: "active", Loaded: "distribution"}
	roletest.Apply(t, New(), on)
	if u := n.Units["squid.service"]; !u.Enabled || u.Active != "active" || n.Files[theirs] != nil {
		t.Fatalf("a squid that was there before is not as it was: %+v", u)
	}
}

func TestOursMasksTheirs(t *testing.T) {
	n := roletest.NewNode()
	on := onSystemd(n)
	roletest.Apply(t, New(), on)
	if u := n.Units["squid.service"]; u.Active == "active" || n.Files[theirs].To != "/dev/null" {
		t.Fatalf("the package's own unit runs: %+v", u)
	}
}

func TestConfiguration(t *testing.T) {
	have := linux.Facts{Systemd: true, Packager: "apt", Probe: map[string]string{"addresses": "2: eth0 inet 10.1.2.3/24 scope global"}}
	for name, c := range map[string]struct {
		more crowbar.Data
		says []string
	}{
		"own address and network": {nil, []string{"http_port 10.1.2.3:3128\n", "acl nodes src 10.1.2.0/24 10.1.2.3\n", "cache_effective_user proxy\n"}},
		"node-network":            {crowbar.Data{"node-network": "10.0.0.0/8"}, []string{"acl nodes src 10.0.0.0/8 10.1.2.3\n"}},
		"allow":                   {crowbar.Data{"node-network": "10.0.0.0/8", "proxy-server-allow": []any{"192.0.2.0/24", "fd00::/8"}}, []string{"acl nodes src 192.0.2.0/24 fd00::/8 10.1.2.3\n"}},
		"IPv6":                    {crowbar.Data{"proxy-server-listen": "fd00::1", "node-network": "fd00::/8"}, []string{"http_port [fd00::1]:3128\n", "acl self dst fd00::1\n"}},
		"wildcard":                {crowbar.Data{"proxy-server-listen": "0.0.0.0", "node-network": "10.0.0.0/8"}, []string{"http_port 0.0.0.0:3128\n", "acl self dst 10.1.2.3\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, err := decode(role.Target{Node: "n1", Address: "10.1.2.3", Attribs: wants(c.more)})
			if err != nil {
				t.Fatal(err)
			}
			s, err := cfg.fit(have)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range c.says {
				if !strings.Contains(s.state.Files[0].Content, want) {
					t.Errorf("lacks %q:\n%s", want, s.state.Files[0].Content)
				}
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	for name, more := range map[string]crowbar.Data{
		"listen": {"proxy-server-listen": "eth0"},
		"port":   {"proxy-server-port": 70000},
		"cache":  {"proxy-server-cache-mb": 1},
		"allow":  {"proxy-server-allow": []any{"all"}},
	} {
		if _, err := decode(role.Target{Node: "n1", Address: "10.1.2.3", Attribs: wants(more)}); crowbar.KindOf(err) != crowbar.Invalid {
			t.Errorf("%s: %v, want an error of kind Invalid", name, err)
		}
	}
}
