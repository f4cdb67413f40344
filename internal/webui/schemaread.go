package webui

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"fairlead/internal/fault"
	"fairlead/internal/yamlx"
)

var errAlone = errors.New("a schema may not refer to another document")

// Filled is what a form of SchemaFields sent.
type Filled struct {
	Values map[string]any
	Wrong  []fault.Violation // what is no value at all; the schema's own check says the rest

	branches map[string]string
	texts    map[string]string
}

// ReadSchemaForm reads what a form of SchemaFields sent.
func ReadSchemaForm(schema map[string]any, form url.Values) *Filled {
	f := &schemaForm{judge: judge{root: schema}, form: form}
	shape := f.node(schema, place{name: inputPrefix, required: true})
	rd := &reader{form: form, in: &Filled{Values: map[string]any{}, branches: map[string]string{}, texts: map[string]string{}}}
	if v, _ := rd.value(shape, ""); v != nil {
		rd.in.Values, _ = v.(map[string]any)
	}
	if rd.in.Values == nil {
		rd.in.Values = map[string]any{}
	}
	return rd.in
}

type reader struct {
	form url.Values
	in   *Filled
}

func (rd *reader) bad(pointer, text, format string, args ...any) {
	rd.in.Wrong = append(rd.in.Wrong, fault.Violation{Field: pointer, Message: fmt.Sprintf(format, args...)})
	if rd.in.texts != nil {
		rd.in.texts[pointer] = text
	}
}

// object reads the fields of an object; said tells whether somebody said
// anything in them.
func (rd *reader) object(n *Node, pointer string) (out map[string]any, said bool) {
	out = map[string]any{}
	for _, c := range n.Children {
		if !holdsOf(c.When, rd.form) {
			continue
		}
		key := c.Pointer[strings.LastIndexByte(c.Pointer, '/')+1:]
		if v, ok := rd.value(c, pointer+"/"+key); ok {
			out[yamlx.Unescape(key)], said = v, said || !c.Settled
		}
	}
	return out, said
}

func isReference(text string) bool {
	return len(text) > 3 && strings.HasPrefix(text, "${{")
}

// value gives what a node was given, at the pointer that it then has: rows
// that were left empty are no rows.
func (rd *reader) value(n *Node, pointer string) (any, bool) {
	text := strings.TrimSpace(rd.form.Get(n.Name))
	if isReference(text) && n.Kind != DataNode {
		return text, true // it fits anywhere
	}
	switch n.Kind {
	case BranchNode:
		if rd.in.branches != nil {
			rd.in.branches[pointer] = first(n.Chosen)
		}
		if len(n.Children) == 0 {
			return nil, false
		}
		return rd.value(n.Children[0], pointer)
	case ObjectNode:
		m, said := rd.object(n, pointer)
		return m, said || n.Required
	case ListNode:
		var out []any
		for _, row := range n.Children {
			if v, ok := rd.value(row, pointer+"/"+strconv.Itoa(len(out))); ok {
				out = append(out, v)
			}
		}
		return out, len(out) > 0
	case ChecksNode:
		var out []any
		for _, v := range rd.form[n.Name] {
			if v != "" && len(out) < maxNodes {
				out = append(out, n.meant(v))
			}
		}
		return out, len(out) > 0 || rd.form.Has(n.Name+"?")
	case BoolNode:
		return text == "true", rd.form.Has(n.Name + "?")
	case NumberNode:
		if text == "" {
			return nil, false
		}
		if _, err := strconv.ParseFloat(text, 64); err != nil || !json.Valid([]byte(text)) {
			rd.bad(pointer, text, "must be a number")
			return text, true
		}
		return json.Number(text), true
	case DataNode:
		return rd.data(rd.form.Get(n.Name), pointer)
	case ChoiceNode:
		if n.Settled {
			return n.values[0], true
		}
		return n.meant(text), text != ""
	case LongNode, SecretNode:
		raw := rd.form.Get(n.Name)
		return strings.ReplaceAll(raw, "\r\n", "\n"), raw != ""
	}
	return text, text != ""
}

// data reads JSON, or else YAML.
func (rd *reader) data(text, pointer string) (any, bool) {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	if strings.TrimSpace(text) == "" {
		return nil, false
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err == nil && !d.More() {
		return v, true
	}
	doc, err := yamlx.DecodeOne(strings.NewReader(text), yamlx.Limits{File: "it"})
	if err != nil {
		rd.bad(pointer, text, "must be YAML or JSON: %s", fault.From(err).Message)
		return text, true
	}
	return doc.Root.Value(), true
}

// dataText writes a value as YAML, as a form's field shows it.
func dataText(v any) string {
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if e.Encode(PlainNumbers(v)) != nil {
		return ""
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// dataSample is what a place that is asked for as text may look like.
func dataSample(s map[string]any) string {
	extra, _ := s["additionalProperties"].(map[string]any)
	switch t := typeOf(s); {
	case t == "array":
		return "- one\n- two"
	case t == "object" && len(props(s)) == 0 && extra != nil, t == "object" && s["patternProperties"] != nil:
		return "name: value"
	}
	return ""
}

// PlainNumbers gives a value with numbers as YAML has them.
func PlainNumbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return i
		}
		f, _ := v.Float64()
		return f
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = PlainNumbers(e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = PlainNumbers(e)
		}
		return out
	}
	return v
}

// rowsOf gives the numbers of the rows of a list that were sent.
func rowsOf(form url.Values, list string) []int {
	var rows []int
	for name := range form {
		rest, ok := strings.CutPrefix(name, list+"/")
		if !ok {
			continue
		}
		rest, _, _ = strings.Cut(rest, "/")
		rest, _, _ = strings.Cut(rest, "?")
		if i, err := strconv.Atoi(rest); err == nil && i >= 0 && !slices.Contains(rows, i) && len(rows) < maxRows {
			rows = append(rows, i)
		}
	}
	slices.Sort(rows)
	return rows
}

// renamed is a row's node with its number in place of the sign for it.
func renamed(n *Node, from, to string) *Node {
	if n == nil {
		return nil
	}
	c := *n
	c.Name, c.When, c.MustWhen = strings.Replace(n.Name, from, to, 1), strings.Replace(n.When, from, to, 1), strings.Replace(n.MustWhen, from, to, 1)
	c.ID, c.Pointer = strings.Replace(n.ID, from, to, 1), strings.Replace(n.Pointer, from, to, 1)
	c.Children = make([]*Node, len(n.Children))
	for i, child := range n.Children {
		c.Children[i] = renamed(child, from, to)
	}
	c.Row = renamed(n.Row, from, to)
	return &c
}

// meant gives the value that an option stands for: 3 and not "3".
func (n *Node) meant(text string) any {
	for i, o := range n.Options {
		if o.Value == text && i < len(n.values) {
			return n.values[i]
		}
	}
	return text
}
