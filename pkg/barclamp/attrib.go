package barclamp

import (
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// attrib reads one attrib; role "" is the node's.
func (p *parser) attrib(n *yaml.Node, role string) {
	name, ok := p.nameOf(n, "attrib")
	if !ok {
		return
	}
	was, again := p.attribs[name]
	if again = again && p.foreign && was.path == p.path; again {
		p.soft(n, "attrib %q is there already, at %s:%d: this one counts", name, was.path, was.line)
	} else if !p.first(n, "attrib", name, p.attribs, len(p.catalog.Attribs)) {
		return
	}
	a := crowbar.CatalogAttrib{RoleName: role, Attrib: crowbar.Attrib{Name: name, Order: 10000}}
	had := p.fields(n, "attrib "+strconv.Quote(name), keys{
		"name": nil, "type": p.known(p.anyText), "ui_renderer": p.known(p.anyText), "documentation": nil,
		"description": p.text(&a.Description), "map": p.text(&a.Map), "default": func(v *yaml.Node) { a.Default = p.tree(v) },
		"schema": func(v *yaml.Node) { p.schema(v, &a) }, "writable": p.truth(&a.Writable), "rolling": p.truth(&a.Rolling), "secret": p.truth(&a.Secret),
		"order": p.number(&a.Order, 0, 1<<30), "leaf": func(v *yaml.Node) { a.Leaf = p.leaf(v, name) },
		"generate": p.oneOf(&a.Generate, "random-32", "ecdsa-p256", "ring-32", "ring-p256"), "authority": p.name(&a.Authority),
	})
	a.Map = strings.Trim(a.Map, "/")
	if a.Map == "" {
		a.Map = strings.ReplaceAll(name, "-", "/")
	}
	a.Writable = a.Writable || a.Schema != nil
	p.computed(n, had, a.Attrib)
	if a.Secret && a.Default != nil && a.Default != "" {
		p.complain(n, "attrib %q is secret and has a default, which everybody can read who can read this file: take the default away, and set the value", name)
	}
	if again {
		p.catalog.Attribs[was.index] = a
		return
	}
	p.catalog.Attribs = append(p.catalog.Attribs, a)
}

func (p *parser) schema(n *yaml.Node, a *crowbar.CatalogAttrib) {
	p.exact = true
	p.rule(n, "schema of attrib "+strconv.Quote(a.Name))
	p.exact = false
	if n.Kind == yaml.MappingNode {
		p.object(n, &a.Schema)
	}
}

// computed complains of an attrib that the host shall make in two ways, or make and take from a person.
func (p *parser) computed(n *yaml.Node, had map[string]bool, a crowbar.Attrib) {
	var ways []string
	for _, k := range []string{"leaf", "generate", "authority"} {
		if had[k] {
			ways = append(ways, k)
		}
	}
	if len(ways) > 1 {
		p.complain(n, "attrib %q has %s: keep one", a.Name, strings.Join(ways, " and "))
	}
	if len(ways) > 0 && (had["default"] || had["schema"] || a.Writable) {
		p.complain(n, "attrib %q has %s, so that nobody sets it: take its default, schema and writable away", a.Name, ways[0])
	}
}

func (p *parser) leaf(n *yaml.Node, attrib string) *crowbar.Leaf {
	var l crowbar.Leaf
	p.fields(n, "leaf", keys{
		"authority": p.name(&l.Authority), "common_name": p.text(&l.CommonName), "organization": p.list(&l.Organization),
		"dns": p.list(&l.DNS), "ip": p.list(&l.IP), "usages": p.list(&l.Usages),
	})
	if l.Authority == "" {
		p.complain(n, "leaf of attrib %q has no authority: add 'authority: NAME'", attrib)
	}
	if l.CommonName == "" {
		p.complain(n, "leaf of attrib %q has no common_name: add 'common_name: NAME'", attrib)
	}
	if len(l.Usages) == 0 {
		p.complain(n, "leaf of attrib %q has no usages: add 'usages: [server]', [client] or both", attrib)
	}
	for _, u := range l.Usages {
		if !slices.Contains([]string{"server", "client"}, u) {
			p.complain(n, "leaf of attrib %q has usage %q: use server or client", attrib, u)
		}
	}
	return &l
}
