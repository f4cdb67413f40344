package guardrail

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/rego"
	"fairlead/internal/template/bundle"
	"fairlead/internal/yamlx"
)

// Bundle is one version of a folder of policies, compiled. It is immutable.
type Bundle struct {
	Manifest
	Digest    string // SHA-256 of the canonical archive
	Conftest  bool   // it has no manifest
	Tests     int    // how many test rules it has
	CreatedAt time.Time
	CreatedBy string // id of who pushed it

	files   *bundle.Bundle
	program *rego.Program
	labels  string
}

// Label is name@version.
func (b *Bundle) Label() string { return b.labels }

// Files gives the paths of its files, sorted.
func (b *Bundle) Files() []string { return b.files.Names() }

// File gives the content of one of its files.
func (b *Bundle) File(name string) ([]byte, bool) { return b.files.File(name) }

// Archive gives the canonical archive, a tar.
func (b *Bundle) Archive() []byte { return b.files.Archive() }

// read takes in a tar from a stranger. 10 MB are refused before anything of it
// is parsed.
func read(r io.Reader) (*bundle.Bundle, error) {
	files, err := bundle.Read(r)
	if err == nil {
		return files, nil
	}
	return nil, asBundle(err)
}

// asBundle says of a bundle what was said of a template's files.
func asBundle(err error) error {
	f := fault.From(err)
	if f.Kind == fault.TooLarge {
		return fault.New(fault.TooLarge, "policy_too_large", "%s", strings.ReplaceAll(f.Message, "the template", "the bundle")).
			WithField(f.Field).WithHint("a bundle is at most %d bytes of files, %d of them policies", bundle.MaxTotal, rego.MaxSource)
	}
	f.Message, f.Hint = strings.ReplaceAll(f.Message, "the template", "the bundle"), strings.NewReplacer("template.yaml", "a .rego file", "a template", "a bundle", "template's", "bundle's").Replace(f.Hint)
	return f
}

// NewBundle compiles a folder. name and version are for a folder without a
// manifest; with one they must be as it says, or empty. Without a version a
// Conftest folder has 0.0.0- and the start of its digest.
func NewBundle(files *bundle.Bundle, name, version string) (*Bundle, error) {
	b := &Bundle{files: files, Digest: files.Digest()}
	if src, ok := files.File(ManifestFile); ok {
		m, err := parseManifest(src)
		if err != nil {
			return nil, err
		}
		if name != "" && name != m.Name || version != "" && version != m.Version {
			return nil, fault.New(fault.Invalid, "invalid_bundle", "%s says that this is %s@%s", ManifestFile, m.Name, m.Version).
				WithHint("leave name and version out, or change the file").WithField(ManifestFile)
		}
		b.Manifest = m
	} else {
		if err := checkName(name, "query:name"); err != nil {
			return nil, fault.From(err).WithHint("a folder without %s needs a name: fairlead policy push DIR --name NAME", ManifestFile)
		}
		if version == "" {
			version = "0.0.0-" + b.Digest[:12]
		}
		if err := checkVersion(version, "query:version"); err != nil {
			return nil, err
		}
		b.Name, b.Version, b.Conftest = name, version, true
	}
	b.labels = b.Name + "@" + b.Version
	data, err := dataOf(files)
	if err != nil {
		return nil, err
	}
	sources := rego.Files{}
	for _, name := range files.Names() {
		if strings.HasSuffix(name, ".rego") {
			sources[name], _ = files.File(name)
		}
	}
	if len(sources) == 0 {
		return nil, fault.New(fault.Invalid, "invalid_bundle", "there is no .rego file in the bundle").WithHint("push the folder that holds the policies")
	}
	options := rego.Options{Strict: !b.Conftest, Data: data}
	if !b.Conftest {
		options.Schema, options.Typed = schemaDocument(), b.typed
	}
	if b.program, err = rego.Compile(sources, options); err != nil {
		return nil, err
	}
	for _, pkg := range b.program.Packages() {
		b.Tests += pkg.Tests
	}
	return b, b.fit()
}

// typed tells whether a package is given the facts, and so may be held against
// their schema: all but those that are given a plan, and tests.
func (b *Bundle) typed(pkg string) bool {
	raw := slices.ContainsFunc(b.Guards, func(g Guard) bool { return g.Input == RawPlan })
	own := slices.ContainsFunc(b.Guards, func(g Guard) bool { return g.Package == pkg && g.Input == Facts })
	return (own || !raw) && !strings.HasSuffix(pkg, "_test")
}

// fit finds each guardrail's rules; a Conftest folder's guardrails are its
// packages.
func (b *Bundle) fit() error {
	if b.Conftest {
		for _, pkg := range b.program.Packages() {
			if rules := verdictRules(pkg); len(rules) > 0 {
				b.Guards = append(b.Guards, Guard{Package: pkg.Name, Stage: gate.Plan, Input: RawPlan, Strength: gate.Deny, Need: gate.Need{Count: 1}, Rules: rules})
			}
		}
		if len(b.Guards) == 0 {
			return fault.New(fault.Invalid, "invalid_bundle", "no package has a rule called deny, violation, warn or approve").
				WithHint("those are the rules that are asked; see docs/guardrails.md")
		}
		return nil
	}
	var missing []fault.Violation
	for i := range b.Guards {
		g := &b.Guards[i]
		pkg, ok := b.program.Package(g.Package)
		g.Rules = verdictRules(pkg)
		why := ""
		switch {
		case !ok:
			why = fmt.Sprintf("there is no package %s", yamlx.Quote(g.Package))
			var names []string
			for _, p := range b.program.Packages() {
				names = append(names, p.Name)
			}
			if near := yamlx.Nearest(g.Package, names); near != "" {
				why += fmt.Sprintf("; did you mean %q?", near)
			}
		case len(g.Rules) == 0:
			why = fmt.Sprintf("the package %s has no rule called deny, violation, warn or approve", yamlx.Quote(g.Package))
		}
		if why != "" {
			missing = append(missing, fault.Violation{Field: fmt.Sprintf("/guardrails/%d/package", i), Message: ManifestFile + ": " + why})
		}
	}
	if len(missing) > 0 {
		return fault.New(fault.Invalid, "invalid_bundle", "%s", missing[0].Message).WithField(missing[0].Field).WithViolations(missing...)
	}
	return nil
}

func verdictRules(pkg rego.Package) []string {
	var out []string
	for _, r := range pkg.Rules {
		if verdictRule().MatchString(r) {
			out = append(out, r)
		}
	}
	return out
}

// dataOf reads data.json and data.yaml; their folders are the path below data.
func dataOf(files *bundle.Bundle) (map[string]any, error) {
	data := map[string]any{}
	for _, name := range files.Names() {
		switch path.Base(name) {
		case "data.json", "data.yaml", "data.yml":
		default:
			continue
		}
		src, _ := files.File(name)
		doc, err := yamlx.DecodeOne(bytes.NewReader(src), yamlx.Limits{File: name})
		if err != nil {
			return nil, err
		}
		// As encoding/json has it: OPA's store takes nothing else.
		var value any
		if raw, err := json.Marshal(doc.Root.Value()); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		} else if err := json.Unmarshal(raw, &value); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		object, ok := value.(map[string]any)
		if !ok {
			return nil, fault.New(fault.Invalid, "invalid_bundle", "%s must hold an object", name).WithField(name)
		}
		if err := merge(data, object, name, strings.Split(path.Dir(name), "/")); err != nil {
			return nil, err
		}
	}
	return data, nil
}

func merge(into, object map[string]any, name string, folders []string) error {
	twice := fault.New(fault.Invalid, "invalid_bundle", "%s says what another data file says too", name).WithField(name)
	for _, f := range folders {
		if f == "." {
			continue
		}
		next, ok := into[f].(map[string]any)
		if _, there := into[f]; there && !ok {
			return twice
		}
		if next == nil {
			next = map[string]any{}
			into[f] = next
		}
		into = next
	}
	for k, v := range object {
		if _, there := into[k]; there {
			return twice
		}
		into[k] = v
	}
	return nil
}
