package webui

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"fairlead/internal/fault"
	"fairlead/internal/yamlx"
)

// Bounds of a form that is made from a schema. What lies deeper is asked for
// as text.
const (
	maxNodes     = 1000
	maxFormDepth = 6
	maxRows      = 100
	maxOptions   = 500
	inputPrefix  = "in"
	dataSign     = "?data" // behind the name of what is asked for as text
)

// NodeKind is how one place of a schema is asked for.
type NodeKind string

// The kinds.
const (
	TextNode      NodeKind = "text"
	LongNode      NodeKind = "long"
	NumberNode    NodeKind = "number"
	SecretNode    NodeKind = "secret"
	BoolNode      NodeKind = "bool"
	ChoiceNode    NodeKind = "choice" // one of a few
	ChecksNode    NodeKind = "checks" // any of a few
	ObjectNode    NodeKind = "object"
	ListNode      NodeKind = "list"
	BranchNode    NodeKind = "branch"    // one of several shapes: its only child is the chosen one
	ReferenceNode NodeKind = "reference" // an output of something else stands here, whatever is asked for
	DataNode      NodeKind = "data"      // whatever a form cannot ask for, as YAML or JSON
)

// Node is one place of a schema as a form asks for it.
type Node struct {
	Field
	Pointer     string // into the inputs
	Kind        NodeKind
	Type        string // of the schema; "" for any
	Value       string
	Chosen      []string
	Options     []Option
	values      []any // what the options stand for
	Placeholder string
	Unit        string
	Section     string // that its author put it in
	MaxLength   int
	When        string // "name=value|value": shown when that is so
	WhenText    string
	Reshapes    bool    // what is asked for besides depends on it
	Settled     bool    // it can have one value alone, and has it
	Update      string  // where the form is sent to be shown anew; "" for nowhere
	Pick        string  // where outputs to refer to are found; "" for nowhere
	Children    []*Node // of an object; the rows of a list; the chosen branch
	Row         *Node   // an empty row of a list
}

// schemaForm walks a schema, with values and what is wrong with them.
type schemaForm struct {
	judge
	errors   map[string]string // JSON pointer -> what is wrong
	branches map[string]string // JSON pointer -> the branch that was chosen
	texts    map[string]string // JSON pointer -> what was written there and is no value
	form     url.Values        // when it is read: it decides about rows and branches
	nodes    int
}

// SchemaFields makes a form of a JSON Schema. values are what is there
// already; wrong says by JSON pointer what is wrong with them.
func SchemaFields(schema, values map[string]any, wrong []fault.Violation) *Node {
	return (&Filled{Values: values}).Fields(schema, wrong)
}

// Fields makes the form again that was filled in, with what is wrong.
func (in *Filled) Fields(schema map[string]any, wrong []fault.Violation) *Node {
	f := &schemaForm{judge: judge{root: schema}, errors: map[string]string{}, branches: in.branches, texts: in.texts}
	for _, v := range wrong {
		if f.errors[v.Field] == "" {
			f.errors[v.Field] = v.Message
		}
	}
	at := place{name: inputPrefix, fresh: in.Values == nil, required: true}
	if in.Values != nil {
		at.value = in.Values
	}
	n := f.node(schema, at)
	n.Label = ""
	return n
}

// follow gives a schema with what it refers to, and what all of it must be,
// in one.
func (f *judge) follow(s map[string]any) map[string]any {
	for range 8 {
		ref, isRef := s["$ref"].(string)
		if !isRef {
			break
		}
		var at any = f.root
		for part := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
			m, _ := at.(map[string]any)
			at = m[yamlx.Unescape(part)]
		}
		target, _ := at.(map[string]any)
		s = overlay(target, without(s, "$ref"))
	}
	if _, more := s["$ref"]; more {
		return map[string]any{}
	}
	all, _ := s["allOf"].([]any)
	for _, part := range all[:min(len(all), 20)] {
		m, _ := part.(map[string]any)
		if ref, isRef := m["$ref"].(string); isRef && len(m) == 1 && ref != "" {
			m = (&judge{root: map[string]any{"$defs": f.root["$defs"]}}).follow(m)
		}
		if m["properties"] != nil || m["required"] != nil {
			s = overlay(map[string]any{"properties": m["properties"], "required": m["required"], "type": m["type"]}, s)
		}
	}
	return s
}

func without(m map[string]any, key string) map[string]any {
	m = maps.Clone(m)
	delete(m, key)
	return m
}

// overlay gives a schema that says what both do; of two that say the same
// otherwise, over counts. Properties and what is required are joined.
func overlay(under, over map[string]any) map[string]any {
	out := map[string]any{}
	for k, v := range under {
		if v != nil {
			out[k] = v
		}
	}
	for k, v := range over {
		switch k {
		case "properties":
			joined := maps.Clone(props(under))
			if joined == nil {
				joined = map[string]any{}
			}
			maps.Copy(joined, props(over))
			out[k] = joined
		case "required":
			a, _ := under[k].([]any)
			b, _ := v.([]any)
			out[k] = slices.Concat(a, b)
		default:
			if v != nil {
				out[k] = v
			}
		}
	}
	return out
}

// place is where a node stands, with what is there.
type place struct {
	name, pointer string
	value         any
	fresh         bool // there is no value yet, so that defaults are shown
	required      bool
	depth         int
}

// asText tells whether a node is asked for as text, because it was before or because
// there is too much.
func (f *schemaForm) asText(at place) bool {
	if f.form != nil {
		return f.form.Has(at.name+dataSign) || f.nodes > 4*maxNodes || at.depth > 2*maxFormDepth
	}
	return f.nodes > maxNodes || at.depth > maxFormDepth
}

// node makes the node of a schema at a place.
func (f *schemaForm) node(s map[string]any, at place) *Node {
	f.nodes++
	s = f.follow(s)
	n := &Node{Pointer: at.pointer, Type: typeOf(s), Section: str(s["x-section"]), MaxLength: int(num(s["maxLength"]))}
	n.Field = Field{ID: fieldID(inputPrefix + at.pointer), Name: at.name, Label: labelOf(s, at.pointer), Help: str(s["description"]), Error: f.errors[at.pointer], Required: at.required}
	if at.fresh && at.value == nil {
		at.value = s["default"]
	}
	if text, isText := at.value.(string); isText && isReference(text) {
		n.Kind, n.Value = ReferenceNode, text
		return n
	}
	if branches := f.branchesOf(s); len(branches) > 0 && !f.asText(at) {
		f.branch(n, s, branches, at)
		return n
	}
	f.plainNode(n, s, at)
	return n
}

func (f *schemaForm) plainNode(n *Node, s map[string]any, at place) {
	_, isObject := at.value.(map[string]any)
	switch {
	case f.asText(at):
		f.asData(n, s, at.value)
	case s["const"] != nil:
		f.choice(n, []any{s["const"]}, nil, at.value)
		n.Settled = at.required && plain(s["const"]) != ""
	case s["enum"] != nil && n.Type != "object" && n.Type != "array":
		list, _ := s["enum"].([]any)
		f.choice(n, list, nil, at.value)
	case n.Type == "object" && hasProperties(s) && (at.value == nil || isObject): // else what is there is shown, not dropped
		f.object(n, s, at)
	case n.Type == "array":
		f.array(n, s, at)
	case n.Type == "boolean":
		n.Kind = BoolNode
		n.Chosen = []string{plain(at.value)}
	case n.Type == "integer" || n.Type == "number":
		n.Kind, n.Value, n.Unit = NumberNode, plain(at.value), unitOf(s, n.Name)
		n.Placeholder = plain(s["default"])
		n.Help = sentence(n.Help, rangeText(s))
	case n.Type == "string":
		f.text(n, s, at.value)
	default:
		f.asData(n, s, at.value)
	}
}

func (f *schemaForm) text(n *Node, s map[string]any, value any) {
	n.Kind, n.Value, n.Unit = TextNode, plain(value), str(s["x-unit"])
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

func (f *schemaForm) choice(n *Node, list []any, titles []string, value any) {
	n.Kind, n.Chosen = ChoiceNode, []string{plain(value)}
	for i, v := range list[:min(len(list), maxOptions)] {
		title := Text(v)
		if i < len(titles) && titles[i] != "" {
			title = titles[i]
		}
		n.Options, n.values = append(n.Options, Option{plain(v), title}), append(n.values, v)
	}
}

func (f *schemaForm) object(n *Node, s map[string]any, at place) {
	n.Kind = ObjectNode
	values, _ := at.value.(map[string]any)
	o := &objectFields{f: f, n: n, place: at, values: values, at: map[string]*Node{}}
	required, _ := s["required"].([]any)
	o.add(props(s), required, "", "")
	for _, c := range conditionals(s) {
		o.conditional(c, s)
	}
}

func (f *schemaForm) array(n *Node, s map[string]any, at place) {
	items, _ := s["items"].(map[string]any)
	items = f.follow(items)
	list, isList := at.value.([]any)
	if at.value != nil && !isList || len(items) == 0 || len(list) > maxRows {
		f.asData(n, s, at.value)
		return
	}
	if enum, ok := items["enum"].([]any); ok && s["uniqueItems"] == true {
		n.Kind = ChecksNode
		for _, v := range enum[:min(len(enum), maxOptions)] {
			n.Options, n.values = append(n.Options, Option{plain(v), Text(v)}), append(n.values, v)
		}
		for _, v := range list {
			n.Chosen = append(n.Chosen, plain(v))
		}
		return
	}
	n.Kind = ListNode
	row := func(key string, v any, fresh bool) *Node {
		r := f.node(items, place{n.Name + "/" + key, n.Pointer + "/" + key, v, fresh, false, at.depth + 1})
		r.Label = rowLabel(n.Label, r)
		return r
	}
	if f.form != nil {
		for _, i := range rowsOf(f.form, n.Name) {
			n.Children = append(n.Children, row(strconv.Itoa(i), nil, false))
		}
		return
	}
	for i, v := range list {
		n.Children = append(n.Children, row(strconv.Itoa(i), v, false))
	}
	n.Row = row("__N__", nil, true)
}

func rowLabel(label string, row *Node) string {
	if row.Kind == ObjectNode || row.Kind == BranchNode {
		return strings.TrimSuffix(label, "s")
	}
	return label
}

// asData asks for anything as text: YAML, and so JSON too.
func (f *schemaForm) asData(n *Node, s map[string]any, value any) {
	n.Kind = DataNode
	if value != nil {
		n.Value = dataText(value)
	}
	if text, kept := f.texts[n.Pointer]; kept {
		n.Value = text
	}
	n.Help = sentence(n.Help, "Written as YAML or JSON")
	n.Placeholder = dataSample(s)
}

// In says of a form where it is sent to be shown anew, and where the outputs
// are found that its fields may refer to.
func (n *Node) In(update, pick string) *Node {
	if n == nil {
		return nil
	}
	n.Update, n.Pick = update, pick
	for _, c := range n.Children {
		c.In(update, pick)
	}
	n.Row.In(update, pick)
	return n
}
