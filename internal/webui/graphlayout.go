package webui

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Sizes of a drawn graph, in pixels.
const (
	nodeWidth  = 212.0
	nodeHeight = 56.0
	gapAcross  = 68.0 // between layers, where edges run
	gapDown    = 18.0
	laneHeight = 6.0 // what an edge that passes a layer takes of it
	gapParts   = 34.0
	edgeOfAll  = 14.0
	atLeast    = 4*nodeWidth + 3*gapAcross // small parts are set side by side until this wide
)

type placedNode struct {
	GraphNode
	X, Y float64
}

type placedEdge struct {
	GraphEdge
	Path string
}

type drawing struct {
	W, H  float64
	Nodes []placedNode
	Edges []placedEdge
}

// layOut places a graph's nodes in layers from left to right, each to the left
// of all that it takes from, so that edges cross little: longest paths for the
// layers, medians for the order in them, least squares for the heights. The
// same graph is always drawn the same.
func layOut(nodes []GraphNode, edges []GraphEdge) drawing {
	index := make(map[string]int, len(nodes))
	for i, n := range nodes {
		index[n.ID] = i
	}
	l := layout{out: make([][]int, len(nodes)), in: make([][]int, len(nodes))}
	var kept []GraphEdge
	for _, e := range edges {
		from, ok := index[e.From]
		to, too := index[e.To]
		if !ok || !too || from == to || slices.Contains(l.out[from], to) {
			continue
		}
		l.out[from], l.in[to] = append(l.out[from], to), append(l.in[to], from)
		kept = append(kept, e)
	}
	parts, alone := l.parts(nodes)
	var d drawing
	at := make([]point, len(nodes))
	ways := map[[2]int][]point{}
	width := atLeast
	boxes := make([]box, len(parts))
	for i, part := range parts {
		boxes[i] = l.arrange(part, nodes)
		width = max(width, boxes[i].w)
	}
	x, y, shelf := 0.0, 0.0, 0.0
	for _, b := range boxes {
		if x > 0 && x+b.w > width {
			x, y, shelf = 0, y+shelf+gapParts, 0
		}
		for n, p := range b.at {
			at[n] = point{p.x + x, p.y + y}
		}
		for e, way := range b.ways {
			for i := range way {
				way[i].x, way[i].y = way[i].x+x, way[i].y+y
			}
			ways[e] = way
		}
		x, shelf = x+b.w+gapAcross, max(shelf, b.h)
		d.W, d.H = max(d.W, x-gapAcross), y+shelf
	}
	if len(alone) > 0 {
		top, columns := d.H, int((max(d.W, atLeast)+gapAcross)/(nodeWidth+gapAcross))
		if top > 0 {
			top += gapParts
		}
		for i, n := range alone {
			at[n] = point{float64(i%columns) * (nodeWidth + gapAcross), top + float64(i/columns)*(nodeHeight+gapDown)}
			d.W, d.H = max(d.W, at[n].x+nodeWidth), at[n].y+nodeHeight
		}
	}
	d.W, d.H = d.W+2*edgeOfAll, d.H+2*edgeOfAll
	for i, n := range nodes {
		d.Nodes = append(d.Nodes, placedNode{n, math.Round(at[i].x + edgeOfAll), math.Round(at[i].y + edgeOfAll)})
	}
	for _, e := range kept {
		d.Edges = append(d.Edges, placedEdge{e, draw(ways[[2]int{index[e.From], index[e.To]}])})
	}
	return d
}

type point struct{ x, y float64 }

// box is one connected part, placed from its own corner.
type box struct {
	w, h float64
	at   map[int]point
	ways map[[2]int][]point // where an edge runs: pairs of points, curved between and straight within
}

type layout struct{ out, in [][]int }

// parts gives the connected parts, the largest first, and what has no edge.
func (l layout) parts(nodes []GraphNode) (parts [][]int, alone []int) {
	seen := make([]bool, len(nodes))
	for i := range nodes {
		if seen[i] {
			continue
		}
		seen[i] = true
		part := []int{i}
		for at := 0; at < len(part); at++ {
			for _, m := range slices.Concat(l.out[part[at]], l.in[part[at]]) {
				if !seen[m] {
					seen[m] = true
					part = append(part, m)
				}
			}
		}
		if len(part) == 1 {
			alone = append(alone, i)
			continue
		}
		slices.Sort(part)
		parts = append(parts, part)
	}
	slices.SortStableFunc(parts, func(a, b []int) int { return cmp.Compare(len(b), len(a)) })
	return parts, alone
}

// layers gives each node of a part its layer: right of all that takes from it,
// and what nobody takes from close to what it takes. Edges of a cycle, which
// there is none of where they are refused, would be drawn backwards.
func (l layout) layers(part []int) (map[int]int, int) {
	layer, waits := map[int]int{}, map[int]int{}
	var order []int
	for _, n := range part {
		if waits[n] = len(l.in[n]); waits[n] == 0 {
			order = append(order, n)
		}
	}
	last := 0
	for at := 0; at < len(order); at++ {
		n := order[at]
		for _, m := range l.out[n] {
			layer[m] = max(layer[m], layer[n]+1)
			last = max(last, layer[m])
			if waits[m]--; waits[m] == 0 {
				order = append(order, m)
			}
		}
	}
	for _, n := range part {
		if len(l.in[n]) > 0 {
			continue
		}
		near := last
		for _, m := range l.out[n] {
			near = min(near, layer[m]-1)
		}
		layer[n] = near
	}
	return layer, last
}

// cell is a place in a layer: a node, or the lane of an edge that passes.
type cell struct {
	node        int // -1 for a lane
	left, right []int
	y           float64
}

func (c *cell) height() float64 {
	if c.node < 0 {
		return laneHeight
	}
	return nodeHeight
}

// grid is one part on its way: cells, and which of them each layer has in turn.
type grid struct {
	cells  []cell
	layers [][]int
	place  []int // of a cell in its layer
}

func (l layout) arrange(part []int, nodes []GraphNode) box {
	layer, last := l.layers(part)
	g := grid{layers: make([][]int, last+1)}
	add := func(node, layer int) int {
		g.cells = append(g.cells, cell{node: node})
		g.layers[layer] = append(g.layers[layer], len(g.cells)-1)
		return len(g.cells) - 1
	}
	link := func(a, b int) {
		g.cells[a].right, g.cells[b].left = append(g.cells[a].right, b), append(g.cells[b].left, a)
	}
	of := map[int]int{}
	for _, n := range part {
		of[n] = add(n, layer[n])
	}
	lanes := map[[2]int][]int{}
	for _, n := range part {
		for _, m := range l.out[n] {
			way := []int{of[n]}
			for at := layer[n] + 1; at < layer[m]; at++ {
				way = append(way, add(-1, at))
				link(way[len(way)-2], way[len(way)-1])
			}
			way = append(way, of[m])
			link(way[len(way)-2], of[m])
			lanes[[2]int{n, m}] = way
		}
	}
	g.order()
	h := g.heights()
	b := box{w: float64(last+1)*nodeWidth + float64(last)*gapAcross, h: h, at: map[int]point{}, ways: map[[2]int][]point{}}
	column := func(layer int) float64 { return float64(layer) * (nodeWidth + gapAcross) }
	for n, c := range of {
		b.at[n] = point{column(layer[n]), g.cells[c].y}
	}
	for e, way := range lanes {
		for i, c := range way {
			x, y := column(layer[e[0]]+i), g.cells[c].y+g.cells[c].height()/2
			if i > 0 {
				b.ways[e] = append(b.ways[e], point{x, y})
			}
			if i < len(way)-1 {
				b.ways[e] = append(b.ways[e], point{x + nodeWidth, y})
			}
		}
	}
	return b
}

// order sorts each layer by the mean of its neighbours' places, to and fro,
// and keeps what crosses least.
func (g *grid) order() {
	g.place = make([]int, len(g.cells))
	g.number()
	best, least := clone(g.layers), g.crossings()
	weight := make([]float64, len(g.cells))
	for round := 0; round < 12 && least > 0; round++ {
		for i := range g.layers {
			at, near := i, func(c cell) []int { return c.left }
			if round%2 == 1 {
				at, near = len(g.layers)-1-i, func(c cell) []int { return c.right }
			}
			for place, c := range g.layers[at] {
				weight[c] = float64(place)
				if list := near(g.cells[c]); len(list) > 0 {
					sum := 0
					for _, n := range list {
						sum += g.place[n]
					}
					weight[c] = float64(sum) / float64(len(list))
				}
			}
			slices.SortStableFunc(g.layers[at], func(a, b int) int { return cmp.Compare(weight[a], weight[b]) })
			g.number()
		}
		if n := g.crossings(); n < least {
			best, least = clone(g.layers), n
		}
	}
	g.layers = best
	g.number()
}

func clone(layers [][]int) [][]int {
	out := make([][]int, len(layers))
	for i, l := range layers {
		out[i] = slices.Clone(l)
	}
	return out
}

func (g *grid) number() {
	for _, layer := range g.layers {
		for i, c := range layer {
			g.place[c] = i
		}
	}
}

// crossings counts the pairs of edges that cross between neighbouring layers.
func (g *grid) crossings() int {
	n := 0
	var ends, spare []int // of a layer's edges, sorted by their beginnings
	for _, layer := range g.layers {
		ends = ends[:0]
		for _, c := range layer {
			from := len(ends)
			for _, r := range g.cells[c].right {
				ends = append(ends, g.place[r])
			}
			slices.Sort(ends[from:])
		}
		spare = append(spare[:0], ends...)
		n += inversions(ends, spare)
	}
	return n
}

// inversions counts the pairs that stand in the wrong order; it sorts list, by
// way of a copy of it.
func inversions(list, spare []int) int {
	if len(list) < 2 {
		return 0
	}
	half := len(list) / 2
	n := inversions(spare[:half], list[:half]) + inversions(spare[half:], list[half:])
	a, b := spare[:half], spare[half:]
	for k, i, j := 0, 0, 0; k < len(list); k++ {
		if j == len(b) || i < len(a) && a[i] <= b[j] {
			list[k] = a[i]
			i++
			continue
		}
		list[k] = b[j]
		j++
		n += len(a) - i
	}
	return n
}

// heights moves each cell towards its neighbours as far as its layer's order
// and the gaps let it, and gives the height of all.
func (g *grid) heights() float64 {
	for _, layer := range g.layers {
		y := 0.0
		for _, c := range layer {
			g.cells[c].y = y
			y += g.cells[c].height() + gapDown
		}
	}
	for round := range 10 {
		for i := range g.layers {
			at := i
			if round%2 == 1 {
				at = len(g.layers) - 1 - i
			}
			g.settle(g.layers[at])
		}
	}
	top, bottom := math.Inf(1), math.Inf(-1)
	for _, c := range g.cells {
		top, bottom = min(top, c.y), max(bottom, c.y+c.height())
	}
	for i := range g.cells {
		g.cells[i].y -= top
	}
	return bottom - top
}

// settle gives a layer the heights that are nearest to where its cells'
// neighbours are: neighbours that would overlap move as one.
func (g *grid) settle(layer []int) {
	type block struct {
		sum   float64
		cells int
	}
	blocks := make([]block, 0, len(layer))
	offsets := make([]float64, len(layer))
	offset := 0.0
	for i, c := range layer {
		cl := &g.cells[c]
		want := cl.y + cl.height()/2
		if n := len(cl.left) + len(cl.right); n > 0 {
			want = 0
			for _, near := range [2][]int{cl.left, cl.right} {
				for _, c := range near {
					want += g.cells[c].y + g.cells[c].height()/2
				}
			}
			want /= float64(n)
		}
		offsets[i] = offset
		blocks = append(blocks, block{want - cl.height()/2 - offset, 1})
		for len(blocks) > 1 {
			a, b := blocks[len(blocks)-2], blocks[len(blocks)-1]
			if a.sum/float64(a.cells) < b.sum/float64(b.cells) {
				break
			}
			blocks = append(blocks[:len(blocks)-2], block{a.sum + b.sum, a.cells + b.cells})
		}
		offset += cl.height() + gapDown
	}
	i := 0
	for _, b := range blocks {
		for range b.cells {
			g.cells[layer[i]].y = b.sum/float64(b.cells) + offsets[i]
			i++
		}
	}
}

// draw gives the path of an edge: curves between layers, straight through the lanes.
func draw(way []point) string {
	if len(way) < 2 {
		return ""
	}
	r := func(v float64) string { return px(math.Round((v+edgeOfAll)*10) / 10) }
	s := "M" + r(way[0].x) + " " + r(way[0].y)
	for i := 1; i < len(way); i += 2 {
		a, b := way[i-1], way[i]
		if i == len(way)-1 {
			b.x -= 7 // the arrow's
		}
		bend := (b.x - a.x) / 2
		s += fmt.Sprintf("C%s %s %s %s %s %s", r(a.x+bend), r(a.y), r(b.x-bend), r(b.y), r(b.x), r(b.y))
		if i+1 < len(way) {
			s += "L" + r(way[i+1].x) + " " + r(way[i+1].y)
		}
	}
	return s
}
