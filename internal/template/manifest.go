package template

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"fairlead/internal/fault"
	"fairlead/internal/ident"
	"fairlead/internal/regex"
	"fairlead/internal/template/bundle"
	"fairlead/internal/yamlx"
)

// ManifestFile is the file that makes a folder a template.
const ManifestFile = "template.yaml"

const apiVersion = "fairlead/v1"

const maxOutputs = 400

// Manifest is what template.yaml says.
type Manifest struct {
	Name            string
	Title           string
	Description     string
	Version         string // strict semantic version without build metadata
	Tags            []string
	Owner           string // the team that answers for it; information only
	Engine          string
	Inputs          map[string]any // the JSON Schema as it is applied
	Outputs         map[string]Output
	Stateful        bool
	RotationOverlap time.Duration
	ObserveEvery    time.Duration     // 0: the platform's own interval
	Access          map[string]string // attributes for access policies
	Docs            string            // a Markdown file in the folder; "" for none
	CostFile        string            // a Rego file in the folder; "" for none
	Approval        *Approval         // nil: none of its own
	Lease           Lease
	Drift           Drift
	Needs           []Need // what it is built on
}

// Need is something of others that a template is built on: a program, a
// provider, a module.
type Need struct{ Kind, Name, Source, Version string }

// Output is one thing that a resource gives.
type Output struct {
	Type        string // string, integer, number, boolean, array, object; any when nobody says
	Description string
	Sensitive   bool
}

var (
	outputTypes = []string{"string", "integer", "number", "boolean", "array", "object", "any"}
	tagForm     = regex.Late(`^[a-z0-9][a-z0-9-]{0,31}$`)
	keyForm     = regex.Late(`^[A-Za-z][A-Za-z0-9_-]{0,62}$`)
	engineForm  = regex.Late(`^[a-z][a-z0-9-]{0,31}$`)
)

// CheckTemplateName is ident.CheckName, but lets a template carry its engine's
// name: "postgres" and "null" are reserved for things that would be mistaken
// for a database or for nothing, which a template is not.
func CheckTemplateName(name string) error {
	if name == "postgres" || name == "null" {
		return nil
	}
	return ident.CheckName(name)
}

// parse makes a version of a bundle, or says all that is wrong with it, with
// file, line and field.
func parse(b *bundle.Bundle) (*Version, error) {
	src, ok := b.File(ManifestFile)
	if !ok {
		return nil, fault.New(fault.Invalid, "invalid_template", "there is no %s at the top of the folder", ManifestFile).
			WithHint("push the folder that holds %s, not one above or below it", ManifestFile).WithField(ManifestFile)
	}
	doc, err := yamlx.DecodeOne(bytes.NewReader(src), yamlx.Limits{File: ManifestFile})
	if err != nil {
		return nil, err
	}
	return parseManifest(b, doc.Root)
}

// parseManifest is parse, of a manifest that was read.
func parseManifest(b *bundle.Bundle, root *yamlx.Node) (*Version, error) {
	manifest, err := json.Marshal(root.Value())
	if err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	p := &manifestParser{r: yamlx.NewReader(ManifestFile), v: &Version{files: b, Digest: b.Digest(), manifest: manifest}, root: root}
	p.all()
	if err := p.r.Err("invalid_template", "the template is not valid"); err != nil {
		return nil, err
	}
	if tests := root.Get("tests"); tests != nil && tests.Value() == false { // the folder is something else's
		return p.v, nil
	}
	if p.v.tests, err = parseTests(b, p.v); err != nil {
		return nil, err
	}
	return p.v, nil
}

type manifestParser struct {
	r    *yamlx.Reader
	v    *Version
	root *yamlx.Node
}

func (p *manifestParser) all() {
	top := p.r.Object(p.root, "apiVersion", "kind", "metadata", "engine", "inputs", "outputs", "spec", "lifecycle", "access", "docs", "units", "cost", "approval", "lease", "drift", "tests", "needs")
	if p.root.Kind != yamlx.Object {
		return
	}
	p.literal(top, "apiVersion", apiVersion)
	p.literal(top, "kind", "Template")
	p.metadata(top.Need("metadata"))
	if n := top.Need("engine"); n != nil {
		if p.v.Engine = top.String("engine"); p.v.Engine != "" && !engineForm().MatchString(p.v.Engine) {
			p.r.Fail(n, "is not the name of an engine")
		}
	}
	p.inputs(top.Node("inputs"))
	p.outputs(top.Node("outputs"))
	p.lifecycle(top.Node("lifecycle"))
	p.access(top.Node("access"))
	if n := top.Node("docs"); n != nil {
		p.docs(n, top.String("docs"))
	}
	if n := top.Node("cost"); n != nil {
		p.cost(n, top.String("cost"))
	}
	p.approval(top.Node("approval"))
	p.lease(top.Node("lease"))
	top.Bool("tests")
	p.needs(top.Node("needs"))
	p.drift(top.Node("drift"))
	if p.v.schema != nil {
		p.units(top.Node("units"))
		p.spec(top.Node("spec"))
	}
}

func (p *manifestParser) literal(top yamlx.Fields, name, want string) {
	n := top.Need(name)
	if n == nil {
		return
	}
	if got := top.String(name); got != "" && got != want {
		p.r.Fail(n, "must be %q, is %s", want, yamlx.Quote(got))
	}
}

func (p *manifestParser) metadata(n *yamlx.Node) {
	if n == nil {
		return
	}
	m := p.r.Object(n, "name", "title", "description", "version", "tags", "owner")
	if n.Kind != yamlx.Object {
		return
	}
	if at := m.Need("name"); at != nil {
		p.v.Name = m.String("name")
		if err := CheckTemplateName(p.v.Name); err != nil && at.Kind == yamlx.String {
			p.r.Fail(at, "%s", fault.From(err).Message)
		}
	}
	if at := m.Need("version"); at != nil {
		if at.Kind != yamlx.String {
			p.r.Fail(at, "must be a string such as \"1.2.0\", is %s", at.Kind)
		} else if _, err := parseVersion(m.String("version")); err != nil {
			p.r.Fail(at, "%s", fault.From(err).Message)
		}
		p.v.Version = at2string(at)
	}
	p.v.Title = p.text(m, "title", 100)
	p.v.Description = p.text(m, "description", 2000)
	p.v.Owner = p.text(m, "owner", 100)
	p.v.Tags = m.Strings("tags")
	if len(p.v.Tags) > 20 {
		p.r.Fail(m.Node("tags"), "has more than 20 tags")
	}
	for i, tag := range p.v.Tags {
		if !tagForm().MatchString(tag) {
			p.r.FailAt(m.Node("tags").Line, fmt.Sprintf("/metadata/tags/%d", i), "the tag %s is not made of a-z, 0-9 and -", yamlx.Quote(tag))
		}
	}
	slices.Sort(p.v.Tags)
	p.v.Tags = slices.Compact(p.v.Tags)
}

func at2string(n *yamlx.Node) string {
	s, _ := n.Value().(string)
	return s
}

func (p *manifestParser) text(m yamlx.Fields, name string, most int) string {
	s := m.String(name)
	if utf8.RuneCountInString(s) > most {
		p.r.Fail(m.Node(name), "is longer than %d characters", most)
	}
	return strings.TrimSpace(s)
}

func (p *manifestParser) inputs(n *yamlx.Node) {
	doc := map[string]any{}
	if n != nil && n.Kind != yamlx.Null {
		var ok bool
		if doc, ok = n.Value().(map[string]any); !ok {
			p.r.Fail(n, "must be a JSON Schema of an object, is %s", n.Kind)
			return
		}
	}
	s, flaws := compileSchema(doc)
	for _, f := range flaws {
		p.r.FailAt(n.Find(f.pointer).Line, "/inputs"+f.pointer, "%s", f.message)
	}
	if len(flaws) == 0 {
		p.v.schema, p.v.Inputs = s, s.doc
	}
}

func (p *manifestParser) outputs(n *yamlx.Node) {
	p.v.Outputs = map[string]Output{}
	if n == nil || n.Kind == yamlx.Null {
		return
	}
	if n.Kind != yamlx.Object {
		p.r.Fail(n, "must be an object from output to {type, description, sensitive}, is %s", n.Kind)
		return
	}
	if len(n.Fields) > maxOutputs {
		p.r.Fail(n, "has more than %d outputs", maxOutputs)
	}
	for _, f := range n.Fields {
		if !outputName().MatchString(f.Name) {
			p.r.FailAt(f.Line, f.Value.Pointer, "%s is no name for an output: use letters, digits and _, starting with a letter", yamlx.Quote(f.Name))
		}
		o := p.r.Object(f.Value, "type", "description", "sensitive")
		out := Output{Type: o.String("type"), Description: o.String("description"), Sensitive: o.Bool("sensitive")}
		if t := o.Node("type"); t == nil {
			out.Type = "string"
		} else if t.Kind == yamlx.String && !slices.Contains(outputTypes, out.Type) {
			p.r.Fail(t, "must be one of %s", strings.Join(outputTypes, ", "))
		}
		p.v.Outputs[f.Name] = out
	}
}

const maxNeeds = 100

// needs is what the template says that it is built on; information only.
func (p *manifestParser) needs(n *yamlx.Node) {
	if n == nil || n.Kind == yamlx.Null {
		return
	}
	if n.Kind != yamlx.List || len(n.Items) > maxNeeds {
		p.r.Fail(n, "must be a list of at most %d of {kind, name, source, version}", maxNeeds)
		return
	}
	for _, item := range n.Items {
		o := p.r.Object(item, "kind", "name", "source", "version")
		p.v.Needs = append(p.v.Needs, Need{Kind: p.text(o, "kind", 20), Name: p.text(o, "name", 200), Source: p.text(o, "source", 500), Version: p.text(o, "version", 200)})
	}
}

func (p *manifestParser) lifecycle(n *yamlx.Node) {
	p.v.snapshot = literalExpr(false)
	if n == nil || n.Kind == yamlx.Null {
		return
	}
	l := p.r.Object(n, "stateful", "snapshotOnDestroy", "rotationOverlap", "observeEvery")
	p.v.Stateful = l.Bool("stateful")
	p.v.RotationOverlap = l.Duration("rotationOverlap", 0, 30*24*time.Hour)
	p.v.ObserveEvery = l.Duration("observeEvery", 5*time.Second, 24*time.Hour)
	at := l.Node("snapshotOnDestroy")
	if at == nil {
		return
	}
	e, why := parseExpr(at.Value(), p.v.schema)
	switch {
	case why != "":
		p.r.Fail(at, "%s", why)
	case e.whole() && e.declared(p.v.schema) == "boolean":
		p.v.snapshot = e
	case at.Kind == yamlx.Bool:
		p.v.snapshot = e
	default:
		p.r.Fail(at, `must be true, false, or "${{ inputs.NAME }}" of a boolean input`)
	}
}

func (p *manifestParser) access(n *yamlx.Node) {
	p.v.Access = map[string]string{}
	if n == nil || n.Kind == yamlx.Null {
		return
	}
	a := p.r.Object(n, "attributes")
	attrs := a.Node("attributes")
	if attrs == nil || attrs.Kind == yamlx.Null {
		return
	}
	if attrs.Kind != yamlx.Object || len(attrs.Fields) > 50 {
		p.r.Fail(attrs, "must be an object of at most 50 strings")
		return
	}
	for _, f := range attrs.Fields {
		s, ok := f.Value.Value().(string)
		switch {
		case !keyForm().MatchString(f.Name):
			p.r.FailAt(f.Line, f.Value.Pointer, "%s is no name for an attribute", yamlx.Quote(f.Name))
		case !ok || len(s) > 200:
			p.r.Fail(f.Value, "must be a string of at most 200 bytes")
		}
		p.v.Access[f.Name] = s
	}
}

func (p *manifestParser) docs(n *yamlx.Node, name string) {
	if name == "" {
		return
	}
	if !fs.ValidPath(name) || !strings.HasSuffix(name, ".md") {
		p.r.Fail(n, "must be the path of a Markdown file (.md) in the template's folder")
		return
	}
	text, ok := p.v.files.File(name)
	switch {
	case !ok:
		near := ""
		if x := yamlx.Nearest(name, p.v.files.Names()); x != "" {
			near = fmt.Sprintf(", did you mean %q?", x)
		}
		p.r.Fail(n, "there is no file %s%s", yamlx.Quote(name), near)
	case !utf8.Valid(text):
		p.r.Fail(n, "the file %s is not valid UTF-8", yamlx.Quote(name))
	}
	p.v.Docs = name
}

func (p *manifestParser) spec(n *yamlx.Node) {
	if n == nil || n.Kind == yamlx.Null {
		p.v.spec = map[string]any{}
		return
	}
	if n.Kind != yamlx.Object {
		p.r.Fail(n, "must be an object, is %s", n.Kind)
		return
	}
	p.v.spec = p.specValue(n)
}

// specValue checks every expression once, at push.
func (p *manifestParser) specValue(n *yamlx.Node) any {
	switch n.Kind {
	case yamlx.Object:
		m := make(map[string]any, len(n.Fields))
		for _, f := range n.Fields {
			if hasOpening(f.Name) {
				p.r.FailAt(f.Line, f.Value.Pointer, "a field's name may not hold an expression")
			}
			m[f.Name] = p.specValue(f.Value)
		}
		return m
	case yamlx.List:
		l := make([]any, len(n.Items))
		for i, item := range n.Items {
			l[i] = p.specValue(item)
		}
		return l
	}
	e, why := parseExpr(n.Value(), p.v.schema)
	if why != "" {
		p.r.Fail(n, "%s", why)
	}
	return e
}
