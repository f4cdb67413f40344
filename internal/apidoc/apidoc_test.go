package apidoc_test

import (
	"context"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"fairlead/internal/apidoc"
	"fairlead/internal/httpx"
)

func server(t *testing.T) *httpx.Server {
	t.Helper()
	api, s := httpx.New(httpx.Options{})
	apidoc.Mount(s, "")
	httpx.Register(api, huma.Operation{OperationID: "greet", Method: "GET", Path: "/api/v1/hello", Security: httpx.Public},
		func(context.Context, *struct{}) (*httpx.Body[struct {
			Hello string `json:"hello"`
		}], error) {
			return nil, nil
		})
	return s
}

func get(s *httpx.Server, path string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", path, http.NoBody)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func TestTheDocumentIsServed(t *testing.T) {
	t.Parallel()
	s := server(t)
	w := get(s, "/openapi.json")
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]struct{ Security *[]any }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil || doc.OpenAPI != "3.1.0" {
		t.Fatalf("%v %s", err, w.Body)
	}
	if sec := doc.Paths["/api/v1/hello"]["get"].Security; sec == nil || len(*sec) != 0 {
		t.Errorf("a public operation does not say so: %s", w.Body)
	}
	if again := get(s, "/openapi.json", "If-None-Match", w.Header().Get("ETag")); again.Code != http.StatusNotModified {
		t.Errorf("unchanged, but %d", again.Code)
	}
	if z := get(s, "/openapi.json", "Accept-Encoding", "gzip"); z.Header().Get("Content-Encoding") != "gzip" || z.Body.Len() >= w.Body.Len() {
		t.Error("not compressed")
	}
	if y := get(s, "/openapi.yaml"); !strings.Contains(y.Body.String(), "openapi: 3.1.0") {
		t.Errorf("got %s", y.Body)
	}
}

func TestTheReferencePageLoadsNothingFromElsewhere(t *testing.T) {
	t.Parallel()
	s := server(t)
	w := get(s, "/docs/api")
	if csp := w.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'; script-src 'self';") ||
		!strings.Contains(csp, "connect-src 'self';") || strings.Contains(csp, "http") {
		t.Errorf("policy %q", csp)
	}
	if strings.Contains(w.Body.String(), "://") || strings.Contains(w.Body.String(), "<script>") {
		t.Errorf("page %s", w.Body)
	}
	if again := get(s, "/docs/api"); again.Header().Get("Content-Security-Policy") == w.Header().Get("Content-Security-Policy") {
		t.Error("the nonce is used twice")
	}
	plain, zipped := get(s, "/docs/assets/reference.js"), get(s, "/docs/assets/reference.js", "Accept-Encoding", "gzip")
	if plain.Code != 200 || plain.Body.Len() < 1<<20 || zipped.Header().Get("Content-Encoding") != "gzip" || zipped.Body.Len() > 2<<20 {
		t.Errorf("%d bytes plain, %d zipped", plain.Body.Len(), zipped.Body.Len())
	}
	for _, path := range []string{"/docs/assets/README.md", "/docs/assets/..%2fapidoc.go", "/docs/assets/reference.js.gz"} {
		if w := get(s, path); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

func TestErrorPagesEscapeAndListAll(t *testing.T) {
	t.Parallel()
	s := server(t)
	if w := get(s, "/docs/errors/unauthenticated"); w.Code != 200 || !strings.Contains(w.Body.String(), "<code>unauthenticated</code>") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := get(s, "/docs/errors/%3Cscript%3E"); w.Code != 404 || strings.Contains(w.Body.String(), "<script>") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := get(s, "/docs/errors"); strings.Count(w.Body.String(), "<dt>") != len(apidoc.Errors()) {
		t.Errorf("got %s", w.Body)
	}
}

// TestEveryErrorCodeIsExplained walks the sources: a code without a page
// leaves somebody alone with it. So does the reason of a resource's phase.
func TestEveryErrorCodeIsExplained(t *testing.T) {
	t.Parallel()
	codes := codesIn(t, "../..")
	maps.Copy(codes, reasonsIn(t, ".."))
	documented := apidoc.Errors()
	var missing []string
	for _, code := range slices.Sorted(maps.Keys(codes)) {
		if e, ok := documented[code]; !ok || e.Meaning == "" || e.Todo == "" {
			missing = append(missing, "| `"+code+"` | … | … | "+codes[code])
		}
	}
	if len(missing) > 0 {
		t.Errorf("docs/errors.md lacks:\n%s", strings.Join(missing, "\n"))
	}
	for code := range documented {
		if codes[code] == "" {
			t.Errorf("docs/errors.md explains %q, which no source has", code)
		}
	}
}

// codesIn finds the second argument of every fault.New, if it is a literal, and
// what follows a fault's kind in a table of them.
func codesIn(t *testing.T, root string) map[string]string {
	t.Helper()
	out := map[string]string{}
	fset := token.NewFileSet()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if n := d.Name(); n != ".." && strings.HasPrefix(n, ".") || n == "testdata" || n == "node_modules" || strings.HasSuffix(n, "test") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(fset, path, src, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			var said []ast.Expr
			switch n := n.(type) {
			case *ast.CallExpr:
				if ofFault(n.Fun, "New") {
					said = n.Args
				}
			case *ast.CompositeLit:
				if len(n.Elts) > 1 && ofFault(n.Elts[0], "") {
					said = n.Elts
				}
			}
			if len(said) < 2 {
				return true
			}
			if lit, ok := said[1].(*ast.BasicLit); ok {
				if code, err := strconv.Unquote(lit.Value); err == nil {
					out[code] = fset.Position(lit.Pos()).String()
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	out["internal"] = "internal/fault/fault.go" // fault.From's own
	return out
}

// ofFault tells whether an expression is fault.NAME; any of fault's when name is empty.
func ofFault(x ast.Expr, name string) bool {
	sel, ok := x.(*ast.SelectorExpr)
	if !ok || name != "" && sel.Sel.Name != name {
		return false
	}
	pkg, ok := sel.X.(*ast.Ident)
	return ok && pkg.Name == "fault"
}
