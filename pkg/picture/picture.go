// Package picture lays out a graph in layers and draws it: as SVG, DOT, Mermaid, or plain text. It does not know what the
// vertices stand for.
//
// The same graph gives the same picture, byte by byte, in whatever order its vertices and edges are named.
package picture

import (
	"cmp"
	"slices"
)

// Graph is what is drawn. Keys of vertices are unique; an edge that names a key that there is not is left out.
type Graph struct {
	Title    string // one line; read aloud to those who do not see the picture
	Ranked   bool   // vertices say by their rank how far down they are at least; else the edges alone do
	Vertices []Vertex
	Edges    []Edge
}

// Vertex is a box. Its texts may have anything in them.
type Vertex struct {
	Key   string // "n1/etcd"
	Label string // the text in the box, one line
	Note  string // a second, smaller line; "" = none
	Mark  string // a sign before the label, so that nothing is told by colour alone; "" = none
	Class string // a word, such as the name of a state: a class in SVG and Mermaid, a colour in DOT
	Link  string // where a click in the SVG goes; "" = nowhere
	About string // a longer text for a pointer that rests on the box; "" = mark and label
	Rank  int    // of a ranked graph: those of one rank share a layer, and a lower one is nearer to the beginning
}

// Edge says that From comes before To.
type Edge struct {
	From, To string
	Soft     bool // drawn dashed
}

// sorted is the graph in one order, without edges that lead nowhere, to themselves, or are said twice.
func (g Graph) sorted() Graph {
	out := Graph{Title: g.Title, Ranked: g.Ranked, Vertices: slices.Clone(g.Vertices)}
	slices.SortFunc(out.Vertices, func(a, b Vertex) int { return cmp.Compare(a.Key, b.Key) })
	out.Vertices = slices.CompactFunc(out.Vertices, func(a, b Vertex) bool { return a.Key == b.Key })
	has := map[string]bool{}
	for _, v := range out.Vertices {
		has[v.Key] = true
	}
	for _, e := range g.Edges {
		if has[e.From] && has[e.To] && e.From != e.To {
			out.Edges = append(out.Edges, e)
		}
	}
	slices.SortFunc(out.Edges, func(a, b Edge) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To), compareBool(a.Soft, b.Soft))
	})
	out.Edges = slices.CompactFunc(out.Edges, func(a, b Edge) bool { return a.From == b.From && a.To == b.To }) // hard ones come first
	return out
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// Reduced is the graph without the edges that follow from others: where A comes before B and B before C, nobody needs to be
// told that A comes before C. What is on a cycle keeps its edges, also those from and to elsewhere.
func (g Graph) Reduced() Graph {
	g = g.sorted()
	next := map[string][]string{}
	for _, e := range g.Edges {
		next[e.From] = append(next[e.From], e.To)
	}
	follows := func(from, to string) bool { // over at least two edges
		seen := map[string]bool{from: true}
		var todo []string
		for _, n := range next[from] {
			if n != to {
				todo = append(todo, n)
			}
		}
		for len(todo) > 0 {
			at := todo[len(todo)-1]
			todo = todo[:len(todo)-1]
			if at == to {
				return true
			}
			if !seen[at] {
				seen[at] = true
				todo = append(todo, next[at]...)
			}
		}
		return false
	}
	circles := map[string]bool{}
	for _, v := range g.Vertices {
		circles[v.Key] = follows(v.Key, v.Key)
	}
	g.Edges = slices.DeleteFunc(g.Edges, func(e Edge) bool { return !circles[e.From] && !circles[e.To] && follows(e.From, e.To) })
	return g
}
