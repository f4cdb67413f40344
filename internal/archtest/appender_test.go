package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"path/filepath"
	"testing"
)

// TestWhoEmbedsWhatWritesItselfWritesItself: a struct takes over the AppendJSON
// of what it embeds, and would lose its own fields in every answer.
func TestWhoEmbedsWhatWritesItselfWritesItself(t *testing.T) {
	t.Parallel()
	type embedding struct{ by, what string }
	writes, embedded := map[string]bool{}, []embedding{}
	each(t, func(p pkg, at string) {
		for _, name := range p.GoFiles {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			here := path.Base(at)
			ast.Inspect(f, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.FuncDecl:
					if n.Name.Name == "AppendJSON" && n.Recv != nil {
						writes[typeName(here, n.Recv.List[0].Type)] = true
					}
				case *ast.TypeSpec:
					s, ok := n.Type.(*ast.StructType)
					if !ok {
						return true
					}
					for _, field := range s.Fields.List {
						if len(field.Names) == 0 {
							embedded = append(embedded, embedding{here + "." + n.Name.Name, typeName(here, field.Type)})
						}
					}
				}
				return true
			})
		}
	})
	for _, e := range embedded {
		if writes[e.what] && !writes[e.by] {
			t.Errorf("%s embeds %s and has no AppendJSON of its own: its other fields would be in no answer", e.by, e.what)
		}
	}
	if !writes["httpx.Page"] || !writes["resourceapi.Resource"] || len(embedded) < 20 {
		t.Errorf("found %v and %d embedded types: the rule would hold of nothing", writes, len(embedded))
	}
}

// typeName is package and name of a type, without its pointer and arguments.
func typeName(here string, e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return typeName(here, e.X)
	case *ast.IndexExpr:
		return typeName(here, e.X)
	case *ast.IndexListExpr:
		return typeName(here, e.X)
	case *ast.Ident:
		return here + "." + e.Name
	case *ast.SelectorExpr:
		if of, ok := e.X.(*ast.Ident); ok {
			return of.Name + "." + e.Sel.Name
		}
	}
	return ""
}
