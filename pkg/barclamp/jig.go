package barclamp

import (
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// hands are the jigs that kubeclamp has. A jig of another name is imported inactive: what its roles are is known, but none
// can be bound.
var hands = []string{"ssh", "local", "noop", "script"}

func (p *parser) jig(n *yaml.Node) {
	j := crowbar.Jig{Description: "Imported by " + p.catalog.Barclamp.Name}
	var ok bool
	if j.Name, ok = p.nameOf(n, "jig"); !ok {
		return
	}
	had := p.fields(n, "jig", keys{"name": nil, "class": p.text(&j.Class), "description": p.text(&j.Description), "implementor": p.name(&j.ClientRole)})
	if !had["class"] {
		p.complain(n, "jig %q has no class: add 'class: CLASS'", j.Name)
	}
	j.Active = slices.Contains(hands, j.Name)
	if p.first(n, "jig", j.Name, p.jigs, len(p.catalog.Jigs)) {
		p.catalog.Jigs = append(p.catalog.Jigs, j)
	}
}

// hammer reads one way to get at nodes.
func (p *parser) hammer(n *yaml.Node) {
	name, ok := p.nameOf(n, "hammer")
	if !ok {
		return
	}
	var class string
	var priority int
	p.fields(n, "hammer", keys{"name": nil, "type": p.text(&class), "priority": p.number(&priority, 0, 1<<20)})
	if class == "" {
		p.complain(n, "hammer %q has no type: add 'type: CLASS'", name)
	}
	if p.first(n, "hammer", name, p.hammers, len(p.catalog.Hammers)) {
		p.catalog.Hammers = append(p.catalog.Hammers, crowbar.AvailableHammer{Name: name, Class: class, Priority: priority})
	}
}
