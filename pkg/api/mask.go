package api

import (
	"maps"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// masked stands for the value of a secret.
const masked = "(secret)"

// mask is the object with every value of a secret attrib replaced. An object without one is given back as it is.
func mask(s *crowbar.Snapshot, o crowbar.Object) crowbar.Object {
	var paths, names []string
	for a := range s.Attribs() {
		if a.Secret {
			paths, names = append(paths, a.Map), append(names, a.Name)
		}
	}
	if len(paths) == 0 {
		return o
	}
	switch o := o.(type) {
	case *crowbar.Node:
		c := *o
		hide(paths, &c.Discovery, &c.Hint, &c.Notes)
		return &c
	case *crowbar.Role:
		c := *o
		hide(paths, &c.Template)
		return &c
	case *crowbar.DeploymentRole:
		c := *o
		hide(paths, &c.Committed, &c.Proposed, &c.Wall)
		hide(names, &c.Wall)
		return &c
	case *crowbar.NodeRole:
		c := *o
		hide(paths, &c.Committed, &c.Proposed, &c.Sys, &c.Wall)
		hide(names, &c.Wall)
		return &c
	case *crowbar.Attrib:
		c := *o
		if c.Secret && c.Default != nil && c.Default != "" {
			c.Default = masked
		}
		return &c
	}
	return o
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
