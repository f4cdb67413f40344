package yamlx

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
)

// NodeOf makes a node of a value as Node.Value gives it. Each part stands
// where like has the same pointer, or else what is nearest above it: so a
// document that was completed is complained about where its author wrote.
func NodeOf(v any, like *Node) *Node { return nodeOf(v, like, "") }

func nodeOf(v any, like *Node, pointer string) *Node {
	n := &Node{Kind: Null, Line: 1, Column: 1, Pointer: pointer, scalar: v}
	if like != nil {
		at := like.Find(pointer)
		n.Line, n.Column = at.Line, at.Column
	}
	switch c := v.(type) {
	case map[string]any:
		n.Kind, n.scalar = Object, nil
		for _, name := range slices.Sorted(maps.Keys(c)) {
			value := nodeOf(c[name], like, pointer+"/"+Escape(name))
			n.Fields = append(n.Fields, Field{Name: name, Line: value.Line, Value: value})
		}
	case []any:
		n.Kind, n.scalar = List, nil
		for i, item := range c {
			n.Items = append(n.Items, nodeOf(item, like, pointer+"/"+strconv.Itoa(i)))
		}
	case bool:
		n.Kind = Bool
	case int64:
		n.Kind = Int
	case float64:
		n.Kind = Float
	case json.Number:
		_, n.Kind, _ = number(string(c))
	case string:
		n.Kind = String
	}
	return n
}
