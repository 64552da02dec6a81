package crowbar

import (
	"encoding/json"
	"net/netip"
)

// Network is a layer-3 network that nodes have addresses in. Making one makes its role, "network-" and its name: a node
// that has the role bound has addresses in the network.
type Network struct {
	ID          ID     `json:"id"`
	Name        string `json:"name"`
	Description string `json:"description"`
	Order       int    `json:"order"`
	Deployment  ID     `json:"deployment_id"`
	Conduit     string `json:"conduit"` // interfaces by speed and place, such as "1g0" or "10g0,10g1", or "bmc"
	VLAN        int    `json:"vlan"`
	UseVLAN     bool   `json:"use_vlan"`
	UseBridge   bool   `json:"use_bridge"`
	TeamMode    int    `json:"team_mode"` // of Linux bonding, 0 to 6
	UseTeam     bool   `json:"use_team"`
	V6Prefix    OrNull `json:"v6prefix"` // four hextets; "" (null on the wire) = no IPv6
	Configure   bool   `json:"configure"`
	Category    string `json:"category"`
	Group       string `json:"group"` // networks of one group give a node the same host part
	PBR         string `json:"pbr"`   // policy-based routing table; "" = none
	Stamps
}

// OrNull is a text that is null on the wire where it is empty.
type OrNull string

// MarshalJSON writes "" as null.
func (t OrNull) MarshalJSON() ([]byte, error) {
	if t == "" {
		return []byte("null"), nil
	}
	return json.Marshal(string(t))
}

// Range is a run of addresses of a network that are handed out. Fields that are nil are the network's.
type Range struct {
	ID        ID      `json:"id"`
	Network   ID      `json:"network_id"`
	Name      string  `json:"name"`
	First     string  `json:"first"` // CIDR, such as "192.168.124.81/24"
	Last      string  `json:"last"`
	Conduit   *string `json:"conduit"`
	VLAN      *int    `json:"vlan"`
	TeamMode  *int    `json:"team_mode"`
	UseVLAN   *bool   `json:"use_vlan"`
	UseBridge *bool   `json:"use_bridge"`
	UseTeam   *bool   `json:"use_team"`
	Overlap   bool    `json:"overlap"` // may share addresses with other ranges
	Stamps
}

// Router is the way out of a network.
type Router struct {
	ID      ID     `json:"id"`
	Network ID     `json:"network_id"`
	Address string `json:"address"` // with or without a prefix length
	Pref    int    `json:"pref"`    // the lowest of a node's routers is its default
	Stamps
}

// Allocation is an address that a node has.
type Allocation struct {
	ID      ID     `json:"id"`
	Node    ID     `json:"node_id"`
	Network ID     `json:"network_id"`
	Range   ID     `json:"network_range_id"`
	Address string `json:"address"` // CIDR; no two allocations have the same IP address
	Stamps
}

// IP is the allocation's address without its prefix length; the zero Addr if it is not one.
func (a *Allocation) IP() netip.Addr {
	p, err := netip.ParsePrefix(a.Address)
	if err != nil {
		return netip.Addr{}
	}
	return p.Addr()
}

// Kind of each noun.
func (*Network) Kind() Kind    { return KindNetwork }
func (*Range) Kind() Kind      { return KindRange }
func (*Router) Kind() Kind     { return KindRouter }
func (*Allocation) Kind() Kind { return KindAllocation }

// Key of each noun.
func (o *Network) Key() ID    { return o.ID }
func (o *Range) Key() ID      { return o.ID }
func (o *Router) Key() ID     { return o.ID }
func (o *Allocation) Key() ID { return o.ID }
