package barclamp

import (
	"strconv"

	"gopkg.in/yaml.v3"
)

// The sections below have no meaning for kubeclamp; they are kept in the document. Their keys are looked through all the
// same, so that a slip of the pen is seen.

// known reads what has no meaning for us: in another product's document, nothing in it is wrong enough to refuse it.
func (p *parser) known(read func(*yaml.Node)) func(*yaml.Node) {
	return func(n *yaml.Node) {
		was := p.aside
		p.aside = p.aside || p.foreign
		read(n)
		p.aside = was
	}
}

func (p *parser) layout(n *yaml.Node) {
	p.known(func(n *yaml.Node) { p.fields(n, "the layout", keys{"layout": nil}) })(n)
}

func (p *parser) texts(n *yaml.Node) {
	var kept []string
	p.list(&kept)(n)
}

func (p *parser) anyText(n *yaml.Node) {
	var kept string
	p.text(&kept)(n)
}

func (p *parser) anyBool(n *yaml.Node) {
	var kept bool
	p.truth(&kept)(n)
}

func (p *parser) anyMap(n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		p.complain(n, "a map is wanted here: write 'key: value' lines")
	}
}

// entries hands the value of each key of a map to a reader.
func (p *parser) entries(n *yaml.Node, where string, read func(key string, v *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		p.complain(n, "%s is not a map: write 'key: value' lines", where)
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if v := deref(n.Content[i+1]); v.ShortTag() != "!!null" {
			read(n.Content[i].Value, v)
		}
	}
}

func (p *parser) git(n *yaml.Node) {
	p.fields(n, "git", keys{"commit": p.anyText, "date": p.anyText})
}

// packages reads what to install, for each operating system.
func (p *parser) packages(kind string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		p.entries(n, kind, func(os string, v *yaml.Node) {
			if v.Kind == yaml.SequenceNode {
				p.texts(v)
				return
			}
			p.fields(v, kind+" for "+strconv.Quote(os), keys{"repos": p.texts, "pkgs": p.texts, "raw_pkgs": p.texts, "build_pkgs": p.texts, "required_pkgs": p.texts})
		})
	}
}

func (p *parser) providers(n *yaml.Node) {
	p.each(n, "providers", func(one *yaml.Node) {
		if _, ok := p.nameOf(one, "provider"); ok {
			p.fields(one, "provider", keys{"name": nil, "class": p.anyText, "description": p.anyText, "auth_details": p.anyMap})
		}
	})
}

func (p *parser) profiles(n *yaml.Node) {
	p.each(n, "profiles", func(one *yaml.Node) {
		if _, ok := p.nameOf(one, "profile"); ok {
			p.fields(one, "profile", keys{"name": nil, "values": p.anyMap})
		}
	})
}

func (p *parser) wizard(n *yaml.Node) {
	p.fields(n, "wizard", keys{
		"version": p.anyText, "name": p.anyText, "description": p.anyText, "icon": p.anyText, "system_nodes": p.anyBool, "create_nodes": p.anyBool,
		"base_attribs": p.texts, "advanced_attribs": p.texts, "role_apply_order": p.texts,
		"services": func(v *yaml.Node) { p.each(v, "services", p.service) },
	})
}

func (p *parser) service(n *yaml.Node) {
	if _, ok := p.nameOf(n, "service"); !ok {
		return
	}
	var count int // -1: as many as there are
	p.fields(n, "service", keys{
		"name": nil, "description": p.anyText, "icon": p.anyText, "type": p.anyText, "count": p.number(&count, -1, 1<<20), "with": p.anyText,
		"roles": func(v *yaml.Node) {
			p.entries(v, "roles of a service", func(_ string, list *yaml.Node) { p.texts(list) })
		},
	})
}

// event reads who is told of what happens to a role.
func (p *parser) event(n *yaml.Node) {
	p.fields(n, "event", keys{
		"endpoint": p.anyText, "username": p.anyText, "authenticator": p.anyText, "notes": nil,
		"selectors": func(v *yaml.Node) {
			p.each(v, "selectors", func(one *yaml.Node) {
				if find(one, "event") == nil {
					p.complain(one, "selector has no event: add 'event: NAME'")
				}
			})
		},
	})
}
