package picture

import (
	"maps"
	"math"
	"slices"
	"unicode/utf8"
)

// Layout is a graph with places, in pixels from the upper left corner.
type Layout struct {
	Graph
	Width, Height int
	Boxes         []Box  // one a vertex, by key
	Lines         []Line // one an edge
	Bands         []Band // of a ranked graph: its layers, from the first
}

// Band is the stretch of a picture that a layer takes, from edge to edge.
type Band struct {
	Rank       int // the lowest of its vertices
	X, Y, W, H int
}

// Box is the place of a vertex; X and Y are its upper left corner.
type Box struct {
	Vertex
	X, Y, W, H int
	Layer      int // 0 = the first
}

// Line is the way of an edge, from its beginning to its end: at least two points.
type Line struct {
	Edge
	Points []Point
}

// MiddleX is half way along a band.
func (b Band) MiddleX() int { return b.X + b.W/2 }

// Point is a place in a picture.
type Point struct{ X, Y int }

// Direction is the way that edges go.
type Direction int

// Down has layers below each other, Across beside each other.
const (
	Down Direction = iota
	Across
)

// Sizes of what is drawn, in pixels.
const (
	char      = 8  // width of a letter
	padding   = 12 // beside a text
	oneLine   = 32 // height of a box
	twoLines  = 46
	between   = 18 // boxes of one layer
	apart     = 44 // layers
	bendWidth = 8
	margin    = 16
)

// Layout gives every vertex and edge its place.
func (g Graph) Layout(d Direction) Layout {
	g = g.sorted()
	out := Layout{Graph: g}
	index := map[string]int{}
	for i, v := range g.Vertices {
		index[v.Key] = i
		out.Boxes = append(out.Boxes, Box{Vertex: v, W: width(v), H: height(v)})
	}
	edges := make([][2]int, len(g.Edges))
	for i, e := range g.Edges {
		edges[i] = [2]int{index[e.From], index[e.To]}
	}
	l := layer(len(g.Vertices), edges, g.least(), func(v int) int {
		if d == Across {
			return out.Boxes[v].H
		}
		return out.Boxes[v].W
	}, bendWidth)
	l.place()
	out.settle(l, d)
	return out
}

// least is the layer of each rank there is, so that ranks that nothing has take no room; nil where the graph has none.
func (g Graph) least() []int {
	if !g.Ranked {
		return nil
	}
	all := map[int]bool{}
	for _, v := range g.Vertices {
		all[v.Rank] = true
	}
	order := slices.Sorted(maps.Keys(all))
	out := make([]int, len(g.Vertices))
	for i, v := range g.Vertices {
		out[i], _ = slices.BinarySearch(order, v.Rank)
	}
	return out
}

func width(v Vertex) int {
	text := utf8.RuneCountInString(v.Label)
	if v.Mark != "" {
		text += utf8.RuneCountInString(v.Mark) + 1
	}
	return max(text, utf8.RuneCountInString(v.Note)*6/7)*char + 2*padding
}

func height(v Vertex) int {
	if v.Note != "" {
		return twoLines
	}
	return oneLine
}

// place finds where along its layer each cell's middle is: as near to its neighbours in the other layers as the order and
// the sizes of the cells beside it allow.
func (l *layered) place() {
	for _, layer := range l.layers {
		at := 0.0
		for _, id := range layer {
			c := &l.cells[id]
			c.where = at + float64(c.size)/2
			at += float64(c.size) + between
		}
	}
	for i := range 2 * sweeps {
		for j := range l.layers {
			layer := l.layers[j]
			if i%2 == 1 {
				layer = l.layers[len(l.layers)-1-j]
			}
			l.pull(layer)
		}
	}
}

// pull moves the cells of one layer to where their neighbours want them; those that would come too near to each other are
// moved as one (pool adjacent violators), which is the least sum of squares.
func (l *layered) pull(layer []int) {
	type pool struct {
		first, last int
		sum, weight float64 // of wanted places, less the offset in the layer
	}
	offset := make([]float64, len(layer))
	for i := 1; i < len(layer); i++ {
		a, b := l.cells[layer[i-1]], l.cells[layer[i]]
		offset[i] = offset[i-1] + float64(a.size+b.size)/2 + between
	}
	var pools []pool
	for i, id := range layer {
		want, weight := l.wanted(id)
		pools = append(pools, pool{i, i, (want - offset[i]) * weight, weight})
		for len(pools) > 1 {
			a, b := pools[len(pools)-2], pools[len(pools)-1]
			if a.sum/a.weight <= b.sum/b.weight {
				break
			}
			pools = append(pools[:len(pools)-2], pool{a.first, b.last, a.sum + b.sum, a.weight + b.weight})
		}
	}
	for _, p := range pools {
		for i := p.first; i <= p.last; i++ {
			l.cells[layer[i]].where = p.sum/p.weight + offset[i]
		}
	}
}

// wanted is the mean place of a cell's neighbours; bends pull on bends the most, so that long edges are straight.
func (l *layered) wanted(id int) (place, weight float64) {
	c := &l.cells[id]
	near := slices.Concat(c.up, c.down)
	if len(near) == 0 {
		return c.where, 0.1
	}
	sum := 0.0
	for _, n := range near {
		w := 1.0
		if c.vertex < 0 && l.cells[n].vertex < 0 {
			w = 8
		}
		sum, weight = sum+w*l.cells[n].where, weight+w
	}
	return sum / weight, weight
}

// settle turns places along layers into pixels.
func (out *Layout) settle(l *layered, d Direction) {
	low := math.Inf(1)
	for _, c := range l.cells {
		low = min(low, c.where-float64(c.size)/2)
	}
	if len(l.cells) == 0 {
		low = 0
	}
	along := func(c *cell) int { return int(math.Round(c.where-low)) + margin }
	start, thick := make([]int, len(l.layers)), make([]int, len(l.layers))
	at := margin
	for i, layer := range l.layers {
		for _, id := range layer {
			if v := l.cells[id].vertex; v >= 0 {
				thick[i] = max(thick[i], depth(out.Boxes[v], d))
			}
		}
		start[i] = at
		at += thick[i] + apart
	}
	for i := range l.cells {
		c := &l.cells[i]
		if c.vertex < 0 {
			continue
		}
		b := &out.Boxes[c.vertex]
		b.Layer = c.layer
		across := start[c.layer] + (thick[c.layer]-depth(*b, d))/2
		if d == Across {
			b.X, b.Y = across, along(c)-b.H/2
		} else {
			b.X, b.Y = along(c)-b.W/2, across
		}
		out.Width, out.Height = max(out.Width, b.X+b.W+margin), max(out.Height, b.Y+b.H+margin)
	}
	for i, e := range out.Edges {
		var points []Point
		for j, id := range l.routes[i] {
			c := &l.cells[id]
			from, to := start[c.layer], start[c.layer]+thick[c.layer]
			if c.vertex >= 0 {
				from += (thick[c.layer] - depth(out.Boxes[c.vertex], d)) / 2
				to = from + depth(out.Boxes[c.vertex], d)
			}
			if j > 0 {
				points = append(points, point(d, along(c), from))
			}
			if j < len(l.routes[i])-1 {
				points = append(points, point(d, along(c), to))
			}
		}
		if l.turned[i] {
			slices.Reverse(points)
		}
		for _, p := range points {
			out.Width, out.Height = max(out.Width, p.X+margin), max(out.Height, p.Y+margin)
		}
		out.Lines = append(out.Lines, Line{e, points})
	}
	if out.Ranked {
		out.band(start, thick, d)
	}
}

// band gives each layer its stretch, which reaches to the middle between it and the next.
func (out *Layout) band(start, thick []int, d Direction) {
	for i := range start {
		low, high := start[i]-apart/2, start[i]+thick[i]+apart/2
		b := Band{Rank: math.MaxInt, X: low, W: high - low, H: out.Height}
		if d == Down {
			b.X, b.Y, b.W, b.H = 0, low, out.Width, high-low
		}
		for _, v := range out.Boxes {
			if v.Layer == i {
				b.Rank = min(b.Rank, v.Rank)
			}
		}
		out.Bands = append(out.Bands, b)
	}
}

func depth(b Box, d Direction) int {
	if d == Across {
		return b.W
	}
	return b.H
}

func point(d Direction, along, across int) Point {
	if d == Across {
		return Point{across, along}
	}
	return Point{along, across}
}
