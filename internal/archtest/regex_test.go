package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
)

// TestLateExpressionsCompile does at once what the program does when it first
// uses them.
func TestLateExpressionsCompile(t *testing.T) {
	t.Parallel()
	seen := 0
	each(t, func(p pkg, at string) {
		for _, name := range p.GoFiles {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(f, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				if sel, ok := call.Fun.(*ast.SelectorExpr); !ok || sel.Sel.Name != "Late" {
					return true
				} else if of, ok := sel.X.(*ast.Ident); !ok || of.Name != "regex" {
					return true
				}
				seen++
				lit, ok := call.Args[0].(*ast.BasicLit)
				if !ok {
					t.Errorf("%s/%s: regex.Late takes a literal, so that this test can compile it", at, name)
					return true
				}
				expr, err := strconv.Unquote(lit.Value)
				if err == nil {
					_, err = regexp.Compile(expr)
				}
				if err != nil {
					t.Errorf("%s/%s: %v", at, name, err)
				}
				return true
			})
		}
	})
	if seen < 20 {
		t.Errorf("only %d expressions were found: the rule would hold of nothing", seen)
	}
}
