package webui

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func named(names ...string) []GraphNode {
	out := make([]GraphNode, len(names))
	for i, n := range names {
		out[i] = GraphNode{ID: n, Title: n}
	}
	return out
}

func TestAGraphIsDrawnInLayers(t *testing.T) {
	t.Parallel()
	var edges []GraphEdge
	for _, e := range []string{"web>api", "api>db", "db>net", "web>net", "worker>db", "lone>lonely"} {
		from, to, _ := strings.Cut(e, ">")
		edges = append(edges, GraphEdge{From: from, To: to})
	}
	d := layOut(named("api", "db", "lone", "lonely", "net", "solo", "web", "worker"), edges)
	at := map[string]placedNode{}
	for _, n := range d.Nodes {
		at[n.ID] = n
	}
	for _, e := range edges {
		if at[e.From].X >= at[e.To].X {
			t.Errorf("%s is not left of %s", e.From, e.To)
		}
	}
	if at["worker"].X != at["api"].X {
		t.Errorf("what nobody uses does not stand beside what it uses: %v, %v", at["worker"], at["api"])
	}
	if at["lone"].Y <= at["web"].Y || at["solo"].Y <= at["lone"].Y {
		t.Errorf("the parts are not below each other: %+v", at)
	}
	if len(d.Edges) != len(edges) {
		t.Errorf("%d edges", len(d.Edges))
	}
	if empty := layOut(nil, nil); len(empty.Nodes) != 0 {
		t.Errorf("%+v", empty)
	}
}

// Whatever comes, also what should not: nothing overlaps, all is inside, edges
// lead to the right, and the same graph is the same drawing.
func TestNoDrawingOverlaps(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 40).Draw(t, "nodes")
		var nodes []GraphNode
		for i := range n {
			nodes = append(nodes, GraphNode{ID: fmt.Sprint("n", i)})
		}
		cycles := rapid.Bool().Draw(t, "cycles")
		var edges []GraphEdge
		for range rapid.IntRange(0, 80).Draw(t, "edges") {
			a, b := rapid.IntRange(0, n).Draw(t, "from"), rapid.IntRange(0, n).Draw(t, "to")
			if !cycles && a >= b {
				continue
			}
			edges = append(edges, GraphEdge{From: fmt.Sprint("n", a), To: fmt.Sprint("n", b)})
		}
		d := layOut(nodes, edges)
		for i, a := range d.Nodes {
			if a.X < 0 || a.Y < 0 || a.X+nodeWidth > d.W || a.Y+nodeHeight > d.H {
				t.Fatalf("%+v is outside of %v x %v", a, d.W, d.H)
			}
			for _, b := range d.Nodes[:i] {
				if a.X < b.X+nodeWidth && b.X < a.X+nodeWidth && a.Y < b.Y+nodeHeight && b.Y < a.Y+nodeHeight {
					t.Fatalf("%+v lies on %+v", a, b)
				}
			}
		}
		if again := layOut(nodes, edges); !reflect.DeepEqual(d, again) {
			t.Fatal("drawn differently")
		}
		if cycles {
			return
		}
		x := map[string]float64{}
		for _, n := range d.Nodes {
			x[n.ID] = n.X
		}
		for _, e := range d.Edges {
			if x[e.From]+nodeWidth > x[e.To] {
				t.Fatalf("%s leads back to %s", e.From, e.To)
			}
		}
	})
}

func BenchmarkLayout(b *testing.B) {
	var nodes []GraphNode
	var edges []GraphEdge
	for i := range 200 {
		nodes = append(nodes, GraphNode{ID: fmt.Sprint("n", i)})
		for k := 1; k <= 3 && i+7*k < 200; k++ {
			edges = append(edges, GraphEdge{From: fmt.Sprint("n", i), To: fmt.Sprint("n", i+7*k)})
		}
	}
	for b.Loop() {
		layOut(nodes, edges)
	}
}
