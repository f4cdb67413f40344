package webui

import "slices"

// Many fields are shown in sections.
const (
	manyFields = 30 // more are
	perSection = 20
)

// section is some of a form's fields, under a heading.
type section struct {
	title string
	nodes []*Node
}

// wrong counts the fields of a section that something is wrong with.
func (s section) wrong() int {
	n := 0
	for _, c := range s.nodes {
		n += wrongIn(c)
	}
	return n
}

func wrongIn(n *Node) int {
	count := 0
	if n.Error != "" {
		count = 1
	}
	for _, c := range n.Children {
		count += wrongIn(c)
	}
	return count
}

// leaves counts what there is to fill in.
func leaves(n *Node) int {
	switch n.Kind {
	case ObjectNode, BranchNode:
		count := 0
		for _, c := range n.Children {
			count += leaves(c)
		}
		return count
	}
	return 1
}

// sections divides a form of many fields: by what its author says (x-section);
// else what is needed first, then groups by themselves, the rest by twenties.
func sections(root *Node) []section {
	if root.Kind != ObjectNode || leaves(root) <= manyFields {
		return nil
	}
	var out, groups []section
	place := map[string]int{}
	var plain []*Node
	for _, c := range root.Children {
		switch {
		case c.Section != "":
			i, known := place[c.Section]
			if !known {
				i, place[c.Section] = len(out), len(out)
				out = append(out, section{title: c.Section})
			}
			out[i].nodes = append(out[i].nodes, c)
		case !c.Required && c.Kind == ObjectNode && leaves(c) > 3:
			groups = append(groups, section{c.Label, []*Node{c}})
		default:
			plain = append(plain, c)
		}
	}
	var needed []*Node
	for len(plain) > 0 && plain[0].Required {
		needed, plain = append(needed, plain[0]), plain[1:]
	}
	var rest []section
	if len(needed) > 0 {
		rest = append(rest, chunks("Needed", needed)...)
	}
	rest = append(rest, chunks("", plain)...)
	return slices.Concat(rest, out, groups)
}

// chunks names twenty fields each by the first and the last of them.
func chunks(title string, nodes []*Node) []section {
	var out []section
	for some := range slices.Chunk(nodes, perSection) {
		t := title
		if t == "" || len(nodes) > perSection {
			t = some[0].Label
			if len(some) > 1 {
				t += " – " + some[len(some)-1].Label
			}
			if title != "" {
				t = title + ": " + t
			}
		}
		out = append(out, section{t, some})
	}
	return out
}
