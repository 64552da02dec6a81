package main

import (
	"context"
	"net/netip"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/client"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// survey is what a server has, as far as it can be taken over. Ids are that server's.
type survey struct {
	deployments, nodes, roles, networks, ranges, routers, allocations, nodeRoles []object
	attribs                                                                      map[string]object            // name -> attrib
	values                                                                       map[string]map[string]object // deployment -> attrib -> attrib with its value there
	names                                                                        map[crowbar.Kind]map[string]string
}

// surveyOf reads a server.
func surveyOf(ctx context.Context, c *client.Client) (*survey, error) {
	s := &survey{attribs: map[string]object{}, values: map[string]map[string]object{}, names: map[crowbar.Kind]map[string]string{}}
	var attribs []object
	for kind, into := range map[crowbar.Kind]*[]object{crowbar.KindDeployment: &s.deployments, crowbar.KindNode: &s.nodes, crowbar.KindRole: &s.roles, crowbar.KindNetwork: &s.networks,
		"network_ranges": &s.ranges, "network_routers": &s.routers, "network_allocations": &s.allocations, crowbar.KindNodeRole: &s.nodeRoles, crowbar.KindAttrib: &attribs} {
		if err := c.List(ctx, kind, into); err != nil {
			return nil, err
		}
		s.names[kind] = map[string]string{}
		for _, o := range *into {
			s.names[kind][str(o["id"])] = str(o["name"])
		}
	}
	for _, at := range attribs {
		s.attribs[str(at["name"])] = at
	}
	for _, d := range s.deployments {
		var all []object
		if d["system"] == true {
			continue
		}
		if err := c.Attribs(ctx, crowbar.KindDeployment, str(d["id"]), "all", &all); err != nil {
			return nil, err
		}
		found := map[string]object{}
		for _, at := range all {
			found[str(at["name"])] = at
		}
		s.values[str(d["name"])] = found
	}
	return s, nil
}

// called is the name of what a key of an object refers to.
func (s *survey) called(o object, key string, k crowbar.Kind) string { return s.names[k][str(o[key])] }

// has says whether there is one of that name.
func has(all []object, name string) bool {
	for _, o := range all {
		if strings.EqualFold(str(o["name"]), name) {
			return true
		}
	}
	return false
}

// bound are the node-roles, "node/role" by full name.
func (s *survey) bound() map[string]bool {
	out := map[string]bool{}
	for _, nr := range s.nodeRoles {
		out[s.called(nr, "node_id", crowbar.KindNode)+"/"+s.called(nr, "role_id", crowbar.KindRole)] = true
	}
	return out
}

// address is where a node is reached: where Digital Rebar says so, else what it was given in the network of category admin, else in
// any; an IPv4 address before others.
func (s *survey) address(n object) string {
	if a, is := n["node-control-address"].(string); is && a != "" {
		a, _, _ = strings.Cut(a, "/")
		return a
	}
	best, found := -1, ""
	for _, al := range s.allocations {
		if str(al["node_id"]) != str(n["id"]) {
			continue
		}
		p, err := netip.ParsePrefix(str(al["address"]))
		if err != nil {
			continue
		}
		rank := 0
		if p.Addr().Is4() {
			rank++
		}
		for _, net := range s.networks {
			if str(net["id"]) == str(al["network_id"]) && str(net["category"]) == "admin" {
				rank += 2
			}
		}
		if rank > best {
			best, found = rank, p.Addr().String()
		}
	}
	return found
}
