package iacmodule

import (
	"path"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// Variable is one input of the module.
type Variable struct {
	Name        string
	Description string
	Type        cty.Type
	Default     cty.Value // cty.NilVal when there is none: it must be given
	Sensitive   bool
	Nullable    bool // null may be given; only when the module says so
	Rules       []Rule

	defaults *typeexpr.Defaults
	decl     hcl.Range
	nullable bool // as the program has it: true unless the module says no
	rules    []condition
	typeExpr hcl.Expression
	standard hcl.Expression
}

// Rule is a validation of the module. Mapped ones are in the schema too.
type Rule struct {
	Message string
	Mapped  bool
}

type condition struct {
	expr    hcl.Expression
	message string
}

// builder puts one module together.
type builder struct {
	*reader
	m    *Module
	dir  string
	seen map[string]hcl.Range
	at   map[string]int // place of a variable
}

func (b *builder) block(blk *hcl.Block, over bool) {
	switch blk.Type {
	case "variable":
		b.variable(blk, over)
	case "output":
		b.output(blk, over)
	case "module":
		b.call(blk)
	case "terraform":
		b.settings(blk.Body)
	}
}

// once refuses what is there twice.
func (b *builder) once(blk *hcl.Block) bool {
	key := blk.Type + " " + blk.Labels[0]
	if was, ok := b.seen[key]; ok {
		b.fail(&blk.DefRange, "%s %q is declared already in %s line %d", blk.Type, clip(blk.Labels[0]), was.Filename, was.Start.Line)
		return false
	}
	b.seen[key] = blk.DefRange
	return true
}

var variableBody = &hcl.BodySchema{
	Attributes: []hcl.AttributeSchema{{Name: "type"}, {Name: "default"}, {Name: "description"}, {Name: "sensitive"}, {Name: "nullable"}},
	Blocks:     []hcl.BlockHeaderSchema{{Type: "validation"}},
}

var ruleBody = &hcl.BodySchema{Attributes: []hcl.AttributeSchema{{Name: "condition"}, {Name: "error_message"}}}

func (b *builder) variable(blk *hcl.Block, over bool) {
	name := blk.Labels[0]
	place, known := b.at[name]
	v := Variable{Name: name, Type: cty.DynamicPseudoType, Default: cty.NilVal, nullable: true, decl: blk.DefRange}
	if over && known {
		v = b.m.Variables[place]
	} else if !b.once(blk) {
		return
	}
	if len(name) > 128 || !hclName(name) {
		b.fail(&blk.DefRange, "%q is no name for a variable", clip(name))
		return
	}
	content, _, diags := blk.Body.PartialContent(variableBody)
	b.diags(diags)
	if a := content.Attributes["type"]; a != nil {
		v.typeExpr = a.Expr
	}
	if a := content.Attributes["default"]; a != nil {
		v.standard = a.Expr
	}
	b.text(content.Attributes["description"], &v.Description)
	b.flag(content.Attributes["sensitive"], &v.Sensitive)
	if a := content.Attributes["nullable"]; a != nil {
		b.flag(a, &v.nullable)
		v.Nullable = v.nullable
	}
	for _, rule := range content.Blocks {
		rc, _, diags := rule.Body.PartialContent(ruleBody)
		b.diags(diags)
		if a := rc.Attributes["condition"]; a != nil {
			c := condition{expr: a.Expr}
			if m := rc.Attributes["error_message"]; m != nil {
				c.message = sentence(m.Expr)
			}
			v.rules = append(v.rules, c)
		}
	}
	if known {
		b.m.Variables[place] = v
		return
	}
	if len(b.m.Variables) >= maxVariables {
		b.fail(&blk.DefRange, "the module has more than %d variables", maxVariables)
		return
	}
	b.at[name] = len(b.m.Variables)
	b.m.Variables = append(b.m.Variables, v)
}

// sentence is a message as it stands, with what only a run knows left out.
func sentence(e hcl.Expression) string {
	t, ok := e.(*hclsyntax.TemplateExpr)
	if !ok {
		return literal(e)
	}
	var text strings.Builder
	for _, p := range t.Parts {
		if val, ok := value(p); ok && val.Type() == cty.String && !val.IsNull() {
			text.WriteString(val.AsString())
		} else {
			text.WriteString("…")
		}
	}
	return Text(text.String(), 500)
}

// finish reads types and defaults once every override is known.
func (b *builder) finish() {
	for i := range b.m.Variables {
		v := &b.m.Variables[i]
		if v.typeExpr != nil {
			b.typed(v)
		}
		if v.standard != nil {
			b.standard(v)
		}
		for _, c := range v.rules {
			v.Rules = append(v.Rules, Rule{Message: c.message})
		}
	}
	for i, c := range b.m.Calls {
		b.follow(&b.m.Calls[i], c)
	}
}

func (b *builder) typed(v *Variable) {
	// What modules older than 0.12 wrote: a word, or one in quotes.
	word := hcl.ExprAsKeyword(v.typeExpr)
	if word == "" {
		word = literal(v.typeExpr)
	}
	switch word {
	case "list":
		v.Type = cty.List(cty.DynamicPseudoType)
		return
	case "map":
		v.Type = cty.Map(cty.DynamicPseudoType)
		return
	case "string":
		v.Type = cty.String
		return
	}
	e, ok := b.typeText(v)
	if !ok {
		return
	}
	t, defaults, diags := typeexpr.TypeConstraintWithDefaults(e)
	if b.diags(diags) {
		return
	}
	if depth, parts := measure(t); depth > maxTypeDepth || parts > maxTypeParts {
		at := v.typeExpr.Range()
		b.fail(&at, "the type of the variable %q is nested too deep or has too many parts", v.Name)
		return
	}
	v.Type, v.defaults = t, defaults
}

// typeText gives a type's expression in the native syntax; in JSON it is a
// text. Loops have no place in one: a default in it would be computed.
func (b *builder) typeText(v *Variable) (hclsyntax.Expression, bool) {
	at := v.typeExpr.Range()
	e, ok := v.typeExpr.(hclsyntax.Expression)
	if !ok {
		src := []byte(strings.TrimSuffix(strings.TrimPrefix(literal(v.typeExpr), "${"), "}"))
		if b.diags(bounded(src, at.Filename)) {
			return nil, false
		}
		var diags hcl.Diagnostics
		if e, diags = hclsyntax.ParseExpression(src, at.Filename, at.Start); b.diags(diags) {
			return nil, false
		}
	}
	if computes(e, false) {
		b.fail(&at, "the type of the variable %q is no type", v.Name)
		return nil, false
	}
	return e, true
}

func (b *builder) standard(v *Variable) {
	val, ok, diags := constant(v.standard)
	if b.diags(diags) {
		return
	}
	at := v.standard.Range()
	if !ok {
		b.fail(&at, "the default of the variable %q is no literal value", v.Name)
		return
	}
	if v.defaults != nil && !val.IsNull() {
		val = v.defaults.Apply(val)
	}
	to, err := convert.Convert(val, v.Type)
	if err != nil {
		b.fail(&at, "the default of the variable %q does not fit its type: %s", v.Name, err)
		return
	}
	if to.IsNull() && !v.nullable {
		b.fail(&at, "the default of the variable %q is null, which it does not take", v.Name)
		return
	}
	v.Default = to
}

var outputBody = &hcl.BodySchema{Attributes: []hcl.AttributeSchema{{Name: "description"}, {Name: "sensitive"}, {Name: "value"}}}

func (b *builder) output(blk *hcl.Block, over bool) {
	place := slices.IndexFunc(b.m.Outputs, func(o Output) bool { return o.Name == blk.Labels[0] })
	o := Output{Name: blk.Labels[0]}
	if over && place >= 0 {
		o = b.m.Outputs[place]
	} else if !b.once(blk) {
		return
	}
	content, _, diags := blk.Body.PartialContent(outputBody)
	b.diags(diags)
	b.text(content.Attributes["description"], &o.Description)
	b.flag(content.Attributes["sensitive"], &o.Sensitive)
	switch {
	case place >= 0:
		b.m.Outputs[place] = o
	case len(b.m.Outputs) >= maxOutputs:
		b.fail(&blk.DefRange, "the module has more than %d outputs", maxOutputs)
	default:
		b.m.Outputs = append(b.m.Outputs, o)
	}
}

var callBody = &hcl.BodySchema{Attributes: []hcl.AttributeSchema{{Name: "source"}, {Name: "version"}}}

func (b *builder) call(blk *hcl.Block) {
	content, _, diags := blk.Body.PartialContent(callBody)
	b.diags(diags)
	c := Call{Name: blk.Labels[0]}
	b.text(content.Attributes["source"], &c.Source)
	b.text(content.Attributes["version"], &c.Version)
	if i := slices.IndexFunc(b.m.Calls, func(x Call) bool { return x.Name == c.Name }); i >= 0 {
		if c.Source != "" {
			b.m.Calls[i] = c // an override
		}
		return
	}
	b.seen["call "+c.Name] = blk.DefRange
	b.m.Calls = append(b.m.Calls, c)
}

// follow reads a module of the same tree that is called, for what is wrong
// with it; one that comes back to itself would never end.
func (b *builder) follow(_ *Call, c Call) {
	if !c.Local() {
		return
	}
	at := b.seen["call "+c.Name]
	dir := path.Join(b.dir, c.Source)
	switch {
	case dir == ".." || strings.HasPrefix(dir, "../"):
		b.fail(&at, "the module %q lies outside of the template's folder: %s", clip(c.Name), clip(c.Source))
	case b.state[dir] == reading:
		b.fail(&at, "the module %q calls itself in a circle: %s", clip(c.Name), clip(c.Source))
	case b.state[dir] == done:
	case len(b.state) > maxModules:
		b.fail(&at, "the module calls more than %d others", maxModules)
	case !Has(b.tree, dir):
		b.fail(&at, "there is no module %s", clip(c.Source))
	default:
		b.module(dir)
	}
}

var (
	settingsBody = &hcl.BodySchema{Attributes: []hcl.AttributeSchema{{Name: "required_version"}}, Blocks: []hcl.BlockHeaderSchema{{Type: "required_providers"}}}
)

func (b *builder) settings(body hcl.Body) {
	content, _, diags := body.PartialContent(settingsBody)
	b.diags(diags)
	version := ""
	if b.text(content.Attributes["required_version"], &version); version != "" {
		b.m.Versions = append(b.m.Versions, version)
	}
	for _, blk := range content.Blocks {
		attrs, diags := blk.Body.JustAttributes()
		b.diags(diags)
		for name, a := range attrs {
			b.m.Providers = append(b.m.Providers, provider(name, a.Expr))
		}
	}
}

func provider(name string, e hcl.Expression) Provider {
	p := Provider{Name: name}
	if pairs, diags := hcl.ExprMap(e); !diags.HasErrors() {
		for _, kv := range pairs {
			key := hcl.ExprAsKeyword(kv.Key)
			if key == "" {
				key = literal(kv.Key)
			}
			switch key {
			case "source":
				p.Source = literal(kv.Value)
			case "version":
				p.Version = literal(kv.Value)
			}
		}
		return p
	}
	p.Version = literal(e)
	return p
}

func (b *builder) text(a *hcl.Attribute, into *string) {
	if a == nil {
		return
	}
	if s := literal(a.Expr); s != "" { // OpenTofu takes expressions there, which only a run knows
		*into = s
	}
}

func (b *builder) flag(a *hcl.Attribute, into *bool) {
	if a == nil {
		return
	}
	val, ok, diags := constant(a.Expr)
	if b.diags(diags) {
		return
	}
	if !ok {
		return // as above
	}
	yes, err := convert.Convert(val, cty.Bool)
	if err != nil || !yes.IsKnown() || yes.IsNull() {
		b.fail(&a.Range, "%s must be true or false", a.Name)
		return
	}
	*into = yes.True()
}
