package attrib

import (
	"encoding/json"
	"maps"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Value is an attrib as a node, role, deployment, deployment_role or node_role has it, with what is proposed for it, and
// where that lies: a secret is sealed there. It is nil for one that the host computes. A role's attrib asked of a node on
// which the role is not is an error of kind NotFound.
func Value(s *crowbar.Snapshot, carrier crowbar.Object, a *crowbar.Attrib) (any, crowbar.Place, error) {
	if computed(a) {
		return nil, crowbar.Place{}, nil
	}
	switch c := carrier.(type) {
	case *crowbar.Node:
		if a.Role == 0 {
			return first(a, c, part{crowbar.PartHint, c.Hint}, part{crowbar.PartDiscovery, c.Discovery})
		}
		nr := s.NodeRoleOn(c.ID, a.Role)
		if nr == nil {
			return nil, crowbar.Place{}, crowbar.Errorf(crowbar.NotFound, "attrib %q: its role is not bound to node %q: bind it, or ask the deployment", a.Name, c.Name)
		}
		return Value(s, nr, a)
	case *crowbar.Role:
		return first(a, c, part{crowbar.PartTemplate, c.Template})
	case *crowbar.Deployment:
		dr := s.DeploymentRoleOf(home(s, c.ID, a.Role), a.Role)
		if dr == nil {
			return nil, crowbar.Place{}, crowbar.Errorf(crowbar.NotFound, "attrib %q: its role is not in deployment %q: bind it first", a.Name, c.Name)
		}
		return Value(s, dr, a)
	case *crowbar.DeploymentRole:
		said := c.Committed
		if c.Proposed != nil { // it is a copy of what is committed, with changes
			said = c.Proposed
		}
		v, at, err := first(a, c, part{crowbar.PartData, said}, part{crowbar.PartWall, c.Wall})
		if r := s.Role(c.Role); r != nil && at.Kind == "" {
			return first(a, r, part{crowbar.PartTemplate, r.Template})
		}
		return v, at, err
	case *crowbar.NodeRole:
		v, at := resolve(s, c, a, true)
		return v, at, nil
	}
	return nil, crowbar.Place{}, crowbar.Errorf(crowbar.Invalid, "attrib %q: %s have no attribs", a.Name, carrier.Kind())
}

type part struct {
	name string
	data crowbar.Data
}

// first is the value in the first data of an object that has one, else the default.
func first(a *crowbar.Attrib, o crowbar.Object, from ...part) (any, crowbar.Place, error) {
	for _, p := range from {
		if v, ok := crowbar.Dig(p.data, a.Map); ok {
			return v, crowbar.Place{Kind: o.Kind(), ID: o.Key(), Part: p.name, Path: a.Map}, nil
		}
	}
	return a.Default, crowbar.Place{}, nil
}

// Set checks a value against the attrib's schema and puts it into what is proposed for a deployment_role or node_role
// (Commit makes it count), or into a node's hints or a role's template, where it counts for the next run.
func Set(s *crowbar.Snapshot, carrier crowbar.Object, a *crowbar.Attrib, value any) ([]crowbar.Change, error) {
	if err := settable(a); err != nil {
		return nil, err
	}
	value, err := plain(value)
	if err != nil {
		return nil, crowbar.Errorf(crowbar.Invalid, "attrib %q: the value is not JSON: %w", a.Name, err)
	}
	if crowbar.HasSealed(value) {
		return nil, crowbar.Errorf(crowbar.Invalid, "attrib %q: the value begins as a sealed one does: give the value itself, it is sealed here", a.Name)
	}
	if err := Check(a, value); err != nil {
		return nil, err
	}
	return say(s, carrier, a, func(d crowbar.Data) crowbar.Data { return with(d, a.Map, value) })
}

// Unset takes back what was set at the same place, so that what is below it counts again: from the next commit on, or, for
// a node, from the next run on. Where nothing was set, nothing changes.
func Unset(s *crowbar.Snapshot, carrier crowbar.Object, a *crowbar.Attrib) ([]crowbar.Change, error) {
	if err := settable(a); err != nil {
		return nil, err
	}
	return say(s, carrier, a, func(d crowbar.Data) crowbar.Data { return lacking(d, a.Map) })
}

func settable(a *crowbar.Attrib) error {
	switch {
	case computed(a):
		return crowbar.Errorf(crowbar.Invalid, "Attrib %s is read-only: the host makes its value", a.Name)
	case !a.Writable:
		return crowbar.Errorf(crowbar.Invalid, "Attrib %s is read-only: give it a schema in the barclamp to make it writable", a.Name)
	case a.Map == "":
		return crowbar.Errorf(crowbar.Invalid, "attrib %q has no map: say in the barclamp where its value lies", a.Name)
	}
	return nil
}

// say changes what is said of an attrib on its carrier.
func say(s *crowbar.Snapshot, carrier crowbar.Object, a *crowbar.Attrib, how func(crowbar.Data) crowbar.Data) ([]crowbar.Change, error) {
	var was crowbar.Data
	var made crowbar.Object
	var now *crowbar.Data
	switch c := carrier.(type) {
	case *crowbar.Node:
		n := *c
		made, was, now = &n, c.Hint, &n.Hint
	case *crowbar.Deployment:
		dr := s.DeploymentRoleOf(c.ID, a.Role)
		if dr == nil {
			return nil, crowbar.Errorf(crowbar.NotFound, "set attrib %q: its role is not in deployment %q: bind it first", a.Name, c.Name)
		}
		return say(s, dr, a, how)
	case *crowbar.Role:
		r := *c
		made, was, now = &r, c.Template, &r.Template
	case *crowbar.DeploymentRole:
		dr := *c
		made, was, now = &dr, base(c.Proposed, c.Committed), &dr.Proposed
	case *crowbar.NodeRole:
		nr := *c
		made, was, now = &nr, base(c.Proposed, c.Committed), &nr.Proposed
	default:
		return nil, crowbar.Errorf(crowbar.Invalid, "set attrib %q: %s take no attribs", a.Name, carrier.Kind())
	}
	if role, of := roleOf(carrier); of && role != a.Role {
		return nil, crowbar.Errorf(crowbar.Invalid, "set attrib %q: it is not of this role: set it on the role that has it", a.Name)
	}
	if at := sealedAbove(was, a.Map); at != "" {
		return nil, crowbar.Errorf(crowbar.Conflict, "set attrib %q: its place %s lies in %s, which is sealed: set that one anew first", a.Name, a.Map, at)
	}
	to := how(was)
	if to == nil {
		return nil, nil // as it was
	}
	*now = to
	return []crowbar.Change{{Put: made}}, nil
}

// roleOf is the role of which alone a carrier takes attribs.
func roleOf(o crowbar.Object) (crowbar.ID, bool) {
	switch o := o.(type) {
	case *crowbar.Role:
		return o.ID, true
	case *crowbar.DeploymentRole:
		return o.Role, true
	case *crowbar.NodeRole:
		return o.Role, true
	}
	return 0, false
}

// sealedAbove is the part of a path at which a sealed value is in the way.
func sealedAbove(d crowbar.Data, path string) string {
	words := strings.Split(path, "/")
	for i := 1; i < len(words); i++ {
		at := strings.Join(words[:i], "/")
		if v, _ := crowbar.Dig(d, at); crowbar.IsSealed(v) {
			return at
		}
	}
	return ""
}

func base(proposed, committed crowbar.Data) crowbar.Data {
	if proposed != nil {
		return proposed
	}
	return committed
}

// plain is a value as it is after a round through JSON.
func plain(v any) (out any, err error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return out, json.Unmarshal(b, &out)
}

// with is a copy of nested data with one value put in along its path; what is beside the path is shared.
func with(d crowbar.Data, path string, value any) crowbar.Data {
	out := maps.Clone(d)
	if out == nil {
		out = crowbar.Data{}
	}
	word, rest, deeper := strings.Cut(path, "/")
	if !deeper {
		out[word] = value
		return out
	}
	inner, _ := out[word].(crowbar.Data)
	out[word] = with(inner, rest, value)
	return out
}

// lacking is a copy of nested data without the value at a path, and without what is empty then; nil if it is not there.
func lacking(d crowbar.Data, path string) crowbar.Data {
	word, rest, deeper := strings.Cut(path, "/")
	at, ok := d[word]
	if !ok {
		return nil
	}
	out := maps.Clone(d)
	if !deeper {
		delete(out, word)
		return out
	}
	inner, _ := at.(crowbar.Data)
	below := lacking(inner, rest)
	switch {
	case below == nil:
		return nil
	case len(below) == 0:
		delete(out, word)
	default:
		out[word] = below
	}
	return out
}
