package crowbar

import (
	"iter"
	"strings"
)

// The kinds of what is around nodes: groups, networks, names, hammers, users.
const (
	KindGroup           Kind = "groups"
	KindNetwork         Kind = "networks"
	KindRange           Kind = "network_ranges"
	KindRouter          Kind = "network_routers"
	KindAllocation      Kind = "network_allocations"
	KindDNSNameFilter   Kind = "dns_name_filters"
	KindAvailableHammer Kind = "available_hammers"
	KindHammer          Kind = "hammers"
	KindUser            Kind = "users"
	KindToken           Kind = "tokens"
)

// newAround is New for those.
func newAround(k Kind) Object {
	switch k {
	case KindGroup:
		return &Group{}
	case KindNetwork:
		return &Network{}
	case KindRange:
		return &Range{}
	case KindRouter:
		return &Router{}
	case KindAllocation:
		return &Allocation{}
	case KindDNSNameFilter:
		return &DNSNameFilter{}
	case KindAvailableHammer:
		return &AvailableHammer{}
	case KindHammer:
		return &Hammer{}
	case KindUser:
		return &User{}
	case KindToken:
		return &Token{}
	case KindAudit:
		return &AuditRecord{}
	case KindAuditHead:
		return &AuditHead{}
	case KindEventSink:
		return &EventSink{}
	case KindEventSelector:
		return &EventSelector{}
	case KindDelivery:
		return &Delivery{}
	}
	return nil
}

// placeAround is where such a kind's table is.
func placeAround(k Kind) int {
	switch k {
	case KindGroup:
		return 11
	case KindNetwork:
		return 12
	case KindRange:
		return 13
	case KindRouter:
		return 14
	case KindAllocation:
		return 15
	case KindDNSNameFilter:
		return 16
	case KindAvailableHammer:
		return 17
	case KindHammer:
		return 18
	case KindUser:
		return 19
	case KindToken:
		return 20
	case KindAudit:
		return 21
	case KindAuditHead:
		return 22
	case KindEventSink:
		return 23
	case KindEventSelector:
		return 24
	case KindDelivery:
		return 25
	}
	return 0
}

// nameAround is the natural key of such an object.
func nameAround(o Object) string {
	switch o := o.(type) {
	case *Group:
		return o.Name
	case *Network:
		return o.Name
	case *Range:
		return o.Network.String() + "/" + o.Name
	case *Router:
		return o.Network.String()
	case *Allocation:
		return o.IP().String()
	case *DNSNameFilter:
		return o.Name
	case *AvailableHammer:
		return o.Name
	case *Hammer:
		return o.Node.String() + "/" + o.Class
	case *User:
		return strings.ToLower(o.Username)
	case *Token:
		return o.Name
	case *EventSink:
		return o.Endpoint
	case *Delivery:
		return o.Sink.String()
	}
	return ""
}

// nodeOf is the node that an object belongs to, where it is found by its node too.
func nodeOf(o Object) ID {
	switch o := o.(type) {
	case *Allocation:
		return o.Node
	case *Hammer:
		return o.Node
	}
	return 0
}

// indexAround keeps the lists of what belongs to a node.
func (s *Snapshot) indexAround(o Object, how listing) {
	if n := nodeOf(o); n != 0 {
		s.named = how(s.named, s.by, hash("node of "+string(o.Kind()), n.String()), o.Key())
	}
}

// ofNode is the objects of a kind that belong to a node, by id.
func ofNode[T Object](s *Snapshot, k Kind, node ID) []T {
	ids, _ := s.named.get(hash("node of "+string(k), node.String()))
	var out []T
	for id := range ids.all() {
		if o, ok := s.objects[place(k)].get(uint64(id)); ok && nodeOf(o) == node {
			out = append(out, o.(T))
		}
	}
	return out
}

// One object by id, or nil.
func (s *Snapshot) Group(id ID) *Group           { return one[*Group](s, KindGroup, id) }
func (s *Snapshot) Network(id ID) *Network       { return one[*Network](s, KindNetwork, id) }
func (s *Snapshot) Range(id ID) *Range           { return one[*Range](s, KindRange, id) }
func (s *Snapshot) Router(id ID) *Router         { return one[*Router](s, KindRouter, id) }
func (s *Snapshot) Allocation(id ID) *Allocation { return one[*Allocation](s, KindAllocation, id) }
func (s *Snapshot) DNSNameFilter(id ID) *DNSNameFilter {
	return one[*DNSNameFilter](s, KindDNSNameFilter, id)
}
func (s *Snapshot) AvailableHammer(id ID) *AvailableHammer {
	return one[*AvailableHammer](s, KindAvailableHammer, id)
}
func (s *Snapshot) Hammer(id ID) *Hammer { return one[*Hammer](s, KindHammer, id) }
func (s *Snapshot) User(id ID) *User     { return one[*User](s, KindUser, id) }
func (s *Snapshot) Token(id ID) *Token   { return one[*Token](s, KindToken, id) }

// All objects of a kind, in order of id.
func (s *Snapshot) Groups() iter.Seq[*Group]           { return every[*Group](s, KindGroup) }
func (s *Snapshot) Networks() iter.Seq[*Network]       { return every[*Network](s, KindNetwork) }
func (s *Snapshot) Ranges() iter.Seq[*Range]           { return every[*Range](s, KindRange) }
func (s *Snapshot) Routers() iter.Seq[*Router]         { return every[*Router](s, KindRouter) }
func (s *Snapshot) Allocations() iter.Seq[*Allocation] { return every[*Allocation](s, KindAllocation) }
func (s *Snapshot) DNSNameFilters() iter.Seq[*DNSNameFilter] {
	return every[*DNSNameFilter](s, KindDNSNameFilter)
}
func (s *Snapshot) AvailableHammers() iter.Seq[*AvailableHammer] {
	return every[*AvailableHammer](s, KindAvailableHammer)
}
func (s *Snapshot) Hammers() iter.Seq[*Hammer] { return every[*Hammer](s, KindHammer) }
func (s *Snapshot) Users() iter.Seq[*User]     { return every[*User](s, KindUser) }
func (s *Snapshot) Tokens() iter.Seq[*Token]   { return every[*Token](s, KindToken) }

// One object by its natural key, or nil.
func (s *Snapshot) GroupNamed(n string) *Group     { return byName[*Group](s, KindGroup, n) }
func (s *Snapshot) NetworkNamed(n string) *Network { return byName[*Network](s, KindNetwork, n) }
func (s *Snapshot) DNSNameFilterNamed(n string) *DNSNameFilter {
	return byName[*DNSNameFilter](s, KindDNSNameFilter, n)
}
func (s *Snapshot) AvailableHammerNamed(n string) *AvailableHammer {
	return byName[*AvailableHammer](s, KindAvailableHammer, n)
}

// UserNamed finds a user whatever the case of the name.
func (s *Snapshot) UserNamed(n string) *User {
	return byName[*User](s, KindUser, strings.ToLower(n))
}

// TokenNamed is the token of that name, or nil.
func (s *Snapshot) TokenNamed(n string) *Token { return byName[*Token](s, KindToken, n) }

// RangeNamed is a network's range of that name, or nil.
func (s *Snapshot) RangeNamed(network ID, n string) *Range {
	return byName[*Range](s, KindRange, network.String()+"/"+n)
}

// RouterOf is a network's router, or nil.
func (s *Snapshot) RouterOf(network ID) *Router {
	return byName[*Router](s, KindRouter, network.String())
}

// AllocationAt is who has an address (without prefix length), or nil.
func (s *Snapshot) AllocationAt(ip string) *Allocation {
	return byName[*Allocation](s, KindAllocation, ip)
}

// AllocationsOf is the addresses of a node, by id.
func (s *Snapshot) AllocationsOf(node ID) []*Allocation {
	return ofNode[*Allocation](s, KindAllocation, node)
}

// HammersOf is the hammers of a node, by id.
func (s *Snapshot) HammersOf(node ID) []*Hammer { return ofNode[*Hammer](s, KindHammer, node) }

// RangesOf is the ranges of a network, by id.
func (s *Snapshot) RangesOf(network ID) []*Range {
	var out []*Range
	for r := range s.Ranges() {
		if r.Network == network {
			out = append(out, r)
		}
	}
	return out
}
