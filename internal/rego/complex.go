package rego

import (
	"github.com/open-policy-agent/opa/v1/ast"
)

// The compiler's time grows by powers with comprehensions within each other,
// and by squares with else after else.
const (
	maxWork = 4 << 20 // about two seconds
	maxElse = 100
)

// tooComplex says what of a module would keep the compiler busy for too long.
func tooComplex(m *ast.Module) *ast.Error {
	depth, work := 0, 0
	var found *ast.Error
	closure := func(x any) bool {
		switch x := x.(type) {
		case *ast.ArrayComprehension, *ast.SetComprehension, *ast.ObjectComprehension, *ast.Every:
			return true
		case *ast.Expr:
			_, every := x.Terms.(*ast.Every)
			return every
		}
		return false
	}
	visitor := ast.NewBeforeAfterVisitor(func(x any) bool {
		if closure(x) {
			depth++
			if work += 1 << min(2*depth, 40); work > maxWork && found == nil {
				found = ast.NewError(ast.CompileErr, m.Package.Location, "too many comprehensions within each other: put the inner ones into rules of their own")
			}
		}
		return found != nil
	}, func(x any) {
		if closure(x) {
			depth--
		}
	})
	for _, r := range m.Rules {
		n := 0
		for e := r.Else; e != nil; e = e.Else {
			if n++; n > maxElse {
				return ast.NewError(ast.CompileErr, r.Location, "more than %d else after each other: use a table", maxElse)
			}
		}
		visitor.Walk(r)
		if found != nil {
			found.Location = r.Location
			return found
		}
	}
	return nil
}
