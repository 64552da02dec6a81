package picture

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// Style says how an SVG is dressed.
type Style struct {
	Direction Direction
	// Alone puts colours into the SVG itself, for a file; without it there are classes alone, for a page that has its own:
	// "picture" on the svg, "vertex" and the vertex's class on each box's g, "edge" (and "soft") on each path, "mark", "label"
	// and "note" on texts. Nothing in it needs an inline style or script to be allowed.
	Alone bool
}

// colours of a picture that stands alone: of states, for light and for dark.
const colours = `
.picture{background:#fff;font:14px system-ui,sans-serif}
.vertex rect{fill:#f4f5f7;stroke:#8a93a1}.vertex text{fill:#1d2430}.vertex .note{fill:#5b6472;font-size:12px}
.edge{fill:none;stroke:#8a93a1;stroke-width:1.3}.soft{stroke-dasharray:4 4}.head{fill:#8a93a1}
.active rect{fill:#e3f4e6;stroke:#2f8f46}.error rect{fill:#fde5e3;stroke:#c3352b;stroke-width:2}.transition rect{fill:#fff2d6;stroke:#b57400}
.todo rect{fill:#e4effc;stroke:#2f6fc0}.blocked rect{fill:#ececef;stroke:#8a93a1}.proposed rect{fill:#fff;stroke:#8a93a1;stroke-dasharray:4 3}
.elsewhere rect{fill:none;stroke-dasharray:2 3}
@media (prefers-color-scheme:dark){.picture{background:#14181f}.vertex rect{fill:#232934;stroke:#6b7585}.vertex text{fill:#e8ebf0}.vertex .note{fill:#a3acba}
.active rect{fill:#16331d;stroke:#46b563}.error rect{fill:#43191a;stroke:#f0655a}.transition rect{fill:#3d2f10;stroke:#e0a63a}
.todo rect{fill:#152b47;stroke:#5b9be8}.blocked rect{fill:#262b34;stroke:#6b7585}.proposed rect{fill:#14181f}}
`

// SVG draws the graph. The picture scales; it is as wide as the graph at most.
func (g Graph) SVG(w io.Writer, s Style) error {
	l := g.Layout(s.Direction)
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" class="picture" role="img" viewBox="0 0 %d %d" width="%d" height="%d">`+"\n", l.Width, l.Height, l.Width, l.Height)
	fmt.Fprintf(&b, "<title>%s</title>\n", text(g.Title))
	if s.Alone {
		fmt.Fprintf(&b, "<style>%s</style>\n", colours)
	}
	b.WriteString(`<defs><marker id="head" class="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z"/></marker></defs>` + "\n")
	for _, line := range l.Lines {
		class := "edge"
		if line.Soft {
			class += " soft"
		}
		fmt.Fprintf(&b, `<path class="%s" d="%s" marker-end="url(#head)"><title>%s</title></path>`+"\n", class, line.Path(s.Direction), text(line.From+" before "+line.To))
	}
	for _, box := range l.Boxes {
		drawBox(&b, box)
	}
	b.WriteString("</svg>\n")
	_, err := w.Write(b.Bytes())
	return err
}

func drawBox(b *bytes.Buffer, box Box) {
	if box.Link != "" {
		fmt.Fprintf(b, `<a href="%s">`, text(box.Link))
	}
	class := "vertex"
	if box.Class != "" {
		class += " " + box.Class
	}
	fmt.Fprintf(b, `<g class="%s" data-key="%s">`, text(class), text(box.Key))
	about := box.About
	if about == "" {
		about = strings.TrimSpace(box.Mark + " " + box.Label)
	}
	fmt.Fprintf(b, `<title>%s</title><rect x="%d" y="%d" width="%d" height="%d" rx="6"/>`, text(about), box.X, box.Y, box.W, box.H)
	first := box.Y + box.H/2 + 5
	if box.Note != "" {
		first -= 8
	}
	label := text(box.Label)
	if box.Mark != "" {
		label = fmt.Sprintf(`<tspan class="mark">%s</tspan> %s`, text(box.Mark), label)
	}
	fmt.Fprintf(b, `<text class="label" x="%d" y="%d" text-anchor="middle">%s</text>`, box.X+box.W/2, first, label)
	if box.Note != "" {
		fmt.Fprintf(b, `<text class="note" x="%d" y="%d" text-anchor="middle">%s</text>`, box.X+box.W/2, first+16, text(box.Note))
	}
	b.WriteString("</g>")
	if box.Link != "" {
		b.WriteString("</a>")
	}
	b.WriteString("\n")
}

// Path is the line as the d of an SVG path: bent between layers, straight through them.
func (l Line) Path(d Direction) string {
	points := l.Points
	var b strings.Builder
	fmt.Fprintf(&b, "M%d %d", points[0].X, points[0].Y)
	for i := 1; i < len(points); i++ {
		p, q := points[i-1], points[i]
		switch {
		case i%2 == 0 || p.X == q.X || p.Y == q.Y:
			fmt.Fprintf(&b, "L%d %d", q.X, q.Y)
		case d == Across:
			half := (p.X + q.X) / 2
			fmt.Fprintf(&b, "C%d %d %d %d %d %d", half, p.Y, half, q.Y, q.X, q.Y)
		default:
			half := (p.Y + q.Y) / 2
			fmt.Fprintf(&b, "C%d %d %d %d %d %d", p.X, half, q.X, half, q.X, q.Y)
		}
	}
	return b.String()
}

// text is safe between tags and within quotes; what XML cannot hold is replaced.
func text(s string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(s)) // a buffer takes everything
	return b.String()
}
