package dnspool

import (
	"context"
	"errors"
	"net"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/roletest"
)

func TestStrays(t *testing.T) {
	n := roletest.NewNode()
	on := target(answering(t))(n) // tells 198.18.0.11
	for i := range on.Peers {
		on.Peers[i].Settled = true
	}
	ask := func() ([]role.Stray, error) { return roletest.Strays(t, New(), on) }
	if found, err := ask(); err != nil || len(found) > 0 {
		t.Errorf("%v, %v", found, err)
	}
	on.Peers = on.Peers[2:] // neither n2 nor n1 is a master any more
	found, err := ask()
	if err != nil || len(found) != 1 || found[0].Name != "198.18.0.11" || found[0].Node != "n1" || found[0].Mend != crowbar.MendRerun {
		t.Errorf("%+v, %v", found, err)
	}
	on.Peers = append(on.Peers, role.Peer{Role: "dns-pool", Node: "n4", Address: "198.18.0.14", Settled: true})
	dial := n.HandleDial
	n.HandleDial = func(network, addr string) (net.Conn, error) {
		if addr == "198.18.0.14:53" {
			return nil, errors.New("connection refused")
		}
		return dial(network, addr)
	}
	if found, err = ask(); err != nil || len(found) != 1 {
		t.Errorf("where one name server is silent: %+v, %v", found, err)
	}
	n.HandleDial = func(string, string) (net.Conn, error) { return nil, context.DeadlineExceeded }
	if _, err = ask(); crowbar.KindOf(err) != crowbar.Unavailable {
		t.Errorf("where all are: %v", err)
	}
}
