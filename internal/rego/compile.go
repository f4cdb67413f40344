package rego

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"fairlead/internal/fault"
)

// The bounds of a program's sources.
const (
	MaxSource = 1 << 20 // bytes of all files together
	MaxFiles  = 200
	maxDepth  = 250 // brackets within brackets
	maxErrors = 50  // that are told
)

// Files are sources by path.
type Files map[string][]byte

// Options say how to compile; the zero value is right for policies of others.
type Options struct {
	Strict bool           // what is probably a mistake is an error: what is unused, imported twice, shadowed
	Data   map[string]any // the documents below data
	Schema any            // JSON Schema of input for the packages that Typed names; nil: anything goes
	Typed  func(pkg string) bool
}

// Program is a set of compiled modules. It is immutable and safe for
// concurrent use.
type Program struct {
	compiler *ast.Compiler
	modules  map[string]*ast.Module // as parsed
	store    storage.Store
	options  Options
	packages []Package
}

// Package is what modules of one package define.
type Package struct {
	Name  string // without "data.": "main", "fairlead.sizes"
	Rules []string
	Tests int  // rules that are tests
	Old   bool // some module of it is Rego v0
}

// Compile parses and compiles all files, in Rego v1 or, for a module that is
// valid in that alone, in v0. What is wrong is one Invalid fault with the code
// "invalid_policy" and a violation "file:line:col: message" for each error; a
// program over the bounds is TooLarge, "policy_too_large", and is not parsed.
func Compile(files Files, o Options) (p *Program, err error) {
	defer func() {
		if r := recover(); r != nil {
			p, err = nil, fault.New(fault.Invalid, "invalid_policy", "the policies cannot be compiled").
				WithHint("take them apart until you find the file at fault").WithCause(fmt.Errorf("panic: %v", r))
		}
	}()
	if err := bounded(files); err != nil {
		return nil, err
	}
	p = &Program{modules: map[string]*ast.Module{}, options: o}
	var found problems
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if !strings.HasSuffix(name, ".rego") {
			continue
		}
		m, err := parse(name, files[name])
		if err != nil {
			found.add(err)
			continue
		}
		if m != nil {
			p.modules[name] = m
		}
	}
	if err := found.err(); err != nil {
		return nil, err
	}
	if p.compiler = newCompiler(o.Strict, false); len(p.modules) > 0 {
		if p.compiler.Compile(p.modules); p.compiler.Failed() {
			found.add(p.compiler.Errors)
			return nil, found.err()
		}
	}
	if err := p.checkTypes(); err != nil {
		return nil, err
	}
	if o.Data == nil {
		o.Data = map[string]any{}
	}
	if err := p.checkData(o.Data); err != nil {
		return nil, err
	}
	p.store = inmem.NewFromObjectWithOpts(o.Data, inmem.OptReturnASTValuesOnRead(true), inmem.OptRoundTripOnWrite(true))
	p.list()
	return p, nil
}

func newCompiler(strict, prints bool) *ast.Compiler {
	return ast.NewCompiler().WithCapabilities(capabilities()).WithStrict(strict).WithEnablePrintStatements(prints).SetErrorLimit(maxErrors)
}

func bounded(files Files) error {
	total, count := 0, 0
	for name, src := range files {
		if strings.HasSuffix(name, ".rego") {
			total, count = total+len(src), count+1
		}
	}
	if total > MaxSource {
		return fault.New(fault.TooLarge, "policy_too_large", "the policies are %d bytes long; %d are allowed", total, MaxSource).
			WithHint("put tables into data.json, or take the policies apart into several bundles")
	}
	if count > MaxFiles {
		return fault.New(fault.TooLarge, "policy_too_large", "there are %d policy files; %d are allowed", count, MaxFiles).
			WithHint("take the policies apart into several bundles")
	}
	var found problems
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if line := tooDeep(files[name]); line > 0 && strings.HasSuffix(name, ".rego") {
			found.say(name, line, 1, "brackets are nested more than %d deep", maxDepth)
		}
	}
	return found.err()
}

// tooDeep gives the line where a source is nested deeper than the parser and
// the compiler, which recurse, should be led. Brackets in texts count too; a
// text closes what it opens, or has few.
func tooDeep(src []byte) int {
	depth, line := 0, 1
	for _, c := range src {
		switch c {
		case '\n':
			line++
		case '(', '[', '{':
			if depth++; depth > maxDepth {
				return line
			}
		case ')', ']', '}':
			depth = max(depth-1, 0)
		}
	}
	return 0
}

// parse reads one module; nil when the file holds comments alone.
func parse(name string, src []byte) (*ast.Module, error) {
	if !utf8.Valid(src) {
		return nil, ast.NewError(ast.ParseErr, &ast.Location{File: name, Row: 1, Col: 1}, "the file is not valid UTF-8")
	}
	if len(bytes.TrimSpace(src)) == 0 {
		return nil, nil
	}
	text := string(src)
	m, err := ast.ParseModuleWithOpts(name, text, ast.ParserOptions{Capabilities: capabilities(), RegoVersion: ast.RegoV1, ProcessAnnotation: true})
	if err == nil {
		if e := tooComplex(m); e != nil {
			return nil, e
		}
		return m, nil
	}
	if old, e := ast.ParseModuleWithOpts(name, text, ast.ParserOptions{Capabilities: capabilities(), RegoVersion: ast.RegoV0, ProcessAnnotation: true}); e == nil {
		if e := tooComplex(old); e != nil {
			return nil, e
		}
		return old, nil
	}
	return nil, err
}

// checkTypes compiles once more with the schema of input and keeps what is
// said about the packages that it is for: a misspelt field is an error there,
// and no rule that never holds.
func (p *Program) checkTypes() error {
	if p.options.Schema == nil || p.options.Typed == nil {
		return nil
	}
	typed := map[string]bool{}
	for name, m := range p.modules {
		typed[name] = p.options.Typed(packageName(m))
	}
	set := ast.NewSchemaSet()
	set.Put(ast.SchemaRootRef, p.options.Schema)
	c := newCompiler(false, false).WithSchemas(set)
	c.Compile(p.modules)
	var found problems
	for _, e := range c.Errors {
		if e.Location != nil && typed[e.Location.File] {
			found.add(e)
		}
	}
	return found.err()
}

// checkData refuses data and a package at the same place: the one would hide
// the other.
func (p *Program) checkData(data map[string]any) error {
	var found problems
	for _, name := range slices.Sorted(maps.Keys(p.modules)) {
		m := p.modules[name]
		var at any = data
		for _, part := range strings.Split(packageName(m), ".") {
			object, ok := at.(map[string]any)
			if !ok {
				break
			}
			if at, ok = object[part]; !ok {
				at = nil
				break
			}
		}
		if at != nil {
			found.say(name, m.Package.Location.Row, m.Package.Location.Col, "data.%s is in the data files too", packageName(m))
		}
	}
	return found.err()
}

func packageName(m *ast.Module) string {
	name := strings.TrimPrefix(m.Package.Path.String(), "data.")
	return strings.TrimPrefix(name, "data")
}

func (p *Program) list() {
	byName := map[string]*Package{}
	for _, file := range slices.Sorted(maps.Keys(p.modules)) {
		m := p.modules[file]
		name := packageName(m)
		pkg := byName[name]
		if pkg == nil {
			pkg = &Package{Name: name}
			byName[name] = pkg
		}
		pkg.Old = pkg.Old || m.RegoVersionSpan() == ast.RegoVersionSpanOf(ast.RegoV0)
		for _, r := range m.Rules {
			ref := r.Head.Ref()
			if len(ref) == 0 || len(r.Head.Args) > 0 {
				continue
			}
			rule := strings.Trim(ref[0].String(), `"`)
			if strings.HasPrefix(rule, "test_") && len(ref) == 1 {
				pkg.Tests++
			}
			if !slices.Contains(pkg.Rules, rule) {
				pkg.Rules = append(pkg.Rules, rule)
			}
		}
		slices.Sort(pkg.Rules)
	}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		p.packages = append(p.packages, *byName[name])
	}
}

// Packages lists what the program defines, by name.
func (p *Program) Packages() []Package { return slices.Clone(p.packages) }

// Package finds a package of the program.
func (p *Program) Package(name string) (Package, bool) {
	i := slices.IndexFunc(p.packages, func(q Package) bool { return q.Name == name })
	if i < 0 {
		return Package{}, false
	}
	return p.packages[i], true
}

// IsTest tells whether a file holds tests, by its name.
func IsTest(name string) bool { return strings.HasSuffix(path.Base(name), "_test.rego") }

// background is for calls into OPA that look at a context they need not.
var background = context.Background()
