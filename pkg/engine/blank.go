package engine

import (
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/network"
	"github.com/kubeclamp/kubeclamp/pkg/zone"
)

// Blank is an object of a kind with what it has where nobody says anything else; nil for a kind that there is not.
func Blank(k crowbar.Kind) crowbar.Object {
	switch k {
	case crowbar.KindNode:
		return &crowbar.Node{BootEnv: "sledgehammer"}
	case crowbar.KindNodeRole:
		return &crowbar.NodeRole{State: crowbar.Proposed, Available: true}
	case crowbar.KindGroup:
		return &crowbar.Group{Category: "ui", Order: 10000}
	case crowbar.KindNetwork:
		return &crowbar.Network{Order: network.DefaultOrder, TeamMode: network.DefaultTeamMode, Configure: true,
			Category: network.DefaultCategory, Group: network.DefaultGroup}
	case crowbar.KindEventSink:
		return &crowbar.EventSink{Active: true}
	case crowbar.KindRouter:
		return &crowbar.Router{Pref: network.DefaultPref}
	case crowbar.KindDNSNameFilter:
		return &crowbar.DNSNameFilter{Name: "default", Matcher: `net.category == "admin"`, Priority: 50, Service: zone.OwnService, Template: "{{node.name}}"}
	}
	return crowbar.New(k)
}

// AutoRanges is the ranges of a network from which a node gets addresses by itself.
func AutoRanges(s *crowbar.Snapshot, on crowbar.ID, node *crowbar.Node) []*crowbar.Range {
	return network.Auto(s, on, node)
}
