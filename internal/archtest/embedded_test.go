package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// Huma passes over an embedded struct whose name is not exported, without a
// word: the parameters in it are never read, the fields never written.
func TestAPITypesEmbedOnlyWhatHumaSees(t *testing.T) {
	seen := 0
	each(t, func(p pkg, at string) {
		if !strings.HasSuffix(p.Name, "api") {
			return
		}
		seen++
		for _, name := range p.GoFiles {
			set := token.NewFileSet()
			tree, err := parser.ParseFile(set, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range hidden(tree) {
				t.Errorf("%s:%d embeds %s, which huma does not see: export it", at+"/"+name, set.Position(f.Pos()).Line, f.Name)
			}
		}
	})
	if seen < 6 {
		t.Errorf("only %d API packages were found: the rule would hold of nothing", seen)
	}
}

func TestHiddenEmbedsAreFound(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		why, src string
		want     int
	}{
		{"a type of this package", "type In struct { paging; Name string }", 1},
		{"by pointer", "type In struct { *paging }", 1},
		{"a generic one", "type In struct { paging[int] }", 1},
		{"in a handler's signature", "func h(in *struct{ paging }) {}", 1},
		{"in the body inside an input", "type In struct { Body struct { paging } }", 1},
		{"exported ones are seen", "type In struct { Paging; *Other; httpx.PageInput; httpx.Body[int] }", 0},
		{"a field with a name is no embedded one", "type In struct { p paging }", 0},
	} {
		tree, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x\n"+row.src, 0)
		if err != nil {
			t.Fatalf("%s: %v", row.why, err)
		}
		if got := len(hidden(tree)); got != row.want {
			t.Errorf("%s: %d found, want %d", row.why, got, row.want)
		}
	}
}

// hidden gives the embedded fields of a file whose type is not exported.
func hidden(tree *ast.File) []*ast.Ident {
	var out []*ast.Ident
	ast.Inspect(tree, func(n ast.Node) bool {
		s, ok := n.(*ast.StructType)
		if !ok {
			return true
		}
		for _, f := range s.Fields.List {
			if len(f.Names) > 0 {
				continue
			}
			if id := embeds(f.Type); id != nil && !id.IsExported() {
				out = append(out, id)
			}
		}
		return true
	})
	return out
}

// embeds gives the name of an embedded type of this package; nil for another
// package's, which is exported or would not compile.
func embeds(t ast.Expr) *ast.Ident {
	switch t := t.(type) {
	case *ast.Ident:
		return t
	case *ast.StarExpr:
		return embeds(t.X)
	case *ast.IndexExpr:
		return embeds(t.X)
	case *ast.IndexListExpr:
		return embeds(t.X)
	}
	return nil
}
