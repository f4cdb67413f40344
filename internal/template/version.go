package template

import (
	"errors"
	"maps"
	"slices"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/engine"
	"fairlead/internal/fault"
	"fairlead/internal/template/bundle"
)

// Version is one immutable version of a template. It is safe for concurrent
// use; its maps and slices are not to be changed.
type Version struct {
	Manifest
	Digest    string // SHA-256 of the canonical archive, in hexadecimal
	CreatedAt time.Time
	CreatedBy string // the id of who pushed it

	Deprecation Deprecation // as it was when the version was found

	manifest []byte // template.yaml as JSON
	pushed   string // the digest as it was pushed, when its manifest was completed
	files    *bundle.Bundle
	schema   *schema
	spec     any // map[string]any, []any and expr
	snapshot expr
	units    []unit
	tests    []testCase
}

// Check validates inputs as a developer wrote them and gives a copy with
// defaults filled in and numbers as yamlx.Number gives them. A value that is a
// reference fits anywhere; CheckResolved looks again. The fault is Invalid with
// code "invalid_inputs" (or "invalid_reference") and lists every violation. No
// message repeats a value.
func (v *Version) Check(inputs map[string]any) (map[string]any, error) {
	out, err := v.schema.check(inputs, true)
	return out, v.hinted(err)
}

// CheckResolved validates inputs after Resolve: text is text, whatever it
// looks like.
func (v *Version) CheckResolved(inputs map[string]any) error {
	_, err := v.schema.check(inputs, false)
	return v.hinted(err)
}

// hinted says where to look up what the inputs may be, when nothing better was
// said.
func (v *Version) hinted(err error) error {
	if f, ok := errors.AsType[*fault.Error](err); ok && f.Code == "invalid_inputs" && f.Hint == "" {
		return f.WithHint("see what it takes with: fairlead template show %s --version %s", v.Name, v.Version)
	}
	return err
}

// SecretInputs gives the JSON pointers of the values in inputs that the schema
// marks as secret (writeOnly, or format password).
func (v *Version) SecretInputs(inputs map[string]any) []string { return v.schema.secrets(inputs) }

// HideSecrets gives a copy of inputs with every secret value replaced by
// redact.Shown, for responses, diffs and logs. References stay.
func (v *Version) HideSecrets(inputs map[string]any) map[string]any { return v.schema.hide(inputs) }

// Render gives what the engine sees for resolved inputs: names of ref and the
// environment's class may be used in the spec too.
func (v *Version) Render(inputs map[string]any, ref engine.Ref, class string) (engine.Template, error) {
	norm, err := (&normaliser{}).value(inputs, "", 0)
	if err != nil {
		return engine.Template{}, err
	}
	m, _ := norm.(map[string]any)
	raw, err := newRenderer(m, ref, class).json(v.spec)
	if err != nil {
		return engine.Template{}, err
	}
	t := v.bare()
	t.Spec = raw
	return t, nil
}

func (v *Version) bare() engine.Template {
	return engine.Template{Name: v.Name, Version: v.Version, Digest: v.Digest, Files: v.files.FS()}
}

// atPush is the engine's view before anyone asked for anything: the spec as
// the inputs' defaults make it, without what depends on other inputs.
func (v *Version) atPush() (engine.Template, error) {
	inputs := map[string]any{}
	v.schema.fill(v.schema.doc, inputs, 0)
	r := newRenderer(inputs, engine.Ref{}, "")
	r.drop = true
	delete(r.values, "environment")
	delete(r.values, "project")
	delete(r.values, "team")
	delete(r.values, "resource")
	raw, err := r.json(v.spec)
	t := v.bare()
	t.Spec = raw
	return t, err
}

// EngineLifeCycle is the template's life cycle for a resource with these
// inputs.
func (v *Version) EngineLifeCycle(inputs map[string]any) engine.LifeCycle {
	l := engine.LifeCycle{Stateful: v.Stateful, RotationOverlap: v.RotationOverlap}
	if x, ok, err := newRenderer(inputs, engine.Ref{}, "").expr(v.snapshot); err == nil && ok {
		l.SnapshotOnDestroy, _ = x.(bool)
	}
	return l
}

// SensitiveOutputs gives each declared output and whether it is a secret.
func (v *Version) SensitiveOutputs() map[string]bool {
	m := make(map[string]bool, len(v.Outputs))
	for name, o := range v.Outputs {
		m[name] = o.Sensitive
	}
	return m
}

// Target is what access decides on.
func (v *Version) Target() access.Target { return target(v.Name, v.Access) }

func target(name string, attributes map[string]string) access.Target {
	return access.Target{Kind: "template", ID: name, Name: name, Template: name, Attributes: maps.Clone(attributes)}
}

// DocsText is the docs page's Markdown, as written; "" when there is none. It
// is a stranger's text: whoever shows it sanitises.
func (v *Version) DocsText() string {
	text, _ := v.files.File(v.Docs)
	return string(text)
}

// Archive is the canonical archive, a tar.
func (v *Version) Archive() []byte { return v.files.Archive() }

// OutputTypes gives each declared output and its type.
func (v *Version) OutputTypes() map[string]string {
	m := make(map[string]string, len(v.Outputs))
	for name, o := range v.Outputs {
		m[name] = o.Type
	}
	return m
}

// OutputNames gives the declared outputs, sorted.
func (v *Version) OutputNames() []string { return slices.Sorted(maps.Keys(v.Outputs)) }
