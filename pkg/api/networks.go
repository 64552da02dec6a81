package api

import (
	"encoding/json"
	"net/http"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/engine"
)

type networkForm struct {
	Name         *string `json:"name"`
	Description  *string `json:"description"`
	Order        *int    `json:"order"`
	Deployment   *string `json:"deployment"`
	DeploymentID *string `json:"deployment_id"`
	Conduit      *string `json:"conduit"`
	VLAN         *int    `json:"vlan"`
	UseVLAN      *bool   `json:"use_vlan"`
	UseBridge    *bool   `json:"use_bridge"`
	TeamMode     *int    `json:"team_mode"`
	UseTeam      *bool   `json:"use_team"`
	V6Prefix     *string `json:"v6prefix"`
	Configure    *bool   `json:"configure"`
	Category     *string `json:"category"`
	Group        *string `json:"group"`
	PBR          *string `json:"pbr"`
}

func (f networkForm) onto(s *crowbar.Snapshot, n *crowbar.Network, p params, fresh bool) error {
	set(&n.Name, f.Name)
	set(&n.Description, f.Description)
	set(&n.Order, f.Order)
	set(&n.Conduit, f.Conduit)
	set(&n.VLAN, f.VLAN)
	if f.UseVLAN == nil && f.VLAN != nil && fresh {
		n.UseVLAN = n.VLAN > 0
	}
	set(&n.UseVLAN, f.UseVLAN)
	set(&n.UseBridge, f.UseBridge)
	set(&n.TeamMode, f.TeamMode)
	set(&n.UseTeam, f.UseTeam)
	set(&n.Configure, f.Configure)
	set(&n.Category, f.Category)
	set(&n.Group, f.Group)
	set(&n.PBR, f.PBR)
	if f.V6Prefix != nil && (!fresh || *f.V6Prefix != "none") {
		n.V6Prefix = crowbar.OrNull(*f.V6Prefix)
	}
	for key, text := range map[string]*string{"description": &n.Description, "v6prefix": (*string)(&n.V6Prefix), "pbr": &n.PBR} {
		if cleared(p, key) {
			*text = ""
		}
	}
	return refer(s, crowbar.KindDeployment, &n.Deployment, f.DeploymentID, f.Deployment)
}

func networkNoun() noun {
	return noun{kind: crowbar.KindNetwork, need: []string{"name", "conduit"},
		keys: []string{"name", "description", "order", "deployment_id", "conduit", "vlan", "use_vlan", "use_bridge", "team_mode", "use_team", "v6prefix", "configure", "category", "group", "pbr"},
		onto: told(func(s *crowbar.Snapshot, n *crowbar.Network, f networkForm, p params, fresh bool) error {
			return f.onto(s, n, p, fresh)
		}),
		with: networkParts}
}

// networkParts are the ranges and the router that are made together with a network; each a JSON text too.
func networkParts(p params) ([]crowbar.Object, error) {
	var out []crowbar.Object
	ranges, err := nested(p["ranges"])
	if err != nil {
		return nil, crowbar.Errorf(crowbar.Invalid, "ranges: %w", err)
	}
	list, ok := ranges.([]any)
	if ranges != nil && !ok {
		return nil, crowbar.Errorf(crowbar.Invalid, "ranges: want a list")
	}
	router, err := nested(p["router"])
	if err != nil {
		return nil, crowbar.Errorf(crowbar.Invalid, "router: %w", err)
	}
	for _, one := range append(list, router) {
		if one == nil {
			continue
		}
		said, ok := one.(map[string]any)
		if !ok {
			return nil, crowbar.Errorf(crowbar.Invalid, "ranges and router: want JSON objects")
		}
		n := rangeNoun()
		if said["first"] == nil && said["address"] != nil {
			n = routerNoun()
		}
		o := engine.Blank(n.kind)
		if err := n.onto(crowbar.NewSnapshot(), o, said, true); err != nil {
			return nil, err
		}
		out = append(out, o)
	}
	return out, nil
}

// nested is a value that may have come as JSON text.
func nested(v any) (any, error) {
	text, ok := v.(string)
	if !ok {
		return v, nil
	}
	var out any
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		return nil, err
	}
	return out, nil
}

type rangeForm struct {
	Network   *string `json:"network"`
	NetworkID *string `json:"network_id"`
	Name      *string `json:"name"`
	First     *string `json:"first"`
	Last      *string `json:"last"`
	Conduit   *string `json:"conduit"`
	VLAN      *int    `json:"vlan"`
	TeamMode  *int    `json:"team_mode"`
	UseVLAN   *bool   `json:"use_vlan"`
	UseBridge *bool   `json:"use_bridge"`
	UseTeam   *bool   `json:"use_team"`
	Overlap   *bool   `json:"overlap"`
}

func rangeNoun() noun {
	return noun{kind: crowbar.KindRange, need: []string{"name", "first", "last"},
		keys: []string{"name", "first", "last", "conduit", "vlan", "team_mode", "use_vlan", "use_bridge", "use_team", "overlap"},
		onto: told(func(s *crowbar.Snapshot, r *crowbar.Range, f rangeForm, p params, fresh bool) error {
			set(&r.Name, f.Name)
			set(&r.First, f.First)
			set(&r.Last, f.Last)
			set(&r.Overlap, f.Overlap)
			optional(&r.Conduit, f.Conduit, p, "conduit")
			optional(&r.VLAN, f.VLAN, p, "vlan")
			optional(&r.TeamMode, f.TeamMode, p, "team_mode")
			optional(&r.UseVLAN, f.UseVLAN, p, "use_vlan")
			optional(&r.UseBridge, f.UseBridge, p, "use_bridge")
			optional(&r.UseTeam, f.UseTeam, p, "use_team")
			if !fresh {
				return nil // a range stays in its network
			}
			return refer(s, crowbar.KindNetwork, &r.Network, f.NetworkID, f.Network)
		})}
}

type routerForm struct {
	Network   *string `json:"network"`
	NetworkID *string `json:"network_id"`
	Address   *string `json:"address"`
	Pref      *int    `json:"pref"`
}

func routerNoun() noun {
	return noun{kind: crowbar.KindRouter, need: []string{"address"}, keys: []string{"address", "pref"},
		onto: told(func(s *crowbar.Snapshot, r *crowbar.Router, f routerForm, _ params, fresh bool) error {
			set(&r.Address, f.Address)
			set(&r.Pref, f.Pref)
			if !fresh {
				return nil // a router stays in its network
			}
			return refer(s, crowbar.KindNetwork, &r.Network, f.NetworkID, f.Network)
		})}
}

func (a *API) routeNetworks() {
	a.handle("GET /api/v2/networks", a.listNetworks)
	a.handle("GET /api/v2/network_allocations", a.listAllocations)
	a.handle("DELETE /api/v2/networks/{id}", a.destroyNetwork)
	a.handle("POST /api/v2/network_allocations", a.allocate)
	a.handle("DELETE /api/v2/network_allocations/{id}", a.destroyed(crowbar.KindAllocation))
	for _, n := range []noun{rangeNoun(), routerNoun()} {
		at, e := "/api/v2/networks/{id}/"+string(n.kind), a.nounEditor(n)
		a.handle("GET "+at, a.of(crowbar.KindNetwork, n.kind))
		a.handle("POST "+at, a.madeIn(n))
		a.handle("GET "+at+"/{part}", a.part(n.kind, a.show(n.kind)))
		a.handle("PUT "+at+"/{part}", a.part(n.kind, a.put(n.kind, e)))
		a.handle("PATCH "+at+"/{part}", a.part(n.kind, a.patch(n.kind, e)))
		a.handle("DELETE "+at+"/{part}", a.part(n.kind, a.destroyed(n.kind)))
	}
	a.handle("GET /api/v2/networks/{id}/network_allocations", a.of(crowbar.KindNetwork, crowbar.KindAllocation))
	a.handle("GET /api/v2/network_ranges/{id}/network_allocations", a.of(crowbar.KindRange, crowbar.KindAllocation))
	a.handle("GET /api/v2/networks/{id}/allocations", a.addressesIn)
	a.handle("GET /api/v2/networks/{id}/ip", a.addressesIn)
	a.raw("POST /api/v2/networks/{id}/ip", a.allocateIn)
	a.raw("POST /api/v2/networks/{id}/allocate_ip", a.allocateIn)
	a.handle("GET /api/v2/networks/{id}/auto_ranges/{node}", a.autoRanges)
	for _, k := range []crowbar.Kind{crowbar.KindNetwork, crowbar.KindRange, crowbar.KindAllocation, crowbar.KindHammer} {
		a.handle("GET /api/v2/nodes/{id}/"+string(k), a.of(crowbar.KindNode, k))
	}
	a.handle("GET /api/v2/nodes/{id}/addresses", a.addresses)
	a.handle("PUT /api/v2/nodes/{id}/node_roles/{role}", a.putNodeRoleOn)
	a.handle("GET /api/v2/deployments/{id}/graph", a.graphOf)
	a.handle("GET /api/v2/deployments/{id}/networks", a.of(crowbar.KindDeployment, crowbar.KindNetwork))
}

// listNetworks is all networks, those of ?category=, or with ?address= the one in which an address lies.
func (a *API) listNetworks(r *http.Request) (form, any, error) {
	s, q := a.Engine.View(), r.URL.Query()
	if address := q.Get("address"); address != "" {
		if n := networkAt(s, address, q.Get("category")); n != nil {
			return "network.obj", n, nil
		}
		return "", nil, missing(s, crowbar.KindNetwork, address)
	}
	out := []crowbar.Object{}
	for n := range s.Networks() {
		if c := q.Get("category"); c == "" || c == n.Category {
			out = append(out, n)
		}
	}
	return "network.list", out, nil
}

// listAllocations is all allocations, or those of ?node=, ?network= and ?network_range=.
func (a *API) listAllocations(r *http.Request) (form, any, error) {
	s, q := a.Engine.View(), r.URL.Query()
	var want crowbar.Allocation
	for _, x := range []struct {
		kind crowbar.Kind
		key  string
		to   *crowbar.ID
	}{{crowbar.KindNode, "node", &want.Node}, {crowbar.KindNetwork, "network", &want.Network}, {crowbar.KindRange, "network_range", &want.Range}} {
		for _, key := range []string{q.Get(x.key + "_id"), q.Get(x.key)} {
			if key == "" {
				continue
			}
			if err := refer(s, x.kind, x.to, &key); err != nil {
				return "", nil, err
			}
		}
	}
	out := []crowbar.Object{}
	for o := range s.Allocations() {
		if (want.Node == 0 || want.Node == o.Node) && (want.Network == 0 || want.Network == o.Network) && (want.Range == 0 || want.Range == o.Range) {
			out = append(out, o)
		}
	}
	return "network_allocation.list", out, nil
}

// destroyNetwork answers for the network over which nodes are managed as OpenCrowbar did: there is no such action on it.
func (a *API) destroyNetwork(r *http.Request) (form, any, error) {
	f, v, err := a.destroyed(crowbar.KindNetwork)(r)
	if o, e := find(a.Engine.View(), crowbar.KindNetwork, r.PathValue("id")); err != nil && e == nil && natural(a.Engine.View(), o) == "admin" {
		err = legacy(err, http.StatusMethodNotAllowed)
	}
	return f, v, err
}

// madeIn makes a part of the network in the path.
func (a *API) madeIn(n noun) handler {
	return func(r *http.Request) (form, any, error) {
		id, err := findID(a.Engine.View(), crowbar.KindNetwork, r)
		if err != nil {
			return "", nil, err
		}
		p, err := read(r)
		if err != nil {
			return "", nil, err
		}
		delete(p, "network")
		p["network_id"] = id.String()
		return a.made(r.Context(), n, p)
	}
}

// part is a handler of one object for the range, by its name, or the router, by whatever name, of the network in the path.
func (a *API) part(k crowbar.Kind, do handler) handler {
	return func(r *http.Request) (form, any, error) {
		s := a.Engine.View()
		network, err := findID(s, crowbar.KindNetwork, r)
		if err != nil {
			return "", nil, err
		}
		id := crowbar.ID(0)
		if k == crowbar.KindRouter {
			if o := s.RouterOf(network); o != nil {
				id = o.ID
			}
		} else if o := s.RangeNamed(network, r.PathValue("part")); o != nil {
			id = o.ID
		} else if o, err := find(s, k, r.PathValue("part")); err == nil && o.(*crowbar.Range).Network == network {
			id = o.Key()
		}
		if id == 0 {
			return "", nil, missing(s, k, r.PathValue("part"))
		}
		r.SetPathValue("id", id.String())
		return do(r)
	}
}
