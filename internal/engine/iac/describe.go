package iac

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/hashicorp/go-version"

	"fairlead/internal/engine"
	"fairlead/internal/engine/iac/iacmodule"
	"fairlead/internal/fault"
)

var _ engine.Describer = (*Engine)(nil)

// Describes implements engine.Describer.
func (e *Engine) Describes(files fs.FS) bool { return iacmodule.Has(files, moduleRoot(files)) }

// Describe implements engine.Describer. Variables that spec.variables sets are
// no inputs. A manifest with inputs whose spec.variables sets all that the
// module needs says all itself, unless an input of it refines a variable that
// nothing sets: left alone, that input would be asked for and reach nobody.
func (e *Engine) Describe(_ context.Context, d engine.Draft) (engine.Description, error) {
	root := moduleRoot(d.Files)
	m, err := iacmodule.Read(d.Files, root)
	if err != nil {
		return engine.Description{}, err
	}
	spec := d.Spec
	if spec == nil {
		spec = map[string]any{}
	}
	set, given := spec["variables"].(map[string]any)
	if err := known(m, set); err != nil {
		return engine.Description{}, err
	}
	from, err := fromPlatform(m, spec)
	if err != nil {
		return engine.Description{}, err
	}
	set = maps.Clone(set) // with what is set elsewhere, and so is no input
	if set == nil {
		set = map[string]any{}
	}
	for _, name := range from {
		set[name] = nil
	}
	out := engine.Description{Docs: m.Docs, Outputs: map[string]engine.DescribedOutput{}}
	out.Title, out.Summary = heading(d.Files, m.Docs)
	for _, o := range m.Outputs {
		out.Outputs[o.Name] = engine.DescribedOutput{Description: o.Description, Sensitive: o.Sensitive}
	}
	out.Needs = needs(m)
	lacks := slices.ContainsFunc(m.Variables, func(v iacmodule.Variable) bool { _, ok := set[v.Name]; return v.Required() && !ok })
	if given && d.Inputs != nil && !lacks && !refines(m, set, d.Inputs) {
		return out, nil
	}
	out.Inputs = m.Schema(func(name string) bool { _, ok := set[name]; return ok })
	out.Spec = func(inputs []string) map[string]any {
		done := maps.Clone(spec)
		pass := []any{}
		for _, v := range m.Variables {
			if _, ok := set[v.Name]; !ok && slices.Contains(inputs, v.Name) {
				pass = append(pass, v.Name)
			}
		}
		done["pass"] = pass
		if _, ok := done["version"]; !ok {
			if want := strings.Join(m.Versions, ", "); want != "" {
				if _, err := version.NewConstraint(want); err == nil {
					done["version"] = want
				}
			}
		}
		return done
	}
	return out, nil
}

// refines tells whether the manifest's inputs go over variables of the module
// that nothing sets.
func refines(m *iacmodule.Module, set, inputs map[string]any) bool {
	properties, _ := inputs["properties"].(map[string]any)
	return slices.ContainsFunc(m.Variables, func(v iacmodule.Variable) bool {
		_, named := properties[v.Name]
		_, has := set[v.Name]
		return named && !has
	})
}

// needs is what a module is built on and does not bring along.
func needs(m *iacmodule.Module) []engine.Need {
	var out []engine.Need
	for _, v := range m.Versions {
		out = append(out, engine.Need{Kind: "program", Version: v})
	}
	for _, p := range m.Providers {
		out = append(out, engine.Need{Kind: "provider", Name: p.Name, Source: p.Source, Version: p.Version})
	}
	for _, c := range m.Calls {
		if !c.Local() {
			out = append(out, engine.Need{Kind: "module", Name: c.Name, Source: c.Source, Version: c.Version})
		}
	}
	return out
}

// known refuses variables that the module does not have: a misspelt one would
// be given to nobody.
func known(m *iacmodule.Module, set map[string]any) error {
	var bad []fault.Violation
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if !slices.ContainsFunc(m.Variables, func(v iacmodule.Variable) bool { return v.Name == name }) {
			bad = append(bad, fault.Violation{Field: "/spec/variables/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name), Message: fmt.Sprintf("the module has no variable %q", name)})
		}
	}
	if len(bad) == 0 {
		return nil
	}
	return fault.New(fault.Invalid, "template_spec_invalid", "the template's spec does not fit the module: %s", bad[0].Message).
		WithField(bad[0].Field).WithViolations(bad...).WithHint("declare the variable in the module, or take it out of spec.variables")
}

// fromPlatform are the variables that the platform team gives, which the
// module must have.
func fromPlatform(m *iacmodule.Module, spec map[string]any) (names []string, err error) {
	list, _ := spec["given"].([]any) // what is no list readSpec refuses
	for _, v := range list {
		name, _ := v.(string)
		if !slices.ContainsFunc(m.Variables, func(v iacmodule.Variable) bool { return v.Name == name }) {
			return nil, fault.New(fault.Invalid, "template_spec_invalid", "the template's spec does not fit the module: the module has no variable %q", name).
				WithField("/spec/given").WithHint("declare the variable in the module, or take it out of spec.given")
		}
		names = append(names, name)
	}
	return names, nil
}

// heading gives the title and the first sentences of a README.
func heading(files fs.FS, docs string) (title, summary string) {
	if docs == "" || path.Ext(docs) != ".md" && path.Ext(docs) != ".MD" {
		return "", ""
	}
	text, err := fs.ReadFile(files, docs)
	if err != nil {
		return "", ""
	}
	var lines []string
	for line := range strings.Lines(string(text[:min(len(text), 64<<10)])) {
		line = strings.TrimSpace(line)
		switch {
		case title == "" && strings.HasPrefix(line, "# "):
			title = iacmodule.Text(strings.TrimSpace(line[2:]), 90)
		case line == "" || strings.HasPrefix(line, "#") || strings.ContainsAny(line[:1], "[!<|`-=*_"):
			if len(lines) > 0 {
				return title, iacmodule.Text(strings.Join(lines, " "), 500)
			}
		case title != "" && len(lines) < 20:
			lines = append(lines, line)
		}
	}
	return title, iacmodule.Text(strings.Join(lines, " "), 500)
}
