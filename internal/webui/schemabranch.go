package webui

import (
	"encoding/json"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"fairlead/internal/yamlx"
)

// Bounds of what is decided about a form by asking its schema.
const (
	maxJudged   = 64 << 10 // bytes of a value that is held against a condition
	maxCompiled = 100      // conditions of one form
	maxBranches = 50
	branchSign  = "?of" // behind the name of what has branches: which one
)

// judge tells what holds of values by a schema's own words. Schemas come from
// templates, which were found to be bounded when they were pushed.
type judge struct {
	root     map[string]any
	compiled map[uintptr]*jsonschema.Schema
}

// holds tells whether a value is as a schema says; known is false where that
// cannot be told.
func (j *judge) holds(s map[string]any, value any) (is, known bool) {
	if b, err := json.Marshal(value); err != nil || len(b) > maxJudged {
		return false, false
	}
	key := reflect.ValueOf(s).Pointer()
	c, done := j.compiled[key]
	if !done {
		if len(j.compiled) >= maxCompiled {
			return false, false
		}
		if j.compiled == nil {
			j.compiled = map[uintptr]*jsonschema.Schema{}
		}
		c = j.compile(s)
		j.compiled[key] = c
	}
	if c == nil {
		return false, false
	}
	if value == nil {
		value = map[string]any{}
	}
	return c.Validate(value) == nil, true
}

// compile gives nil for what cannot be compiled.
func (j *judge) compile(s map[string]any) *jsonschema.Schema {
	const address = "fairlead:///condition.json"
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.UseLoader(alone{})
	doc := map[string]any{"allOf": []any{s}}
	if defs, ok := j.root["$defs"]; ok {
		doc["$defs"] = defs
	}
	if c.AddResource(address, doc) != nil {
		return nil
	}
	compiled, err := c.Compile(address)
	if err != nil {
		return nil
	}
	return compiled
}

// alone refuses to load anything: a schema stands alone.
type alone struct{}

func (alone) Load(string) (any, error) { return nil, errAlone }

// --- shapes: oneOf and anyOf -----------------------------------------------------------

// branchesOf gives the shapes that a value may have, if there are several.
func (f *judge) branchesOf(s map[string]any) []map[string]any {
	list, _ := s["oneOf"].([]any)
	if list == nil {
		list, _ = s["anyOf"].([]any)
	}
	if len(list) < 2 || len(list) > maxBranches {
		return nil
	}
	var out []map[string]any
	for _, one := range list {
		m, ok := one.(map[string]any)
		if !ok {
			return nil
		}
		if m = f.follow(m); m["type"] == "null" {
			continue // nothing at all: the field is left empty
		}
		out = append(out, m)
	}
	return out
}

// branch asks which shape it is to have, and for that one alone.
func (f *schemaForm) branch(n *Node, s map[string]any, branches []map[string]any, at place) {
	if values, titles := constants(branches); values != nil {
		f.choice(n, values, titles, at.value)
		return
	}
	base := without(without(s, "oneOf"), "anyOf")
	if len(branches) == 1 {
		s := overlay(base, branches[0])
		n.Type = typeOf(s)
		f.plainNode(n, s, at)
		return
	}
	n.Kind = BranchNode
	for i, b := range branches {
		n.Options = append(n.Options, Option{strconv.Itoa(i), branchTitle(b, base, i)})
	}
	i := f.chosen(branches, at)
	if n.Chosen = []string{""}; i < 0 {
		return
	}
	n.Chosen[0] = n.Options[i].Value
	merged := without(without(hideOthers(overlay(base, branches[i]), base, branches, i), "oneOf"), "anyOf")
	delete(merged, "title") // of the whole, which is shown around it
	merged["description"] = branches[i]["description"]
	at.required = true
	child := f.node(merged, at)
	if child.Label, child.Error = n.Label, ""; child.Kind == ObjectNode {
		child.Label = ""
	}
	n.Children = []*Node{child}
}

// chosen finds the branch: the one that was asked for, or that the value fits,
// or else the first; -1 is none, for what may be left away.
func (f *schemaForm) chosen(branches []map[string]any, at place) int {
	said, is := f.branches[at.pointer]
	if f.form != nil {
		said, is = f.form.Get(at.name+branchSign), f.form.Has(at.name+branchSign)
	}
	if i, err := strconv.Atoi(said); is && err == nil && i >= 0 && i < len(branches) {
		return i
	}
	if at.value == nil || is {
		if at.required {
			return 0
		}
		return -1
	}
	best, most := 0, -1
	for i, b := range branches {
		if ok, known := f.holds(b, at.value); ok && known {
			return i
		}
		if n := alike(b, at.value); n > most {
			best, most = i, n
		}
	}
	return best
}

// alike counts how much of an object a branch knows; of what marks the branch
// it counts more.
func alike(branch map[string]any, value any) int {
	m, _ := value.(map[string]any)
	n := 0
	for key, p := range props(branch) {
		v, there := m[key]
		if !there {
			continue
		}
		n++
		if one, _ := p.(map[string]any); one["const"] != nil {
			if n += 100; plain(one["const"]) != plain(v) {
				n -= 200
			}
		}
	}
	return n
}

// constants gives the values of branches that are one value each, with their
// titles.
func constants(branches []map[string]any) (values []any, titles []string) {
	for _, b := range branches {
		v, ok := b["const"]
		if list, _ := b["enum"].([]any); !ok && len(list) == 1 {
			v, ok = list[0], true
		}
		if !ok || plain(v) == "" {
			return nil, nil
		}
		values, titles = append(values, v), append(titles, str(b["title"]))
	}
	return values, titles
}

// branchTitle names a shape: by its title, by the one value that marks it, by
// what it requires, by its type.
func branchTitle(b, base map[string]any, i int) string {
	if t := str(b["title"]); t != "" {
		return t
	}
	for _, key := range slices.Sorted(maps.Keys(props(b))) {
		p, _ := props(b)[key].(map[string]any)
		if v := plain(p["const"]); v != "" {
			return Title(Words(v))
		}
	}
	if required, _ := b["required"].([]any); len(required) > 0 {
		names := make([]string, 0, len(required))
		for _, r := range required {
			p, _ := props(base)[str(r)].(map[string]any)
			names = append(names, labelOf(p, "/"+str(r)))
		}
		return strings.Join(names, " and ")
	}
	switch typeOf(b) {
	case "string":
		return "Text"
	case "integer", "number":
		return "Number"
	case "boolean":
		return "Yes or no"
	case "array":
		return "List"
	}
	return "Option " + strconv.Itoa(i+1)
}

// hideOthers takes away what only the other shapes require: who chooses "by
// host" is not asked for the address that stands instead of it. What marks the
// chosen shape is settled by the choice.
func hideOthers(merged, base map[string]any, branches []map[string]any, chosen int) map[string]any {
	mine, _ := branches[chosen]["required"].([]any)
	always, _ := base["required"].([]any)
	hidden := map[string]bool{}
	for i, b := range branches {
		required, _ := b["required"].([]any)
		for _, r := range required {
			if i != chosen && !slices.Contains(mine, r) && !slices.Contains(always, r) && props(branches[chosen])[str(r)] == nil {
				hidden[str(r)] = true
			}
		}
	}
	if len(hidden) == 0 {
		return merged
	}
	kept := maps.Clone(props(merged))
	for key := range hidden {
		delete(kept, key)
	}
	return overlay(without(merged, "properties"), map[string]any{"properties": kept})
}

// --- fields that depend on others ---------------------------------------------------------

// objectFields collects the fields of an object, each once.
type objectFields struct {
	place
	f      *schemaForm
	n      *Node
	values map[string]any
	at     map[string]*Node // by property
}

func (o *objectFields) add(props map[string]any, required []any, when, whenText string) {
	for _, key := range ordered(props, required) {
		child, _ := props[key].(map[string]any)
		if there := o.at[key]; there != nil || child == nil || child["readOnly"] == true {
			continue
		}
		c := o.f.node(child, place{o.n.Name + "/" + nameOf(key), o.pointer + "/" + yamlx.Escape(key), o.values[key], o.fresh && o.values[key] == nil, slices.Contains(required, any(key)), o.depth + 1})
		c.When, c.WhenText = when, whenText
		o.n.Children, o.at[key] = append(o.n.Children, c), c
	}
	for _, r := range required { // of those that were there already
		if c := o.at[str(r)]; c != nil && !c.Required && when != "" && c.When == "" {
			c.MustWhen = when
		} else if c != nil && when == "" {
			c.Required = true
		}
	}
}

// conditional adds what is asked for in some cases. What one field's value
// decides the script shows at once; what else a schema may say is decided
// here, whenever the form is shown anew.
func (o *objectFields) conditional(c conditional, s map[string]any) {
	when, text := c.condition(o.n.Name)
	sides := []struct {
		s          map[string]any
		when, text string
	}{{c.then, when, text}, {c.otherwise, negate(when), "only when not " + strings.TrimPrefix(text, "only when ")}}
	if when == "" {
		values := maps.Clone(o.values)
		if values == nil {
			values = map[string]any{}
		}
		if o.f.form != nil {
			values, _ = (&reader{form: o.f.form, in: &Filled{}}).object(o.n, "")
		} else if o.fresh {
			for key, p := range props(s) {
				if m, _ := p.(map[string]any); values[key] == nil && m["default"] != nil {
					values[key] = m["default"]
				}
			}
		}
		is, known := o.f.holds(c.test, values)
		for _, key := range tested(c.test) {
			if n := o.at[key]; n != nil && known {
				n.Reshapes = true
			}
		}
		switch {
		case known && is:
			sides = sides[:1]
		case known:
			sides = sides[1:]
		}
		for i := range sides {
			sides[i].when, sides[i].text = "", ""
		}
	}
	for _, side := range sides {
		if side.s != nil {
			part := o.f.follow(side.s)
			required, _ := part["required"].([]any)
			o.add(props(part), required, side.when, side.text)
		}
	}
}

// tested gives the properties that a condition looks at.
func tested(test map[string]any) []string {
	keys := slices.Collect(maps.Keys(props(test)))
	required, _ := test["required"].([]any)
	for _, r := range required {
		keys = append(keys, str(r))
	}
	for _, word := range []string{"allOf", "anyOf", "oneOf"} {
		list, _ := test[word].([]any)
		for _, one := range list {
			if m, ok := one.(map[string]any); ok {
				keys = append(keys, tested(m)...)
			}
		}
	}
	if m, ok := test["not"].(map[string]any); ok {
		keys = append(keys, tested(m)...)
	}
	return keys
}

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
	when, _ := s["dependentSchemas"].(map[string]any)
	for _, key := range slices.Sorted(maps.Keys(when)) {
		if then, ok := when[key].(map[string]any); ok {
			out = append(out, conditional{map[string]any{"required": []any{key}}, then, nil})
		}
	}
	return out
}

// condition says when it holds, if it is one that the script can watch: one
// property that has a value or one of some.
func (c conditional) condition(under string) (when, text string) {
	p := props(c.test)
	for word := range c.test {
		if len(p) != 1 || word != "properties" && word != "required" && word != "type" {
			return "", ""
		}
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
			if texts[i] = plain(v); texts[i] == "" || strings.ContainsAny(texts[i], "|") {
				return "", ""
			}
		}
		return under + "/" + nameOf(key) + "=" + strings.Join(texts, "|"), "only when " + Words(key) + " is " + strings.Join(texts, " or ")
	}
	return "", ""
}

func negate(when string) string {
	if when == "" {
		return ""
	}
	return "!" + when
}

// holdsOf tells whether a condition holds of what was sent.
func holdsOf(when string, form url.Values) bool {
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
