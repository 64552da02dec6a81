package engine

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// networksOf are the networks of a deployment, with their ranges and routers, by name.
func networksOf(s *crowbar.Snapshot, deployment crowbar.ID) []crowbar.ClusterNetwork {
	var out []crowbar.ClusterNetwork
	for n := range s.Networks() {
		if n.Deployment != deployment {
			continue
		}
		c := crowbar.ClusterNetwork{Name: n.Name, Description: n.Description, Category: n.Category, Group: n.Group, Conduit: n.Conduit, Order: n.Order, VLAN: n.VLAN,
			UseVLAN: n.UseVLAN, UseBridge: n.UseBridge, TeamMode: n.TeamMode, UseTeam: n.UseTeam, V6Prefix: string(n.V6Prefix), Configure: n.Configure, PBR: n.PBR}
		for r := range s.Ranges() {
			if r.Network == n.ID {
				c.Ranges = append(c.Ranges, crowbar.ClusterRange{Name: r.Name, First: r.First, Last: r.Last, Conduit: r.Conduit, VLAN: r.VLAN, TeamMode: r.TeamMode,
					UseVLAN: r.UseVLAN, UseBridge: r.UseBridge, UseTeam: r.UseTeam, Overlap: r.Overlap})
			}
		}
		for r := range s.Routers() {
			if r.Network == n.ID {
				c.Routers = append(c.Routers, crowbar.ClusterRouter{Address: r.Address, Pref: r.Pref})
			}
		}
		slices.SortFunc(c.Ranges, func(a, b crowbar.ClusterRange) int { return cmp.Compare(a.Name, b.Name) })
		slices.SortFunc(c.Routers, func(a, b crowbar.ClusterRouter) int {
			return cmp.Or(cmp.Compare(a.Pref, b.Pref), cmp.Compare(a.Address, b.Address))
		})
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b crowbar.ClusterNetwork) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// applyNetworks makes the networks of a document, or brings those of that name in line. Ranges and routers that it does not
// name stay.
func (e *Engine) applyNetworks(d *draft, dep crowbar.ID, said []crowbar.ClusterNetwork) complaints {
	var bad complaints
	for i, c := range said {
		where := fmt.Sprintf("networks[%d]", i)
		id, err := e.applyNetwork(d, dep, c)
		if err != nil {
			bad = bad.with(where, fmt.Errorf("network %q: %w", c.Name, err))
			continue
		}
		for j, r := range c.Ranges {
			bad = bad.with(fmt.Sprintf("%s.ranges[%d]", where, j), e.applyRange(d, id, r))
		}
		for j, r := range c.Routers {
			bad = bad.with(fmt.Sprintf("%s.routers[%d]", where, j), e.applyRouter(d, id, r))
		}
	}
	return bad
}

func (e *Engine) applyNetwork(d *draft, dep crowbar.ID, c crowbar.ClusterNetwork) (crowbar.ID, error) {
	now := &crowbar.Network{}
	was := d.s.NetworkNamed(c.Name)
	if was != nil {
		if root := d.s.DeploymentNamed(System); was.Deployment != dep && (root == nil || was.Deployment != root.ID) {
			return 0, crowbar.Errorf(crowbar.Conflict, "it is in deployment %s: take another name, or move it here", deploymentName(d.s, was.Deployment))
		}
		now = clone(was)
	}
	now.Name, now.Description, now.Deployment, now.Conduit, now.Order, now.VLAN, now.UseVLAN = c.Name, c.Description, dep, c.Conduit, c.Order, c.VLAN, c.UseVLAN
	now.UseBridge, now.TeamMode, now.UseTeam, now.Configure, now.PBR = c.UseBridge, c.TeamMode, c.UseTeam, c.Configure, c.PBR
	now.Category, now.Group, now.V6Prefix = cmp.Or(c.Category, now.Category), cmp.Or(c.Group, now.Group), cmp.Or(crowbar.OrNull(c.V6Prefix), now.V6Prefix)
	return e.putAround(d, orNil(was), now)
}

func (e *Engine) applyRange(d *draft, network crowbar.ID, c crowbar.ClusterRange) error {
	now := &crowbar.Range{Network: network}
	was := d.s.RangeNamed(network, c.Name)
	if was != nil {
		now = clone(was)
	}
	now.Name, now.First, now.Last, now.Conduit, now.VLAN, now.TeamMode = c.Name, c.First, c.Last, c.Conduit, c.VLAN, c.TeamMode
	now.UseVLAN, now.UseBridge, now.UseTeam, now.Overlap = c.UseVLAN, c.UseBridge, c.UseTeam, c.Overlap
	_, err := e.putAround(d, orNil(was), now)
	return err
}

func (e *Engine) applyRouter(d *draft, network crowbar.ID, c crowbar.ClusterRouter) error {
	now := &crowbar.Router{Network: network}
	var was *crowbar.Router
	for r := range d.s.Routers() {
		if r.Network == network && r.Address == c.Address {
			was, now = r, clone(r)
		}
	}
	now.Address, now.Pref = c.Address, cmp.Or(c.Pref, now.Pref)
	_, err := e.putAround(d, orNil(was), now)
	return err
}

// orNil keeps a nil of a type from becoming an object.
func orNil[P interface {
	comparable
	crowbar.Object
}](o P) crowbar.Object {
	var none P
	if o == none {
		return nil
	}
	return o
}

// putAround makes what is not there yet, and changes what is, if it is to be otherwise.
func (e *Engine) putAround(d *draft, was, now crowbar.Object) (crowbar.ID, error) {
	if was == nil {
		made, err := e.make(d, now)
		if err != nil {
			return 0, err
		}
		return made.Key(), nil
	}
	if same(was, now) {
		return was.Key(), nil
	}
	r, err := e.ruleOf(now.Kind())
	if err != nil {
		return 0, err
	}
	return was.Key(), r.take(d, was, now)
}
