package barclamp

import (
	"math"

	"gopkg.in/yaml.v3"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

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
		return p.mapping(n)
	}
	return p.scalar(n)
}

func (p *parser) mapping(n *yaml.Node) crowbar.Data {
	out := crowbar.Data{}
	var merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		if v := deref(n.Content[i+1]); k.Value == "<<" && v.Kind == yaml.SequenceNode {
			merged = append(merged, v.Content...)
		} else if k.Value == "<<" {
			merged = append(merged, v)
		} else {
			if _, had := out[k.Value]; had && !p.doubled[k] {
				p.doubled[k] = true
				p.soft(k, "key %q is there twice in one map: keep one", k.Value)
			}
			out[k.Value] = p.tree(v)
		}
	}
	for _, m := range merged {
		more, _ := p.tree(m).(crowbar.Data)
		for key, v := range more {
			if _, had := out[key]; !had {
				out[key] = v
			}
		}
	}
	return out
}

func (p *parser) scalar(n *yaml.Node) any {
	if yes, ok := p.yes(n); ok {
		return yes
	}
	switch n.ShortTag() {
	case "!!null":
		return nil
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
