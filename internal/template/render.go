package template

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"fairlead/internal/engine"
	"fairlead/internal/fault"
	"fairlead/internal/regex"
	"fairlead/internal/yamlx"
)

// maxRendered bounds what rendering a spec may grow to, in bytes.
const maxRendered = 4 << 20

// expr is a scalar of the spec: literal text and the names of values that go
// between. That is the whole of the template language.
type expr struct {
	literal any // when there are no parts
	parts   []part
}

type part struct {
	text string
	path []string // e.g. inputs, pool, size; nil for text
}

func literalExpr(v any) expr { return expr{literal: v} }

// whole tells whether the value is one expression and nothing else, and so
// keeps its type.
func (e expr) whole() bool { return len(e.parts) == 1 && e.parts[0].path != nil }

// scopeNames are what an expression may name apart from inputs.
var scopeNames = []string{"environment.name", "environment.class", "project.name", "team.name", "resource.name"}

var (
	exprForm = regex.Late(`^\$\{\{ *([A-Za-z][A-Za-z0-9_.-]{0,200}) *\}\}`)
	exprHint = `use "${{ inputs.NAME }}", or ${{ … }} of ` + strings.Join(scopeNames, ", ")
)

// parseExpr reads a scalar, and says why when it cannot.
func parseExpr(v any, s *schema) (expr, string) {
	text, ok := v.(string)
	if !ok || !strings.Contains(text, opening) {
		return literalExpr(v), ""
	}
	var e expr
	var plainText strings.Builder
	flush := func() {
		if plainText.Len() > 0 {
			e.parts = append(e.parts, part{text: plainText.String()})
			plainText.Reset()
		}
	}
	for rest := text; rest != ""; {
		i := strings.Index(rest, opening)
		if i < 0 {
			plainText.WriteString(rest)
			break
		}
		if i > 0 && rest[i-1] == '$' { // "$${{"
			plainText.WriteString(rest[:i-1] + opening)
			rest = rest[i+len(opening):]
			continue
		}
		plainText.WriteString(rest[:i])
		m := exprForm().FindStringSubmatch(rest[i:])
		if m == nil {
			return e, "is not an expression that is understood: " + exprHint
		}
		flush()
		e.parts = append(e.parts, part{path: strings.Split(m[1], ".")})
		rest = rest[i+len(m[0]):]
	}
	flush()
	if !slices.ContainsFunc(e.parts, func(p part) bool { return p.path != nil }) {
		return literalExpr(unescape(text)), ""
	}
	return e, e.check(s)
}

// check says why an expression could fail for some valid inputs, or names
// something that there is not.
func (e expr) check(s *schema) string {
	for _, p := range e.parts {
		if p.path == nil {
			continue
		}
		name := strings.Join(p.path, ".")
		if p.path[0] != "inputs" {
			if !slices.Contains(scopeNames, name) {
				near := yamlx.Nearest(name, scopeNames)
				if near != "" {
					return fmt.Sprintf("there is no value %s, did you mean %q?", yamlx.Quote(name), near)
				}
				return fmt.Sprintf("there is no value %s: %s", yamlx.Quote(name), exprHint)
			}
			continue
		}
		if s == nil {
			return ""
		}
		if why := s.checkPath(p.path[1:], !e.whole()); why != "" {
			return why
		}
	}
	return ""
}

// checkPath says why an input's path may come to nothing.
func (s *schema) checkPath(path []string, inText bool) string {
	at, always := s.doc, true
	for i, name := range path {
		props, _ := at["properties"].(map[string]any)
		sub, ok := props[name]
		if !ok {
			known := s.known(schemaURL + "#")
			if i > 0 {
				known = slices.Sorted(maps.Keys(props))
			}
			if near := yamlx.Nearest(name, known); near != "" {
				return fmt.Sprintf("there is no input %s, did you mean %q?", yamlx.Quote(strings.Join(path, ".")), near)
			}
			return fmt.Sprintf("there is no input %s", yamlx.Quote(strings.Join(path, ".")))
		}
		required, _ := at["required"].([]any)
		own, _ := sub.(map[string]any)
		next := s.deref(sub)
		always = always && (slices.Contains(required, any(name)) || has(own, "default") || has(next, "default"))
		at = next
	}
	if len(path) == 0 {
		if inText {
			return "all inputs together do not fit into a text"
		}
		return ""
	}
	if !inText {
		return ""
	}
	if !always {
		return fmt.Sprintf("the input %s may be absent, which does not fit into a text: give it a default or require it", yamlx.Quote(strings.Join(path, ".")))
	}
	switch at["type"] {
	case "string", "integer", "number", "boolean":
		return ""
	}
	return fmt.Sprintf("the input %s does not fit into a text: its type must be string, integer, number or boolean", yamlx.Quote(strings.Join(path, ".")))
}

// declared gives the type that the schema says a whole expression has, or "".
func (e expr) declared(s *schema) string {
	if !e.whole() || s == nil || e.parts[0].path[0] != "inputs" {
		return ""
	}
	at := s.doc
	for _, name := range e.parts[0].path[1:] {
		props, _ := at["properties"].(map[string]any)
		at = s.deref(props[name])
	}
	t, _ := at["type"].(string)
	return t
}

// renderer puts values into a spec. It reads each value once and never looks
// into what it has put in.
type renderer struct {
	values map[string]any
	room   int  // bytes left
	drop   bool // leave out what has no value, instead of null
}

var errTooBig = fault.New(fault.TooLarge, "spec_too_large", "the template's spec grows beyond %d bytes with these inputs", maxRendered)

func newRenderer(inputs map[string]any, ref engine.Ref, class string) *renderer {
	return &renderer{room: maxRendered, values: map[string]any{
		"inputs":      inputs,
		"environment": map[string]any{"name": ref.Environment, "class": class},
		"project":     map[string]any{"name": ref.Project},
		"team":        map[string]any{"name": ref.Team},
		"resource":    map[string]any{"name": ref.Name},
	}}
}

func (r *renderer) find(path []string) (any, bool) {
	var v any = r.values
	for _, name := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil, false
		}
		if v, ok = m[name]; !ok {
			return nil, false
		}
	}
	return v, true
}

func (r *renderer) take(n int) error {
	if r.room -= n; r.room < 0 {
		return errTooBig
	}
	return nil
}

// value renders a node; ok is false when it has no value and is left out.
func (r *renderer) value(v any) (out any, ok bool, err error) {
	switch c := v.(type) {
	case map[string]any:
		m := make(map[string]any, len(c))
		for k, x := range c {
			y, ok, err := r.value(x)
			if err != nil {
				return nil, false, err
			}
			if ok {
				m[k] = y
			}
		}
		return m, true, r.take(2)
	case []any:
		l := make([]any, 0, len(c))
		for _, x := range c {
			y, ok, err := r.value(x)
			if err != nil {
				return nil, false, err
			}
			if ok {
				l = append(l, y)
			}
		}
		return l, true, r.take(2)
	case expr:
		return r.expr(c)
	}
	return v, true, r.take(1)
}

func (r *renderer) expr(e expr) (any, bool, error) {
	if e.parts == nil {
		s, _ := e.literal.(string)
		return e.literal, true, r.take(len(s) + 1)
	}
	if e.whole() {
		v, ok := r.find(e.parts[0].path)
		if !ok {
			return nil, !r.drop, nil
		}
		return v, true, r.take(size(v))
	}
	var b strings.Builder
	for _, p := range e.parts {
		text := p.text
		if p.path != nil {
			v, ok := r.find(p.path)
			if !ok && r.drop {
				return nil, false, nil
			}
			if text, ok = scalarText(v); !ok {
				return nil, false, fault.New(fault.Invalid, "invalid_inputs", "the value of %s does not fit into a text", strings.Join(p.path, ".")).
					WithField("/" + strings.Join(p.path[1:], "/"))
			}
		}
		if err := r.take(len(text)); err != nil {
			return nil, false, err
		}
		b.WriteString(text)
	}
	return b.String(), true, nil
}

func scalarText(v any) (string, bool) {
	switch x := v.(type) {
	case string:
		return x, true
	case bool:
		return strconv.FormatBool(x), true
	case int64:
		return strconv.FormatInt(x, 10), true
	case float64:
		return strconv.FormatFloat(x, 'g', -1, 64), true
	case json.Number:
		return string(x), true
	}
	return "", false
}

// size is about what a value takes as JSON.
func size(v any) int {
	switch x := v.(type) {
	case map[string]any:
		n := 2
		for k, y := range x {
			n += len(k) + 4 + size(y)
		}
		return n
	case []any:
		n := 2
		for _, y := range x {
			n += 1 + size(y)
		}
		return n
	case string:
		return len(x) + 2
	}
	return 8
}

func (r *renderer) json(spec any) (json.RawMessage, error) {
	v, _, err := r.value(spec)
	if err != nil {
		return nil, err
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("render spec: %w", err)
	}
	return raw, nil
}
