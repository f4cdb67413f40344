package iac_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"fairlead/internal/conf"
	"fairlead/internal/engine"
	"fairlead/internal/engine/iac"
	"fairlead/internal/fault"
)

const givenModule = `
variable "size" { type = number }
variable "where" { type = string }
variable "key" { type = string }
resource "terraform_data" "it" {
  input = "${var.where} ${var.size}"
  lifecycle {
    precondition {
      condition     = var.key != "wrong"
      error_message = "The key ${var.key} does not fit."
    }
  }
}
output "where" { value = terraform_data.it.output }
`

// TestThePlatformGives: a value by name, a secret from a file that changes;
// nobody is asked for them, shown them, or given them to take along.
func TestThePlatformGives(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bed) {
		file := filepath.Join(b.dir, "key")
		write := func(text string) {
			t.Helper()
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		write("a-secret-key-of-the-platform\n")
		b.config.Given = iac.Given{"t": {"where": "north", "key": map[string]any{"file": file}}}
		e := b.engine(t, nil)
		req := b.request("given")
		req.Template = template(map[string]string{"main.tf": givenModule}, `{"given": ["where", "key"]}`)
		req.Inputs = map[string]any{"size": 2}
		req.LifeCycle = engine.LifeCycle{}
		said, err := e.Describe(t.Context(), engine.Draft{Files: req.Template.Files, Spec: map[string]any{"given": []any{"where", "key"}}})
		if properties, _ := said.Inputs["properties"].(map[string]any); err != nil || len(properties) != 1 || properties["size"] == nil {
			t.Fatalf("%v %v", said.Inputs, err)
		}
		if _, err := e.Describe(t.Context(), engine.Draft{Files: req.Template.Files, Spec: map[string]any{"given": []any{"wher"}}}); fault.From(err).Code != "template_spec_invalid" {
			t.Errorf("a variable that there is not: %v", err)
		}
		plan, err := e.Plan(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := e.Apply(t.Context(), req, plan, engine.Discard)
		if err != nil {
			t.Fatal(err)
		}
		if got.Outputs["where"].Value != "north 2" {
			t.Errorf("%v", got.Outputs)
		}
		req.Previous = &got
		for _, reveal := range []bool{false, true} {
			files, err := e.Eject(t.Context(), req, reveal)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range files {
				if strings.Contains(string(f.Data), "a-secret-key-of-the-platform") || f.Path == "zz_fairlead.auto.tfvars.json" && strings.Contains(string(f.Data), "where") {
					t.Errorf("%s takes along what is the platform's", f.Path)
				}
				if f.Path == "README.md" && !strings.Contains(string(f.Data), "TF_VAR_key") {
					t.Error("what is missing is not said")
				}
			}
		}
		// A value that is rotated is read anew; a message that repeats it does not show it.
		write("wrong")
		if _, err := e.Plan(t.Context(), req); err == nil || strings.Contains(err.Error(), "wrong") || !strings.Contains(err.Error(), "does not fit") {
			t.Errorf("%v", err)
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		if _, err := e.Plan(t.Context(), req); !fault.Is(err, fault.Unavailable) || fault.From(err).Code != "platform_value_missing" {
			t.Errorf("%v", err)
		}
		other := req
		other.Template.Name = "another"
		if _, err := e.Plan(t.Context(), other); !errors.Is(err, fault.New(fault.Invalid, "platform_value_missing", "")) {
			t.Errorf("another template has it too: %v", err)
		}
	})
}

func TestWhatThePlatformMayGive(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{"good": "x\n", "open": "x", "empty": "\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(dir, "open"), 0o644); err != nil {
		t.Fatal(err)
	}
	for text, code := range map[string]string{
		"{t: {a: north, b: 3, c: [x], d: {file: " + dir + "/good}, e: {file: x, more: y}}}": "",
		"{t: {a: {file: good}}}":                       "invalid_config",
		"{t: {a: {file: " + dir + "/empty}}}":          "invalid_config",
		"{t: {a: {file: " + dir + "/open}}}":           "key_file_exposed",
		"{t: {'a b': x}}":                              "invalid_config",
		"{t: {a: null}}":                               "invalid_config",
		"{t: {a: " + strings.Repeat("x", 1<<17) + "}}": "invalid_config",
	} {
		var raw conf.Raw
		if err := yaml.Unmarshal([]byte("given: "+text), &raw); err != nil {
			t.Fatal(err)
		}
		_, err := iac.ReadConfig(raw, dir)
		if code == "" && err != nil || code != "" && fault.From(err).Code != code {
			t.Errorf("%.60s: %v", text, err)
		}
	}
}
