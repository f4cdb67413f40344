package iacmodule_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"fairlead/internal/engine/iac/iacmodule"
	"fairlead/internal/fault"
)

func tree(files map[string]string) fstest.MapFS {
	out := fstest.MapFS{}
	for name, text := range files {
		out[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return out
}

func read(t testing.TB, files map[string]string) *iacmodule.Module {
	t.Helper()
	m, err := iacmodule.Read(tree(files), ".")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// property gives the schema of the variable x.
func property(t testing.TB, body string) map[string]any {
	t.Helper()
	s := read(t, map[string]string{"main.tf": "variable \"x\" {\n" + body + "\n}\n"}).Schema(nil)
	p := s["properties"].(map[string]any)["x"].(map[string]any)
	delete(p, "title")
	delete(p, iacmodule.Order)
	return p
}

func same(t *testing.T, what string, got any, want string) {
	t.Helper()
	raw, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	var a, b any
	if err := errors.Join(json.Unmarshal(raw, &a), json.Unmarshal([]byte(want), &b)); err != nil {
		t.Fatal(what, err)
	}
	if diff := cmp.Diff(b, a); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestTypesBecomeSchemas(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ body, want string }{
		{`type = string`, `{"type":"string"}`},
		{`type = "string"`, `{"type":"string"}`},
		{`type = list`, `{"type":"array","items":{}}`},
		{`type = "map"`, `{"type":"object","additionalProperties":{}}`},
		{`type = any`, `{}`},
		{``, `{}`},
		{`type = bool
			default = false`, `{"type":"boolean","default":false}`},
		{`type = number
			default = 1024 * 2`, `{"type":"number","default":2048}`},
		{`type = number
			default = 12345678901234567890`, `{"type":"number","default":12345678901234567890}`},
		{`type = string
			default = null`, `{"type":"string"}`},
		{`type = string
			nullable = true
			default = "a"`, `{"type":["string","null"],"default":"a"}`},
		{`type = string
			sensitive = true
			default = "hunter2"`, `{"type":"string","writeOnly":true}`},
		{`type = list(string)
			default = []
			description = <<-EOT
			  Several
			  lines.
			EOT`, `{"type":"array","items":{"type":"string"},"default":[],"description":"Several\nlines."}`},
		{`type = set(number)`, `{"type":"array","uniqueItems":true,"items":{"type":"number"}}`},
		{`type = tuple([string, bool])`, `{"type":"array","prefixItems":[{"type":"string"},{"type":"boolean"}],"minItems":2,"maxItems":2}`},
		{`type = map(list(string))
			default = { a = ["b"] }`, `{"type":"object","additionalProperties":{"type":"array","items":{"type":"string"}},"default":{"a":["b"]}}`},
		{`type = object({
				name  = string
				size  = optional(number, 3)
				extra = optional(object({ on = optional(bool, true), note = optional(string) }), {})
				tags  = optional(map(string))
			})
			default = { name = "x" }`, `{"type":"object","required":["name"],"properties":{
				"name":{"type":"string","title":"Name"},"size":{"type":"number","title":"Size","default":3},
				"extra":{"type":"object","title":"Extra","default":{"on":true},"properties":{
					"on":{"type":"boolean","title":"On","default":true},"note":{"type":"string","title":"Note"}}},
				"tags":{"type":"object","title":"Tags","additionalProperties":{"type":"string"}}},
			"default":{"name":"x","size":3,"extra":{"on":true}}}`},
		{`type = number
			default = "1e999999999"`, `{"type":"number"}`},
		{`type = number
			default = "3"`, `{"type":"number","default":3}`},
	} {
		same(t, c.body, property(t, c.body), c.want)
	}
}

func TestValidationsBecomeKeywordsAndKeepTheirWords(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ kind, condition, want string }{
		{"string", `contains(["a", "b"], var.x)`, `{"type":"string","enum":["a","b"],"x-messages":{"enum":"M"}}`},
		{"string", `var.x == "a" || var.x == "b"`, `{"type":"string","enum":["a","b"],"x-messages":{"enum":"M"}}`},
		{"string", `can(regex("^[a-z]+$", var.x))`, `{"type":"string","pattern":"^[a-z]+$","x-messages":{"pattern":"M"}}`},
		{"string", `length(regexall("[a-z]", var.x)) > 0`, `{"type":"string","pattern":"[a-z]","x-messages":{"pattern":"M"}}`},
		{"string", `startswith(var.x, "a.")`, `{"type":"string","pattern":"^a\\.","x-messages":{"pattern":"M"}}`},
		{"string", `length(var.x) > 2 && length(var.x) <= 10`, `{"type":"string","minLength":3,"maxLength":10,"x-messages":{"minLength":"M","maxLength":"M"}}`},
		{"string", `var.x != ""`, `{"type":"string","minLength":1,"x-messages":{"minLength":"M"}}`},
		{"string", `var.x == null || can(regex("a", var.x))`, `{"type":"string","pattern":"a","x-messages":{"pattern":"M"}}`},
		{"string", `var.x == null ? true : contains(["a"], var.x)`, `{"type":"string","enum":["a"],"x-messages":{"enum":"M"}}`},
		{"string", `can(regex("a", var.x)) && can(regex("b", var.x))`, `{"type":"string","pattern":"a","x-messages":{"pattern":"M"},"allOf":[{"pattern":"b","x-messages":{"pattern":"M"}}]}`},
		{"number", `var.x >= 1 && 10 > var.x`, `{"type":"number","minimum":1,"exclusiveMaximum":10,"x-messages":{"minimum":"M","exclusiveMaximum":"M"}}`},
		{"number", `floor(var.x) == var.x && (var.x > 0)`, `{"type":"integer","exclusiveMinimum":0,"x-messages":{"type":"M","exclusiveMinimum":"M"}}`},
		{"number", `var.x % 1 == 0`, `{"type":"integer","x-messages":{"type":"M"}}`},
		{"list(string)", `length(var.x) > 0`, `{"type":"array","items":{"type":"string"},"minItems":1,"x-messages":{"minItems":"M"}}`},
		{"list(string)", `alltrue([for v in var.x : contains(["a"], v)])`, `{"type":"array","items":{"type":"string","enum":["a"],"x-messages":{"enum":"M"}}}`},
		{"map(number)", `alltrue([for k, v in var.x : v > 0])`, `{"type":"object","additionalProperties":{"type":"number","exclusiveMinimum":0,"x-messages":{"exclusiveMinimum":"M"}}}`},
		{"object({ a = string })", `can(regex("b", var.x.a))`, `{"type":"object","required":["a"],"properties":{"a":{"type":"string","title":"A","pattern":"b","x-messages":{"pattern":"M"}}}}`},
		// What is not understood for certain is only told.
		{"string", `!contains(["a"], var.x)`, `{"type":"string","x-rules":["M"]}`},
		{"string", `can(regex("a", var.y))`, `{"type":"string","x-rules":["M"]}`},
		{"string", `can(regex("a", var.x)) || var.x == "b"`, `{"type":"string","x-rules":["M"]}`},
		{"string", `can(regex("(?!a)", var.x))`, `{"type":"string","x-rules":["M"]}`},
		{"string", `can(regex("(((((a{1,100}){1,100}){1,100}))))", var.x))`, `{"type":"string","x-rules":["M"]}`},
		{"string", `can(cidrhost(var.x, 0)) && length(var.x) > 3`, `{"type":"string","minLength":4,"x-messages":{"minLength":"M"},"x-rules":["M"]}`},
		{"list(string)", `alltrue([for v in var.x : v != "a" if v != "b"])`, `{"type":"array","items":{"type":"string"},"x-rules":["M"]}`},
	} {
		body := "type = " + c.kind + "\nvalidation {\n condition = " + c.condition + "\n error_message = \"M\"\n}"
		same(t, c.condition, property(t, body), c.want)
	}
	// A default that the module takes is never refused by what was read.
	same(t, "default wins", property(t, `type = string
		default = ""
		validation {
			condition = can(regex("^.+$", var.x))
			error_message = "not ${var.x}!"
		}`), `{"type":"string","default":"","x-rules":["not …!"]}`)
}

func TestTheRestOfAModule(t *testing.T) {
	t.Parallel()
	m := read(t, map[string]string{
		"README.md": "# It", "versions.tf": `terraform {
			required_version = ">= 1.5"
			required_providers {
				aws  = { source = "hashicorp/aws", version = "~> 5.0" }
				time = "0.9.0"
			}
		}`,
		"variables.tf": `variable "b" { type = string }
			variable "a" { default = 1 }`,
		"a_override.tf": `variable "b" { default = "over" }`,
		"x.tf":          `output "gone" { value = 1 }`,
		"x.tofu":        `output "there" { value = 1 }`,
		"outputs.tf.json": `{"output": {"url": {"value": "${var.a}", "description": "Where"}, "key": {"value": "x", "sensitive": true}},
			"variable": {"j": {"type": "list(string)", "default": ["a"]}}}`,
		"main.tf": `module "in" { source = "./in" }
			module "out" {
				source = "terraform-aws-modules/vpc/aws"
				version = "5.0.0"
			}`,
		"in/main.tf": `variable "hidden" {}`,
	})
	same(t, "outputs", m.Outputs, `[{"Name":"key","Description":"","Sensitive":true},{"Name":"there","Description":"","Sensitive":false},{"Name":"url","Description":"Where","Sensitive":false}]`)
	same(t, "providers", m.Providers, `[{"Name":"aws","Source":"hashicorp/aws","Version":"~> 5.0"},{"Name":"time","Source":"","Version":"0.9.0"}]`)
	same(t, "versions", m.Versions, `[">= 1.5"]`)
	same(t, "calls", m.Calls, `[{"Name":"in","Source":"./in","Version":""},{"Name":"out","Source":"terraform-aws-modules/vpc/aws","Version":"5.0.0"}]`)
	if m.Docs != "README.md" {
		t.Errorf("docs %q", m.Docs)
	}
	s := m.Schema(func(name string) bool { return name == "a" })
	same(t, "schema", s, `{"type":"object","properties":{"b":{"type":"string","title":"B","default":"over","x-order":1},
		"j":{"type":"array","items":{"type":"string"},"default":["a"],"title":"J","x-order":0}}}`)
}

func TestWhatIsWrongIsNamedWithFileAndLine(t *testing.T) {
	t.Parallel()
	deep := func(open, end string, n int) string {
		return "variable \"x\" {\n default = " + strings.Repeat(open, n) + "1" + strings.Repeat(end, n) + "\n}"
	}
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"no syntax":        {map[string]string{"main.tf": "variable \"x\" {\n  type = \n}"}, "main.tf line 2:"},
		"no type":          {map[string]string{"main.tf": "\nvariable \"x\" { type = strng }"}, "main.tf line 2:"},
		"twice":            {map[string]string{"a.tf": "variable \"x\" {}", "b.tf": "\n\nvariable \"x\" {}"}, "b.tf line 3: variable \"x\" is declared already in a.tf line 1"},
		"default":          {map[string]string{"main.tf": "variable \"x\" {\n  type = number\n  default = \"one\"\n}"}, "main.tf line 3: the default of the variable"},
		"null":             {map[string]string{"main.tf": "variable \"x\" {\n  nullable = false\n  default = null\n}"}, "main.tf line 3:"},
		"computed":         {map[string]string{"main.tf": "variable \"x\" {\n  default = [for a in [1, 2] : [for b in [1, 2] : a]]\n}"}, "main.tf line 2: the default of the variable \"x\" is no literal value"},
		"computed in type": {map[string]string{"main.tf": "variable \"x\" {\n  type = object({ a = optional(list(number), [for a in [1] : a]) })\n}"}, "main.tf line 2:"},
		"circle":           {map[string]string{"main.tf": "module \"me\" {\n  source = \"./a\"\n}", "a/main.tf": "module \"back\" {\n  source = \"../\"\n}"}, "a/main.tf line 1: the module \"back\" calls itself in a circle"},
		"outside":          {map[string]string{"main.tf": "module \"up\" { source = \"../common\" }"}, "main.tf line 1: the module \"up\" lies outside of the template's folder"},
		"missing":          {map[string]string{"main.tf": "module \"in\" { source = \"./in\" }"}, "main.tf line 1: there is no module ./in"},
		"below":            {map[string]string{"main.tf": "module \"in\" { source = \"./in\" }", "in/main.tf": "}"}, "in/main.tf line 1:"},
		"nothing":          {map[string]string{"README.md": ""}, "there is no module"},
		"deep lists":       {map[string]string{"main.tf": deep("[", "]", 90_000)}, "nested too deep"},
		"deep calls":       {map[string]string{"main.tf": deep("f(", ")", 60_000)}, "nested too deep"},
		"deep templates":   {map[string]string{"main.tf": deep(`"${`, `}"`, 40_000)}, "nested too deep"},
		"many signs":       {map[string]string{"main.tf": deep("!", "", 100_000)}, "too many signs"},
		"many branches":    {map[string]string{"main.tf": deep("true ? 1 : ", "", 30_000)}, "too many conditions"},
		"many parts":       {map[string]string{"main.tf": deep("1+", "", 200_000)}, "too many parts"},
		"deep JSON":        {map[string]string{"main.tf.json": `{"variable":{"x":{"default":` + strings.Repeat("[", 200_000)}, "nested too deep"},
		"deep JSON type":   {map[string]string{"main.tf.json": `{"variable":{"x":{"type":"` + strings.Repeat("list(", 80_000) + `"}}}`}, "nested too deep"},
		"deep type":        {map[string]string{"main.tf": "variable \"x\" { type = " + strings.Repeat("list(", 30) + "any" + strings.Repeat(")", 30) + "}"}, "nested too deep"},
		"vast number":      {map[string]string{"main.tf": "variable \"x\" { default = 1e999999999 }"}, "the number is out of range"},
		"vast product":     {map[string]string{"main.tf": deep("1e900 * ", "", 2000)}, "no literal value"},
		"vast JSON":        {map[string]string{"main.tf.json": `{"variable":{"x":{"type":"string","default":1e999999999}}}`}, "no literal value"},
		"large":            {map[string]string{"main.tf": strings.Repeat("# comment\n", 100_000)}, "too large"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			_, err := iacmodule.Read(tree(c.files), ".")
			f, ok := errors.AsType[*fault.Error](err)
			if !ok || f.Kind != fault.Invalid || f.Code != "module_invalid" || len(f.Violations) == 0 {
				t.Fatalf("got %v", err)
			}
			if !strings.Contains(f.Message, c.want) {
				t.Errorf("message %q lacks %q", f.Message, c.want)
			}
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

func FuzzModule(f *testing.F) {
	f.Add("variable \"x\" {\n type = object({a = optional(string, \"b\")})\n validation {\n condition = can(regex(\"^a\", var.x.a))\n error_message = \"no\"\n}\n}", false)
	f.Add(`{"variable":{"x":{"type":"list(string)","default":["a"]}},"output":{"y":{"value":"${var.x}"}}}`, true)
	f.Add("module \"m\" { source = \"./\" }\nterraform { required_providers { a = { source = \"b/c\" } } }", false)
	f.Fuzz(func(t *testing.T, src string, isJSON bool) {
		name := "main.tf"
		if isJSON {
			name = "main.tf.json"
		}
		m, err := iacmodule.Read(tree(map[string]string{name: src}), ".")
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Fatal(err)
			}
			return
		}
		if _, err := json.Marshal(m.Schema(nil)); err != nil {
			t.Fatal(err)
		}
	})
}
