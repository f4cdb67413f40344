package iacmodule

import (
	"math/big"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

var mirrored = map[*hclsyntax.Operation]*hclsyntax.Operation{
	hclsyntax.OpLessThan: hclsyntax.OpGreaterThan, hclsyntax.OpLessThanOrEqual: hclsyntax.OpGreaterThanOrEqual,
	hclsyntax.OpGreaterThan: hclsyntax.OpLessThan, hclsyntax.OpGreaterThanOrEqual: hclsyntax.OpLessThanOrEqual,
	hclsyntax.OpEqual: hclsyntax.OpEqual, hclsyntax.OpNotEqual: hclsyntax.OpNotEqual,
}

// comparison understands a value, or its length, beside a number, and the ways
// in which modules ask for a whole number.
func (m *mapper) comparison(x *hclsyntax.BinaryOpExpr) bool {
	op := mirrored[mirrored[x.Op]]
	if op == nil {
		return false
	}
	left, right := unwrap(x.LHS), unwrap(x.RHS)
	if m.whole(left, right, op) {
		return true
	}
	lit, ok := value(right)
	if !ok {
		if lit, ok = value(left); !ok {
			return false
		}
		left, op = right, mirrored[op]
	}
	if lit.IsNull() {
		return op == hclsyntax.OpNotEqual && m.find(left) != nil // what null is not allowed for is required, or has a default
	}
	switch lit.Type() {
	case cty.Number:
		return m.number(left, op, lit.AsBigFloat())
	case cty.String:
		at := m.find(left)
		switch {
		case at == nil:
		case op == hclsyntax.OpEqual:
			return m.enum(at, []any{lit.AsString()})
		case op == hclsyntax.OpNotEqual && lit.AsString() == "" && at["type"] == "string":
			return m.atLeast(at, "minLength", 1)
		}
	}
	return false
}

func (m *mapper) number(left hclsyntax.Expression, op *hclsyntax.Operation, n *big.Float) bool {
	if f, ok := left.(*hclsyntax.FunctionCallExpr); ok && f.Name == "length" && len(f.Args) == 1 {
		return m.length(f.Args[0], op, n)
	}
	at := m.find(left)
	if t := at["type"]; at == nil || t != "number" && t != "integer" {
		return false
	}
	v := plainValue(cty.NumberVal(n))
	switch op {
	case hclsyntax.OpLessThan:
		m.tighten(at, "exclusiveMaximum", v, true)
	case hclsyntax.OpLessThanOrEqual:
		m.tighten(at, "maximum", v, true)
	case hclsyntax.OpGreaterThan:
		m.tighten(at, "exclusiveMinimum", v, false)
	case hclsyntax.OpGreaterThanOrEqual:
		m.tighten(at, "minimum", v, false)
	case hclsyntax.OpEqual:
		return m.enum(at, []any{v})
	default:
		return false
	}
	return true
}

func (m *mapper) tighten(at map[string]any, keyword string, v any, smaller bool) {
	if old, ok := at[keyword]; ok && (float(old) < float(v)) == smaller {
		return
	}
	m.set(at, keyword, v)
}

func float(v any) float64 {
	switch n := v.(type) {
	case int64:
		return float64(n)
	case float64:
		return n
	}
	return 0
}

// length understands length(var.x) beside a number. A program counts what a
// reader sees as one character as one, JSON Schema each code point.
func (m *mapper) length(arg hclsyntax.Expression, op *hclsyntax.Operation, n *big.Float) bool {
	// length(regexall("…", var.x)) > 0
	if f, ok := unwrap(arg).(*hclsyntax.FunctionCallExpr); ok && f.Name == "regexall" && len(f.Args) == 2 {
		zero, one := n.Sign() == 0, n.Cmp(big.NewFloat(1)) == 0
		if op == hclsyntax.OpGreaterThan && zero || op == hclsyntax.OpGreaterThanOrEqual && one || op == hclsyntax.OpNotEqual && zero {
			return m.matches(f.Args[0], f.Args[1], func(p string) string { return p })
		}
		return false
	}
	at := m.find(arg)
	suffix := map[any]string{"string": "Length", "array": "Items", "object": "Properties"}[at["type"]]
	if at == nil || suffix == "" || !n.IsInt() || n.Sign() < 0 {
		return false
	}
	count, _ := n.Int64()
	if count > 1<<30 {
		return false
	}
	switch op {
	case hclsyntax.OpLessThan:
		return count > 0 && m.atMost(at, "max"+suffix, count-1)
	case hclsyntax.OpLessThanOrEqual:
		return m.atMost(at, "max"+suffix, count)
	case hclsyntax.OpGreaterThan:
		return m.atLeast(at, "min"+suffix, count+1)
	case hclsyntax.OpGreaterThanOrEqual:
		return m.atLeast(at, "min"+suffix, count)
	case hclsyntax.OpEqual:
		return m.atLeast(at, "min"+suffix, count) && m.atMost(at, "max"+suffix, count)
	case hclsyntax.OpNotEqual:
		return count == 0 && m.atLeast(at, "min"+suffix, 1)
	}
	return false
}

func (m *mapper) atLeast(at map[string]any, keyword string, n int64) bool {
	m.tighten(at, keyword, n, false)
	return true
}

func (m *mapper) atMost(at map[string]any, keyword string, n int64) bool {
	m.tighten(at, keyword, n, true)
	return true
}

// whole understands floor(var.x) == var.x (ceil, parseint likewise) and
// var.x % 1 == 0.
func (m *mapper) whole(left, right hclsyntax.Expression, op *hclsyntax.Operation) bool {
	if op != hclsyntax.OpEqual {
		return false
	}
	for _, pair := range [][2]hclsyntax.Expression{{left, right}, {right, left}} {
		var at map[string]any
		switch f := pair[0].(type) {
		case *hclsyntax.FunctionCallExpr:
			if (f.Name == "floor" || f.Name == "ceil") && len(f.Args) == 1 {
				a, b := m.find(f.Args[0]), m.find(pair[1])
				if a != nil && b != nil && same(a, b) {
					at = a
				}
			}
		case *hclsyntax.BinaryOpExpr:
			zero, ok := value(pair[1])
			one, two := value(f.RHS)
			if f.Op == hclsyntax.OpModulo && ok && two && isNumber(zero, 0) && isNumber(one, 1) {
				at = m.find(f.LHS)
			}
		}
		if at != nil && at["type"] == "number" {
			m.set(at, "type", "integer")
			return true
		}
	}
	return false
}

func isNumber(v cty.Value, n float64) bool {
	return v.Type() == cty.Number && !v.IsNull() && v.AsBigFloat().Cmp(big.NewFloat(n)) == 0
}
