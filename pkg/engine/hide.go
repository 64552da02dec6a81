package engine

import (
	"fmt"
	"maps"
	"slices"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// withoutSecrets is the document as it may be shown, and the places of what was left out.
func withoutSecrets(s *crowbar.Snapshot, c crowbar.Cluster) (crowbar.Cluster, []string) {
	secret := func(name string) bool { a := s.AttribNamed(name); return a != nil && a.Secret }
	var hidden []string
	for _, n := range sortedKeys(c.Attribs) {
		if secret(n) {
			hidden = append(hidden, "attribs."+n)
		}
	}
	for i, cn := range c.Nodes {
		for _, n := range sortedKeys(cn.Attribs) {
			if secret(n) {
				hidden = append(hidden, fmt.Sprintf("nodes[%d].attribs.%s", i, n))
			}
		}
	}
	return hide(c, hidden), hidden
}

// hide masks what is at the places.
func hide(c crowbar.Cluster, places []string) crowbar.Cluster {
	mask := func(where string, in map[string]any) map[string]any {
		out := maps.Clone(in)
		for n := range out {
			if slices.Contains(places, where+n) {
				out[n] = masked
			}
		}
		return out
	}
	c.Attribs = mask("attribs.", c.Attribs)
	c.Nodes = slices.Clone(c.Nodes)
	for i := range c.Nodes {
		c.Nodes[i].Attribs = mask(fmt.Sprintf("nodes[%d].attribs.", i), c.Nodes[i].Attribs)
	}
	return c
}
