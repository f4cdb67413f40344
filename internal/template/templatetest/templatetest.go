package templatetest

import (
	"archive/tar"
	"bytes"
	"context"
	"maps"
	"slices"
	"testing"

	"fairlead/internal/engine"
)

// Files is a template's folder: path to content.
type Files map[string]string

// With gives a copy with other files added or put in place.
func (f Files) With(more Files) Files {
	out := maps.Clone(f)
	maps.Copy(out, more)
	return out
}

// Tar packs the files the way tar does.
func (f Files) Tar(t testing.TB) *bytes.Reader {
	t.Helper()
	var entries []tar.Header
	for _, name := range slices.Sorted(maps.Keys(f)) {
		entries = append(entries, tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(f[name]))})
	}
	return Tar(t, f, entries...)
}

// Tar packs entries as they are told, however bad; contents come from files.
func Tar(t testing.TB, files Files, entries ...tar.Header) *bytes.Reader {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range entries {
		if err := w.WriteHeader(&h); err != nil {
			t.Fatalf("tar: %v", err)
		}
		if _, err := w.Write([]byte(files[h.Name])); err != nil {
			t.Fatalf("tar: %v", err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatalf("tar: %v", err)
	}
	return bytes.NewReader(b.Bytes())
}

// Manifest is a sound template.yaml for the engine "fake", of a name and a
// version, with one input "size".
func Manifest(name, version string) string {
	return `apiVersion: fairlead/v1
kind: Template
metadata:
  name: ` + name + `
  title: The ` + name + ` template
  version: ` + version + `
  tags: [test]
engine: fake
inputs:
  properties:
    size: {type: integer, minimum: 1, maximum: 100, default: 10}
outputs:
  address: {type: string}
  token: {type: string, sensitive: true}
spec:
  size: ${{ inputs.size }}
`
}

// New is a sound template.
func New(name, version string) Files { return Files{"template.yaml": Manifest(name, version)} }

// Engines is a set of engines by name.
type Engines map[string]engine.Engine

// Lookup implements template.Engines.
func (e Engines) Lookup(name string) (engine.Engine, bool) {
	x, ok := e[name]
	return x, ok
}

// Names implements template.Engines.
func (e Engines) Names() []string { return slices.Sorted(maps.Keys(e)) }

// Planner is an engine that can only be asked at push and for a dry plan.
type Planner struct {
	engine.Engine
	OnValidate func(engine.Template) error
	OnPlan     func(engine.Request) (engine.Plan, error)
}

// Validate implements engine.Validator.
func (p Planner) Validate(_ context.Context, t engine.Template) error {
	if p.OnValidate == nil {
		return nil
	}
	return p.OnValidate(t)
}

// PlanNew implements engine.DryPlanner.
func (p Planner) PlanNew(_ context.Context, req engine.Request) (engine.Plan, error) {
	if p.OnPlan == nil {
		return engine.Plan{}, nil
	}
	return p.OnPlan(req)
}
