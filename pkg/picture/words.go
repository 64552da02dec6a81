package picture

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// fills are the colours that DOT is told; a class that is not here has none.
var fills = map[string]string{"active": "#e3f4e6", "error": "#fde5e3", "transition": "#fff2d6", "todo": "#e4effc", "blocked": "#ececef", "proposed": "#ffffff"}

// DOT writes the graph in Graphviz's language.
func (g Graph) DOT(w io.Writer) error {
	g = g.sorted()
	var b bytes.Buffer
	fmt.Fprintf(&b, "digraph %s {\n  rankdir=LR\n  node [shape=box, style=\"rounded,filled\", fillcolor=\"#f4f5f7\", fontname=\"sans-serif\"]\n", dotText(g.Title))
	for _, v := range g.Vertices {
		label := strings.TrimSpace(v.Mark + " " + v.Label)
		if v.Note != "" {
			label += "\n" + v.Note
		}
		fill := ""
		if f := fills[v.Class]; f != "" {
			fill = ", fillcolor=" + dotText(f)
		}
		fmt.Fprintf(&b, "  %s [label=%s%s]\n", dotText(v.Key), dotText(label), fill)
	}
	for _, e := range g.Edges {
		soft := ""
		if e.Soft {
			soft = " [style=dashed]"
		}
		fmt.Fprintf(&b, "  %s -> %s%s\n", dotText(e.From), dotText(e.To), soft)
	}
	b.WriteString("}\n")
	_, err := w.Write(b.Bytes())
	return err
}

func dotText(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", "", "\x00", "").Replace(s) + `"`
}

// Mermaid writes the graph in the language that code forges draw in their pages.
func (g Graph) Mermaid(w io.Writer) error {
	g = g.sorted()
	var b bytes.Buffer
	fmt.Fprintf(&b, "---\ntitle: %q\n---\nflowchart LR\n", strings.NewReplacer("<", "", ">", "").Replace(oneLineOf(g.Title)))
	id := map[string]string{}
	var classes []string
	for i, v := range g.Vertices {
		id[v.Key] = fmt.Sprintf("v%d", i)
		label := mermaidText(strings.TrimSpace(v.Mark + " " + v.Label))
		if v.Note != "" {
			label += "<br/>" + mermaidText(v.Note)
		}
		class := ""
		if fills[v.Class] != "" {
			class = ":::" + v.Class
			if !slices.Contains(classes, v.Class) {
				classes = append(classes, v.Class)
			}
		}
		fmt.Fprintf(&b, "  %s[\"%s\"]%s\n", id[v.Key], label, class)
	}
	for _, e := range g.Edges {
		arrow := "-->"
		if e.Soft {
			arrow = "-.->"
		}
		fmt.Fprintf(&b, "  %s %s %s\n", id[e.From], arrow, id[e.To])
	}
	slices.Sort(classes)
	for _, c := range classes {
		fmt.Fprintf(&b, "  classDef %s fill:%s,stroke:#666,color:#111\n", c, fills[c])
	}
	_, err := w.Write(b.Bytes())
	return err
}

// mermaidText writes what means something to Mermaid or HTML by its number.
func mermaidText(s string) string {
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(s, "\uFFFD") {
		if strings.ContainsRune("\"#&<>`\\[]{}|;\n\r*_", r) {
			fmt.Fprintf(&b, "#%d;", r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// Text writes a line for each vertex, layer by layer: its layer, what it is, and what comes right before it.
func (g Graph) Text(w io.Writer) error {
	l := g.Reduced().Layout(Across)
	slices.SortStableFunc(l.Boxes, func(a, b Box) int {
		if a.Layer != b.Layer {
			return a.Layer - b.Layer
		}
		return a.Y - b.Y
	})
	before := map[string][]string{}
	label := map[string]string{}
	wide, noted := 0, 0
	for _, b := range l.Boxes {
		label[b.Key] = b.Label
		wide, noted = max(wide, utf8.RuneCountInString(marked(b.Vertex))), max(noted, utf8.RuneCountInString(b.Note))
	}
	for _, e := range l.Edges {
		name := oneLineOf(label[e.From])
		if e.Soft {
			name = "(" + name + ")"
		}
		before[e.To] = append(before[e.To], name)
	}
	var b bytes.Buffer
	for _, box := range l.Boxes {
		line := fmt.Sprintf("%2d  %s", box.Layer, pad(marked(box.Vertex), wide))
		if noted > 0 {
			line += "  " + pad(oneLineOf(box.Note), noted)
		}
		if names := before[box.Key]; len(names) > 0 {
			line += "  <- " + strings.Join(names, ", ")
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	_, err := w.Write(b.Bytes())
	return err
}

func marked(v Vertex) string { return oneLineOf(strings.TrimSpace(v.Mark + " " + v.Label)) }

// oneLineOf keeps what a text has from reaching a terminal as anything but letters.
func oneLineOf(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, s)
}

func pad(s string, n int) string { return s + strings.Repeat(" ", max(0, n-utf8.RuneCountInString(s))) }
