package apidoc_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// reasonPackages are those whose reasons `fairlead why` hands on with a link
// to their page.
var reasonPackages = []string{"resource", "gate", "rollout", "why"}

var codeLike = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)

// reasonsIn finds the codes that say why something is as it is: what is set as
// a Reason or a Code, and what is given for a parameter of that name. Those of
// members that a rollout leaves out are told by the rollout alone.
func reasonsIn(t *testing.T, root string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, pkg := range reasonPackages {
		fset := token.NewFileSet()
		var files []*ast.File
		paths, err := filepath.Glob(filepath.Join(root, pkg, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			src, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			f, err := parser.ParseFile(fset, path, src, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, f)
		}
		p := reasons{constants: map[string]string{}, takes: map[string]int{}}
		for _, f := range files {
			ast.Inspect(f, p.declared)
		}
		for _, f := range files {
			ast.Inspect(f, func(n ast.Node) bool {
				for _, e := range p.given(n) {
					if code := p.text(e); codeLike.MatchString(code) {
						out[code] = fset.Position(e.Pos()).String()
					}
				}
				return true
			})
		}
	}
	return out
}

// reasons is what one package declares that bears on its reasons.
type reasons struct {
	constants map[string]string
	takes     map[string]int // function or method to the place of its reason among the parameters
}

func isReason(name string) bool {
	return slices.Contains([]string{"reason", "code"}, strings.ToLower(name))
}

func (p reasons) declared(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.GenDecl:
		for _, spec := range n.Specs {
			if v, ok := spec.(*ast.ValueSpec); ok && n.Tok == token.CONST {
				for i := range v.Values {
					p.constants[v.Names[i].Name] = p.text(v.Values[i])
				}
			}
		}
	case *ast.FuncDecl:
		i := 0
		for _, field := range n.Type.Params.List {
			for _, name := range field.Names {
				if isReason(name.Name) && n.Name.Name != "excluded" {
					p.takes[n.Name.Name] = i
				}
				i++
			}
		}
	}
	return true
}

// given gives the expressions of a node that stand for a reason.
func (p reasons) given(n ast.Node) []ast.Expr {
	var out []ast.Expr
	switch n := n.(type) {
	case *ast.AssignStmt:
		if len(n.Lhs) != len(n.Rhs) || stateOf(n, "Excluded") {
			return nil
		}
		for i, to := range n.Lhs {
			name := ""
			switch to := to.(type) {
			case *ast.SelectorExpr:
				name = to.Sel.Name
			case *ast.Ident:
				name = to.Name
			}
			if isReason(name) {
				out = append(out, n.Rhs[i])
			}
		}
	case *ast.KeyValueExpr:
		if key, ok := n.Key.(*ast.Ident); ok && isReason(key.Name) {
			out = append(out, n.Value)
		}
	case *ast.CallExpr:
		name := ""
		switch fun := n.Fun.(type) {
		case *ast.SelectorExpr:
			name = fun.Sel.Name
		case *ast.Ident:
			name = fun.Name
		}
		if i, ok := p.takes[name]; ok && i < len(n.Args) {
			out = append(out, n.Args[i])
		}
	}
	return out
}

// stateOf tells whether an assignment sets a state as well.
func stateOf(n *ast.AssignStmt, state string) bool {
	return slices.ContainsFunc(n.Rhs, func(e ast.Expr) bool { id, ok := e.(*ast.Ident); return ok && id.Name == state })
}

func (p reasons) text(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if s, err := strconv.Unquote(e.Value); err == nil && e.Kind == token.STRING {
			return s
		}
	case *ast.Ident:
		return p.constants[e.Name]
	}
	return ""
}

// TestTheWalkFindsReasons guards the walk itself: one that finds nothing would
// hold nothing in step.
func TestTheWalkFindsReasons(t *testing.T) {
	t.Parallel()
	codes := reasonsIn(t, "..")
	for _, code := range []string{"mass_drift", "drift_asks", "retire_failed", "awaiting_approval", "change_window", "waiting_for_reference", "too_many_failures", "canceled"} {
		if codes[code] == "" {
			t.Errorf("%s is not found", code)
		}
	}
}
