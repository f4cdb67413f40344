package iac

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/hashicorp/go-version"

	"fairlead/internal/engine"
	"fairlead/internal/engine/iac/iacmodule"
	"fairlead/internal/fault"
)

// spec is the engine's section of template.yaml.
type spec struct {
	Version   string         `json:"version"`   // which versions of the program will do, as ">= 1.8"
	Variables map[string]any `json:"variables"` // the module's variables; the inputs by their names when absent
	Pass      []string       `json:"pass"`      // inputs that are variables of the same name, null included; written when the template is pushed
	Given     []string       `json:"given"`     // variables that the platform team gives: no inputs; see Config.Given
	Stateful  []string       `json:"stateful"`  // types of the objects that hold data; all when absent
}

const (
	maxModuleFiles = 2000
	maxModuleSize  = 32 << 20
	moduleFolder   = "module"
)

func readSpec(t engine.Template) (spec, error) {
	var s spec
	if len(t.Spec) == 0 || string(t.Spec) == "null" {
		return s, nil
	}
	dec := json.NewDecoder(bytes.NewReader(t.Spec))
	dec.DisallowUnknownFields()
	dec.UseNumber()
	if err := dec.Decode(&s); err != nil {
		return s, fault.New(fault.Invalid, "template_spec_invalid", "the template's spec is not one of the iac engine: %s", strings.TrimPrefix(err.Error(), "json: ")).
			WithHint("it may have version, variables, pass, given and stateful").WithField("/spec")
	}
	if s.Version != "" {
		if _, err := version.NewConstraint(s.Version); err != nil {
			return s, fault.New(fault.Invalid, "template_spec_invalid", "%q is no range of versions", s.Version).
				WithHint(`as ">= 1.8, < 2.0"`).WithField("/spec/version")
		}
	}
	for i, name := range s.Given {
		_, set := s.Variables[name]
		if set || !variableName().MatchString(name) || slices.Contains(s.Pass, name) || slices.Contains(s.Given[:i], name) {
			return s, fault.New(fault.Invalid, "template_spec_invalid", "%q cannot be given by the platform team: it is no variable's name, or has its value from elsewhere", name).
				WithHint("name it in spec.given alone, once").WithField("/spec/given")
		}
	}
	return s, nil
}

// runs tells whether the program's version will do.
func (s spec) runs(kind, have string) error {
	if s.Version == "" {
		return nil
	}
	want, err := version.NewConstraint(s.Version)
	if err != nil {
		return fault.From(err)
	}
	v, err := version.NewVersion(have)
	if err != nil || !want.Check(v) {
		return fault.New(fault.Invalid, "engine_version", "the template wants version %s of the program, and this server has %s %s", s.Version, kind, have).
			WithHint("use another version of the template, or have the platform team install another version of the program")
	}
	return nil
}

// stateful tells whether the loss of an object of this type is a loss of data.
func (s spec) stateful(kind string, l engine.LifeCycle) bool {
	if !l.Stateful {
		return false
	}
	for _, t := range s.Stateful {
		if t == kind {
			return true
		}
	}
	return len(s.Stateful) == 0
}

// variables are what the module is given by the template and whoever asks.
func (s spec) variables(inputs map[string]any) ([]byte, error) {
	from := inputs
	if s.Variables != nil || s.Pass != nil {
		from = s.Variables
	}
	given := map[string]any{}
	for _, name := range s.Pass {
		if v, ok := inputs[name]; ok {
			given[name] = v
		}
	}
	for k, v := range from {
		if v != nil { // the module's own default
			given[k] = v
		}
	}
	return json.Marshal(given)
}

// file is one file of a module.
type file struct {
	path string
	data []byte
}

// moduleFiles reads the module: what is below module/, or when there is no
// such folder, the files beside template.yaml.
func moduleFiles(files fs.FS) ([]file, string, error) {
	if files == nil {
		return nil, "", noModule()
	}
	root := moduleRoot(files)
	var out []file
	size, sum := 0, sha256.New()
	programs := 0
	err := fs.WalkDir(files, root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel := strings.TrimPrefix(p, root+"/")
		if !d.Type().IsRegular() || !fs.ValidPath(rel) {
			return fault.New(fault.Invalid, "module_invalid", "%s is no regular file", rel).WithHint("links and devices are not part of a module")
		}
		data, err := fs.ReadFile(files, p)
		if err != nil {
			return err
		}
		if size += len(data); size > maxModuleSize || len(out) >= maxModuleFiles {
			return fault.New(fault.TooLarge, "module_too_large", "the module has more than %d files or %d MiB", maxModuleFiles, maxModuleSize>>20)
		}
		if strings.HasPrefix(rel, ".terraform/") || rel == overrideFile {
			return fault.New(fault.Invalid, "module_invalid", "%s is not part of a module", rel).WithHint("remove it from the template")
		}
		if !strings.Contains(rel, "/") && isConfiguration(rel) {
			programs++
		}
		_, _ = fmt.Fprintf(sum, "%q %d ", rel, len(data))
		_, _ = sum.Write(data)
		out = append(out, file{rel, data})
		return nil
	})
	if err != nil {
		return nil, "", err
	}
	if programs == 0 {
		return nil, "", noModule()
	}
	return out, hex.EncodeToString(sum.Sum(nil)), nil
}

func isConfiguration(name string) bool {
	for _, ext := range []string{".tf", ".tofu", ".tf.json", ".tofu.json"} {
		if strings.HasSuffix(name, ext) && path.Base(name) != ext {
			return true
		}
	}
	return false
}

func noModule() error {
	return fault.New(fault.Invalid, "module_invalid", "the template has no module").
		WithHint("put its .tf files into the folder module/, or beside template.yaml")
}

// moduleRoot is the folder of the template in which the module lies.
func moduleRoot(files fs.FS) string {
	if st, err := fs.Stat(files, moduleFolder); err == nil && st.IsDir() && iacmodule.Has(files, moduleFolder) {
		return moduleFolder
	}
	return "."
}

// Validate implements engine.Validator: spec and files, without the program.
func (e *Engine) Validate(_ context.Context, t engine.Template) error {
	if _, err := readSpec(t); err != nil {
		return err
	}
	if _, _, err := moduleFiles(t.Files); err != nil {
		return err
	}
	_, err := iacmodule.Read(t.Files, moduleRoot(t.Files))
	return err
}
