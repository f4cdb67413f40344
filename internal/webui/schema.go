package webui

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"fairlead/internal/fault"
)

// Bounds of a form that is made from a schema. What lies deeper is asked for
// as JSON.
const (
	maxNodes     = 400
	maxFormDepth = 6
	maxRows      = 100
	inputPrefix  = "in"
)

// NodeKind is how one place of a schema is asked for.
type NodeKind string

// The kinds.
const (
	TextNode   NodeKind = "text"
	LongNode   NodeKind = "long"
	NumberNode NodeKind = "number"
	SecretNode NodeKind = "secret"
	BoolNode   NodeKind = "bool"
	ChoiceNode NodeKind = "choice" // one of a few
	ChecksNode NodeKind = "checks" // any of a few
	ObjectNode NodeKind = "object"
	ListNode   NodeKind = "list"
	JSONNode   NodeKind = "json" // whatever a form cannot ask for
)

// Node is one place of a schema as a form asks for it.
type Node struct {
	Field
	Kind        NodeKind
	Value       string
	Chosen      []string
	Options     []Option
	values      []any // what the options stand for
	Placeholder string
	Unit        string
	MaxLength   int
	When        string // "pointer=value|value": shown when that is so
	WhenText    string
	Children    []*Node // of an object; the rows of a list
	Row         *Node   // an empty row of a list
}

// schemaForm walks a schema, with values and what is wrong with them.
type schemaForm struct {
	root   map[string]any
	errors map[string]string // JSON pointer -> what is wrong
	nodes  int
}

// SchemaFields makes a form of a JSON Schema. values are what is there
// already; wrong says by JSON pointer what is wrong with them.
func SchemaFields(schema, values map[string]any, wrong []fault.Violation) *Node {
	f := &schemaForm{root: schema, errors: map[string]string{}}
	for _, v := range wrong {
		if f.errors[v.Field] == "" {
			f.errors[v.Field] = v.Message
		}
	}
	n := f.node(schema, inputPrefix, "", values, values == nil, 0)
	n.Label = ""
	return n
}

func (f *schemaForm) follow(s map[string]any) map[string]any {
	for range 8 {
		ref, ok := s["$ref"].(string)
		if !ok {
			return s
		}
		var at any = f.root
		for part := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
			m, _ := at.(map[string]any)
			at = m[strings.NewReplacer("~1", "/", "~0", "~").Replace(part)]
		}
		target, ok := at.(map[string]any)
		if !ok {
			return map[string]any{}
		}
		merged := maps.Clone(target)
		for k, v := range s {
			if k != "$ref" {
				merged[k] = v
			}
		}
		s = merged
	}
	return map[string]any{}
}

// node makes the node of a schema at a pointer. fresh says that there is no
// value yet, so that defaults are shown.
func (f *schemaForm) node(s map[string]any, name, pointer string, value any, fresh bool, depth int) *Node {
	f.nodes++
	s = f.follow(s)
	n := &Node{Field: Field{ID: fieldID(name), Name: name, Label: labelOf(s, name), Help: str(s["description"]), Error: f.errors[pointer]}}
	if fresh && value == nil {
		value = s["default"]
	}
	n.MaxLength = int(num(s["maxLength"]))
	kind := typeOf(s)
	switch {
	case f.nodes > maxNodes || depth > maxFormDepth:
		f.asJSON(n, value)
	case s["const"] != nil:
		f.choice(n, map[string]any{"enum": []any{s["const"]}}, value)
	case s["enum"] != nil && kind != "object" && kind != "array":
		f.choice(n, s, value)
	case kind == "object" && hasProperties(s):
		f.object(n, s, pointer, value, fresh, depth)
	case kind == "array":
		f.array(n, s, pointer, value, fresh, depth)
	case kind == "boolean":
		n.Kind = BoolNode
		n.Chosen = []string{plain(value)}
	case kind == "integer" || kind == "number":
		n.Kind, n.Value, n.Unit = NumberNode, plain(value), unitOf(name)
		n.Placeholder = plain(s["default"])
		n.Help = sentence(n.Help, rangeText(s))
	case kind == "string":
		f.text(n, s, value)
	default:
		f.asJSON(n, value)
	}
	return n
}

func (f *schemaForm) text(n *Node, s map[string]any, value any) {
	n.Kind, n.Value = TextNode, plain(value)
	switch {
	case s["writeOnly"] == true || s["format"] == "password":
		n.Kind = SecretNode
	case n.MaxLength > 400 || strings.Contains(n.Value, "\n"):
		n.Kind = LongNode
	}
	if ex, ok := s["examples"].([]any); ok && len(ex) > 0 {
		n.Placeholder = plain(ex[0])
	} else if d := plain(s["default"]); d != "" && n.Kind != SecretNode {
		n.Placeholder = d
	}
}

func (f *schemaForm) choice(n *Node, s map[string]any, value any) {
	n.Kind, n.Chosen = ChoiceNode, []string{plain(value)}
	list, _ := s["enum"].([]any)
	for _, v := range list {
		n.Options, n.values = append(n.Options, Option{plain(v), Text(v)}), append(n.values, v)
	}
}

func (f *schemaForm) object(n *Node, s map[string]any, pointer string, value any, fresh bool, depth int) {
	n.Kind = ObjectNode
	values, _ := value.(map[string]any)
	add := func(props map[string]any, required []any, when, whenText string) {
		for _, key := range ordered(props, required) {
			child, _ := props[key].(map[string]any)
			if child == nil || child["readOnly"] == true || slices.ContainsFunc(n.Children, func(c *Node) bool { return c.Name == n.Name+"/"+escape(key) }) {
				continue
			}
			c := f.node(child, n.Name+"/"+escape(key), pointer+"/"+escape(key), values[key], fresh && values[key] == nil, depth+1)
			c.Required = slices.Contains(required, any(key))
			c.When, c.WhenText = when, whenText
			n.Children = append(n.Children, c)
		}
	}
	required, _ := s["required"].([]any)
	add(props(s), required, "", "")
	for _, c := range conditionals(s) {
		when, text := c.condition(n.Name)
		for _, part := range []struct {
			s          map[string]any
			when, text string
		}{{c.then, when, text}, {c.otherwise, negate(when), "only when not " + strings.TrimPrefix(text, "only when ")}} {
			if part.s != nil {
				required, _ := part.s["required"].([]any)
				add(props(f.follow(part.s)), required, part.when, part.text)
			}
		}
	}
}

func (f *schemaForm) array(n *Node, s map[string]any, pointer string, value any, fresh bool, depth int) {
	items, _ := s["items"].(map[string]any)
	items = f.follow(items)
	list, isList := value.([]any)
	if value != nil && !isList || items == nil {
		f.asJSON(n, value)
		return
	}
	if enum, ok := items["enum"].([]any); ok && s["uniqueItems"] == true {
		n.Kind = ChecksNode
		for _, v := range enum {
			n.Options, n.values = append(n.Options, Option{plain(v), Text(v)}), append(n.values, v)
		}
		for _, v := range list {
			n.Chosen = append(n.Chosen, plain(v))
		}
		return
	}
	n.Kind = ListNode
	for i, v := range list[:min(len(list), maxRows)] {
		row := f.node(items, n.Name+"/"+strconv.Itoa(i), pointer+"/"+strconv.Itoa(i), v, false, depth+1)
		row.Label = rowLabel(n.Label, row)
		n.Children = append(n.Children, row)
	}
	n.Row = f.node(items, n.Name+"/__N__", pointer+"/__N__", nil, true, depth+1)
	n.Row.Label = rowLabel(n.Label, n.Row)
}

func rowLabel(label string, row *Node) string {
	if row.Kind == ObjectNode {
		return strings.TrimSuffix(label, "s")
	}
	return label
}

func (f *schemaForm) asJSON(n *Node, value any) {
	n.Kind = JSONNode
	if value != nil {
		b, err := json.MarshalIndent(value, "", "  ")
		if err == nil {
			n.Value = string(b)
		}
	}
	n.Help = sentence(n.Help, "Written as JSON")
}

// --- conditionals ------------------------------------------------------------------

type conditional struct{ test, then, otherwise map[string]any }

func conditionals(s map[string]any) []conditional {
	var out []conditional
	add := func(s map[string]any) {
		test, _ := s["if"].(map[string]any)
		then, _ := s["then"].(map[string]any)
		otherwise, _ := s["else"].(map[string]any)
		if test != nil && (then != nil || otherwise != nil) {
			out = append(out, conditional{test, then, otherwise})
		}
	}
	add(s)
	all, _ := s["allOf"].([]any)
	for _, part := range all {
		if m, ok := part.(map[string]any); ok {
			add(m)
		}
	}
	return out
}

// condition says when it holds, if it is one that a form can watch: one
// property that has a value or one of some. Otherwise both sides are shown.
func (c conditional) condition(under string) (when, text string) {
	p := props(c.test)
	if len(p) != 1 {
		return "", ""
	}
	for key, v := range p {
		s, _ := v.(map[string]any)
		values, _ := s["enum"].([]any)
		if one, ok := s["const"]; ok {
			values = []any{one}
		}
		if len(values) == 0 {
			return "", ""
		}
		texts := make([]string, len(values))
		for i, v := range values {
			texts[i] = plain(v)
		}
		return under + "/" + escape(key) + "=" + strings.Join(texts, "|"), "only when " + Words(key) + " is " + strings.Join(texts, " or ")
	}
	return "", ""
}

func negate(when string) string {
	if when == "" {
		return ""
	}
	return "!" + when
}

// holds tells whether a condition holds of what was sent.
func holds(when string, form url.Values) bool {
	if when == "" {
		return true
	}
	rest, not := strings.CutPrefix(when, "!")
	name, values, _ := strings.Cut(rest, "=")
	have := form.Get(name)
	if form.Has(name+"?") && have == "" {
		have = "false" // a box that is not ticked
	}
	return slices.Contains(strings.Split(values, "|"), have) != not
}

// --- reading what was sent -----------------------------------------------------------

// ReadSchemaForm reads what a form of SchemaFields sent: the inputs, and what
// in them is no value at all (the schema's own check says the rest).
func ReadSchemaForm(schema map[string]any, form url.Values) (map[string]any, []fault.Violation) {
	shape := SchemaFields(schema, nil, nil)
	rd := &reader{form: form}
	v, _ := rd.object(shape, "")
	if v == nil {
		v = map[string]any{}
	}
	return v, rd.wrong
}

type reader struct {
	form  url.Values
	wrong []fault.Violation
}

func (rd *reader) bad(pointer, format string, args ...any) {
	rd.wrong = append(rd.wrong, fault.Violation{Field: pointer, Message: fmt.Sprintf(format, args...)})
}

func (rd *reader) object(n *Node, pointer string) (map[string]any, bool) {
	out := map[string]any{}
	for _, c := range n.Children {
		if !holds(c.When, rd.form) {
			continue
		}
		key := c.Name[strings.LastIndexByte(c.Name, '/')+1:]
		if v, ok := rd.value(c, pointer+"/"+key); ok {
			out[unescape(key)] = v
		}
	}
	return out, len(out) > 0
}

func (rd *reader) value(n *Node, pointer string) (any, bool) {
	text := strings.TrimSpace(rd.form.Get(n.Name))
	if len(text) > 3 && strings.HasPrefix(text, "${{") && n.Kind != ObjectNode && n.Kind != ListNode {
		return text, true // a reference fits anywhere
	}
	switch n.Kind {
	case ObjectNode:
		return rd.object(n, pointer)
	case ListNode:
		return rd.list(n, pointer)
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
			rd.bad(pointer, "must be a number")
			return text, true
		}
		return json.Number(text), true
	case JSONNode:
		return rd.json(text, pointer)
	case ChoiceNode:
		return n.meant(text), text != ""
	case LongNode, SecretNode:
		raw := rd.form.Get(n.Name)
		return strings.ReplaceAll(raw, "\r\n", "\n"), raw != ""
	}
	return text, text != ""
}

func (rd *reader) json(text, pointer string) (any, bool) {
	if text == "" {
		return nil, false
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil || d.More() {
		rd.bad(pointer, "must be JSON")
		return text, true
	}
	return v, true
}

func (rd *reader) list(n *Node, pointer string) (any, bool) {
	var rows []int
	for name := range rd.form {
		rest, ok := strings.CutPrefix(name, n.Name+"/")
		if !ok {
			continue
		}
		rest, _, _ = strings.Cut(rest, "/")
		if i, err := strconv.Atoi(strings.TrimSuffix(rest, "?")); err == nil && i >= 0 && !slices.Contains(rows, i) && len(rows) < maxRows {
			rows = append(rows, i)
		}
	}
	slices.Sort(rows)
	var out []any
	for _, i := range rows {
		if v, ok := rd.value(renamed(n.Row, "__N__", strconv.Itoa(i)), pointer+"/"+strconv.Itoa(len(out))); ok {
			out = append(out, v)
		}
	}
	return out, len(out) > 0
}

// renamed is a row's node with its number in place of the sign for it.
func renamed(n *Node, from, to string) *Node {
	if n == nil {
		return nil
	}
	c := *n
	c.Name, c.When = strings.Replace(n.Name, from, to, 1), strings.Replace(n.When, from, to, 1)
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
