package barclamp

import (
	"errors"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// kwalify's types, and whether package attrib can hold a value against them.
var schemaTypes = map[string]bool{
	"str": true, "int": true, "float": true, "number": true, "bool": true, "text": true, "scalar": true, "any": true, "seq": true, "map": true,
	"date": false, "time": false, "timestamp": false,
}

// rule checks that one rule of a schema is kwalify.
func (p *parser) rule(n *yaml.Node, where string) {
	n = deref(n)
	if p.budget -= 8; p.budget < 0 {
		return // tree complains of it
	}
	var yes bool
	var kind string
	had := p.fields(n, where, keys{
		"name": p.anyText, "desc": p.anyText, "class": p.anyText, "default": nil, "example": nil, "ident": p.truth(&yes),
		"assert": func(v *yaml.Node) {
			p.soft(v, "%s has assert, which only Ruby can run: nothing holds values to it", where)
		},
		"type": func(v *yaml.Node) {
			if _, ok := schemaTypes[v.Value]; !ok {
				p.complain(v, "%s has type %q, which kwalify does not know: %s", where, v.Value, near(v.Value, schemaTypes))
				return
			}
			kind = v.Value
			if !schemaTypes[kind] {
				p.soft(v, "%s has type %s, to which no value can be held: use str and a pattern", where, kind)
			}
		},
		"required": p.truth(&yes), "unique": p.truth(&yes),
		"pattern":  func(v *yaml.Node) { p.pattern(v, where) },
		"enum":     func(v *yaml.Node) { p.each(v, "enum", func(e *yaml.Node) { p.anyText(e) }) },
		"range":    func(v *yaml.Node) { p.span(v, "range") },
		"length":   func(v *yaml.Node) { p.span(v, "length") },
		"sequence": func(v *yaml.Node) { p.sequence(v, where) },
		"mapping": func(v *yaml.Node) {
			p.entries(v, "mapping", func(key string, one *yaml.Node) { p.rule(one, "schema of "+key) })
		},
	})
	if n.Kind == yaml.MappingNode && (kind != "" || !had["type"]) {
		p.agree(n, where, kind, had)
	}
}

// agree complains of keys that a rule's type has no use for, or lacks.
func (p *parser) agree(n *yaml.Node, where, kind string, had map[string]bool) {
	switch {
	case kind == "" && had["mapping"]:
		kind = "map"
	case kind == "" && had["sequence"]:
		kind = "seq"
	case kind == "":
		kind = "str"
	}
	if kind == "seq" && !had["sequence"] {
		p.complain(n, "%s has type seq and no sequence: add 'sequence: [{ type: TYPE }]'", where)
	}
	if kind == "map" && !had["mapping"] {
		p.complain(n, "%s has type map and no mapping: add 'mapping: { KEY: { type: TYPE } }', with the key = for any other", where)
	}
	const texts = "str text scalar any date time timestamp "
	for _, one := range [][2]string{{"sequence", "seq"}, {"mapping", "map"}, {"length", "str text"}, {"range", texts + "int float number"},
		{"enum", texts + "int float number bool"}, {"pattern", texts + "int float number"}} {
		if had[one[0]] && !slices.Contains(strings.Fields(one[1]), kind) {
			p.complain(keyOf(n, one[0]), "%s has type %s and %s, which do not go together: take one away", where, kind, one[0])
		}
	}
}

func (p *parser) sequence(n *yaml.Node, where string) {
	if n.Kind != yaml.SequenceNode || len(n.Content) != 1 {
		p.complain(n, "%s has a sequence that is not a list of one rule: write 'sequence: [{ type: TYPE }]'", where)
		return
	}
	p.rule(n.Content[0], where)
}

func (p *parser) span(n *yaml.Node, what string) {
	limits := map[string]*float64{}
	reader := func(key string) func(*yaml.Node) {
		return func(v *yaml.Node) {
			var f float64
			if err := v.Decode(&f); err != nil {
				p.complain(v, "%s %s is %q: write a number", what, key, v.Value)
				return
			}
			limits[key] = &f
		}
	}
	p.fields(n, what, keys{"min": reader("min"), "max": reader("max"), "min-ex": reader("min-ex"), "max-ex": reader("max-ex")})
	if low, high := limits["min"], limits["max"]; low != nil && high != nil && *low > *high {
		p.complain(n, "%s goes from %v to %v, so that nothing fits: change one", what, *low, *high)
	}
}

func (p *parser) pattern(n *yaml.Node, where string) {
	inner, ok := strings.CutPrefix(n.Value, "/")
	end := strings.LastIndex(inner, "/")
	if n.Kind != yaml.ScalarNode || !ok || end < 0 || strings.Trim(inner[end+1:], "mi") != "" {
		p.complain(n, "%s has pattern %q, which is not between slashes: write /%s/", where, n.Value, strings.Trim(n.Value, "/"))
		return
	}
	if inner[end+1:] != "" {
		p.soft(n, "%s has a pattern with the options %q, to which no value can be held: write (?%s) in front of it", where, inner[end+1:], inner[end+1:])
	}
	_, err := regexp.Compile(inner[:end])
	var fault *syntax.Error
	switch {
	case err == nil:
	case errors.As(err, &fault) && slices.Contains([]syntax.ErrorCode{syntax.ErrInvalidPerlOp, syntax.ErrInvalidEscape, syntax.ErrInvalidNamedCapture}, fault.Code):
		p.soft(n, "%s has a pattern that only Ruby can read (%s), to which no value can be held: write it without", where, fault.Expr)
	default:
		p.complain(n, "%s has pattern %s, which is no regular expression: %s", where, n.Value, strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
}
