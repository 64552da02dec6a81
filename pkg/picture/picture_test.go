package picture

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// graphs draws graphs of up to 25 vertices, with hostile texts; those that are not acyclic have cycles as well.
func graphs(acyclic bool) *rapid.Generator[Graph] {
	return rapid.Custom(func(t *rapid.T) Graph {
		hostile := rapid.SampledFrom([]string{"etcd", "k8s-master", `a"b\`, "<script>alert(1)</script>", "]]>&amp;", "\x1b[31mred\x00", "two\nlines", "größe", strings.Repeat("long ", 20), ""})
		n := rapid.IntRange(0, 25).Draw(t, "vertices")
		g := Graph{Title: hostile.Draw(t, "title"), Ranked: rapid.Bool().Draw(t, "ranked")}
		for i := range n {
			g.Vertices = append(g.Vertices, Vertex{Key: fmt.Sprintf("%02d%s", i, hostile.Draw(t, "key")), Label: hostile.Draw(t, "label"), Note: hostile.Draw(t, "note"),
				Mark: rapid.SampledFrom([]string{"", "+", "x"}).Draw(t, "mark"), Class: rapid.SampledFrom([]string{"", "active", "error", `"><b`}).Draw(t, "class"), Link: hostile.Draw(t, "link"), Rank: 3 * rapid.IntRange(0, 4).Draw(t, "rank")})
		}
		for i := 0; n > 1 && i < rapid.IntRange(0, 2*n).Draw(t, "edges"); i++ {
			a, b := rapid.IntRange(0, n-1).Draw(t, "from"), rapid.IntRange(0, n-1).Draw(t, "to")
			if acyclic && a > b {
				a, b = b, a
			}
			g.Edges = append(g.Edges, Edge{From: g.Vertices[a].Key, To: g.Vertices[b].Key, Soft: rapid.Bool().Draw(t, "soft")})
		}
		return g
	})
}

func TestLayoutHolds(t *testing.T) {
	for _, d := range []Direction{Down, Across} {
		rapid.Check(t, func(t *rapid.T) {
			acyclic := rapid.Bool().Draw(t, "acyclic")
			g := graphs(acyclic).Draw(t, "graph")
			l := g.Layout(d)
			if len(l.Boxes) != len(g.Vertices) {
				t.Fatalf("%d boxes for %d vertices", len(l.Boxes), len(g.Vertices))
			}
			boxes := map[string]Box{}
			for i, a := range l.Boxes {
				boxes[a.Key] = a
				if a.X < margin || a.Y < margin || a.X+a.W+margin > l.Width || a.Y+a.H+margin > l.Height {
					t.Fatalf("%q is at %d,%d: outside of %dx%d", a.Key, a.X, a.Y, l.Width, l.Height)
				}
				for _, b := range l.Boxes[:i] {
					if a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H {
						t.Fatalf("%+v and %+v overlap", a, b)
					}
				}
			}
			for _, b := range l.Boxes {
				if !g.Ranked {
					break
				}
				in := l.Bands[b.Layer]
				if in.Rank > b.Rank || b.X < in.X || b.Y < in.Y || b.X+b.W > in.X+in.W || b.Y+b.H > in.Y+in.H {
					t.Fatalf("%+v is not in its band %+v", b, in)
				}
				for _, other := range l.Boxes {
					if other.Rank < b.Rank && other.Layer > b.Layer && len(g.Edges) == 0 || len(g.Edges) == 0 && (other.Rank == b.Rank) != (other.Layer == b.Layer) {
						t.Fatalf("%+v and %+v are in layers other than their ranks say", b, other)
					}
				}
			}
			for _, line := range l.Lines {
				from, to := boxes[line.From], boxes[line.To]
				if acyclic && from.Layer >= to.Layer {
					t.Fatalf("%q comes before %q, and is in layer %d, that one in %d", line.From, line.To, from.Layer, to.Layer)
				}
				if first, last := line.Points[0], line.Points[len(line.Points)-1]; !touches(from, first) || !touches(to, last) {
					t.Fatalf("the line from %+v to %+v goes from %v to %v", from, to, first, last)
				}
			}
		})
	}
}

func touches(b Box, p Point) bool {
	return p.X >= b.X && p.X <= b.X+b.W && p.Y >= b.Y && p.Y <= b.Y+b.H
}

var drawings = map[string]func(Graph, io.Writer) error{
	"svg down":   func(g Graph, w io.Writer) error { return g.SVG(w, Style{}) },
	"svg across": func(g Graph, w io.Writer) error { return g.SVG(w, Style{Direction: Across, Alone: true}) },
	"dot":        Graph.DOT, "mermaid": Graph.Mermaid, "text": Graph.Text,
}

func TestSameGraphSamePicture(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := graphs(false).Draw(t, "graph")
		other := Graph{Title: g.Title, Ranked: g.Ranked, Vertices: rapid.Permutation(g.Vertices).Draw(t, "vertices"), Edges: rapid.Permutation(g.Edges).Draw(t, "edges")}
		for name, draw := range drawings {
			var a, b bytes.Buffer
			if err := errors.Join(draw(g, &a), draw(other, &b)); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(a.String(), b.String()); d != "" {
				t.Fatalf("%s: %s", name, d)
			}
		}
	})
}

// TestTextsAreTexts: no text of a vertex becomes markup, an escape sequence or a line of its own.
func TestTextsAreTexts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := graphs(false).Draw(t, "graph")
		var svg, dot, mermaid, plain bytes.Buffer
		if err := errors.Join(g.SVG(&svg, Style{Alone: true}), g.DOT(&dot), g.Mermaid(&mermaid), g.Text(&plain)); err != nil {
			t.Fatal(err)
		}
		vertices := 0
		for d := xml.NewDecoder(&svg); ; {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if e, ok := token.(xml.StartElement); ok {
				switch e.Name.Local {
				case "g":
					vertices++
				case "svg", "title", "style", "defs", "marker", "path", "rect", "text", "tspan", "a":
				default:
					t.Fatalf("an element %q", e.Name.Local)
				}
			}
		}
		if vertices != len(g.Vertices) {
			t.Fatalf("%d vertices are drawn of %d", vertices, len(g.Vertices))
		}
		s := g.sorted()
		if n := strings.Count(dot.String(), "\n"); n != len(s.Vertices)+len(s.Edges)+4 {
			t.Fatalf("DOT has %d lines:\n%s", n, dot.String())
		}
		if strings.Contains(mermaid.String(), "<script") || strings.Count(plain.String(), "\n") != len(s.Vertices) || strings.ContainsAny(plain.String(), "\x1b\x00") {
			t.Fatalf("%s\n%q", mermaid.String(), plain.String())
		}
	})
}

func TestReducedKeepsWhatFollows(t *testing.T) {
	reach := func(g Graph) map[string]bool {
		out := map[string]bool{}
		for range g.Vertices {
			for _, e := range g.Edges {
				out[e.From+"\t"+e.To] = true
				for _, v := range g.Vertices {
					if out[v.Key+"\t"+e.From] {
						out[v.Key+"\t"+e.To] = true
					}
				}
			}
		}
		return out
	}
	rapid.Check(t, func(t *rapid.T) {
		g := graphs(rapid.Bool().Draw(t, "acyclic")).Draw(t, "graph").sorted()
		if d := cmp.Diff(reach(g), reach(g.Reduced())); d != "" {
			t.Fatal(d)
		}
	})
}

// TestReducedLeavesCyclesAlone: of two that come before each other, each would say that what comes before both goes without saying.
func TestReducedLeavesCyclesAlone(t *testing.T) {
	g := Graph{Vertices: []Vertex{{Key: "a"}, {Key: "b"}, {Key: "c"}}, Edges: []Edge{{From: "a", To: "b"}, {From: "b", To: "a"}, {From: "c", To: "a"}, {From: "c", To: "b"}}}
	if got := g.Reduced().Edges; len(got) != 4 {
		t.Errorf("what is left is %v", got)
	}
}

// ladder is the shape of a cluster's roles.
func ladder() Graph {
	g := Graph{Title: "roles"}
	for _, name := range []string{"node-prep", "proxy", "cluster-pki", "etcd", "docker", "flannel", "k8s-master", "k8s-minion"} {
		g.Vertices = append(g.Vertices, Vertex{Key: name, Label: name, Mark: "+", Class: "active"})
	}
	for _, e := range []string{"node-prep proxy", "proxy etcd", "cluster-pki etcd", "proxy docker", "docker flannel", "etcd flannel", "etcd k8s-master", "flannel k8s-minion", "k8s-master k8s-minion", "node-prep k8s-minion"} {
		from, to, _ := strings.Cut(e, " ")
		g.Edges = append(g.Edges, Edge{From: from, To: to})
	}
	return g
}

func TestText(t *testing.T) {
	var b bytes.Buffer
	if err := ladder().Text(&b); err != nil {
		t.Fatal(err)
	}
	want := ` 0  + node-prep
 1  + cluster-pki
 1  + proxy        <- node-prep
 2  + etcd         <- cluster-pki, proxy
 2  + docker       <- proxy
 3  + k8s-master   <- etcd
 3  + flannel      <- docker, etcd
 4  + k8s-minion   <- flannel, k8s-master
`
	if d := cmp.Diff(want, b.String()); d != "" {
		t.Error(d)
	}
}

func TestNothingCrossesThatNeedNot(t *testing.T) {
	g := ladder().Reduced()
	index := map[string]int{}
	for i, v := range g.Vertices {
		index[v.Key] = i
	}
	var edges [][2]int
	for _, e := range g.Edges {
		edges = append(edges, [2]int{index[e.From], index[e.To]})
	}
	l := layer(len(g.Vertices), edges, nil, func(int) int { return 10 }, 2)
	if n := l.crossings(); n != 0 {
		t.Errorf("%d crossings", n)
	}
}
