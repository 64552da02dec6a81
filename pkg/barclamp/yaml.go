package barclamp

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// keys says what a map may hold and who reads it; nil = accepted, and kept in the document alone.
type keys map[string]func(*yaml.Node)

var wordRule = regexp.MustCompile(`^[a-zA-Z][-_.a-zA-Z0-9]*$`)

// complain notes a mistake, and of what has no meaning for us a warning.
func (p *parser) complain(n *yaml.Node, format string, a ...any) {
	one := Complaint{p.path, n.Line, fmt.Sprintf(format, a...)}
	if p.aside {
		p.warnings = append(p.warnings, one)
		return
	}
	p.complaints = append(p.complaints, one)
}

// soft complains in a document of ours, and warns in one of another product.
func (p *parser) soft(n *yaml.Node, format string, a ...any) {
	was := p.aside
	p.aside = p.aside || p.foreign
	p.complain(n, format, a...)
	p.aside = was
}

// deref follows an alias to what it stands for.
func deref(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// find is the value of a key of a map, or nil; what the map is merged with does not count.
func find(n *yaml.Node, key string) *yaml.Node {
	if k := at(n, key); k >= 0 {
		return deref(deref(n).Content[k+1])
	}
	return nil
}

// keyOf is the key itself, else the map.
func keyOf(n *yaml.Node, key string) *yaml.Node {
	if k := at(n, key); k >= 0 {
		return deref(n).Content[k]
	}
	return n
}

func at(n *yaml.Node, key string) int {
	if n = deref(n); n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == key {
				return i
			}
		}
	}
	return -1
}

// fields hands each value of a map to its reader, and tells which keys were there. What a map is merged with (<<) counts
// where the map itself does not have the key.
func (p *parser) fields(n *yaml.Node, where string, known keys) map[string]bool {
	had := map[string]bool{}
	p.gather(deref(n), where, known, had)
	return had
}

func (p *parser) gather(n *yaml.Node, where string, known keys, had map[string]bool) {
	if n.Kind != yaml.MappingNode {
		p.complain(n, "%s is not a map: write 'key: value' lines", where)
		return
	}
	var merged []*yaml.Node
	mine := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], deref(n.Content[i+1])
		read, ok := known[k.Value]
		switch {
		case k.Value == "<<" && v.Kind == yaml.SequenceNode:
			merged = append(merged, v.Content...)
		case k.Value == "<<":
			merged = append(merged, v)
		case !ok && p.exact:
			p.complain(k, "%s has key %q, which kwalify does not know: %s", where, k.Value, near(k.Value, known))
		case !ok:
			p.soft(k, "%s has key %q, which is not known: %s", where, k.Value, near(k.Value, known))
		case mine[k.Value]:
			p.doubled[k] = true
			p.complain(k, "%s has key %q twice: keep one", where, k.Value)
		case !had[k.Value]:
			mine[k.Value], had[k.Value] = true, true
			if read != nil && v.ShortTag() != "!!null" {
				read(v)
			}
		}
	}
	for _, m := range merged {
		if p.budget -= 1024; p.budget < 0 {
			p.complain(m, "%s is merged with itself: take the merge away", where)
			return
		}
		p.gather(deref(m), where, known, had)
	}
}

// each hands the elements of a list to their reader.
func (p *parser) each(n *yaml.Node, where string, read func(*yaml.Node)) {
	if n.Kind != yaml.SequenceNode {
		p.complain(n, "%s is not a list: write '- ' before each element, or [a, b]", where)
		return
	}
	for _, e := range n.Content {
		read(deref(e))
	}
}

// nameOf finds the name of a list's element before the rest of it is read.
func (p *parser) nameOf(n *yaml.Node, what string) (string, bool) {
	var name string
	line := find(n, "name")
	if line == nil || line.ShortTag() == "!!null" {
		p.complain(n, "%s has no name: add 'name: NAME'", what)
		return "", false
	}
	p.name(&name)(line)
	return name, name != ""
}

func (p *parser) text(into *string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if n.Kind != yaml.ScalarNode {
			p.complain(n, "a text is wanted here: write one value")
			return
		}
		*into = n.Value
	}
}

func (p *parser) name(into *string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if n.Kind != yaml.ScalarNode || !wordRule.MatchString(n.Value) {
			p.complain(n, "%q is not a name: use letters, digits, '-', '_' and '.', starting with a letter", n.Value)
			return
		}
		*into = n.Value
	}
}

func (p *parser) list(into *[]string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		p.each(n, "this value", func(e *yaml.Node) {
			if e.Kind != yaml.ScalarNode || e.Value == "" {
				p.complain(e, "a text is wanted here: write one value")
				return
			}
			*into = append(*into, e.Value)
		})
	}
}

// names is a list of names, each once.
func (p *parser) names(into *[]string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		p.each(n, "this value", func(e *yaml.Node) {
			var name string
			if p.name(&name)(e); name != "" && !slices.Contains(*into, name) {
				*into = append(*into, name)
			}
		})
	}
}

func (p *parser) number(into *int, low, high int) func(*yaml.Node) {
	return func(n *yaml.Node) {
		v, err := strconv.Atoi(n.Value)
		if err != nil || v < low || v > high {
			p.complain(n, "%q is not a number from %d to %d: write one", n.Value, low, high)
			return
		}
		*into = v
	}
}

func (p *parser) truth(into *bool) func(*yaml.Node) {
	return func(n *yaml.Node) {
		yes, ok := p.yes(n)
		if !ok {
			p.complain(n, "%q is neither true nor false: write one of them", n.Value)
			return
		}
		*into = yes
	}
}

// yes reads true and false, and in another product's document the words that Ruby takes for them.
func (p *parser) yes(n *yaml.Node) (yes, ok bool) {
	word := strings.ToLower(n.Value)
	if n.ShortTag() == "!!bool" {
		return word == "true", true
	}
	plain := p.foreign && n.Kind == yaml.ScalarNode && n.Style == 0
	return word == "yes" || word == "on", plain && slices.Contains([]string{"yes", "on", "no", "off"}, word)
}

func (p *parser) oneOf(into *string, allowed ...string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if !slices.Contains(allowed, n.Value) {
			p.complain(n, "%q is not known here: use %s", n.Value, strings.Join(allowed, " or "))
			return
		}
		*into = n.Value
	}
}

func (p *parser) object(n *yaml.Node, into *crowbar.Data) {
	if n.Kind != yaml.MappingNode {
		p.complain(n, "a map is wanted here: write 'key: value' lines")
		return
	}
	*into, _ = p.tree(n).(crowbar.Data)
}
