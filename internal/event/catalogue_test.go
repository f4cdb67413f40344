package event_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"fairlead/internal/event"
)

func TestThePageListsTheTypesThereAre(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "events.md"))
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	seen := map[string]bool{}
	for _, e := range event.Catalogue() {
		want.WriteString("| `" + e.Name + "` | " + e.About + " |\n")
		if seen[e.Name] {
			t.Errorf("%s is there twice", e.Name)
		}
		seen[e.Name] = true
	}
	if !strings.Contains(string(page), want.String()) {
		t.Errorf("docs/events.md must list:\n%s", want.String())
	}
}

// Whoever emits writes the type as a literal: in an Event, or handed to the
// package's own emit, or kept in a variable called kind.
func TestWhatIsEmittedIsInTheCatalogue(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, e := range event.Catalogue() {
		known[e.Name] = true
	}
	name := regexp.MustCompile(`^[a-z]+\.[a-z_]+$`)
	found := 0
	look := func(at string, e ast.Expr) {
		lit, ok := e.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			return
		}
		text, err := strconv.Unquote(lit.Value)
		if err != nil || !name.MatchString(text) {
			return
		}
		found++
		if !known[text] {
			t.Errorf("%s emits %s, which is not in the catalogue", at, text)
		}
	}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		tree, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil //nolint:nilerr // a file that does not parse does not build either
		}
		if strings.Contains(path, "httpx") {
			return nil
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				if s, ok := n.Fun.(*ast.SelectorExpr); ok && (s.Sel.Name == "emit" || s.Sel.Name == "happened") {
					for _, a := range n.Args {
						look(path, a)
					}
				}
			case *ast.KeyValueExpr:
				if k, ok := n.Key.(*ast.Ident); ok && k.Name == "Type" {
					look(path, n.Value)
				}
			case *ast.AssignStmt:
				for i, l := range n.Lhs {
					if id, ok := l.(*ast.Ident); ok && id.Name == "kind" && i < len(n.Rhs) {
						look(path, n.Rhs[i])
					}
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if found == 0 {
		t.Error("nothing was found: the rule would hold of nothing")
	}
}
