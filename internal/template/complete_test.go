package template_test

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"fairlead/internal/access/accesstest"
	"fairlead/internal/conf"
	"fairlead/internal/engine"
	"fairlead/internal/engine/iac"
	"fairlead/internal/fault"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
	"fairlead/internal/template"
	"fairlead/internal/template/templatetest"
)

// module is an unmodified one: no manifest, a folder tests/ that is not
// Fairlead's, a lock file.
var module = templatetest.Files{
	"README.md": "# A store\n\n[![badge](x)](y)\n\nKeeps things.\nFor long.\n\n## More\n",
	"main.tf":   `resource "terraform_data" "store" { input = var.size }`,
	"variables.tf": `variable "size" {
  type        = number
  description = "How large."
  validation {
    condition     = var.size >= 1 && var.size < 100 && floor(var.size) == var.size
    error_message = "A store has 1 to 99 parts."
  }
}
variable "password" {
  type      = string
  sensitive = true
}
variable "settings" {
  type    = object({ replicas = optional(number, 2), zone = optional(string) })
  default = {}
}
variable "note" {
  type     = string
  nullable = true
  default  = "none"
}`,
	"outputs.tf":          "output \"size\" { value = terraform_data.store.output }\noutput \"key\" {\n  value = \"k\"\n  sensitive = true\n}",
	"tests/broken.yaml":   "this: [is not a test of Fairlead's",
	".terraform.lock.hcl": "# none",
	"versions.tf":         "terraform {\n  required_version = \">= 1.4\"\n  required_providers {\n    aws = { source = \"hashicorp/aws\", version = \"~> 5.0\" }\n  }\n}",
}

func described(t *testing.T, db *sqldb.DB) *template.Service {
	t.Helper()
	config, err := iac.ReadConfig(conf.Raw{}, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	e, err := iac.New(iac.Options{Config: config})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return template.New(template.Options{DB: db, Access: accesstest.AllowAll{}, Engines: templatetest.Engines{"iac": e, "fake": templatetest.Planner{}}})
}

func TestAModuleAloneIsATemplate(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := described(t, db)
		name := template.Naming{Name: "store", Version: "1.0.0"}
		v, created, err := s.PushAs(admin(), module.Tar(t), name)
		if err != nil || !created {
			t.Fatal(created, err)
		}
		if v.Title != "A store" || v.Description != "Keeps things. For long." || v.Engine != "iac" || v.Docs != "README.md" || !v.Stateful {
			t.Errorf("%+v", v.Manifest)
		}
		if want := []template.Need{{Kind: "program", Version: ">= 1.4"}, {Kind: "provider", Name: "aws", Source: "hashicorp/aws", Version: "~> 5.0"}}; !slices.Equal(v.Needs, want) {
			t.Errorf("needs %+v", v.Needs)
		}
		if !v.Outputs["key"].Sensitive || v.Outputs["size"].Type != "any" {
			t.Errorf("outputs %+v", v.Outputs)
		}
		if again, created, err := s.PushAs(admin(), module.Tar(t), name); err != nil || created || again.Digest != v.Digest {
			t.Errorf("pushed again: %v %v", created, err)
		}
		other := module.With(templatetest.Files{"main.tf": "# other"})
		if _, _, err := s.PushAs(admin(), other.Tar(t), name); !errors.Is(err, code("version_exists")) {
			t.Errorf("other content: %v", err)
		}
		inputs, err := v.Check(map[string]any{"size": json.Number("3"), "password": "hunter2", "note": nil})
		if err != nil {
			t.Fatal(err)
		}
		if got := v.SecretInputs(inputs); len(got) != 1 || got[0] != "/password" {
			t.Errorf("secrets %v", got)
		}
		rendered, err := v.Render(inputs, engine.Ref{}, "development")
		if err != nil || !strings.Contains(string(rendered.Spec), `"pass":["size","password","settings","note"]`) {
			t.Errorf("%s %v", rendered.Spec, err)
		}
		if lock, err := fs.ReadFile(rendered.Files, ".terraform.lock.hcl"); err != nil || string(lock) != "# none" {
			t.Errorf("the lock file: %q %v", lock, err)
		}
		_, err = v.Check(map[string]any{"size": json.Number("100"), "password": "x"})
		if f := fault.From(err); len(f.Violations) != 1 || f.Violations[0].Field != "/size" || !strings.Contains(f.Violations[0].Message, "A store has 1 to 99 parts.") {
			t.Errorf("got %v %+v", err, f.Violations)
		}
		if fresh, err := described(t, db).Get(admin(), "store", ""); err != nil || fresh.Digest != v.Digest || len(fresh.Inputs["properties"].(map[string]any)) != 4 {
			t.Errorf("read back: %v", err)
		}
	})
}

func TestAManifestRefinesAModule(t *testing.T) {
	t.Parallel()
	s := described(t, sqldbtest.SQLite(t))
	manifest := func(rest string) templatetest.Files {
		return module.With(templatetest.Files{"tests/broken.yaml": "", "template.yaml": "apiVersion: fairlead/v1\nkind: Template\nmetadata: {name: refined}\nengine: iac\n" + rest})
	}
	v, _, err := s.PushAs(admin(), manifest(`inputs:
  properties:
    size: {title: Parts, maximum: 10, default: 5}
    note: null
spec:
  variables: {password: "${{ resource.name }}-${{ environment.name }}"}
lifecycle: {stateful: false}
`).Tar(t), template.Naming{Version: "1.0.0"})
	if err != nil {
		t.Fatal(err)
	}
	if raw, _ := json.Marshal(v.Inputs); strings.Contains(string(raw), `"password"`) || !strings.Contains(string(raw), `"settings"`) {
		t.Errorf("%s", raw)
	}
	v, _, err = s.PushAs(admin(), manifest(`inputs:
  properties:
    size: {title: Parts, maximum: 10, default: 5}
    note: null
lifecycle: {stateful: false}
`).Tar(t), template.Naming{Version: "1.1.0"})
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := json.Marshal(v.Inputs)
	for _, want := range []string{`"title":"Parts"`, `"maximum":10`, `"default":5`, `"exclusiveMaximum":100`, `"required":["password"]`} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("lacks %s: %s", want, raw)
		}
	}
	if strings.Contains(string(raw), `"note"`) || v.Stateful {
		t.Errorf("%s", raw)
	}
	v, _, err = s.PushAs(admin(), manifest("spec:\n  variables: {password: \"${{ resource.name }}\"}\n").Tar(t), template.Naming{Version: "2.0.0"})
	if err != nil {
		t.Fatal(err)
	}
	if raw, _ := json.Marshal(v.Inputs); strings.Contains(string(raw), "password") {
		t.Errorf("a variable that the spec sets is no input: %s", raw)
	}
	// The spec sets all that the module needs, and an input is for a variable
	// that nobody sets: it is given, and the module's others are offered too.
	lone := module.With(templatetest.Files{
		"tests/broken.yaml": "",
		"variables.tf":      "variable \"name\" { type = string }\nvariable \"size\" {\n  type = number\n  default = 1\n}\nvariable \"note\" {\n  type = string\n  default = \"\"\n}\nvariable \"zone\" {\n  type = string\n  default = \"a\"\n}\n",
		"template.yaml":     "apiVersion: fairlead/v1\nkind: Template\nmetadata: {name: lone, version: 1.0.0}\nengine: iac\ninputs:\n  properties:\n    size: {maximum: 10}\n    note: null\nspec:\n  variables: {name: \"${{ resource.name }}\"}\n",
	})
	if v, _, err = s.Push(admin(), lone.Tar(t)); err != nil {
		t.Fatal(err)
	}
	rendered, err := v.Render(map[string]any{"size": json.Number("2")}, engine.Ref{}, "development")
	if raw, _ := json.Marshal(v.Inputs); err != nil || strings.Contains(string(raw), `"note"`) || !strings.Contains(string(rendered.Spec), `"pass":["size","zone"]`) {
		t.Errorf("%s %s %v", raw, rendered.Spec, err)
	}
	for name, c := range map[string]struct {
		rest, code, want string
	}{
		"unknown variable": {"inputs:\n  properties:\n    sizes: {title: x}\n", "invalid_template", "template.yaml line 7: the module has no variable \"sizes\", and nothing else uses this input, did you mean \"size\"?"},
		"unknown in spec":  {"spec:\n  variables: {siz: 3}\n", "template_spec_invalid", "no variable \"siz\""},
		"taken away":       {"inputs:\n  properties:\n    size: null\n", "invalid_template", "cannot do without it"},
		"bad type":         {"inputs:\n  properties:\n    size: {type: stirng}\n", "invalid_template", "template.yaml line 7:"},
		"bad default":      {"inputs:\n  properties:\n    size: {default: 1000}\n", "invalid_template", "template.yaml line 7:"},
		"another version":  {"", "pushed_as_another", "says name"},
	} {
		naming := template.Naming{Version: "3.0.0"}
		if name == "another version" {
			naming.Name = "other"
		}
		_, _, err := s.PushAs(admin(), manifest(c.rest).Tar(t), naming)
		if f := fault.From(err); f.Code != c.code || !strings.Contains(f.Message, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := s.PushAs(context.WithoutCancel(admin()), module.With(templatetest.Files{"main.tf": "resource {"}).Tar(t), template.Naming{Name: "x", Version: "1.0.0"}); !errors.Is(err, code("module_invalid")) {
		t.Errorf("got %v", err)
	}
	if _, _, err := s.PushAs(admin(), module.Tar(t), template.Naming{Name: "x"}); !errors.Is(err, code("invalid_template")) {
		t.Errorf("no version: %v", err)
	}
}
