package barclamp

import (
	"fmt"
	"math"
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

func (p *parser) complain(n *yaml.Node, format string, a ...any) {
	p.complaints = append(p.complaints, Complaint{p.path, n.Line, fmt.Sprintf(format, a...)})
}

// deref follows an alias to what it stands for.
func deref(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// fields hands each value of a map to its reader, and tells which keys were there.
func (p *parser) fields(n *yaml.Node, where string, known keys) map[string]bool {
	had := map[string]bool{}
	n = deref(n)
	if n.Kind != yaml.MappingNode {
		p.complain(n, "%s is not a map: write 'key: value' lines", where)
		return had
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], deref(n.Content[i+1])
		read, ok := known[k.Value]
		switch {
		case k.Value == "<<":
			if p.budget -= 1024; p.budget < 0 {
				p.complain(k, "%s is merged with itself: take the merge away", where)
				return had
			}
			for key := range p.fields(v, where, known) {
				had[key] = true
			}
		case !ok:
			p.complain(k, "%s has key %q, which is not known: %s", where, k.Value, near(k.Value, known))
		case had[k.Value]:
			p.complain(k, "%s has key %q twice: keep one", where, k.Value)
		default:
			had[k.Value] = true
			if read != nil && v.ShortTag() != "!!null" {
				read(v)
			}
		}
	}
	return had
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
	if n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == "name" {
				p.name(&name)(deref(n.Content[i+1]))
				return name, name != ""
			}
		}
	}
	p.complain(n, "%s has no name: add 'name: NAME'", what)
	return "", false
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
		p.each(n, "this", func(e *yaml.Node) {
			if e.Kind != yaml.ScalarNode || e.Value == "" {
				p.complain(e, "a text is wanted here: write one value")
				return
			}
			*into = append(*into, e.Value)
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
		if n.ShortTag() != "!!bool" {
			p.complain(n, "%q is neither true nor false: write one of them", n.Value)
			return
		}
		*into = strings.EqualFold(n.Value, "true")
	}
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

// tree is the JSON tree of a node: numbers are float64, dates are their text.
func (p *parser) tree(n *yaml.Node) any {
	n = deref(n)
	if p.budget--; p.budget < 0 {
		if p.budget == -1 {
			p.complain(n, "the document's aliases expand to more than 65,536 values: write fewer")
		}
		return nil
	}
	switch n.Kind {
	case yaml.SequenceNode:
		out := make([]any, 0, len(n.Content))
		for _, e := range n.Content {
			out = append(out, p.tree(e))
		}
		return out
	case yaml.MappingNode:
		out := crowbar.Data{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			v := p.tree(n.Content[i+1])
			if more, ok := v.(crowbar.Data); ok && n.Content[i].Value == "<<" {
				for k, e := range more {
					if _, had := out[k]; !had {
						out[k] = e
					}
				}
				continue
			}
			out[n.Content[i].Value] = v
		}
		return out
	}
	return p.scalar(n)
}

func (p *parser) scalar(n *yaml.Node) any {
	switch n.ShortTag() {
	case "!!null":
		return nil
	case "!!bool":
		return strings.EqualFold(n.Value, "true")
	case "!!int", "!!float":
		var f float64
		if err := n.Decode(&f); err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			p.complain(n, "%q is not a number that JSON can hold: write another, or quote it", n.Value)
			return nil
		}
		return f
	}
	return n.Value
}

// near proposes the known word that is closest, or lists them all.
func near[T any](word string, known map[string]T) string {
	best, cost := "", 3
	all := make([]string, 0, len(known))
	for k := range known {
		all = append(all, k)
	}
	slices.Sort(all)
	for _, k := range all {
		if d := distance(word, k); d < cost {
			best, cost = k, d
		}
	}
	if best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	return "known are " + strings.Join(all, ", ")
}

// distance is how many letters must be changed, added or taken away.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
