package barclamp

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

func (p *parser) role(n *yaml.Node) {
	var r crowbar.Role
	name, ok := p.nameOf(n, "role")
	if !ok {
		return
	}
	r.Name = name
	if !p.first(n, "role", name, p.roles, len(p.catalog.Roles)) {
		return
	}
	had := p.fields(n, "role "+strconv.Quote(name), keys{
		"name": nil, "jig": p.name(&r.Jig), "description": p.text(&r.Description), "flags": func(v *yaml.Node) { p.flags(v, &r) },
		"type": p.known(p.anyText), "icon": p.known(p.anyText), "documentation": nil, "metadata": p.known(p.anyMap),
		"events":   p.known(func(v *yaml.Node) { p.each(v, "events", p.event) }),
		"requires": p.names(&r.Requires), "preceeds": p.names(&r.Preceeds), "conflicts": p.names(&r.Conflicts), "provides": p.names(&r.Provides),
		"attaches": func(v *yaml.Node) {
			p.names(&r.Attaches)(v)
			p.mark(v, "what attaches "+name)
		},
		"wants-attribs": func(v *yaml.Node) { p.wants(v, &r) },
		"peers": func(v *yaml.Node) {
			p.names(&r.Peers)(v)
			r.Peers = append([]string{}, r.Peers...) // an empty list says something
		},
		"attribs":   func(v *yaml.Node) { p.each(v, "attribs", func(a *yaml.Node) { p.attrib(a, name) }) },
		"exclusive": func(v *yaml.Node) { p.each(v, "exclusive", func(e *yaml.Node) { p.exclusive(e, &r) }) },
		"unique":    func(v *yaml.Node) { p.each(v, "unique", func(u *yaml.Node) { p.unique(u, &r) }) },
		"owns":      func(v *yaml.Node) { p.owns(v, &r) },
		"timeout":   func(v *yaml.Node) { p.timeout(v, &r) },
		"retry":     func(v *yaml.Node) { p.retry(v, &r) },
		"template":  func(v *yaml.Node) { p.object(v, &r.Template) },
		"forgets":   p.truth(&r.Forgets),
	})
	p.notItself(n, r)
	if !had["jig"] {
		p.complain(n, "role %q has no jig: add 'jig: ssh' (or local, noop)", name)
	}
	if line := find(n, "jig"); line != nil {
		p.mark(line, "jig of "+name)
	}
	if r.Description == "" {
		r.Description = humanise(name)
	}
	p.catalog.Roles = append(p.catalog.Roles, r)
}

// notItself complains of a role that comes before, after or instead of itself.
func (p *parser) notItself(n *yaml.Node, r crowbar.Role) {
	for i, list := range [][]string{r.Requires, r.Attaches, r.Preceeds, r.Conflicts, r.Provides} {
		if key := []string{"requires", "attaches", "preceeds", "conflicts", "provides"}[i]; slices.Contains(list, r.Name) {
			p.complain(keyOf(n, key), "role %q names itself under %s: take it away", r.Name, key)
		}
	}
}

func humanise(name string) string {
	words := strings.FieldsFunc(name, func(c rune) bool { return c == '-' || c == '_' })
	for i, w := range words {
		words[i] = strings.ToUpper(w[:1]) + w[1:]
	}
	return strings.Join(words, " ")
}

func (p *parser) flags(n *yaml.Node, r *crowbar.Role) {
	known := map[string]*bool{
		"library": &r.Flags.Library, "implicit": &r.Flags.Implicit, "bootstrap": &r.Flags.Bootstrap, "discovery": &r.Flags.Discovery,
		"cluster": &r.Flags.Cluster, "destructive": &r.Flags.Destructive, "abstract": &r.Flags.Abstract, "milestone": &r.Flags.Milestone,
		"powersave": &r.Flags.Powersave, "service": &r.Flags.Service,
		"leaverunlog": nil, "replace_node_icon": nil, // Digital Rebar's, about its own looks
	}
	p.each(n, "flags", func(v *yaml.Node) {
		flag, ok := known[v.Value]
		if !ok {
			p.soft(v, "role %q has flag %q, which is not known: %s", r.Name, v.Value, near(v.Value, known))
		}
		if flag != nil {
			*flag = true
		}
	})
}

// wants takes each want as a name, or as {name, at} of which Digital Rebar uses the name.
func (p *parser) wants(n *yaml.Node, r *crowbar.Role) {
	p.each(n, "wants-attribs", func(v *yaml.Node) {
		var name string
		if v.Kind == yaml.MappingNode {
			p.fields(v, "wanted attrib", keys{"name": p.name(&name), "at": p.anyText})
			if name == "" {
				p.complain(v, "a wanted attrib of role %q has no name: write its name, or { name: NAME, at: PATH }", r.Name)
			}
		} else {
			p.name(&name)(v)
		}
		if name != "" {
			r.Wants = append(r.Wants, name)
		}
	})
}

func (p *parser) exclusive(n *yaml.Node, r *crowbar.Role) {
	e := crowbar.Exclusive{Limit: 1}
	p.fields(n, "exclusive", keys{"name": p.name(&e.Name), "gate": p.oneOf(&e.Gate, "peers-active", "peers-rolled"),
		"rolling": p.oneOf(&e.Rolling, "once", "twice"), "limit": func(v *yaml.Node) {
			if _, err := strconv.Atoi(v.Value); err != nil {
				p.name(&e.LimitBy)(v)
				return
			}
			p.number(&e.Limit, 1, 1<<20)(v)
		}})
	if e.Name == "" {
		p.complain(n, "an exclusive of role %q has no name: add 'name: NAME'", r.Name)
		return
	}
	r.Exclusive = append(r.Exclusive, e)
}

func (p *parser) unique(n *yaml.Node, r *crowbar.Role) {
	var u crowbar.Unique
	p.fields(n, "unique", keys{"name": p.name(&u.Name), "mend": p.text(&u.Mend)})
	if u.Name == "" {
		p.complain(n, "a unique value of role %q has no name: add 'name: NAME', of a value that the role gives back", r.Name)
		return
	}
	r.Unique = append(r.Unique, u)
}

func (p *parser) owns(n *yaml.Node, r *crowbar.Role) {
	p.fields(n, "owns", keys{"units": p.list(&r.Owns.Units), "paths": p.list(&r.Owns.Paths), "ports": func(v *yaml.Node) {
		p.each(v, "ports", func(one *yaml.Node) {
			if port, err := strconv.Atoi(one.Value); err == nil && (port < 1 || port > 65535) {
				p.complain(one, "role %q owns port %d: a port is 1 to 65535", r.Name, port)
			}
			r.Owns.Ports = append(r.Owns.Ports, one.Value)
		})
	}})
}

// retry takes how often, and after how long, a failed run is tried again by itself.
func (p *parser) retry(n *yaml.Node, r *crowbar.Role) {
	retry := crowbar.Retry{Backoff: crowbar.Duration(5 * time.Second), Limit: crowbar.Duration(5 * time.Minute)}
	span := func(key string, into *crowbar.Duration) func(*yaml.Node) {
		return func(v *yaml.Node) {
			d, err := time.ParseDuration(v.Value)
			if err != nil || d < time.Second || d > 24*time.Hour {
				p.complain(v, "retry of role %q has %s %q: write a time from 1s to 24h", r.Name, key, v.Value)
				return
			}
			*into = crowbar.Duration(d)
		}
	}
	had := p.fields(n, "retry of role "+strconv.Quote(r.Name), keys{"times": p.number(&retry.Times, 1, 1000), "backoff": span("backoff", &retry.Backoff), "limit": span("limit", &retry.Limit)})
	if !had["times"] {
		p.complain(n, "retry of role %q has no times: say how often, as in 'retry: { times: 3, backoff: 5s, limit: 2m }'", r.Name)
		return
	}
	if had["backoff"] && !had["limit"] {
		retry.Limit = max(retry.Limit, retry.Backoff)
	}
	if retry.Limit < retry.Backoff && had["limit"] {
		if !had["backoff"] {
			retry.Backoff = retry.Limit
		} else {
			p.complain(n, "retry of role %q has a limit below its backoff: the limit is the longest that is waited", r.Name)
		}
	}
	r.Retry = retry
}

func (p *parser) timeout(n *yaml.Node, r *crowbar.Role) {
	d, err := time.ParseDuration(n.Value)
	if err != nil || d <= 0 {
		p.complain(n, "role %q has timeout %q: write it as 90s, 15m or 1h", r.Name, n.Value)
	}
	r.Timeout = crowbar.Duration(d)
}
