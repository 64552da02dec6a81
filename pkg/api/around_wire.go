package api

import (
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// networkWire is a network with OpenCrowbar's keys. Groups, ranges and routers have them as they are.
type networkWire struct {
	ID          ref            `json:"id"`
	Name        string         `json:"name"`
	Deployment  ref            `json:"deployment_id"`
	Description any            `json:"description"`
	Order       int            `json:"order"`
	Conduit     string         `json:"conduit"`
	VLAN        int            `json:"vlan"`
	UseVLAN     bool           `json:"use_vlan"`
	UseBridge   bool           `json:"use_bridge"`
	TeamMode    int            `json:"team_mode"`
	UseTeam     bool           `json:"use_team"`
	V6Prefix    crowbar.OrNull `json:"v6prefix"`
	Configure   bool           `json:"configure"`
	Category    string         `json:"category"`
	Group       string         `json:"group"`
	PBR         any            `json:"pbr"`
	stamps
}

type groupWire struct {
	ID          ref    `json:"id"`
	Name        string `json:"name"`
	Description any    `json:"description"`
	Category    string `json:"category"`
	Order       int    `json:"order"`
	stamps
}

type rangeWire struct {
	ID        ref     `json:"id"`
	Network   ref     `json:"network_id"`
	Name      string  `json:"name"`
	First     string  `json:"first"`
	Last      string  `json:"last"`
	Conduit   *string `json:"conduit"`
	VLAN      *int    `json:"vlan"`
	TeamMode  *int    `json:"team_mode"`
	UseVLAN   *bool   `json:"use_vlan"`
	UseBridge *bool   `json:"use_bridge"`
	UseTeam   *bool   `json:"use_team"`
	Overlap   bool    `json:"overlap"`
	stamps
}

type routerWire struct {
	ID      ref    `json:"id"`
	Network ref    `json:"network_id"`
	Address string `json:"address"`
	Pref    int    `json:"pref"`
	stamps
}

type allocationWire struct {
	ID      ref    `json:"id"`
	Node    ref    `json:"node_id"`
	Network ref    `json:"network_id"`
	Range   ref    `json:"network_range_id"`
	Address string `json:"address"`
	stamps
}

type filterWire struct {
	ID       ref    `json:"id"`
	Name     string `json:"name"`
	Matcher  string `json:"matcher"`
	Priority int    `json:"priority"`
	Service  string `json:"service"`
	Template string `json:"template"`
	stamps
}

type availableHammerWire struct {
	ID       ref    `json:"id"`
	Name     string `json:"name"`
	Class    string `json:"klass"`
	Priority int    `json:"priority"`
	stamps
}

// hammerWire is a hammer: its credential is never shown.
type hammerWire struct {
	ID        ref                 `json:"id"`
	Node      ref                 `json:"node_id"`
	Available ref                 `json:"available_hammer_id"`
	Priority  int                 `json:"priority"`
	Name      string              `json:"name"`
	Endpoint  string              `json:"endpoint"`
	Username  string              `json:"username"`
	Actions   map[string][]string `json:"actions"`
}

// shapeAround is an object with OpenCrowbar's keys, of the kinds around nodes.
func shapeAround(o crowbar.Object) any {
	switch o := o.(type) {
	case *crowbar.Group:
		return groupWire{ref(o.ID), o.Name, orNull(o.Description), o.Category, o.Order, stampsOf(o.Stamps)}
	case *crowbar.Network:
		return networkWire{ref(o.ID), o.Name, ref(o.Deployment), orNull(o.Description), o.Order, o.Conduit, o.VLAN, o.UseVLAN, o.UseBridge, o.TeamMode,
			o.UseTeam, o.V6Prefix, o.Configure, o.Category, o.Group, orNull(o.PBR), stampsOf(o.Stamps)}
	case *crowbar.Range:
		return rangeWire{ref(o.ID), ref(o.Network), o.Name, o.First, o.Last, o.Conduit, o.VLAN, o.TeamMode, o.UseVLAN, o.UseBridge, o.UseTeam, o.Overlap, stampsOf(o.Stamps)}
	case *crowbar.Router:
		return routerWire{ref(o.ID), ref(o.Network), o.Address, o.Pref, stampsOf(o.Stamps)}
	case *crowbar.Allocation:
		return allocationWire{ref(o.ID), ref(o.Node), ref(o.Network), ref(o.Range), o.Address, stampsOf(o.Stamps)}
	case *crowbar.DNSNameFilter:
		return filterWire{ref(o.ID), o.Name, o.Matcher, o.Priority, o.Service, o.Template, stampsOf(o.Stamps)}
	case *crowbar.AvailableHammer:
		return availableHammerWire{ref(o.ID), o.Name, o.Class, o.Priority, stampsOf(o.Stamps)}
	case *crowbar.EventSelector:
		return selectorWire{ref(o.ID), ref(o.Sink), o.Selector, stampsOf(o.Stamps)}
	case *crowbar.Hammer:
		return hammerWire{ref(o.ID), ref(o.Node), ref(o.Available), o.Priority, o.Name, o.Endpoint, o.Username, actions(o)}
	}
	return o
}

// actions is what a hammer can do.
func actions(h *crowbar.Hammer) map[string][]string {
	if h.Name != "ssh" {
		return map[string][]string{}
	}
	return map[string][]string{"power": {"reboot"}, "xfer": {"copy_from", "copy_to"}, "run": {"run"}}
}

// namedAround is the object of that name among the kinds around nodes, or nil: a range is "network/range", a hammer
// "node/hammer", a router or an allocation its address, and a network is found by an address in it too.
func namedAround(s *crowbar.Snapshot, k crowbar.Kind, key string) (crowbar.Object, error) {
	where, name, _ := strings.Cut(key, "/")
	switch k {
	case crowbar.KindGroup:
		return orNil(s.GroupNamed(key))
	case crowbar.KindNetwork:
		if n := s.NetworkNamed(key); n != nil {
			return n, nil
		}
		return orNil(networkAt(s, key, ""))
	case crowbar.KindRange:
		if n := s.NetworkNamed(where); n != nil {
			return orNil(s.RangeNamed(n.ID, name))
		}
	case crowbar.KindRouter:
		for r := range s.Routers() {
			if address, _, _ := strings.Cut(r.Address, "/"); key == r.Address || key == address {
				return r, nil
			}
		}
	case crowbar.KindAllocation:
		return orNil(s.AllocationAt(where))
	case crowbar.KindDNSNameFilter:
		return orNil(s.DNSNameFilterNamed(key))
	case crowbar.KindAvailableHammer:
		return orNil(s.AvailableHammerNamed(key))
	case crowbar.KindUser:
		return orNil(s.UserNamed(key))
	case crowbar.KindToken:
		return orNil(s.TokenNamed(key))
	case crowbar.KindEventSink:
		return orNil(sinkAt(s, key))
	case crowbar.KindEventSelector:
		return orNil(selectorNamed(s, key))
	case crowbar.KindHammer:
		n, err := nodeNamed(s, where)
		if n == nil || err != nil {
			return nil, err
		}
		for _, h := range s.HammersOf(n.ID) {
			if h.Name == name {
				return h, nil
			}
		}
	}
	return nil, nil
}

// naturalAround is the name by which such an object is found.
func naturalAround(s *crowbar.Snapshot, o crowbar.Object) string {
	switch o := o.(type) {
	case *crowbar.Group:
		return o.Name
	case *crowbar.Network:
		return o.Name
	case *crowbar.Range:
		if n := s.Network(o.Network); n != nil {
			return n.Name + "/" + o.Name
		}
	case *crowbar.Router:
		return o.Address
	case *crowbar.Allocation:
		return o.IP().String()
	case *crowbar.DNSNameFilter:
		return o.Name
	case *crowbar.AvailableHammer:
		return o.Name
	case *crowbar.User:
		return o.Username
	case *crowbar.Token:
		return o.Name
	case *crowbar.EventSink:
		return withoutScheme(o.Endpoint)
	case *crowbar.EventSelector:
		if name := selectorName(s, o); selectorNamed(s, name) == o {
			return name
		}
	case *crowbar.Hammer:
		if n := s.Node(o.Node); n != nil {
			return n.Short() + "/" + o.Name
		}
	}
	return o.Key().String()
}

// aroundNode says whether an object is listed below a node.
func aroundNode(s *crowbar.Snapshot, o crowbar.Object, n *crowbar.Node) bool {
	switch o := o.(type) {
	case *crowbar.Group:
		return inGroup(n, o.ID)
	case *crowbar.Hammer:
		return o.Node == n.ID
	case *crowbar.Allocation:
		return o.Node == n.ID
	case *crowbar.Network:
		return addressIn(s, n, func(a *crowbar.Allocation) bool { return a.Network == o.ID })
	case *crowbar.Range:
		return addressIn(s, n, func(a *crowbar.Allocation) bool { return a.Range == o.ID })
	}
	return false
}

func addressIn(s *crowbar.Snapshot, n *crowbar.Node, which func(*crowbar.Allocation) bool) bool {
	for _, a := range s.AllocationsOf(n.ID) {
		if which(a) {
			return true
		}
	}
	return false
}

// partOf says whether an object is listed below a network, a range or a group.
func partOf(o, to crowbar.Object) bool {
	switch to := to.(type) {
	case *crowbar.Group:
		n, ok := o.(*crowbar.Node)
		return ok && inGroup(n, to.ID)
	case *crowbar.Range:
		a, ok := o.(*crowbar.Allocation)
		return ok && a.Range == to.ID
	case *crowbar.Network:
		switch o := o.(type) {
		case *crowbar.Range:
			return o.Network == to.ID
		case *crowbar.Router:
			return o.Network == to.ID
		case *crowbar.Allocation:
			return o.Network == to.ID
		}
	}
	return false
}
