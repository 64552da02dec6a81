package flannel

import (
	"strings"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/roletest"
)

func TestStrays(t *testing.T) {
	n := roletest.NewNode()
	w := newWorld(t, n)
	on := w.target(nil)
	lease := func(subnet, address string) {
		w.keys["/kubeclamp/network/subnets/"+subnet] = `{"PublicIP":"` + address + `"}`
	}
	on.Peers = append(on.Peers, role.Peer{Role: "flannel", Node: "n1", Address: "198.18.0.11", Settled: true},
		// The overlay of this one is on another network than its address.
		role.Peer{Role: "flannel", Node: "n2", Address: "198.18.0.12", Settled: true, Wall: crowbar.Data{"flannel-subnet": "10.244.6.1/24", "flannel-underlay": "eth1 192.0.2.12"}},
		role.Peer{Role: "flannel", Node: "n3", Address: "198.18.0.13", Settled: true}, role.Peer{Role: "flannel", Node: "n4", Address: "198.18.0.14"})
	w.keys["/kubeclamp/network/config"] = "{}"
	lease("10.244.5.0-24", "198.18.0.11")
	lease("10.244.6.0-24", "192.0.2.12")
	lease("10.244.7.0-24", "198.18.0.14") // on its way
	lease("10.244.8.0-24", "198.18.0.99")
	w.keys["/kubeclamp/network/subnets/10.244.9.0-24"] = "?"
	ask := func() string {
		t.Helper()
		found, err := roletest.Strays(t, New(), on)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, x := range found {
			out = append(out, strings.TrimSpace(x.Name+" "+x.Address+" "+string(x.Mend)))
		}
		return strings.Join(out, ", ")
	}
	if got := ask(); got != "n3 198.18.0.13, 10.244.8.0/24 198.18.0.99 forget, 10.244.9.0/24" {
		t.Errorf("found %q", got)
	}
	gone := role.Action{Name: role.Forget, Args: crowbar.Data{"node": "10.244.8.0/24", "address": "198.18.0.99"}}
	if _, err := New().(role.Actor).Act(t.Context(), on, gone); err != nil {
		t.Fatal(err)
	}
	if got := ask(); got != "n3 198.18.0.13, 10.244.9.0/24" || len(w.keys) != 5 {
		t.Errorf("afterwards %q, of %v", got, w.keys)
	}
	w.down = true
	if _, err := roletest.Strays(t, New(), on); crowbar.KindOf(err) != crowbar.Unavailable {
		t.Errorf("without etcd: %v", err)
	}
}
