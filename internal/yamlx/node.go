package yamlx

import (
	"strconv"
	"strings"
)

// Kind says what a node is.
type Kind int

// The kinds of node.
const (
	Null Kind = iota
	Bool
	Int
	Float
	String
	List
	Object
)

func (k Kind) String() string {
	return [...]string{"nothing", "a boolean", "a whole number", "a number", "a string", "a list", "an object"}[k]
}

// Node is one value and where it stands.
type Node struct {
	Kind    Kind
	Line    int    // from 1
	Column  int    // from 1
	Pointer string // JSON pointer from the document's root; "" is the root

	scalar any
	Fields []Field // of an Object, in the order they are written
	Items  []*Node // of a List
}

// Field is one member of an object.
type Field struct {
	Name  string
	Line  int // of the name
	Value *Node
}

// Doc is one document of a stream.
type Doc struct {
	File string // as errors call it
	Root *Node
}

// Value gives the node as map[string]any, []any, string, int64, float64 or json.Number (see Number), bool
// or nil. Maps and lists are new each time.
func (n *Node) Value() any {
	switch n.Kind {
	case Object:
		m := make(map[string]any, len(n.Fields))
		for _, f := range n.Fields {
			m[f.Name] = f.Value.Value()
		}
		return m
	case List:
		l := make([]any, len(n.Items))
		for i, item := range n.Items {
			l[i] = item.Value()
		}
		return l
	}
	return n.scalar
}

// Get gives an object's member, or nil.
func (n *Node) Get(name string) *Node {
	if n == nil {
		return nil
	}
	for _, f := range n.Fields {
		if f.Name == name {
			return f.Value
		}
	}
	return nil
}

// Find gives the node that a JSON pointer names or, when there is none, the
// nearest one above it that exists: the place to point at.
func (n *Node) Find(pointer string) *Node {
	at := n
	for _, token := range strings.Split(pointer, "/")[1:] {
		token = Unescape(token)
		var next *Node
		if at.Kind == List {
			if i, err := strconv.Atoi(token); err == nil && i >= 0 && i < len(at.Items) {
				next = at.Items[i]
			}
		} else {
			next = at.Get(token)
		}
		if next == nil {
			break
		}
		at = next
	}
	return at
}

// Escape makes a name into a token of a JSON pointer.
func Escape(name string) string {
	return strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")
}

// Unescape is Escape's inverse.
func Unescape(token string) string {
	return strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
}

// number reads a JSON or YAML 1.2 decimal.
func number(s string) (any, Kind, bool) {
	v, ok := Number(s)
	if !strings.ContainsAny(s, ".eE") {
		return v, Int, ok
	}
	return v, Float, ok
}
