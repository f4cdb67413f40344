package iacmodule

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"

	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"fairlead/internal/yamlx"
)

// The bounds of a type, within those that a template's inputs have.
const (
	maxTypeDepth = 12
	maxTypeParts = 400
)

// Keywords of Fairlead's own in a schema.
const (
	Messages = "x-messages" // keyword -> what the module's author says when it is not met
	Rules    = "x-rules"    // what the module checks besides, in its author's words
	Order    = "x-order"    // the place among its siblings, from 0
)

// Schema gives the JSON Schema of the module's variables, but for those that
// skip names. Everything that a variable's type, default and validations say
// and JSON Schema can is in it; of the other validations the messages are. A
// sensitive variable's default is not: a schema is shown to everybody.
func (m *Module) Schema(skip func(name string) bool) map[string]any {
	properties := map[string]any{}
	required := []any{}
	for i := range m.Variables {
		v := &m.Variables[i]
		if skip != nil && skip(v.Name) {
			continue
		}
		p := v.schema()
		p[Order] = int64(len(properties))
		properties[v.Name] = p
		if v.Required() {
			required = append(required, v.Name)
		}
	}
	s := map[string]any{"type": "object", "properties": properties}
	if len(required) > 0 {
		s["required"] = required
	}
	return s
}

// Required tells whether the module cannot do without a value.
func (v *Variable) Required() bool { return v.Default == cty.NilVal }

func (v *Variable) schema() map[string]any {
	plain := typeSchema(v.Type, v.defaults)
	var standard any
	if v.Default != cty.NilVal && !v.Default.IsNull() {
		standard = plainValue(v.Default)
	}
	s := clone(plain)
	v.Rules = v.Rules[:0]
	for _, c := range v.rules {
		mapped := apply(s, v.Name, c)
		v.Rules = append(v.Rules, Rule{Message: c.message, Mapped: mapped})
	}
	if standard != nil && !fits(s, standard) {
		// The module's own default breaks what was read out of its rules, so
		// that was read wrongly: the module decides by itself.
		s = plain
		for i := range v.Rules {
			v.Rules[i].Mapped = false
		}
	}
	var others []any
	for _, r := range v.Rules {
		if !r.Mapped && r.Message != "" {
			others = append(others, r.Message)
		}
	}
	if len(others) > 0 {
		s[Rules] = others
	}
	s["title"] = Title(v.Name)
	if v.Description != "" {
		s["description"] = v.Description
	}
	if v.Sensitive {
		s["writeOnly"] = true
	} else if standard != nil && fits(s, standard) {
		s["default"] = standard
	}
	if v.Nullable {
		acceptNull(s)
	}
	return s
}

func acceptNull(s map[string]any) {
	if t, ok := s["type"].(string); ok {
		s["type"] = []any{t, "null"}
	}
	if list, ok := s["enum"].([]any); ok {
		s["enum"] = append(slices.Clone(list), nil)
	}
}

// typeSchema says a type in JSON Schema; any is a schema without a type.
func typeSchema(t cty.Type, d *typeexpr.Defaults) map[string]any {
	under := func(key string) *typeexpr.Defaults {
		if d == nil {
			return nil
		}
		return d.Children[key]
	}
	switch {
	case t == cty.String:
		return map[string]any{"type": "string"}
	case t == cty.Number:
		return map[string]any{"type": "number"}
	case t == cty.Bool:
		return map[string]any{"type": "boolean"}
	case t.IsListType():
		return map[string]any{"type": "array", "items": typeSchema(t.ElementType(), under(""))}
	case t.IsSetType():
		return map[string]any{"type": "array", "items": typeSchema(t.ElementType(), under("")), "uniqueItems": true}
	case t.IsMapType():
		return map[string]any{"type": "object", "additionalProperties": typeSchema(t.ElementType(), under(""))}
	case t.IsTupleType():
		items := []any{}
		for i, e := range t.TupleElementTypes() {
			items = append(items, typeSchema(e, under(itoa(i))))
		}
		n := int64(len(items))
		if n == 0 {
			return map[string]any{"type": "array", "maxItems": n}
		}
		return map[string]any{"type": "array", "prefixItems": items, "minItems": n, "maxItems": n}
	case t.IsObjectType():
		return objectSchema(t, d, under)
	}
	return map[string]any{}
}

func objectSchema(t cty.Type, d *typeexpr.Defaults, under func(string) *typeexpr.Defaults) map[string]any {
	properties := map[string]any{}
	required := []any{}
	for name, at := range t.AttributeTypes() {
		p := typeSchema(at, under(name))
		p["title"] = Title(name)
		if t.AttributeOptional(name) {
			if d != nil {
				if val, ok := d.DefaultValues[name]; ok && !val.IsNull() {
					if under(name) != nil {
						val = under(name).Apply(val)
					}
					if v := plainValue(val); v != nil && fits(p, v) {
						p["default"] = v
					}
				}
			}
		} else {
			required = append(required, name)
		}
		properties[name] = p
	}
	s := map[string]any{"type": "object", "properties": properties}
	if len(required) > 0 {
		slices.SortFunc(required, func(a, b any) int { return compare(a.(string), b.(string)) })
		s["required"] = required
	}
	return s
}

// plainValue is a value as JSON has it, without attributes that are null.
func plainValue(val cty.Value) any {
	if !modest(val) {
		return nil
	}
	raw, err := ctyjson.Marshal(val, val.Type())
	if err != nil {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) != nil {
		return nil
	}
	return withoutNull(yamlx.Numbers(v))
}

func withoutNull(v any) any {
	switch c := v.(type) {
	case map[string]any:
		for k, x := range c {
			if x == nil {
				delete(c, k)
				continue
			}
			c[k] = withoutNull(x)
		}
	case []any:
		for i, x := range c {
			c[i] = withoutNull(x)
		}
	}
	return v
}

// fits tells whether a value is valid by a schema.
func fits(s map[string]any, v any) bool {
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.UseLoader(nothing{})
	const url = "fairlead:///variable.json"
	if err := c.AddResource(url, s); err != nil {
		return false
	}
	compiled, err := c.Compile(url)
	return err == nil && compiled.Validate(v) == nil
}

type nothing struct{}

func (nothing) Load(string) (any, error) { return nil, errNothing }

func clone(m map[string]any) map[string]any {
	out := maps.Clone(m)
	for k, v := range out {
		switch c := v.(type) {
		case map[string]any:
			out[k] = clone(c)
		case []any:
			l := slices.Clone(c)
			for i, x := range l {
				if y, ok := x.(map[string]any); ok {
					l[i] = clone(y)
				}
			}
			out[k] = l
		}
	}
	return out
}

// measure gives how deep a type is and of how many parts.
func measure(t cty.Type) (depth, parts int) {
	below := []cty.Type{}
	switch {
	case t.IsCollectionType():
		below = append(below, t.ElementType())
	case t.IsTupleType():
		below = t.TupleElementTypes()
	case t.IsObjectType():
		below = slices.Collect(maps.Values(t.AttributeTypes()))
	}
	for _, b := range below {
		d, p := measure(b)
		depth, parts = max(depth, d), parts+p
	}
	return depth + 1, parts + 1
}
