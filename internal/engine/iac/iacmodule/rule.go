package iacmodule

import (
	"errors"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// What a pattern may be, as a template's schema has it.
const (
	maxPattern = 500  // bytes
	maxProgram = 3000 // instructions
)

var errNothing = errors.New("nothing is loaded")

func itoa(n int) string { return strconv.Itoa(n) }

func compare(a, b string) int { return strings.Compare(a, b) }

// apply puts what a validation says into a variable's schema, as far as JSON
// Schema can say it, and tells whether that is all of it. A validation is
// true of valid values; what is not understood for certain is left alone.
func apply(s map[string]any, variable string, c condition) bool {
	e, ok := c.expr.(hclsyntax.Expression)
	return ok && (&mapper{names: map[string]map[string]any{"": s}, variable: variable, message: c.message}).all(e, 0)
}

// mapper knows what the names in a condition stand for: "" is the variable.
type mapper struct {
	names    map[string]map[string]any
	variable string
	message  string
}

func (m *mapper) all(e hclsyntax.Expression, depth int) bool {
	if depth > maxNesting {
		return false
	}
	switch x := e.(type) {
	case *hclsyntax.ParenthesesExpr:
		return m.all(x.Expression, depth+1)
	case *hclsyntax.ConditionalExpr:
		return m.conditional(x, depth)
	case *hclsyntax.FunctionCallExpr:
		return m.call(x, depth)
	case *hclsyntax.BinaryOpExpr:
		switch x.Op {
		case hclsyntax.OpLogicalAnd:
			left := m.all(x.LHS, depth+1)
			return m.all(x.RHS, depth+1) && left
		case hclsyntax.OpLogicalOr:
			switch {
			case m.isNull(x.LHS, hclsyntax.OpEqual):
				return m.all(x.RHS, depth+1)
			case m.isNull(x.RHS, hclsyntax.OpEqual):
				return m.all(x.LHS, depth+1)
			}
			at, values := m.oneOf(x, depth)
			return at != nil && m.enum(at, values)
		}
		return m.comparison(x)
	}
	return false
}

// conditional understands "x == null ? true : C" and its mirror image.
func (m *mapper) conditional(x *hclsyntax.ConditionalExpr, depth int) bool {
	switch {
	case m.isNull(x.Condition, hclsyntax.OpEqual) && isTrue(x.TrueResult):
		return m.all(x.FalseResult, depth+1)
	case m.isNull(x.Condition, hclsyntax.OpNotEqual) && isTrue(x.FalseResult):
		return m.all(x.TrueResult, depth+1)
	}
	return false
}

// isNull tells whether a condition asks whether a value is null (or is not).
func (m *mapper) isNull(e hclsyntax.Expression, op *hclsyntax.Operation) bool {
	x, ok := unwrap(e).(*hclsyntax.BinaryOpExpr)
	if !ok || x.Op != op {
		return false
	}
	isNothing := func(e hclsyntax.Expression) bool {
		v, ok := value(e)
		return ok && v.IsNull()
	}
	return m.find(x.LHS) != nil && isNothing(x.RHS) || m.find(x.RHS) != nil && isNothing(x.LHS)
}

func isTrue(e hclsyntax.Expression) bool {
	v, ok := value(e)
	return ok && v.Type() == cty.Bool && !v.IsNull() && v.True()
}

// find gives the schema of what an expression names: the variable, something
// in it, or what a for goes through.
func (m *mapper) find(e hclsyntax.Expression) map[string]any {
	t, ok := unwrap(e).(*hclsyntax.ScopeTraversalExpr)
	if !ok || len(t.Traversal) == 0 {
		return nil
	}
	root, ok := t.Traversal[0].(hcl.TraverseRoot)
	if !ok {
		return nil
	}
	rest := t.Traversal[1:]
	s := m.names[root.Name]
	if root.Name == "var" {
		if len(rest) == 0 || attr(rest[0]) != m.variable {
			return nil
		}
		s, rest = m.names[""], rest[1:]
	}
	for _, step := range rest {
		properties, _ := s["properties"].(map[string]any)
		s, _ = properties[attr(step)].(map[string]any)
	}
	return s
}

func attr(t hcl.Traverser) string {
	if a, ok := t.(hcl.TraverseAttr); ok {
		return a.Name
	}
	return ""
}

func unwrap(e hclsyntax.Expression) hclsyntax.Expression {
	for range maxNesting {
		p, ok := e.(*hclsyntax.ParenthesesExpr)
		if !ok {
			return e
		}
		e = p.Expression
	}
	return e
}

func (m *mapper) call(x *hclsyntax.FunctionCallExpr, depth int) bool {
	if x.ExpandFinal {
		return false
	}
	switch {
	case x.Name == "contains" && len(x.Args) == 2:
		list, ok := value(x.Args[0])
		if at := m.find(x.Args[1]); ok && at != nil && !list.IsNull() && list.CanIterateElements() {
			var values []any
			for _, v := range list.AsValueSlice() {
				values = append(values, plainValue(v))
			}
			return m.enum(at, values)
		}
	case x.Name == "can" && len(x.Args) == 1:
		if f, ok := unwrap(x.Args[0]).(*hclsyntax.FunctionCallExpr); ok && f.Name == "regex" && len(f.Args) == 2 {
			return m.matches(f.Args[0], f.Args[1], func(p string) string { return p })
		}
	case x.Name == "startswith" && len(x.Args) == 2:
		return m.matches(x.Args[1], x.Args[0], func(p string) string { return "^" + regexp.QuoteMeta(p) })
	case x.Name == "endswith" && len(x.Args) == 2:
		return m.matches(x.Args[1], x.Args[0], func(p string) string { return regexp.QuoteMeta(p) + "$" })
	case x.Name == "alltrue" && len(x.Args) == 1:
		return m.each(unwrap(x.Args[0]), depth)
	}
	return false
}

// each understands alltrue([for x in var.list : C]).
func (m *mapper) each(e hclsyntax.Expression, depth int) bool {
	f, ok := e.(*hclsyntax.ForExpr)
	if !ok || f.CondExpr != nil || f.KeyExpr != nil || f.Group || f.ValVar == "var" {
		return false
	}
	at := m.find(f.CollExpr)
	item, ok := at["items"].(map[string]any)
	if !ok {
		if item, ok = at["additionalProperties"].(map[string]any); !ok {
			return false
		}
	}
	inner := &mapper{names: map[string]map[string]any{"": m.names[""], f.ValVar: item}, variable: m.variable, message: m.message}
	return inner.all(f.ValExpr, depth+1)
}

func (m *mapper) matches(pattern, subject hclsyntax.Expression, form func(string) string) bool {
	at := m.find(subject)
	p, ok := value(pattern)
	if !ok || at["type"] != "string" || p.Type() != cty.String || p.IsNull() {
		return false
	}
	return m.pattern(at, form(p.AsString()))
}

func (m *mapper) pattern(at map[string]any, p string) bool {
	if len(p) > maxPattern {
		return false
	}
	tree, err := syntax.Parse(p, syntax.Perl)
	if err != nil {
		return false
	}
	prog, err := syntax.Compile(tree.Simplify())
	if err != nil || len(prog.Inst) > maxProgram {
		return false
	}
	if _, there := at["pattern"]; !there {
		m.set(at, "pattern", p)
		return true
	}
	more := map[string]any{}
	m.set(more, "pattern", p)
	list, _ := at["allOf"].([]any)
	at["allOf"] = append(list, more)
	return true
}

func (m *mapper) set(at map[string]any, keyword string, v any) {
	at[keyword] = v
	if m.message == "" {
		return
	}
	said, ok := at[Messages].(map[string]any)
	if !ok {
		said = map[string]any{}
		at[Messages] = said
	}
	said[keyword] = m.message
}

// enum narrows what values there are.
func (m *mapper) enum(at map[string]any, values []any) bool {
	if t, _ := at["type"].(string); t != "string" && t != "number" && t != "integer" && t != "boolean" || len(values) == 0 {
		return false
	}
	if old, ok := at["enum"].([]any); ok {
		var both []any
		for _, v := range values {
			for _, w := range old {
				if v == w {
					both = append(both, v)
				}
			}
		}
		if values = both; len(values) == 0 {
			return false
		}
	}
	m.set(at, "enum", values)
	return true
}

// oneOf understands var.x == "a" || var.x == "b".
func (m *mapper) oneOf(e hclsyntax.Expression, depth int) (map[string]any, []any) {
	x, ok := unwrap(e).(*hclsyntax.BinaryOpExpr)
	if !ok || depth > 200 {
		return nil, nil
	}
	switch x.Op {
	case hclsyntax.OpLogicalOr:
		left, l := m.oneOf(x.LHS, depth+1)
		right, r := m.oneOf(x.RHS, depth+1)
		if left == nil || right == nil || !same(left, right) {
			return nil, nil
		}
		return left, append(l, r...)
	case hclsyntax.OpEqual:
		at, lit := m.find(x.LHS), x.RHS
		if at == nil {
			at, lit = m.find(x.RHS), x.LHS
		}
		if v, ok := value(lit); ok && at != nil && !v.IsNull() && v.Type().IsPrimitiveType() {
			return at, []any{plainValue(v)}
		}
	}
	return nil, nil
}

// same tells whether two maps are one and the same.
func same(a, b map[string]any) bool {
	const probe = "\x00"
	a[probe] = true
	_, ok := b[probe]
	delete(a, probe)
	return ok
}
