package template_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"fairlead/internal/access/accesstest"
	"fairlead/internal/engine"
	"fairlead/internal/fault"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
	"fairlead/internal/template"
	"fairlead/internal/template/templatetest"
)

func admin() context.Context {
	return principal.With(context.Background(), principal.Principal{Kind: principal.User, ID: "usr_1", Name: "ada", OrgRoles: []principal.Role{principal.PlatformAdmin}})
}

func fakes() templatetest.Engines {
	return templatetest.Engines{"fake": templatetest.Planner{}, "postgres": templatetest.Planner{}, "null": templatetest.Planner{}}
}

func service(db *sqldb.DB) *template.Service {
	return template.New(template.Options{DB: db, Access: accesstest.AllowAll{}, Engines: fakes()})
}

// edit replaces text in a sound manifest; it must be there.
func edit(t *testing.T, old, with string) templatetest.Files {
	t.Helper()
	m := templatetest.Manifest("thing", "1.0.0")
	if !strings.Contains(m, old) {
		t.Fatalf("the manifest has no %q", old)
	}
	return templatetest.Files{"template.yaml": strings.Replace(m, old, with, 1)}
}

func TestPushRefusesBadTemplatesAndSaysWhere(t *testing.T) {
	t.Parallel()
	s := service(sqldbtest.SQLite(t))
	sized := "properties:\n    size: {type: integer, minimum: 1, maximum: 100, default: 10}"
	for _, tc := range []struct {
		reason string
		files  templatetest.Files
		code   string
		field  string
		says   string // part of the message or a violation: file and line
	}{
		{"no manifest", templatetest.Files{"README.md": "x"}, "invalid_template", "template.yaml", "template.yaml"},
		{"manifest one folder down", templatetest.Files{"x/template.yaml": "a: 1"}, "invalid_template", "template.yaml", ""},
		{"an empty manifest", templatetest.Files{"template.yaml": "# nothing\n"}, "invalid_yaml", "", "template.yaml line 1"},
		{"a list", templatetest.Files{"template.yaml": "- a\n"}, "invalid_template", "", "template.yaml line 1"},
		{"two documents", templatetest.Files{"template.yaml": templatetest.Manifest("a", "1.0.0") + "---\na: 1\n"}, "invalid_yaml", "", "there is more than one document"},
		{"a billion laughs", templatetest.Files{"template.yaml": "a: &a [x]\nb: [*a,*a]\n"}, "invalid_yaml", "/a", "template.yaml line 1"},
		{"invalid UTF-8", templatetest.Files{"template.yaml": "a: 1\nb: \xff\n"}, "invalid_yaml", "", "template.yaml line 2"},
		{"a duplicate key", edit(t, "engine: fake", "engine: fake\nengine: null"), "invalid_yaml", "/engine", "template.yaml line 9"},
		{"an unknown field", edit(t, "engine: fake", "engnie: fake"), "invalid_template", "/engnie", `line 8: unknown field "engnie", did you mean "engine"?`},
		{"an unknown field of metadata", edit(t, "title:", "titel:"), "invalid_template", "/metadata/titel", `line 5: unknown field "titel", did you mean "title"?`},
		{"another version of the format", edit(t, "fairlead/v1", "fairlead/v2"), "invalid_template", "/apiVersion", "line 1"},
		{"another kind", edit(t, "kind: Template", "kind: Resource"), "invalid_template", "/kind", "line 2"},
		{"no name", edit(t, "  name: thing\n", ""), "invalid_template", "/metadata/name", "missing"},
		{"a name that is SQL", edit(t, "name: thing", "name: \"x'; DROP TABLE teams;--\""), "invalid_template", "/metadata/name", "line 4"},
		{"a name that is a path", edit(t, "name: thing", "name: ../etc/passwd"), "invalid_template", "/metadata/name", "line 4"},
		{"a name that is shell", edit(t, "name: thing", "name: $(reboot)"), "invalid_template", "/metadata/name", "line 4"},
		{"a reserved name", edit(t, "name: thing", "name: admin"), "invalid_template", "/metadata/name", "reserved"},
		{"a version that is a number", edit(t, "1.0.0", "1.0"), "invalid_template", "/metadata/version", "line 6"},
		{"a version with a v", edit(t, "1.0.0", "v1.0.0"), "invalid_template", "/metadata/version", "line 6"},
		{"a version of two numbers", edit(t, "1.0.0", "'1.0'"), "invalid_template", "/metadata/version", "line 6"},
		{"a version with leading zeros", edit(t, "1.0.0", "1.00.0"), "invalid_template", "/metadata/version", "line 6"},
		{"a version with build metadata", edit(t, "1.0.0", "1.0.0+1"), "invalid_template", "/metadata/version", "build metadata"},
		{"a version without end", edit(t, "1.0.0", "1.0.0-"+strings.Repeat("a", 100)), "invalid_template", "/metadata/version", "too long"},
		{"an engine that there is not", edit(t, "engine: fake", "engine: postgre"), "unknown_engine", "/engine", "postgre"},
		{"an engine that is a path", edit(t, "engine: fake", "engine: ../x"), "invalid_template", "/engine", "line 8"},
		{"inputs that are a list", edit(t, sized, "type: array"), "invalid_template", "/inputs/type", "line 10"},
		{"a misspelt schema keyword", edit(t, "minimum", "minmum"), "invalid_template", "/inputs/properties/size/minmum", `did you mean "minimum"?`},
		{"a schema type that there is not", edit(t, "type: integer", "type: int"), "invalid_template", "/inputs/properties/size/type", "line 11"},
		{"a default that is not valid", edit(t, "default: 10", "default: 1000"), "invalid_template", "/inputs/properties/size/default", "must be at most 100"},
		{"a reference to a file", edit(t, sized, "properties: {size: {$ref: 'file:///etc/passwd'}}"), "invalid_template", "/inputs/properties/size/$ref", "line 10"},
		{"a reference to the network", edit(t, sized, "properties: {size: {$ref: 'http://169.254.169.254/'}}"), "invalid_template", "/inputs/properties/size/$ref", "line 10"},
		{"another base for references", edit(t, sized, "$id: http://example.org/\n  "+sized), "invalid_template", "/inputs/$id", "line 10"},
		{"a schema that recurses", edit(t, sized, "$defs: {a: {properties: {b: {$ref: '#/$defs/a'}}}}\n  "+sized+"\n    more: {$ref: '#/$defs/a'}"), "invalid_template", "", "refers to itself"},
		{"a schema that explodes", edit(t, sized, exploding()), "invalid_template", "", "too large"},
		{"a pattern that is none", edit(t, "type: integer", "type: string, pattern: '('"), "invalid_template", "/inputs/properties/size/pattern", "line 11"},
		{"a pattern with look-behind", edit(t, "type: integer", "type: string, pattern: '(?<=a)b'"), "invalid_template", "/inputs/properties/size/pattern", "RE2"},
		{"a pattern that takes for ever", edit(t, "type: integer", "type: string, pattern: '"+strings.Repeat("[a-z]{0,1000}", 38)+"$'"), "invalid_template", "/inputs/properties/size/pattern", "repeats too much"},
		{"patterns that take for ever together", edit(t, sized, manyPatterns()), "invalid_template", "", "too large together"},
		{"a default that takes for ever to match", edit(t, "type: integer, minimum: 1, maximum: 100, default: 10", "type: string, pattern: '^([a-z]{0,500}){2}$', default: "+strings.Repeat("a", 200_000)), "invalid_template", "/inputs/properties/size/default", "too long"},
		{"an unknown format", edit(t, "type: integer", "type: integer, format: int32"), "invalid_template", "/inputs/properties/size/format", "line 11"},
		{"an output of unknown type", edit(t, "{type: string}", "{type: text}"), "invalid_template", "/outputs/address/type", "line 13"},
		{"an output that is a path", edit(t, "address:", "../address:"), "invalid_template", "/outputs/..~1address", "line 13"},
		{"sensitive in quotes", edit(t, "sensitive: true", "sensitive: 'yes'"), "invalid_template", "/outputs/token/sensitive", "line 14"},
		{"an input that there is not", edit(t, "inputs.size", "inputs.siz"), "invalid_template", "/spec/size", `line 16: there is no input "siz", did you mean "size"?`},
		{"code in an expression", edit(t, "inputs.size", "constructor.constructor('return process')()"), "invalid_template", "/spec/size", "line 16"},
		{"a Go template's function", edit(t, "inputs.size", "inputs.size | env"), "invalid_template", "/spec/size", "line 16"},
		{"a value that there is not", edit(t, "inputs.size", "environment.nme"), "invalid_template", "/spec/size", `did you mean "environment.name"?`},
		{"the process's environment", edit(t, "inputs.size", "env.PATH"), "invalid_template", "/spec/size", "line 16"},
		{"a secret of another resource", edit(t, "inputs.size", "resources.db.outputs.url"), "invalid_template", "/spec/size", "line 16"},
		{"a list inside a text", edit(t, "${{ inputs.size }}", "a ${{ inputs }}"), "invalid_template", "/spec/size", "line 16"},
		{"an expression as a name", edit(t, "size: ${{ inputs.size }}", `"${{ inputs.size }}": 1`), "invalid_template", "/spec/${{ inputs.size }}", "line 16"},
		{"an expression in a default", edit(t, "type: integer, minimum: 1, maximum: 100, default: 10", "type: string, default: '${{ x }}'"), "invalid_template", "/inputs/properties/size/default", "literal"},
		{"docs that are not there", edit(t, "engine: fake", "engine: fake\ndocs: docs/README.md"), "invalid_template", "/docs", "line 9"},
		{"docs that climb", edit(t, "engine: fake", "engine: fake\ndocs: ../../etc/passwd.md"), "invalid_template", "/docs", "line 9"},
		{"docs that are no Markdown", edit(t, "engine: fake", "engine: fake\ndocs: template.yaml"), "invalid_template", "/docs", "line 9"},
		{"a life cycle without sense", edit(t, "engine: fake", "engine: fake\nlifecycle: {observeEvery: 1ns}"), "invalid_template", "/lifecycle/observeEvery", "line 9"},
		{"a snapshot by a number", edit(t, "engine: fake", "engine: fake\nlifecycle: {snapshotOnDestroy: '${{ inputs.size }}'}"), "invalid_template", "/lifecycle/snapshotOnDestroy", "boolean"},
		{"an attribute that is a list", edit(t, "engine: fake", "engine: fake\naccess: {attributes: {a: [1]}}"), "invalid_template", "/access/attributes/a", "line 9"},
		{"a test that expects nothing", templatetest.New("thing", "1.0.0").With(templatetest.Files{"tests/a.yaml": "name: x\n"}), "invalid_template", "", "tests/a.yaml line 1"},
		{"a test with an unknown field", templatetest.New("thing", "1.0.0").With(templatetest.Files{"tests/a.yaml": "name: x\nexpect:\n  plans: []\n"}), "invalid_template", "/expect/plans", `tests/a.yaml line 3: unknown field "plans", did you mean "plan"?`},
		{"a test that is no YAML", templatetest.New("thing", "1.0.0").With(templatetest.Files{"tests/a.yaml": "a: [\n"}), "invalid_yaml", "", "tests/a.yaml line"},
	} {
		_, _, err := s.Push(admin(), tc.files.Tar(t))
		f := fault.From(err)
		if err == nil || f.Kind != fault.Invalid || f.Code != tc.code {
			t.Errorf("%s: got %v (code %s)", tc.reason, err, f.Code)
			continue
		}
		found := tc.field == "" || f.Field == tc.field
		said := f.Message
		for _, v := range f.Violations {
			found = found || v.Field == tc.field
			said += "\n" + v.Message
		}
		if !found {
			t.Errorf("%s: field %q is not %q, nor %v", tc.reason, f.Field, tc.field, f.Violations)
		}
		if !strings.Contains(said, tc.says) {
			t.Errorf("%s: %q does not say %q", tc.reason, said, tc.says)
		}
	}
	if list, err := s.List(admin(), template.Filter{}, sqldb.Page{}); err != nil || len(list.Items) != 0 {
		t.Errorf("something was kept of refused templates: %v %v", list.Items, err)
	}
}

// exploding is a schema of 2^20 evaluations.
func exploding() string {
	var b strings.Builder
	b.WriteString("$defs:\n    a0: {type: integer}\n")
	for i := 1; i <= 20; i++ {
		prev := string(rune('a')) + itoa(i-1)
		b.WriteString("    a" + itoa(i) + ": {allOf: [{$ref: '#/$defs/" + prev + "'}, {$ref: '#/$defs/" + prev + "'}]}\n")
	}
	b.WriteString("  properties:\n    size: {$ref: '#/$defs/a20'}")
	return b.String()
}

// manyPatterns is a schema of patterns each of which is just allowed.
func manyPatterns() string {
	var b strings.Builder
	b.WriteString("$defs: {p: {type: string, pattern: '^[a-z]{0,999}$'}}\n  properties:\n    size: {type: integer, default: 1}\n    all:\n      allOf:\n")
	for range 60 {
		b.WriteString("      - $ref: '#/$defs/p'\n")
	}
	return b.String()
}

func itoa(i int) string {
	if i < 10 {
		return string(rune('0' + i))
	}
	return itoa(i/10) + itoa(i%10)
}

func TestTheEngineIsAskedAtPush(t *testing.T) {
	t.Parallel()
	refused := fault.New(fault.Invalid, "spec_refused", "no")
	var seen engine.Template
	engines := templatetest.Engines{"fake": templatetest.Planner{OnValidate: func(tpl engine.Template) error {
		seen = tpl
		return refused
	}}}
	s := template.New(template.Options{DB: sqldbtest.SQLite(t), Access: accesstest.AllowAll{}, Engines: engines})
	files := edit(t, "size: ${{ inputs.size }}", "size: ${{ inputs.size }}\n  where: ${{ environment.name }}\n  label: n-${{ inputs.size }}")
	if _, _, err := s.Push(admin(), files.Tar(t)); !errors.Is(err, refused) {
		t.Fatalf("got %v", err)
	}
	if got := string(seen.Spec); got != `{"label":"n-10","size":10}` {
		t.Errorf("the engine saw %s, not the spec with defaults and without what is not known", got)
	}
}

func FuzzManifest(f *testing.F) {
	f.Add(templatetest.Manifest("thing", "1.0.0"))
	f.Add(strings.Replace(templatetest.Manifest("thing", "1.0.0"), "type: integer", "anyOf: [{type: string}, {$ref: '#/$defs/x'}]", 1))
	f.Add("apiVersion: fairlead/v1\nkind: Template\nmetadata: {name: a, version: 1.0.0}\nengine: fake\ninputs: {type: object, $defs: {a: {allOf: [{$ref: '#/$defs/a'}]}}}\n")
	s := service(sqldbtest.SQLite(f))
	f.Fuzz(func(t *testing.T, manifest string) {
		report, err := s.Test(admin(), templatetest.Files{"template.yaml": manifest}.Tar(t))
		if err != nil {
			if k := fault.KindOf(err); k != fault.Invalid && k != fault.TooLarge {
				t.Fatalf("kind %v: %v", k, err)
			}
			return
		}
		if report.Name == "" || report.Digest == "" {
			t.Fatal("accepted without a name")
		}
	})
}
