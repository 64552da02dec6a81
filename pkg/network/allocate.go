package network

import (
	"maps"
	"net/netip"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Allocator gives addresses out, one after the other, into a state that grows by what it gives.
type Allocator struct {
	s    *crowbar.Snapshot
	next map[crowbar.ID]netip.Addr // range -> all before are taken
}

// NewAllocator gives addresses out of the networks of a state.
func NewAllocator(s *crowbar.Snapshot) *Allocator {
	return &Allocator{s: s, next: map[crowbar.ID]netip.Addr{}}
}

// Allocate gives a node an address of a range: the one it has there; else the suggestion, or what the node's hint says, if
// it is free; else the one with the host part of the node's address in another network of the same group; else the first
// free one. It is nil, without an error, where the node has one already.
func (a *Allocator) Allocate(r *crowbar.Range, node crowbar.ID, suggestion string) (*crowbar.Allocation, error) {
	for _, had := range a.s.AllocationsOf(node) {
		if had.Range == r.ID {
			return nil, nil
		}
	}
	first, last, err := Span(r)
	if err != nil {
		return nil, err
	}
	n, at := a.s.Network(r.Network), a.s.Node(node)
	switch {
	case n == nil:
		return nil, crowbar.Errorf(crowbar.NotFound, "there is no network %d for range %q", r.Network, r.Name)
	case at == nil:
		return nil, crowbar.Errorf(crowbar.NotFound, "there is no node %d", node)
	}
	free := func(ip netip.Addr) bool { return within(ip, first, last) && a.free(ip, n.ID) }
	ip := bare(suggestion)
	if !free(ip) {
		ip = hint(at, n, first.Addr().Is4())
	}
	if !free(ip) {
		ip = a.sameHost(n, at, first)
	}
	if !free(ip) {
		ip = a.first(r, first, last, n.ID)
	}
	if !ip.IsValid() {
		return nil, crowbar.Errorf(crowbar.Conflict, "range %q of network %q is out of addresses! (%s to %s): make it larger, or take addresses back", r.Name, n.Name, r.First, r.Last)
	}
	made := &crowbar.Allocation{ID: a.s.Next(), Node: node, Network: n.ID, Range: r.ID, Address: netip.PrefixFrom(ip, first.Bits()).String()}
	a.s = a.s.Apply(a.s.Rev(), crowbar.Change{Put: made})
	return made, nil
}

// free says that nobody has an address, the network's router neither.
func (a *Allocator) free(ip netip.Addr, network crowbar.ID) bool {
	return a.s.AllocationAt(ip.String()) == nil && routerIP(a.s.RouterOf(network)) != ip
}

// bare is an address with or without prefix length; the zero Addr if it is none.
func bare(text string) netip.Addr {
	if p, err := netip.ParsePrefix(text); err == nil {
		return p.Addr()
	}
	a, _ := netip.ParseAddr(text)
	return a
}

// hint is the address that an operator wants for a node in a network.
func hint(at *crowbar.Node, n *crowbar.Network, v4 bool) netip.Addr {
	v, _ := crowbar.Dig(at.Hint, hintMap(n.Name, v4))
	text, _ := v.(string)
	return bare(text)
}

// Wished is a node's hints with the wish for an address in a network.
func Wished(hints crowbar.Data, n *crowbar.Network, address string) crowbar.Data {
	out := maps.Clone(hints)
	if out == nil {
		out = crowbar.Data{}
	}
	out[hintMap(n.Name, bare(address).Is4())] = address
	return out
}

func hintMap(network string, v4 bool) string {
	if v4 {
		return network + "-v4addr"
	}
	return network + "-v6addr"
}

// sameHost is the address in a range's subnet whose host part is that of the node's address in a network of the same group.
func (a *Allocator) sameHost(n *crowbar.Network, at *crowbar.Node, subnet netip.Prefix) netip.Addr {
	for _, had := range a.s.AllocationsOf(at.ID) {
		o := a.s.Network(had.Network)
		p, err := netip.ParsePrefix(had.Address)
		if o == nil || o.ID == n.ID || o.Group != n.Group || err != nil || p.Addr().BitLen() != subnet.Addr().BitLen() {
			continue
		}
		from, to := p.Addr().AsSlice(), subnet.Masked().Addr().AsSlice()
		for i := p.Bits(); i < p.Addr().BitLen(); i++ {
			if bit := byte(1) << (7 - i%8); from[i/8]&bit != 0 {
				if i < subnet.Bits() {
					return netip.Addr{} // the host part does not fit
				}
				to[i/8] |= bit
			}
		}
		ip, _ := netip.AddrFromSlice(to)
		return ip
	}
	return netip.Addr{}
}

// first is the first free address of a range; the zero Addr if there is none.
func (a *Allocator) first(r *crowbar.Range, first, last netip.Prefix, network crowbar.ID) netip.Addr {
	at, ok := a.next[r.ID]
	if !ok {
		at = first.Addr()
	}
	for ; within(at, first, last); at = at.Next() {
		if a.free(at, network) {
			a.next[r.ID] = at.Next()
			return at
		}
	}
	a.next[r.ID] = at
	return netip.Addr{}
}

// Auto is the ranges of a network from which a node gets addresses by itself: "admin" for an admin node, else "host", and
// "host-v6".
func Auto(s *crowbar.Snapshot, network crowbar.ID, at *crowbar.Node) []*crowbar.Range {
	v4 := "host"
	if at.Admin {
		v4 = "admin"
	}
	var out []*crowbar.Range
	for _, name := range []string{v4, "host-v6"} {
		if r := s.RangeNamed(network, name); r != nil {
			out = append(out, r)
		}
	}
	return out
}
