package iacmodule

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// constant gives the value of an expression that is written out. One that
// computes anything in a loop is none: its author decides how long that takes.
func constant(e hcl.Expression) (cty.Value, bool, hcl.Diagnostics) {
	if node, ok := e.(hclsyntax.Node); ok && computes(node, true) {
		return cty.NilVal, false, nil
	}
	v, diags := e.Value(nil)
	return v, !diags.HasErrors() && v.IsWhollyKnown() && modest(v), diags
}

// modest tells whether the numbers in a value can be written out.
func modest(v cty.Value) bool {
	ok := true
	_ = cty.Walk(v, func(_ cty.Path, x cty.Value) (bool, error) {
		if x.Type() == cty.Number && x.IsKnown() && !x.IsNull() {
			if f := x.AsBigFloat(); f.IsInf() {
				ok = false
			} else if exp := f.MantExp(nil); exp > maxExponent || exp < -maxExponent {
				ok = false
			}
		}
		return ok, nil
	})
	return ok
}

const maxExponent = 4000 // binary

// computes tells whether there are loops in an expression, or calls in a value,
// or arithmetic in a type.
func computes(e hclsyntax.Node, calls bool) (yes bool) {
	_ = hclsyntax.VisitAll(e, func(n hclsyntax.Node) hcl.Diagnostics {
		switch n.(type) {
		case *hclsyntax.ForExpr, *hclsyntax.SplatExpr, *hclsyntax.TemplateJoinExpr:
			yes = true
		case *hclsyntax.FunctionCallExpr:
			yes = yes || calls
		case *hclsyntax.BinaryOpExpr, *hclsyntax.ConditionalExpr:
			yes = yes || !calls
		}
		return nil
	})
	return yes
}

// value is a literal of the native syntax.
func value(e hclsyntax.Expression) (cty.Value, bool) {
	v, ok, _ := constant(e)
	return v, ok
}

// literal is a text that stands as it is; "" for anything else.
func literal(e hcl.Expression) string {
	v, ok, _ := constant(e)
	if !ok || v.Type() != cty.String || v.IsNull() {
		return ""
	}
	return Text(v.AsString(), 2000)
}
