package webui

import (
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// GraphNode is one thing of a Graph.
type GraphNode struct {
	ID, Title, Sub string
	Word           string // how it is
	Tone           Tone   // how good that is
	Icon, Href     string
	Current        bool // the one that the graph is about
}

// GraphEdge leads from what takes to what gives.
type GraphEdge struct{ From, To, Label string }

// GraphView is what a Graph shows. Its edges make no cycle.
type GraphView struct {
	ID    string // unique on the page
	Label string // what it is a graph of
	Nodes []GraphNode
	Edges []GraphEdge
	Small bool // without a bar over it: a few nodes beside other things
	// Around is the form's field, in the page's own address, that asks for
	// the neighbourhood of what is not shown; Hidden are its other fields.
	Around string
	Hidden map[string]string
}

// find is what the search looks into.
func (n GraphNode) find() string { return strings.ToLower(n.Title + " " + n.Sub + " " + n.Word) }

// neighbour is one end of an edge, as the list beside a graph has it.
type neighbour struct{ title, href, label string }

// listed is a graph as a list: each node with what it takes from and gives to.
type listed struct {
	GraphNode
	takes, gives []neighbour
}

func (g GraphView) list() []listed {
	at := map[string]int{}
	out := make([]listed, len(g.Nodes))
	for i, n := range g.Nodes {
		at[n.ID], out[i].GraphNode = i, n
	}
	for _, e := range g.Edges {
		from, ok := at[e.From]
		to, too := at[e.To]
		if !ok || !too {
			continue
		}
		out[from].takes = append(out[from].takes, neighbour{g.Nodes[to].Title, g.Nodes[to].Href, e.Label})
		out[to].gives = append(out[to].gives, neighbour{g.Nodes[from].Title, g.Nodes[from].Href, e.Label})
	}
	return out
}

// KindIcon is the icon of what is made from a template of this name.
func KindIcon(template string) string {
	for _, kind := range []struct{ icon, words string }{
		{"database", "postgres pg mysql maria mongo redis sql database db cache"}, {"network", "network vpc dns gateway route ingress"},
		{"server", "service app web workload container worker job vm"}, {"boxes", "bucket storage object volume"}, {"key-round", "secret key certificate identity role"},
	} {
		for _, part := range strings.FieldsFunc(strings.ToLower(template), func(r rune) bool { return r == '-' || r == '_' || r == '/' }) {
			if slices.Contains(strings.Fields(kind.words), part) {
				return kind.icon
			}
		}
	}
	return "package"
}

// cut shortens a text for a place where nothing can wrap.
func cut(s string, most int) string {
	r := []rune(s)
	if len(r) <= most {
		return s
	}
	return string(r[:most-1]) + "…"
}

func px(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// sortedHidden gives a form's hidden fields in a fixed order.
func sortedHidden(m map[string]string) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for _, k := range slices.Sorted(maps.Keys(m)) {
			if !yield(k, m[k]) {
				return
			}
		}
	}
}

// length is how long a bar is, of 100.
func (c ChartView) length(value float64) string {
	most := 0.0
	for _, b := range c.Bars {
		most = max(most, b.Value, b.Of)
	}
	if most <= 0 || value <= 0 {
		return "0"
	}
	return strconv.FormatFloat(max(min(value/most, 1)*100, 0.5), 'f', 1, 64)
}

// Thing is a node for something made from a template.
func Thing(id, name, template, version, phase string, drifted, paused bool, href string) GraphNode {
	n := GraphNode{ID: id, Title: name, Sub: template + " " + version, Word: phase, Tone: ToneOf(phase), Icon: KindIcon(template), Href: href}
	switch {
	case paused && n.Tone == OK:
		n.Word, n.Tone = "stopped", Idle
	case drifted && n.Tone == OK:
		n.Word, n.Tone = "drifted", Warn
	}
	return n
}

// EdgeLabel says what an edge carries.
func EdgeLabel(output string, outputs int64) string {
	if outputs > 1 {
		return output + " and " + strconv.FormatInt(outputs-1, 10) + " more"
	}
	return output
}
