package template

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"fairlead/internal/engine"
	"fairlead/internal/fault"
	"fairlead/internal/template/bundle"
	"fairlead/internal/yamlx"
)

// Naming is what a push says besides the files: what a manifest does not say,
// or once more what it says.
type Naming struct {
	Name    string
	Version string
	Path    string // the folder of the archive in which the template lies
}

// complete gives a template its manifest as it is applied, for good: what its
// files say by themselves to an engine.Describer (a module's variables and
// outputs), with what the author's manifest says otherwise on top. It is done
// once, at push, and stored: what a version takes never changes afterwards,
// whatever a later Fairlead reads in the same files.
func (s *Service) complete(ctx context.Context, b *bundle.Bundle, n Naming) (*Version, error) {
	src, written := b.File(ManifestFile)
	var root *yamlx.Node
	doc := map[string]any{}
	if written {
		d, err := yamlx.DecodeOne(bytes.NewReader(src), yamlx.Limits{File: ManifestFile})
		if err != nil {
			return nil, err
		}
		root = d.Root
		var ok bool
		if doc, ok = root.Value().(map[string]any); !ok {
			return parseManifest(b, root)
		}
	}
	c := completion{doc: doc, author: root, src: string(src), written: written, files: b}
	if err := c.name(n); err != nil {
		return nil, err
	}
	if err := c.describe(ctx, s.engines); err != nil {
		return nil, err
	}
	if !c.changed {
		return parse(b)
	}
	text, err := encodeManifest(doc)
	if err != nil {
		return nil, err
	}
	full, err := b.With(ManifestFile, text)
	if err != nil {
		return nil, err
	}
	v, err := parseManifest(full, yamlx.NodeOf(doc, root))
	if err != nil {
		return nil, err
	}
	v.pushed = b.Digest()
	return v, nil
}

type completion struct {
	doc     map[string]any
	author  *yamlx.Node // nil without a manifest
	src     string
	written bool
	files   *bundle.Bundle
	changed bool
}

func (c *completion) section(name string) map[string]any {
	m, ok := c.doc[name].(map[string]any)
	if !ok {
		if _, there := c.doc[name]; there {
			return map[string]any{} // parsing says what is wrong with it
		}
		m = map[string]any{}
		c.doc[name] = m
	}
	return m
}

// name fills in name and version, where the push alone says them.
func (c *completion) name(n Naming) error {
	if n.Name == "" && n.Version == "" {
		return nil
	}
	meta := c.section("metadata")
	for _, f := range []struct{ field, said string }{{"name", n.Name}, {"version", n.Version}} {
		if f.said == "" {
			continue
		}
		has, there := meta[f.field]
		if there && has != f.said {
			return fault.New(fault.Invalid, "pushed_as_another", "%s says %s %s, and it is pushed as %s", ManifestFile, f.field, literal(has), yamlx.Quote(f.said)).
				WithField("/metadata/"+f.field).WithHint("take metadata.%s out of %s, or make both the same", f.field, ManifestFile)
		}
		if !there {
			meta[f.field], c.changed = f.said, true
		}
	}
	return nil
}

// describe asks the engine what the files say by themselves.
func (c *completion) describe(ctx context.Context, engines Engines) error {
	name, _ := c.doc["engine"].(string)
	if _, said := c.doc["engine"]; !said {
		if name = describing(engines, c.files); name == "" {
			return nil // parsing says what is missing
		}
	}
	e, _ := engines.Lookup(name)
	d, ok := e.(engine.Describer)
	if !ok || !d.Describes(c.files.FS()) {
		return nil
	}
	draft := engine.Draft{Files: c.files.FS()}
	draft.Spec, _ = c.doc["spec"].(map[string]any)
	draft.Inputs, _ = c.doc["inputs"].(map[string]any)
	said, err := d.Describe(ctx, draft)
	if err != nil {
		return err
	}
	if c.doc["engine"] == nil {
		c.doc["engine"], c.changed = name, true
	}
	if !c.written {
		c.bare(said)
	}
	if _, ok := c.doc["outputs"]; !ok && len(said.Outputs) > 0 {
		c.doc["outputs"], c.changed = outputsOf(said.Outputs), true
	}
	if _, ok := c.doc["docs"]; !ok && strings.HasSuffix(said.Docs, ".md") {
		c.doc["docs"], c.changed = said.Docs, true
	}
	if said.Inputs != nil {
		err = c.inputs(said, draft.Inputs)
	}
	if _, ok := c.doc["needs"]; !ok && c.changed && len(said.Needs) > 0 {
		c.doc["needs"] = needsOf(said.Needs)
	}
	return err
}

// describing finds the engine whose files these are.
func describing(engines Engines, b *bundle.Bundle) string {
	for _, name := range engines.Names() {
		e, _ := engines.Lookup(name)
		if d, ok := e.(engine.Describer); ok && d.Describes(b.FS()) {
			return name
		}
	}
	return ""
}

// bare is what a manifest must say and none does. What a stranger's module
// holds nobody knows: its loss is taken to be one of data.
func (c *completion) bare(said engine.Description) {
	c.doc["apiVersion"], c.doc["kind"], c.changed = apiVersion, "Template", true
	c.doc["lifecycle"], c.doc["tests"] = map[string]any{"stateful": true}, false
	meta := c.section("metadata")
	if said.Title != "" {
		meta["title"] = said.Title
	}
	if said.Summary != "" {
		meta["description"] = said.Summary
	}
}

func needsOf(said []engine.Need) []any {
	out := []any{}
	for _, n := range said {
		one := map[string]any{}
		for k, v := range map[string]string{"kind": n.Kind, "name": n.Name, "source": n.Source, "version": n.Version} {
			if v != "" {
				one[k] = v
			}
		}
		out = append(out, one)
	}
	return out
}

func outputsOf(said map[string]engine.DescribedOutput) map[string]any {
	out := map[string]any{}
	for name, o := range said {
		if !outputName().MatchString(name) {
			continue // nothing could refer to it
		}
		one := map[string]any{"type": "any"}
		if o.Description != "" {
			one["description"] = o.Description
		}
		if o.Sensitive {
			one["sensitive"] = true
		}
		out[name] = one
	}
	return out
}

// inputs puts the author's inputs over those that the files say, as RFC 7396
// merges: an object goes into an object, null takes away, all else replaces.
func (c *completion) inputs(said engine.Description, author map[string]any) error {
	described, _ := said.Inputs["properties"].(map[string]any)
	names := slices.Sorted(maps.Keys(described))
	if err := c.unknown(names, author); err != nil {
		return err
	}
	merged := mergePatch(cloneValue(said.Inputs), author).(map[string]any)
	properties, _ := merged["properties"].(map[string]any)
	wanted := []any{}
	for _, list := range []any{said.Inputs["required"], author["required"]} {
		names, ok := list.([]any)
		if !ok && list != nil {
			wanted = nil // the schema's own check says that it is no list
			break
		}
		wanted = append(wanted, names...)
	}
	if wanted != nil {
		required := []any{}
		for _, name := range wanted {
			text, _ := name.(string)
			p, _ := properties[text].(map[string]any)
			if (has(properties, text) || !slices.Contains(names, text)) && !has(p, "default") && !slices.Contains(required, name) {
				required = append(required, name)
			}
		}
		if delete(merged, "required"); len(required) > 0 {
			merged["required"] = required
		}
	}
	for _, name := range names {
		if !has(properties, name) && slices.Contains(asList(said.Inputs["required"]), any(name)) {
			return fault.New(fault.Invalid, "invalid_template", "the input %s is taken away, and the module cannot do without it", yamlx.Quote(name)).
				WithField("/inputs/properties/" + yamlx.Escape(name)).WithHint("set it in spec.variables, or give it a default")
		}
	}
	offered := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !has(properties, name) })
	c.doc["inputs"], c.changed = merged, true
	c.doc["spec"] = said.Spec(offered)
	return nil
}

// unknown refuses inputs that the module does not have and nothing else uses:
// a misspelt one would be a limit that limits nothing.
func (c *completion) unknown(known []string, author map[string]any) error {
	properties, _ := author["properties"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		if slices.Contains(known, name) || strings.Contains(c.src, "inputs."+name) {
			continue
		}
		pointer := "/inputs/properties/" + yamlx.Escape(name)
		r := yamlx.NewReader(ManifestFile)
		near := ""
		if x := yamlx.Nearest(name, known); x != "" {
			near = fmt.Sprintf(", did you mean %q?", x)
		}
		r.FailAt(c.author.Find(pointer).Line, pointer, "the module has no variable %s, and nothing else uses this input%s", yamlx.Quote(name), near)
		return r.Err("invalid_template", "the template is not valid")
	}
	return nil
}

func asList(v any) []any { l, _ := v.([]any); return l }

// mergePatch is RFC 7396.
func mergePatch(target any, patch map[string]any) any {
	t, ok := target.(map[string]any)
	if !ok {
		t = map[string]any{}
	}
	for k, v := range patch {
		switch p := v.(type) {
		case nil:
			delete(t, k)
		case map[string]any:
			t[k] = mergePatch(t[k], p)
		default:
			t[k] = v
		}
	}
	return t
}

const completedNote = "# Completed by Fairlead when it was pushed, from what the module says itself.\n"

// encodeManifest writes a manifest so that reading it gives the same again.
func encodeManifest(doc map[string]any) ([]byte, error) {
	text, err := yaml.Marshal(doc)
	if err == nil {
		text = append([]byte(completedNote), text...)
		if d, err := yamlx.DecodeOne(bytes.NewReader(text), yamlx.Limits{File: ManifestFile}); err == nil && reflect.DeepEqual(d.Root.Value(), any(doc)) {
			return text, nil
		}
	}
	// What YAML does not carry, such as a number of many digits, JSON does.
	text, err = json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	return text, nil
}
