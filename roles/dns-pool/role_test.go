package dnspool

import (
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/nameserver"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/roletest"
	"github.com/kubeclamp/kubeclamp/pkg/zone"
)

const poolName = "kube-apiserver.kubeclamp.internal"

// answering is a real name server that the node in memory dials.
func answering(t *testing.T) string {
	t.Helper()
	s := nameserver.New(nameserver.Config{Listen: []string{"127.0.0.1:0"}, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	s.Set([]nameserver.Pool{{Pool: zone.Pool{Name: poolName, TTL: 2, Members: []zone.Host{{Node: "n1", Address: "198.18.0.11"}}}}})
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { s.Run(ctx) })
	t.Cleanup(func() { stop(); wg.Wait() })
	for len(s.Addrs()) == 0 {
		time.Sleep(time.Millisecond)
	}
	return s.Addrs()[0].String()
}

func target(address string) roletest.Make {
	return func(n *roletest.Node) role.Target {
		n.HandleDial = func(network, addr string) (net.Conn, error) { return net.Dial("tcp", address) }
		on := n.Target(crowbar.Data{"dns-pool-port": 53.0, "dns-pool-ttl": 2.0, "dns-pool-upstream": []any{"192.0.2.53"}, "kubernetes-pool-name": poolName,
			"kubernetes-api-port": 6443.0, "kubernetes-ca": "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"})
		on.Peers = []role.Peer{
			{Role: "k8s-master", Node: "n2", Address: "198.18.0.12", State: crowbar.Todo, Settled: true}, {Role: "k8s-master", Node: "n1", Address: "198.18.0.11", State: crowbar.Active, Settled: true},
			{Role: "k8s-master", Node: "n3", Address: "198.18.0.13", State: crowbar.Error}, {Role: "dns-pool", Node: "n1", Address: "198.18.0.11"},
		}
		return on
	}
}

func TestSuite(t *testing.T) { roletest.Suite(t, target(answering(t)), New()) }

func TestMembers(t *testing.T) {
	n := roletest.NewNode()
	on := target(answering(t))(n)
	res := roletest.Apply(t, New(), on)
	if res.Wall["dns-pool-server"] != "198.18.0.11:53" {
		t.Errorf("wall is %v", res.Wall)
	}
	text := n.Content(jsonFile)
	if !strings.Contains(text, "198.18.0.11") || !strings.Contains(text, "198.18.0.12") || strings.Contains(text, "198.18.0.13") {
		t.Errorf("dns.json is %s", text)
	}
	starts := n.Units[unitName].Starts
	on.Peers = on.Peers[1:]
	roletest.Apply(t, New(), on)
	if n.Units[unitName].Starts != starts || strings.Contains(n.Content(jsonFile), "198.18.0.12") {
		t.Errorf("a member that left: %d starts instead of %d, dns.json is %s", n.Units[unitName].Starts, starts, n.Content(jsonFile))
	}
}

func TestRefused(t *testing.T) {
	for attrib, value := range map[string]any{"dns-pool-ttl": 60.0, "dns-pool-port": 0.0, "kubernetes-pool-name": "api", "kubernetes-ca": "", "dns-pool-upstream": []any{"198.18.0.11"}} {
		on := target("")(roletest.NewNode())
		on.Attribs[attrib] = value
		if _, err := New().Apply(context.Background(), on); crowbar.KindOf(err) != crowbar.Invalid || !strings.Contains(err.Error(), attrib) {
			t.Errorf("%s = %v: %v", attrib, value, err)
		}
	}
}
