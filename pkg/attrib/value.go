package attrib

import (
	"encoding/json"
	"maps"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Value is an attrib as a node, role, deployment, deployment_role or node_role has it, with what is proposed for it; nil
// for one that the host computes. A role's attrib asked of a node on which the role is not is an error of kind NotFound.
func Value(s *crowbar.Snapshot, carrier crowbar.Object, a *crowbar.Attrib) (any, error) {
	if computed(a) {
		return nil, nil
	}
	switch c := carrier.(type) {
	case *crowbar.Node:
		if a.Role == 0 {
			return first(a, c.Hint, c.Discovery), nil
		}
		nr := s.NodeRoleOn(c.ID, a.Role)
		if nr == nil {
			return nil, crowbar.Errorf(crowbar.NotFound, "attrib %q: its role is not bound to node %q: bind it, or ask the deployment", a.Name, c.Name)
		}
		return resolve(s, nr, a, true), nil
	case *crowbar.Role:
		return first(a, c.Template), nil
	case *crowbar.Deployment:
		dr := s.DeploymentRoleOf(home(s, c.ID, a.Role), a.Role)
		if dr == nil {
			return nil, crowbar.Errorf(crowbar.NotFound, "attrib %q: its role is not in deployment %q: bind it first", a.Name, c.Name)
		}
		return Value(s, dr, a)
	case *crowbar.DeploymentRole:
		var template crowbar.Data
		if r := s.Role(c.Role); r != nil {
			template = r.Template
		}
		return first(a, c.Proposed, c.Committed, c.Wall, template), nil
	case *crowbar.NodeRole:
		return resolve(s, c, a, true), nil
	}
	return nil, crowbar.Errorf(crowbar.Invalid, "attrib %q: %s have no attribs", a.Name, carrier.Kind())
}

// first is the value in the first data that has one, else the default.
func first(a *crowbar.Attrib, from ...crowbar.Data) any {
	for _, d := range from {
		if v, ok := crowbar.Dig(d, a.Map); ok {
			return v
		}
	}
	return a.Default
}

// Set checks a value against the attrib's schema and puts it into what is proposed for a deployment_role or node_role
// (Commit makes it count), or into a node's hints, where it counts for the next run.
func Set(s *crowbar.Snapshot, carrier crowbar.Object, a *crowbar.Attrib, value any) ([]crowbar.Change, error) {
	switch {
	case computed(a):
		return nil, crowbar.Errorf(crowbar.Invalid, "Attrib %s is read-only: the host makes its value", a.Name)
	case !a.Writable:
		return nil, crowbar.Errorf(crowbar.Invalid, "Attrib %s is read-only: give it a schema in the barclamp to make it writable", a.Name)
	}
	value, err := plain(value)
	if err != nil {
		return nil, crowbar.Errorf(crowbar.Invalid, "attrib %q: the value is not JSON: %w", a.Name, err)
	}
	if err := Check(a, value); err != nil {
		return nil, err
	}
	switch c := carrier.(type) {
	case *crowbar.Node:
		n := *c
		n.Hint = with(c.Hint, a.Map, value)
		return []crowbar.Change{{Put: &n}}, nil
	case *crowbar.Deployment:
		dr := s.DeploymentRoleOf(c.ID, a.Role)
		if dr == nil {
			return nil, crowbar.Errorf(crowbar.NotFound, "set attrib %q: its role is not in deployment %q: bind it first", a.Name, c.Name)
		}
		return Set(s, dr, a, value)
	case *crowbar.DeploymentRole:
		if c.Role != a.Role {
			return nil, crowbar.Errorf(crowbar.Invalid, "set attrib %q: it is not of this role: set it on the role that has it", a.Name)
		}
		dr := *c
		dr.Proposed = with(base(c.Proposed, c.Committed), a.Map, value)
		return []crowbar.Change{{Put: &dr}}, nil
	case *crowbar.NodeRole:
		if c.Role != a.Role {
			return nil, crowbar.Errorf(crowbar.Invalid, "set attrib %q: it is not of this role: set it on the role that has it", a.Name)
		}
		nr := *c
		nr.Proposed = with(base(c.Proposed, c.Committed), a.Map, value)
		return []crowbar.Change{{Put: &nr}}, nil
	}
	return nil, crowbar.Errorf(crowbar.Invalid, "set attrib %q: %s take no attribs", a.Name, carrier.Kind())
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
