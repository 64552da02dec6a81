package api

import (
	"net/http"
	"net/netip"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/engine"
)

type allocationForm struct {
	Node       string `json:"node"`
	NodeID     string `json:"node_id"`
	Network    string `json:"network"`
	NetworkID  string `json:"network_id"`
	Range      string `json:"network_range"`
	RangeID    string `json:"network_range_id"`
	Address    string `json:"address"`
	RangeIn    string `json:"range"` // by name, in the network of the path
	Suggestion string `json:"suggestion"`
}

// allocate gives a node an address in a network, or of one of its ranges.
func (a *API) allocate(r *http.Request) (form, any, error) {
	var f allocationForm
	if err := asked(r, &f); err != nil {
		return "", nil, err
	}
	s := a.Engine.View()
	want := &crowbar.Allocation{Address: f.Address}
	var err error
	if want.Node, err = either(s, crowbar.KindNode, f.Node, f.NodeID); err != nil {
		return "", nil, err
	}
	if f.Range != "" || f.RangeID != "" {
		want.Range, err = either(s, crowbar.KindRange, f.Range, f.RangeID)
	} else {
		want.Network, err = either(s, crowbar.KindNetwork, f.Network, f.NetworkID)
	}
	if err != nil {
		return "", nil, err
	}
	o, err := a.Engine.Make(r.Context(), want)
	return "network_allocation.obj", o, err
}

// allocateIn gives a node addresses in the network of the path: of the range that is named, or of all that it gets by itself.
func (a *API) allocateIn(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	v, err := a.allocatedIn(r)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	plainJSON(w, http.StatusOK, a.shaped(r, v))
}

func (a *API) allocatedIn(r *http.Request) (any, error) {
	var f allocationForm
	if err := asked(r, &f); err != nil {
		return nil, err
	}
	s := a.Engine.View()
	network, err := findID(s, crowbar.KindNetwork, r)
	if err != nil {
		return nil, err
	}
	node, err := either(s, crowbar.KindNode, f.Node, f.NodeID)
	if err != nil {
		return nil, err
	}
	if f.RangeIn != "" {
		in := s.RangeNamed(network, f.RangeIn)
		if in == nil {
			return nil, missing(s, crowbar.KindRange, f.RangeIn)
		}
		return a.Engine.Make(r.Context(), &crowbar.Allocation{Node: node, Range: in.ID, Address: f.Suggestion})
	}
	if _, err := a.Engine.Make(r.Context(), &crowbar.Allocation{Node: node, Network: network, Address: f.Suggestion}); err != nil {
		return nil, err
	}
	out := []crowbar.Object{}
	for _, had := range a.Engine.View().AllocationsOf(node) {
		if had.Network == network {
			out = append(out, had)
		}
	}
	return out, nil
}

// addressesIn is the addresses of a node (?node=) in a network, or of all nodes.
func (a *API) addressesIn(r *http.Request) (form, any, error) {
	s := a.Engine.View()
	network, err := findID(s, crowbar.KindNetwork, r)
	if err != nil {
		return "", nil, err
	}
	var node crowbar.ID
	for _, key := range []string{"node_id", "node"} {
		if key = r.URL.Query().Get(key); key != "" {
			if err := refer(s, crowbar.KindNode, &node, &key); err != nil {
				return "", nil, err
			}
		}
	}
	out := []string{}
	for had := range s.Allocations() {
		if had.Network == network && (node == 0 || had.Node == node) {
			out = append(out, had.Address)
		}
	}
	return "allocations.array", out, nil
}

func (a *API) autoRanges(r *http.Request) (form, any, error) {
	s := a.Engine.View()
	network, err := findID(s, crowbar.KindNetwork, r)
	if err != nil {
		return "", nil, err
	}
	n, err := find(s, crowbar.KindNode, r.PathValue("node"))
	if err != nil {
		return "", nil, err
	}
	out := []crowbar.Object{}
	for _, one := range engine.AutoRanges(s, network, n.(*crowbar.Node)) {
		out = append(out, one)
	}
	return "network_range.list", out, nil
}

// nodeAddresses is the addresses of one node in one network.
type nodeAddresses struct {
	Node      string   `json:"node"`
	Network   string   `json:"network"`
	Category  string   `json:"category"`
	Addresses []string `json:"addresses"`
}

// addresses is where a node has addresses: in the network that is asked for, in those of a category, or in all.
func (a *API) addresses(r *http.Request) (form, any, error) {
	s := a.Engine.View()
	o, err := find(s, crowbar.KindNode, r.PathValue("id"))
	if err != nil {
		return "", nil, err
	}
	in := func(net *crowbar.Network) nodeAddresses {
		out := nodeAddresses{Node: o.(*crowbar.Node).Name, Network: net.Name, Category: net.Category, Addresses: []string{}}
		for _, had := range s.AllocationsOf(o.Key()) {
			if had.Network == net.ID {
				out.Addresses = append(out.Addresses, had.Address)
			}
		}
		return out
	}
	if key := r.URL.Query().Get("network"); key != "" {
		net, err := find(s, crowbar.KindNetwork, key)
		if err != nil {
			return "", nil, err
		}
		return "addresses.object", in(net.(*crowbar.Network)), nil
	}
	category, out := r.URL.Query().Get("category"), []nodeAddresses{}
	for net := range s.Networks() {
		if one := in(net); len(one.Addresses) > 0 && (category == "" || net.Category == category) {
			out = append(out, one)
		}
	}
	return "addresses.array", out, nil
}

// networkAt is the network that has a range in which an address lies, of a category if one is asked for; nil if there is none.
func networkAt(s *crowbar.Snapshot, address, category string) *crowbar.Network {
	ip, err := netip.ParseAddr(address)
	if p, notBare := netip.ParsePrefix(address); notBare == nil {
		ip, err = p.Addr(), nil
	}
	if err != nil {
		return nil
	}
	for r := range s.Ranges() {
		first, bad := netip.ParsePrefix(r.First)
		last, bad2 := netip.ParsePrefix(r.Last)
		if bad != nil || bad2 != nil || ip.BitLen() != first.Addr().BitLen() || ip.Less(first.Addr()) || last.Addr().Less(ip) {
			continue
		}
		if n := s.Network(r.Network); n != nil && (category == "" || n.Category == category) {
			return n
		}
	}
	return nil
}
