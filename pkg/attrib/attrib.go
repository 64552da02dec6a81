// Package attrib decides which values one run is given: maps, defaults, precedence, schemas. It does not know how values
// are stored, who may set them, or how the computed ones are made.
//
// Precedence, lowest first: the attrib's default, the role's template, what is committed for the role in the deployment,
// the node's facts and hints, what an ancestor's last run gave back, what is said of the one node-role.
package attrib

import (
	"slices"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// The layers that have a word in a value, lowest first.
const (
	LayerDefault        = "default"
	LayerTemplate       = "role template"
	LayerDeploymentWall = "deployment wall"
	LayerDeployment     = "deployment"
	LayerFacts          = "node facts"
	LayerHint           = "node"
	LayerWall           = "wall" // of an ancestor
	LayerSys            = "sysdata"
	LayerNodeRole       = "node-role"
	LayerProposed       = "proposed"
)

// Inputs is what a run is given, flat by attrib name.
type Inputs struct {
	Attribs  crowbar.Data
	Computed []crowbar.Computed // values that the host makes; none of their names is in Attribs
	Secret   map[string]bool    // names whose values no log, plan or page may show
	// Sealed is where those of Attribs lie that are sealed, or have something sealed in them; nil if none are. They are Secret.
	Sealed map[string]crowbar.Place
}

// Collect gathers the attribs that a node-role's role has and wants. An attrib that is wanted and that nothing has is an
// error of kind NotFound.
func Collect(s *crowbar.Snapshot, nr *crowbar.NodeRole) (Inputs, error) {
	in := Inputs{Attribs: crowbar.Data{}, Secret: map[string]bool{}}
	r := s.Role(nr.Role)
	if r == nil {
		return in, crowbar.Errorf(crowbar.NotFound, "collect attribs: role %s is gone", nr.Role)
	}
	wanted, err := wantedBy(s, r)
	if err != nil {
		return in, err
	}
	for _, a := range wanted {
		if IsSecret(a) {
			in.Secret[a.Name] = true
		}
		if computed(a) {
			c, err := compute(s, nr, a)
			if err != nil {
				return in, err
			}
			in.Computed = append(in.Computed, c)
			continue
		}
		v, at := resolve(s, nr, a, false)
		in.Attribs[a.Name] = v
		if crowbar.HasSealed(v) {
			if in.Sealed == nil {
				in.Sealed = map[string]crowbar.Place{}
			}
			in.Sealed[a.Name], in.Secret[a.Name] = at, true
		}
	}
	return in, nil
}

// wantedBy is a role's own attribs and those that it wants, by order and name, each once.
func wantedBy(s *crowbar.Snapshot, r *crowbar.Role) ([]*crowbar.Attrib, error) {
	var out []*crowbar.Attrib
	for a := range s.Attribs() {
		if a.Role == r.ID {
			out = append(out, a)
		}
	}
	for _, name := range r.Wants {
		a := s.AttribNamed(name)
		if a == nil {
			return nil, crowbar.Errorf(crowbar.NotFound, "role %q wants attrib %q, which no barclamp has: import the barclamp that has it, or mend the name", r.Name, name)
		}
		if !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	slices.SortFunc(out, func(a, b *crowbar.Attrib) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

func computed(a *crowbar.Attrib) bool { return a.Leaf != nil || a.Generate != "" || a.Authority != "" }

// resolve is the value of an attrib as a node-role sees it, and where it lies (nowhere, for a default); draft counts what is
// proposed for the node-role itself too.
func resolve(s *crowbar.Snapshot, nr *crowbar.NodeRole, a *crowbar.Attrib, draft bool) (any, crowbar.Place) {
	value, at := a.Default, crowbar.Place{}
	layers(s, nr, a, draft, func(_ string, v any, place crowbar.Place) {
		if v != nil {
			value, at = v, place
		}
	})
	return value, at
}

// layers says everything above the default that may have a word in an attrib's value as a node-role sees it, lowest first;
// nil where it has none.
func layers(s *crowbar.Snapshot, nr *crowbar.NodeRole, a *crowbar.Attrib, draft bool, say func(layer string, v any, at crowbar.Place)) {
	n := s.Node(nr.Node)
	carrier, dep := nr, nr.Deployment
	if a.Role != nr.Role && a.Role != 0 {
		carrier, dep = ancestor(s, nr, a.Role), home(s, nr.Deployment, a.Role)
	}
	at := func(k crowbar.Kind, id crowbar.ID, part string) crowbar.Place {
		return crowbar.Place{Kind: k, ID: id, Part: part, Path: a.Map}
	}
	dig := func(layer string, d crowbar.Data, place crowbar.Place) {
		v, _ := crowbar.Dig(d, a.Map)
		say(layer, v, place)
	}
	if r := s.Role(a.Role); r != nil {
		dig(LayerTemplate, r.Template, at(crowbar.KindRole, r.ID, crowbar.PartTemplate))
	}
	if dr := s.DeploymentRoleOf(dep, a.Role); dr != nil && a.Role != 0 {
		dig(LayerDeploymentWall, dr.Wall, at(crowbar.KindDeploymentRole, dr.ID, crowbar.PartWall))
		dig(LayerDeployment, dr.Committed, at(crowbar.KindDeploymentRole, dr.ID, crowbar.PartData))
	}
	if n != nil {
		if a.Role == 0 {
			dig(LayerFacts, n.Discovery, at(crowbar.KindNode, n.ID, crowbar.PartDiscovery))
		}
		dig(LayerHint, n.Hint, at(crowbar.KindNode, n.ID, crowbar.PartHint))
	}
	if carrier == nil || a.Role == 0 {
		return
	}
	if carrier.ID != nr.ID {
		if r := s.Role(carrier.Role); r != nil && r.Jig == "script" { // which gives back a tree of maps
			dig(LayerWall, carrier.Wall, at(crowbar.KindNodeRole, carrier.ID, crowbar.PartWall))
		} else {
			say(LayerWall, carrier.Wall[a.Name], crowbar.Place{Kind: crowbar.KindNodeRole, ID: carrier.ID, Part: crowbar.PartWall, Path: a.Name})
		}
	}
	dig(LayerSys, carrier.Sys, at(crowbar.KindNodeRole, carrier.ID, crowbar.PartSys))
	if draft && carrier.ID == nr.ID && nr.Proposed != nil { // a copy of what is committed, with changes
		dig(LayerProposed, nr.Proposed, at(crowbar.KindNodeRole, nr.ID, crowbar.PartData))
		return
	}
	dig(LayerNodeRole, carrier.Committed, at(crowbar.KindNodeRole, carrier.ID, crowbar.PartData))
}

// ancestor is the node-role of another role that a node-role sees: on its own node, else among its ancestors.
func ancestor(s *crowbar.Snapshot, nr *crowbar.NodeRole, role crowbar.ID) *crowbar.NodeRole {
	if here := s.NodeRoleOn(nr.Node, role); here != nil {
		return here
	}
	seen := map[crowbar.ID]bool{nr.ID: true}
	for todo := []*crowbar.NodeRole{nr}; len(todo) > 0; todo = todo[1:] {
		for _, l := range todo[0].Parents {
			p := s.NodeRole(l.ID)
			if p == nil || seen[p.ID] {
				continue
			}
			if p.Role == role {
				return p
			}
			seen[p.ID] = true
			todo = append(todo, p)
		}
	}
	return nil
}

// home is the nearest deployment, upward, in which a role is.
func home(s *crowbar.Snapshot, deployment, role crowbar.ID) crowbar.ID {
	seen := map[crowbar.ID]bool{}
	for d := s.Deployment(deployment); d != nil && !seen[d.ID]; d = s.Deployment(d.Parent) {
		seen[d.ID] = true
		if s.DeploymentRoleOf(d.ID, role) != nil {
			return d.ID
		}
	}
	return deployment
}
