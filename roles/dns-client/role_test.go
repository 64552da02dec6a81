package dnsclient

import (
	"context"
	"strings"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
	"github.com/kubeclamp/kubeclamp/pkg/role/roletest"
)

const old = "search example.com\nnameserver 192.0.2.1\n"

func target(setup func(n *roletest.Node)) roletest.Make {
	return func(n *roletest.Node) role.Target {
		setup(n)
		n.ProbeFunc = func(n *roletest.Node, p linux.Probe) (string, int, bool) {
			path := map[string]string{"resolv": resolvConf, "link": linkFile}[p.Name]
			f := n.Files[path]
			if f != nil && f.Kind == "link" {
				f = n.Files[strings.Replace(f.To, "..", "", 1)]
			}
			if f != nil {
				return f.Content, 0, true
			}
			return n.Probe[p.Name], 0, true
		}
		n.Handle = func(_ *roletest.Node, c jig.Cmd) jig.Exit {
			if c.Argv[0] == "getent" {
				return jig.Exit{Stdout: []byte("198.18.0.11 STREAM x\n")}
			}
			return jig.Exit{Code: 127}
		}
		on := n.Target(crowbar.Data{"dns-pool-port": 53.0, "kubernetes-pool-name": "kube-apiserver.kubeclamp.internal"})
		for _, a := range []string{"198.18.0.13", "198.18.0.11", "198.18.0.12"} {
			on.Peers = append(on.Peers, role.Peer{Role: "dns-pool", Node: "x" + a[9:], Address: a, State: crowbar.Active, Settled: true})
		}
		return on
	}
}

func plain(n *roletest.Node) { n.Write(resolvConf, old, 0o644) }

func managed(n *roletest.Node) {
	plain(n)
	n.Probe["dhclient"] = "yes"
	n.Units[manager] = &roletest.Unit{Distro: true, Active: "active", Enabled: true, Loaded: "distribution"}
}

func linked(n *roletest.Node) {
	n.Write("/run/resolvconf/resolv.conf", old, 0o644)
	n.Files[resolvConf] = &roletest.Entry{Kind: "link", To: "../run/resolvconf/resolv.conf"}
}

func stub(n *roletest.Node) {
	n.Write("/run/systemd/resolve/stub-resolv.conf", "nameserver 127.0.0.53\n", 0o644)
	n.Files[resolvConf] = &roletest.Entry{Kind: "link", To: "../run/systemd/resolve/stub-resolv.conf"}
	n.Units[resolved] = &roletest.Unit{Distro: true, Active: "active", Enabled: true, Loaded: "distribution"}
}

func TestSuite(t *testing.T) {
	for name, setup := range map[string]func(*roletest.Node){"plain file": plain, "managed file": managed, "link": linked, "systemd-resolved": stub} {
		t.Run(name, func(t *testing.T) { roletest.Suite(t, target(setup), New()) })
	}
}

func TestNoFileBefore(t *testing.T) {
	n := roletest.NewNode()
	on := target(func(*roletest.Node) {})(n)
	roletest.Apply(t, New(), on)
	roletest.NothingToDo(t, New(), n, on)
	if strings.Count(n.Content(resolvConf), "nameserver") != 3 {
		t.Errorf("resolv.conf is %s", n.Content(resolvConf))
	}
}

func TestFile(t *testing.T) {
	n := roletest.NewNode()
	on := target(managed)(n)
	before := n.Picture()
	roletest.Apply(t, New(), on)
	// The node is 198.18.0.11, a name server itself; three servers are the C library's limit.
	want := "# BEGIN kubeclamp dns\nnameserver 198.18.0.11\nnameserver 198.18.0."
	if got := n.Content(resolvConf); !strings.HasPrefix(got, want) || !strings.HasSuffix(got, "options timeout:1 attempts:2\n# END kubeclamp dns\n"+old) || strings.Count(got, "nameserver") != 3 {
		t.Errorf("resolv.conf is\n%s", got)
	}
	if n.Content(managerFile) == "" || n.Content(hookFile) == "" {
		t.Error("others still write resolv.conf")
	}
	if err := New().(role.Remover).Remove(context.Background(), on); err != nil {
		t.Fatal(err)
	}
	if n.Content(resolvConf) != old || n.Files[managerFile] != nil || n.Files[hookFile] != nil {
		t.Errorf("left behind:\n%s", roletest.Diff(before, n.Picture()))
	}
}

func TestLinkComesBack(t *testing.T) {
	n := roletest.NewNode()
	on := target(linked)(n)
	roletest.Apply(t, New(), on)
	if f := n.Files[resolvConf]; f.Kind != "file" || !strings.Contains(f.Content, old) {
		t.Errorf("resolv.conf is %+v", f)
	}
	if err := New().(role.Remover).Remove(context.Background(), on); err != nil {
		t.Fatal(err)
	}
	if f := n.Files[resolvConf]; f.Kind != "link" || f.To != "../run/resolvconf/resolv.conf" || n.Files[linkFile] != nil {
		t.Errorf("resolv.conf is %+v", f)
	}
}

func TestResolved(t *testing.T) {
	n := roletest.NewNode()
	on := target(stub)(n)
	on.Attribs["dns-pool-port"] = 5353.0
	roletest.Apply(t, New(), on)
	got := n.Content(dropIn)
	if !strings.Contains(got, "DNS=198.18.0.11:5353 ") || !strings.Contains(got, "Domains=~kube-apiserver.kubeclamp.internal\n") {
		t.Errorf("drop-in is %s", got)
	}
	if n.Files[resolvConf].Kind != "link" || n.Units[resolved].Starts != 1 {
		t.Errorf("resolv.conf is %+v, %d starts", n.Files[resolvConf], n.Units[resolved].Starts)
	}
}

func TestRefused(t *testing.T) {
	on := target(plain)(roletest.NewNode())
	on.Attribs["dns-pool-port"] = 5353.0
	if _, err := New().Apply(context.Background(), on); crowbar.KindOf(err) != crowbar.Invalid || !strings.Contains(err.Error(), "port 53 alone") {
		t.Errorf("%v", err)
	}
	on.Peers = nil
	if _, err := New().Apply(context.Background(), on); crowbar.KindOf(err) != crowbar.Unavailable {
		t.Errorf("%v", err)
	}
}

func TestTurned(t *testing.T) {
	first := map[string]int{}
	for _, n := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		first[turned([]string{"3", "1", "2"}, n, "")[0]]++
	}
	if len(first) < 2 {
		t.Errorf("all nodes ask the same server first: %v", first)
	}
}
