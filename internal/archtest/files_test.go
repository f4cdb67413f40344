package archtest

import (
	"bufio"
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const (
	maxFileLines = 600
	maxFuncLines = 85
)

func TestFilesAndFunctionsStaySmall(t *testing.T) {
	each(t, func(p pkg, at string) {
		for _, name := range p.GoFiles {
			file := filepath.Join(p.Dir, name)
			src, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if generated(src) {
				continue
			}
			if n := bytes.Count(src, []byte("\n")); n > maxFileLines {
				t.Errorf("%s/%s has %d lines: split it by noun", at, name, n)
			}
			set := token.NewFileSet()
			tree, err := parser.ParseFile(set, file, src, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range tree.Decls {
				if f, ok := d.(*ast.FuncDecl); ok {
					if n := set.Position(f.End()).Line - set.Position(f.Pos()).Line; n > maxFuncLines {
						t.Errorf("%s/%s: %s has %d lines", at, name, f.Name.Name, n)
					}
				}
			}
		}
	})
}

// generated tells whether a file carries Go's mark of generated code, which
// stands on a line of its own before the package clause.
func generated(src []byte) bool {
	for s := bufio.NewScanner(bytes.NewReader(src)); s.Scan(); {
		if strings.HasPrefix(s.Text(), "// Code generated ") && strings.HasSuffix(s.Text(), " DO NOT EDIT.") {
			return true
		}
		if strings.HasPrefix(s.Text(), "package ") {
			return false
		}
	}
	return false
}

// Shells are how names become commands. There is none in the product.
func TestNoShellIsInvoked(t *testing.T) {
	shell := regexp.MustCompile(`exec\.Command(Context)?\([^)]*"(/bin/|/usr/bin/)?(ba|da|z|k)?sh"`)
	each(t, func(p pkg, at string) {
		for _, name := range p.GoFiles {
			src, err := os.ReadFile(filepath.Join(p.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if m := shell.Find(src); m != nil {
				t.Errorf("%s/%s invokes a shell: %s", at, name, m)
			}
		}
	})
}

// The map must show rooms that exist.
func TestArchitecturePageNamesRealPackages(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "architecture.md"))
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	each(t, func(_ pkg, at string) { have[at] = true })
	named := regexp.MustCompile("`((?:internal|cmd|bench|e2e|templates)(?:/[a-z0-9]+)*)`").FindAllStringSubmatch(string(page), -1)
	if len(named) < 15 {
		t.Fatalf("the page names only %d packages", len(named))
	}
	for _, m := range named {
		if !have[m[1]] {
			if st, err := os.Stat(filepath.Join("..", "..", m[1])); err != nil || !st.IsDir() {
				t.Errorf("docs/architecture.md names %s, which does not exist", m[1])
			}
		}
	}
}
