package picture

import "slices"

// cell is a place in a layer: a vertex, or a bend of an edge that passes through.
type cell struct {
	vertex    int // -1 = a bend
	up, down  []int
	layer, at int // at is its place in the layer
	size      int // along the layer
	where     float64
}

// layered is a graph with every vertex in a layer below all that come before it, and every edge cut into steps from one
// layer to the next.
type layered struct {
	cells  []cell
	layers [][]int // cells in order
	routes [][]int // of each edge: its cells, from the layer above to that below
	turned []bool  // edges that are walked against their direction, to break cycles
}

// layer puts vertices into layers by the longest way that leads to them, and then as near to what follows as they can be.
// With least, each has a layer above which it does not come, and stays there if it can.
func layer(n int, edges [][2]int, least []int, size func(vertex int) int, bend int) *layered {
	l := &layered{turned: turn(n, edges)}
	down := make([][]int, n)
	up := make([][]int, n)
	for i, e := range edges {
		from, to := e[0], e[1]
		if l.turned[i] {
			from, to = to, from
		}
		down[from], up[to] = append(down[from], to), append(up[to], from)
	}
	rank := ranks(n, up, down, least)
	for v := range n {
		l.add(cell{vertex: v, layer: rank[v], size: size(v)})
	}
	for i, e := range edges {
		from, to := e[0], e[1]
		if l.turned[i] {
			from, to = to, from
		}
		route := []int{from}
		for r := rank[from] + 1; r < rank[to]; r++ {
			route = append(route, l.add(cell{vertex: -1, layer: r, size: bend}))
		}
		route = append(route, to)
		for j := 1; j < len(route); j++ {
			a, b := &l.cells[route[j-1]], &l.cells[route[j]]
			a.down, b.up = append(a.down, route[j]), append(b.up, route[j-1])
		}
		l.routes = append(l.routes, route)
	}
	l.order()
	return l
}

func (l *layered) add(c cell) int {
	id := len(l.cells)
	for len(l.layers) <= c.layer {
		l.layers = append(l.layers, nil)
	}
	c.at = len(l.layers[c.layer])
	l.layers[c.layer] = append(l.layers[c.layer], id)
	l.cells = append(l.cells, c)
	return id
}

// turn says which edges to turn so that there is no cycle.
func turn(n int, edges [][2]int) []bool {
	turned := make([]bool, len(edges))
	out := make([][]int, n)
	for i, e := range edges {
		out[e[0]] = append(out[e[0]], i)
	}
	const unseen, open, done = 0, 1, 2
	state := make([]int, n)
	var visit func(v int)
	visit = func(v int) {
		state[v] = open
		for _, i := range out[v] {
			switch to := edges[i][1]; state[to] {
			case open:
				turned[i] = true
			case unseen:
				visit(to)
			}
		}
		state[v] = done
	}
	for v := range n {
		if state[v] == unseen {
			visit(v)
		}
	}
	return turned
}

// ranks is the layer of each vertex. One that nothing comes before goes down to just above what follows it first.
func ranks(n int, up, down [][]int, least []int) []int {
	rank := make([]int, n)
	copy(rank, least)
	left := make([]int, n)
	var todo []int
	for v := range n {
		if left[v] = len(up[v]); left[v] == 0 {
			todo = append(todo, v)
		}
	}
	for len(todo) > 0 {
		v := todo[0]
		todo = todo[1:]
		for _, c := range down[v] {
			rank[c] = max(rank[c], rank[v]+1)
			if left[c]--; left[c] == 0 {
				todo = append(todo, c)
			}
		}
	}
	for v := range n {
		if len(up[v]) > 0 || len(down[v]) == 0 || least != nil {
			continue
		}
		nearest := rank[down[v][0]]
		for _, c := range down[v] {
			nearest = min(nearest, rank[c])
		}
		rank[v] = nearest - 1
	}
	return rank
}

// sweeps is how often the layers are gone through for a better order.
const sweeps = 12

// manyCells is the number of cells from which on a picture is not polished: nobody can read it anyway.
const manyCells = 2000

// order puts the cells of each layer so that few edges cross: by the mean place of their neighbours, down and up in turn;
// the best order of all counts.
func (l *layered) order() {
	if len(l.cells) > manyCells {
		return
	}
	best, fewest := l.copyLayers(), l.crossings()
	for i := range sweeps {
		for j := range l.layers {
			if i%2 == 0 {
				l.sort(j, func(c *cell) []int { return c.up })
			} else {
				l.sort(len(l.layers)-1-j, func(c *cell) []int { return c.down })
			}
		}
		if n := l.crossings(); n < fewest {
			best, fewest = l.copyLayers(), n
		}
	}
	l.layers = best
	l.number()
	for improved := true; improved; {
		improved = l.swap()
	}
}

func (l *layered) copyLayers() [][]int {
	out := make([][]int, len(l.layers))
	for i, layer := range l.layers {
		out[i] = slices.Clone(layer)
	}
	return out
}

func (l *layered) number() {
	for _, layer := range l.layers {
		for i, id := range layer {
			l.cells[id].at = i
		}
	}
}

func (l *layered) sort(layer int, neighbours func(*cell) []int) {
	mean := map[int]float64{}
	for i, id := range l.layers[layer] {
		near := neighbours(&l.cells[id])
		if len(near) == 0 {
			mean[id] = float64(i)
			continue
		}
		sum := 0
		for _, n := range near {
			sum += l.cells[n].at
		}
		mean[id] = float64(sum) / float64(len(near))
	}
	slices.SortStableFunc(l.layers[layer], func(a, b int) int {
		switch {
		case mean[a] < mean[b]:
			return -1
		case mean[a] > mean[b]:
			return 1
		}
		return 0
	})
	for i, id := range l.layers[layer] {
		l.cells[id].at = i
	}
}

func (l *layered) crossings() int {
	n := 0
	for _, layer := range l.layers {
		for i := range layer {
			for j := i + 1; j < len(layer); j++ {
				n += l.crossed(layer[i], layer[j], false)
			}
		}
	}
	return n
}

// crossed counts the crossings of the edges that leave two cells of one layer, a before b; with both, also of those that
// come in.
func (l *layered) crossed(a, b int, both bool) int {
	count := func(x, y []int) (n int) {
		for _, i := range x {
			for _, j := range y {
				if l.cells[i].at > l.cells[j].at {
					n++
				}
			}
		}
		return n
	}
	n := count(l.cells[a].down, l.cells[b].down)
	if both {
		n += count(l.cells[a].up, l.cells[b].up)
	}
	return n
}

// swap exchanges neighbours in a layer where that saves crossings.
func (l *layered) swap() (improved bool) {
	for _, layer := range l.layers {
		for i := 1; i < len(layer); i++ {
			a, b := layer[i-1], layer[i]
			if l.crossed(b, a, true) < l.crossed(a, b, true) {
				layer[i-1], layer[i] = b, a
				l.cells[a].at, l.cells[b].at = i, i-1
				improved = true
			}
		}
	}
	return improved
}
