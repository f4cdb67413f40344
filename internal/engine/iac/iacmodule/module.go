package iacmodule

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/json"

	"fairlead/internal/fault"
)

// Module is what a module says of itself.
type Module struct {
	Variables []Variable // in the order of the files
	Outputs   []Output   // by name
	Versions  []string   // of the program, all of them to be met
	Providers []Provider // by name
	Calls     []Call     // modules that it calls itself, by name
	Docs      string     // its README.md in the tree that was read; "" for none
}

// Output is one thing that the module gives.
type Output struct {
	Name        string
	Description string
	Sensitive   bool
}

// Provider is a plugin that the module wants.
type Provider struct{ Name, Source, Version string }

// Call is another module that the module uses.
type Call struct{ Name, Source, Version string }

// Local tells whether the module lies in the same tree.
func (c Call) Local() bool { return local(c.Source) }

func local(source string) bool {
	return strings.HasPrefix(source, "./") || strings.HasPrefix(source, "../") || source == "." || source == ".."
}

// Read reads the module in a folder of a tree, and those of the tree that it
// calls. What is wrong with it is an Invalid fault, code "module_invalid", that
// names each file and line.
func Read(tree fs.FS, root string) (*Module, error) {
	r := &reader{tree: tree, state: map[string]state{}, room: maxAll}
	m := r.module(root)
	if err := r.err(); err != nil {
		return nil, err
	}
	m.Docs = readme(tree, root)
	return m, nil
}

func readme(tree fs.FS, root string) string {
	entries, err := fs.ReadDir(tree, root)
	if err != nil {
		return ""
	}
	for _, e := range entries {
		if e.Type().IsRegular() && strings.EqualFold(e.Name(), "readme.md") {
			return path.Join(root, e.Name())
		}
	}
	return ""
}

type state int

const (
	reading state = iota + 1
	done
)

// reader reads modules and keeps all that is wrong with them.
type reader struct {
	tree  fs.FS
	state map[string]state // by folder
	room  int
	bad   []fault.Violation
}

func (r *reader) fail(at *hcl.Range, format string, args ...any) {
	if len(r.bad) >= 20 {
		return
	}
	v := fault.Violation{Message: fmt.Sprintf(format, args...)}
	if at != nil {
		v.Field = at.Filename
		v.Message = fmt.Sprintf("%s line %d: %s", at.Filename, at.Start.Line, v.Message)
	}
	r.bad = append(r.bad, v)
}

func (r *reader) diags(list hcl.Diagnostics) bool {
	bad := false
	for _, d := range list {
		if d.Severity != hcl.DiagError {
			continue
		}
		bad = true
		text := d.Summary
		if d.Detail != "" {
			text += ": " + d.Detail
		}
		r.fail(d.Subject, "%s", strings.Join(strings.Fields(text), " "))
	}
	return bad
}

func (r *reader) err() error {
	if len(r.bad) == 0 {
		return nil
	}
	more := ""
	if n := len(r.bad) - 1; n > 0 {
		more = fmt.Sprintf(" (and %d more)", n)
	}
	return fault.New(fault.Invalid, "module_invalid", "the module is not valid: %s%s", r.bad[0].Message, more).
		WithField(r.bad[0].Field).WithViolations(r.bad...)
}

// block is what is read of a file; all else is left to the program.
var block = &hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{
	{Type: "variable", LabelNames: []string{"name"}},
	{Type: "output", LabelNames: []string{"name"}},
	{Type: "module", LabelNames: []string{"name"}},
	{Type: "terraform"},
}}

func (r *reader) module(dir string) *Module {
	m := &Module{}
	r.state[dir] = reading
	defer func() { r.state[dir] = done }()
	names, err := configurations(r.tree, dir)
	if err != nil || len(names) == 0 || len(names) > maxFiles {
		r.fail(&hcl.Range{Filename: dir}, "there is no module in this folder, or one of more than %d files", maxFiles)
		return m
	}
	b := builder{reader: r, m: m, dir: dir, seen: map[string]hcl.Range{}, at: map[string]int{}}
	for _, name := range names {
		body, ok := r.parse(path.Join(dir, name))
		if !ok {
			continue
		}
		content, _, diags := body.PartialContent(block)
		r.diags(diags)
		for _, blk := range content.Blocks {
			b.block(blk, override(name))
		}
	}
	slices.SortStableFunc(m.Outputs, func(x, y Output) int { return strings.Compare(x.Name, y.Name) })
	slices.SortStableFunc(m.Providers, func(x, y Provider) int { return strings.Compare(x.Name, y.Name) })
	slices.SortStableFunc(m.Calls, func(x, y Call) int { return strings.Compare(x.Name, y.Name) })
	b.finish()
	return m
}

func (r *reader) parse(name string) (hcl.Body, bool) {
	f, err := r.tree.Open(name)
	if err != nil {
		r.fail(&hcl.Range{Filename: name}, "cannot be read")
		return nil, false
	}
	defer func() { _ = f.Close() }()
	st, err := f.Stat()
	if err != nil || !st.Mode().IsRegular() {
		r.fail(&hcl.Range{Filename: name}, "is no regular file")
		return nil, false
	}
	if st.Size() > maxFile || int(st.Size()) > r.room {
		r.fail(&hcl.Range{Filename: name}, "is too large: a configuration file has at most %d bytes, a module %d", maxFile, maxAll)
		return nil, false
	}
	src, err := fs.ReadFile(r.tree, name)
	if err != nil || len(src) > maxFile {
		r.fail(&hcl.Range{Filename: name}, "cannot be read")
		return nil, false
	}
	r.room -= len(src)
	if strings.HasSuffix(name, ".json") {
		if r.diags(boundedJSON(src, name)) {
			return nil, false
		}
		file, diags := json.Parse(src, name)
		return bodyOf(file), !r.diags(diags)
	}
	if r.diags(bounded(src, name)) {
		return nil, false
	}
	file, diags := hclsyntax.ParseConfig(src, name, hcl.InitialPos)
	return bodyOf(file), !r.diags(diags)
}

func bodyOf(f *hcl.File) hcl.Body {
	if f == nil {
		return hcl.EmptyBody()
	}
	return f.Body
}

// configurations gives a folder's files of configuration, those that override
// others last. A .tofu file takes the place of the .tf file of the same name,
// as OpenTofu has it.
func configurations(tree fs.FS, dir string) ([]string, error) {
	entries, err := fs.ReadDir(tree, dir)
	if err != nil {
		return nil, err
	}
	tofu := map[string]bool{}
	for _, e := range entries {
		if base, ok := cutAny(e.Name(), ".tofu.json", ".tofu"); ok {
			tofu[base] = true
		}
	}
	var first, last []string
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() || strings.HasPrefix(name, ".") {
			continue
		}
		base, tf := cutAny(name, ".tf.json", ".tf")
		if _, own := cutAny(name, ".tofu.json", ".tofu"); !own && (!tf || tofu[base]) {
			continue
		}
		if override(name) {
			last = append(last, name)
		} else {
			first = append(first, name)
		}
	}
	return append(first, last...), nil
}

func override(name string) bool {
	base, _ := cutAny(name, ".tofu.json", ".tofu", ".tf.json", ".tf")
	return base == "override" || strings.HasSuffix(base, "_override")
}

func cutAny(name string, suffixes ...string) (string, bool) {
	for _, s := range suffixes {
		if base, ok := strings.CutSuffix(name, s); ok && base != "" {
			return base, true
		}
	}
	return name, false
}

// Has tells whether there is a module in a folder of a tree.
func Has(tree fs.FS, dir string) bool {
	names, err := configurations(tree, dir)
	return err == nil && len(names) > 0
}
