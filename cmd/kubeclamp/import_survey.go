package main

import (
	"context"
	"net/netip"
	"reflect"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/client"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// survey is what a server has, as far as it can be taken over. Ids are that server's.
type survey struct {
	deployments, nodes, roles, networks, ranges, routers, allocations, nodeRoles, groups, users []object

	attribs map[string]object            // name -> attrib
	values  map[string]map[string]object // deployment -> attrib -> attrib with its value there
	own     map[string]map[string]any    // node, or node/role -> attrib -> what was said of it alone
	members map[string][]string          // group -> names of nodes
	hidden  map[crowbar.Kind]string      // why they are not shown to whoever signed in
	names   map[crowbar.Kind]map[string]string
}

// surveyOf reads a server.
func surveyOf(ctx context.Context, c *client.Client) (*survey, error) {
	s := &survey{attribs: map[string]object{}, values: map[string]map[string]object{}, own: map[string]map[string]any{}, members: map[string][]string{}, hidden: map[crowbar.Kind]string{}, names: map[crowbar.Kind]map[string]string{}}
	var attribs []object
	for kind, into := range map[crowbar.Kind]*[]object{crowbar.KindDeployment: &s.deployments, crowbar.KindNode: &s.nodes, crowbar.KindRole: &s.roles, crowbar.KindNetwork: &s.networks,
		"network_ranges": &s.ranges, "network_routers": &s.routers, "network_allocations": &s.allocations, crowbar.KindNodeRole: &s.nodeRoles, crowbar.KindAttrib: &attribs,
		crowbar.KindGroup: &s.groups, crowbar.KindUser: &s.users} {
		err := c.List(ctx, kind, into)
		if err != nil && kind == crowbar.KindUser && crowbar.KindOf(err) != crowbar.Unavailable { // which are for administrators
			s.hidden[kind], err = err.Error(), nil
		}
		if err != nil {
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
	for _, g := range s.groups {
		var all []object
		if err := c.Below(ctx, crowbar.KindGroup, str(g["id"]), "nodes", &all); err != nil {
			return nil, err
		}
		for _, n := range all {
			s.members[str(g["id"])] = append(s.members[str(g["id"])], str(n["name"]))
		}
	}
	return s, s.ownValues(ctx, c)
}

// ownValues reads what people said of one node, or of one role on it. What counts there is a mixture of that, of what was found on the
// node, and of what holds for the whole deployment; so whatever is otherwise than for all is asked for once more by itself.
func (s *survey) ownValues(ctx context.Context, c *client.Client) error {
	read := func(k crowbar.Kind, id, name, bucket string, mine func(at object) bool, forAll func(at object) any) error {
		var all []object
		if err := c.Attribs(ctx, k, id, "all", &all); err != nil {
			return err
		}
		for _, at := range all {
			if !mine(at) || at["value"] == nil || reflect.DeepEqual(at["value"], forAll(at)) || at["writable"] != true && at["schema"] == nil {
				continue
			}
			var said object
			if err := c.ValuedAttrib(ctx, k, id, str(at["name"]), bucket, &said); err != nil {
				return err
			}
			if !reflect.DeepEqual(said["value"], at["value"]) {
				continue // it was found out, or given back by a run
			}
			if s.own[name] == nil {
				s.own[name] = map[string]any{}
			}
			s.own[name][str(at["name"])] = at["value"]
		}
		return nil
	}
	for _, n := range s.nodes {
		if n["system"] == true {
			continue
		}
		ofNodes := func(at object) bool { return at["role_id"] == nil || at["role_id"] == float64(0) }
		if err := read(crowbar.KindNode, str(n["id"]), str(n["name"]), "hint", ofNodes, defaultOf); err != nil {
			return err
		}
	}
	for _, nr := range s.nodeRoles {
		node, role := s.called(nr, "node_id", crowbar.KindNode), s.called(nr, "role_id", crowbar.KindRole)
		d := s.called(nr, "deployment_id", crowbar.KindDeployment)
		if node == "" || role == "" {
			continue
		}
		ofRole := func(at object) bool { return at["role_id"] != nil && str(at["role_id"]) == str(nr["role_id"]) }
		forAll := func(at object) any {
			if there := s.values[d][str(at["name"])]; there != nil {
				return there["value"]
			}
			return defaultOf(at)
		}
		if err := read(crowbar.KindNodeRole, str(nr["id"]), node+"/"+role, "user", ofRole, forAll); err != nil {
			return err
		}
	}
	return nil
}

// lost says that a node is not taken over: nobody knows its address.
func (s *survey) lost(here *survey, node string) bool {
	for _, n := range s.nodes {
		if str(n["name"]) == node {
			return s.address(n) == "" && !has(here.nodes, node)
		}
	}
	return true
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
