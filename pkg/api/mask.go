package api

import (
	"maps"
	"slices"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// masked stands for the value of a secret.
const masked = "(secret)"

// masker masks the objects of a state, and shapes them. It is for one answer: what is the same for all objects in it is found
// out once.
type masker struct {
	s      *crowbar.Snapshot
	as     tongue
	known  bool // where secrets lie
	paths  []string
	names  []string
	states map[crowbar.ID]string // of nodes
	added  rebarKeys
}

func newMasker(s *crowbar.Snapshot, as tongue) *masker {
	return &masker{s: s, as: as, states: map[crowbar.ID]string{}}
}

// mask is one object as masker.mask gives it.
func mask(s *crowbar.Snapshot, o crowbar.Object) crowbar.Object { return (&masker{s: s}).mask(o) }

// mask is the object with every secret value replaced: whatever is sealed, and what lies open where a secret attrib has its
// place. An object without one is given back as it is.
func (m *masker) mask(o crowbar.Object) crowbar.Object {
	switch o := o.(type) {
	case *crowbar.Node:
		c := *o
		return m.parts(&c)
	case *crowbar.Role:
		c := *o
		return m.parts(&c)
	case *crowbar.DeploymentRole:
		c := *o
		return m.parts(&c)
	case *crowbar.NodeRole:
		c := *o
		return m.parts(&c)
	case *crowbar.Attrib:
		c := *o
		if c.Secret && c.Default != nil && c.Default != "" {
			c.Default = masked
		}
		return &c
	case *crowbar.Hammer:
		c := *o
		c.Authenticator = nil
		return &c
	case *crowbar.User:
		c := *o
		c.Credentials, c.Sessions, c.SignedOut = nil, 0, nil
		return &c
	case *crowbar.Token:
		c := *o
		c.Sum = ""
		return &c
	}
	return o
}

// parts masks the data of an object that is the caller's own.
func (m *masker) parts(o crowbar.Object) crowbar.Object {
	parts := crowbar.Parts(o)
	if !slices.ContainsFunc(parts, func(p crowbar.Part) bool { return len(*p.Data) > 0 }) {
		return o
	}
	if !m.known {
		m.known = true
		for a := range m.s.Attribs() {
			if a.Secret {
				m.paths, m.names = append(m.paths, a.Map), append(m.names, a.Name)
			}
		}
	}
	for _, p := range parts {
		if crowbar.HasSealed(*p.Data) {
			*p.Data = unsealed(*p.Data).(crowbar.Data)
		}
		hide(m.paths, p.Data)
		if p.Name == crowbar.PartWall {
			hide(m.names, p.Data)
		}
	}
	return o
}

// unsealed is a value with everything in it masked that is sealed.
func unsealed(v any) any {
	if crowbar.IsSealed(v) {
		return masked
	}
	switch v := v.(type) {
	case crowbar.Data:
		out := make(crowbar.Data, len(v))
		for key, x := range v {
			out[key] = unsealed(x)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = unsealed(x)
		}
		return out
	}
	return v
}

// hide replaces the values at slash paths.
func hide(paths []string, in ...*crowbar.Data) {
	for _, d := range in {
		for _, p := range paths {
			*d = without(*d, p)
		}
	}
}

// without is the data with the value at the path masked; what is not on the path is shared.
func without(d crowbar.Data, path string) crowbar.Data {
	word, rest, deeper := strings.Cut(path, "/")
	at, ok := d[word]
	if !ok || at == nil {
		return d
	}
	inner, isData := at.(crowbar.Data)
	if deeper && !isData {
		return d
	}
	out := maps.Clone(d)
	if deeper {
		out[word] = without(inner, rest)
	} else {
		out[word] = masked
	}
	return out
}
