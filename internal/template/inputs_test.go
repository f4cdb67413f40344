package template_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fairlead/internal/engine"
	"fairlead/internal/fault"
	"fairlead/internal/sqldb/sqldbtest"
	"fairlead/internal/template"
	"fairlead/internal/template/templatetest"
)

const richInputs = `inputs:
  type: object
  required: [name]
  $defs:
    port: {type: integer, minimum: 1, maximum: 65535, default: 5432}
  properties:
    name: {type: string, minLength: 2, maxLength: 10, pattern: '^[a-z]+$'}
    size: {type: integer, minimum: 1, maximum: 100, default: 10}
    ratio: {type: number, exclusiveMaximum: 1}
    tier: {type: string, enum: [small, large]}
    mail: {type: string, format: email}
    flag: {type: boolean}
    port: {$ref: '#/$defs/port'}
    pool:
      type: object
      properties:
        min: {type: integer, default: 1}
        max: {type: integer, default: 5, multipleOf: 5}
    hosts:
      type: array
      maxItems: 2
      uniqueItems: true
      items:
        type: object
        required: [host]
        properties:
          host: {type: string}
          port: {$ref: '#/$defs/port'}
          key: {type: string, writeOnly: true}
    labels: {type: object, patternProperties: {'^[a-z]+$': {type: string}}, additionalProperties: false}
    either: {oneOf: [{type: string, minLength: 3}, {type: integer}]}
    password: {type: string, format: password}
  dependentRequired: {tier: [ratio]}
`

func rich(t *testing.T) *template.Version {
	t.Helper()
	m := templatetest.Manifest("thing", "1.0.0")
	at, end := strings.Index(m, "inputs:\n"), strings.Index(m, "outputs:\n")
	files := templatetest.Files{"template.yaml": m[:at] + richInputs + m[end:] + `  name: ${{inputs.name}}
  text: "${{ inputs.name }}-${{ inputs.size }}@${{ environment.class }}/${{ project.name }}.${{ team.name }}.${{ resource.name }} $${{ kept }}"
  pool: ${{ inputs.pool }}
  ratio: ${{ inputs.ratio }}
  list: [1, "${{ inputs.flag }}", {deep: "${{ inputs.pool.max }}"}]
`}
	v, _, err := service(sqldbtest.SQLite(t)).Push(admin(), files.Tar(t))
	if err != nil {
		t.Fatalf("%v: %v", err, fault.From(err).Violations)
	}
	return v
}

func TestCheckFillsDefaultsAndNormalises(t *testing.T) {
	t.Parallel()
	v := rich(t)
	in := map[string]any{"name": "ab", "size": json.Number("7"), "ratio": 0.5, "hosts": []any{map[string]any{"host": "a"}}, "pool": map[string]any{"max": 10.0}}
	got, err := v.Check(in)
	if err != nil {
		t.Fatal(err, fault.From(err).Violations)
	}
	want := map[string]any{
		"name": "ab", "size": int64(7), "ratio": 0.5, "port": int64(5432),
		"hosts": []any{map[string]any{"host": "a", "port": int64(5432)}},
		"pool":  map[string]any{"min": int64(1), "max": int64(10)},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if _, changed := in["port"]; changed {
		t.Error("the caller's inputs were changed")
	}
	if got, err = v.Check(map[string]any{"name": "ab"}); err != nil || cmp.Diff(got["pool"], map[string]any{"min": int64(1), "max": int64(5)}) != "" {
		t.Errorf("nested defaults: %v %v", got["pool"], err)
	}
}

func TestCheckSaysWhatIsWrongInPlainLanguage(t *testing.T) {
	t.Parallel()
	v := rich(t)
	deep := any("x")
	for range 100 {
		deep = []any{deep}
	}
	for _, tc := range []struct {
		reason  string
		in      map[string]any
		field   string
		message string
	}{
		{"nothing", nil, "/name", "is required"},
		{"too big", map[string]any{"size": 101}, "/size", "must be at most 100"},
		{"too small", map[string]any{"size": 0}, "/size", "must be at least 1"},
		{"wrong type", map[string]any{"size": "7"}, "/size", "must be a whole number, is a string"},
		{"a fraction", map[string]any{"size": 1.5}, "/size", "must be a whole number, is a number"},
		{"null", map[string]any{"size": nil}, "/size", "must be a whole number, is nothing (null)"},
		{"exclusive bound", map[string]any{"ratio": 1}, "/ratio", "must be less than 1"},
		{"not a number", map[string]any{"ratio": math.NaN()}, "/ratio", "is not a finite number"},
		{"enum", map[string]any{"tier": "medium"}, "/tier", `must be one of "small", "large"`},
		{"dependent", map[string]any{"tier": "small"}, "", "needs ratio too when tier is set"},
		{"format", map[string]any{"mail": "nobody"}, "/mail", "must be an e-mail address"},
		{"pattern", map[string]any{"name": "A1"}, "/name", "must match the pattern ^[a-z]+$"},
		{"too short", map[string]any{"name": "a"}, "/name", "must be at least 2 characters long"},
		{"too long", map[string]any{"name": strings.Repeat("a", 11)}, "/name", "must be at most 10 characters long"},
		{"unknown", map[string]any{"sise": 1}, "/sise", `unknown input, did you mean "size"?`},
		{"unknown and far off", map[string]any{"zzzzz": 1}, "/zzzzz", "unknown input; known are either, flag, hosts, labels, mail, name, password, pool, port, ratio, size, tier"},
		{"unknown deep inside", map[string]any{"pool": map[string]any{"mx": 5}}, "/pool/mx", `unknown input, did you mean "max"?`},
		{"unknown in a list", map[string]any{"hosts": []any{map[string]any{"host": "a", "hots": 1}}}, "/hosts/0/hots", `unknown input, did you mean "host"?`},
		{"required in a list", map[string]any{"hosts": []any{map[string]any{}}}, "/hosts/0/host", "is required"},
		{"too many items", map[string]any{"hosts": []any{map[string]any{"host": "a"}, map[string]any{"host": "b"}, map[string]any{"host": "c"}}}, "/hosts", "must have at most 2 items"},
		{"the same twice", map[string]any{"hosts": []any{map[string]any{"host": "a"}, map[string]any{"host": "a"}}}, "/hosts", "must not hold the same item twice (items 0 and 1)"},
		{"multiple of", map[string]any{"pool": map[string]any{"max": 7}}, "/pool/max", "must be a multiple of 5"},
		{"a referenced schema", map[string]any{"port": 70000}, "/port", "must be at most 65535"},
		{"a key", map[string]any{"labels": map[string]any{"A": "x"}}, "/labels/A", "unknown input"},
		{"one of", map[string]any{"either": true}, "/either", "fits none of the allowed forms: it must be a string, is true or false, or must be a whole number, is true or false"},
		{"an odd key", map[string]any{"a/b~c": 1}, "/a~1b~0c", "unknown input; known are either, flag, hosts, labels, mail, name, password, pool, port, ratio, size, tier"},
		{"too deep", map[string]any{"either": deep}, "/either" + strings.Repeat("/0", 24), "is nested more than 24 levels deep"},
		{"too many values", map[string]any{"hosts": make([]any, 20_000)}, "/hosts/9998", "has more than 10000 values"},
	} {
		if tc.in != nil {
			if _, ok := tc.in["name"]; !ok {
				tc.in["name"] = "ab"
			}
		}
		_, err := v.Check(tc.in)
		if !errors.Is(err, fault.New(fault.Invalid, "invalid_inputs", "")) {
			t.Errorf("%s: %v", tc.reason, err)
			continue
		}
		var said []string
		found := false
		for _, x := range fault.From(err).Violations {
			said = append(said, x.Field+" "+x.Message)
			found = found || (x.Field == tc.field && x.Message == tc.message)
		}
		if !found {
			t.Errorf("%s: got %q", tc.reason, said)
		}
	}
}

func TestCheckListsEveryViolationAndNoValue(t *testing.T) {
	t.Parallel()
	const canary = "hunter2-canary"
	_, err := rich(t).Check(map[string]any{"name": canary, "size": canary, "mail": canary, "tier": canary, "either": []any{canary}, "ratio": canary, "password": []any{canary}})
	f := fault.From(err)
	if len(f.Violations) < 6 {
		t.Errorf("only %d violations: %v", len(f.Violations), f.Violations)
	}
	if strings.Contains(fmt.Sprint(f.Message, f.Hint, f.Violations, err), canary) {
		t.Error("a value was repeated")
	}
}

func TestSecretInputs(t *testing.T) {
	t.Parallel()
	v := rich(t)
	in := map[string]any{"name": "ab", "password": "s3cret", "hosts": []any{map[string]any{"host": "a", "key": "${{ resources.x.outputs.key }}"}, map[string]any{"host": "b", "key": "k"}}}
	if d := cmp.Diff([]string{"/hosts/0/key", "/hosts/1/key", "/password"}, v.SecretInputs(in)); d != "" {
		t.Error(d)
	}
	hidden := v.HideSecrets(in)
	want := map[string]any{"name": "ab", "password": "[redacted]", "hosts": []any{map[string]any{"host": "a", "key": "${{ resources.x.outputs.key }}"}, map[string]any{"host": "b", "key": "[redacted]"}}}
	if d := cmp.Diff(want, hidden); d != "" {
		t.Error(d)
	}
	if in["password"] != "s3cret" {
		t.Error("the caller's inputs were changed")
	}
}

func TestReferences(t *testing.T) {
	t.Parallel()
	v := rich(t)
	in := map[string]any{
		"name": "${{ resources.db.outputs.name }}", "size": "${{resources.db.outputs.port}}", "either": "${{ resources.db.outputs.x }}",
		"hosts": []any{map[string]any{"host": "${{ resources.web-1.outputs.host }}"}}, "pool": "${{ resources.db.outputs.pool }}",
		"labels": map[string]any{"a": "$${{ text }}"},
	}
	checked, err := v.Check(in)
	if err != nil {
		t.Fatal(err, fault.From(err).Violations)
	}
	refs, err := template.ParseReferences(checked)
	if err != nil {
		t.Fatal(err)
	}
	want := []template.Reference{
		{Pointer: "/either", Resource: "db", Output: "x"},
		{Pointer: "/hosts/0/host", Resource: "web-1", Output: "host"},
		{Pointer: "/name", Resource: "db", Output: "name"},
		{Pointer: "/pool", Resource: "db", Output: "pool"},
		{Pointer: "/size", Resource: "db", Output: "port"},
	}
	if d := cmp.Diff(want, refs); d != "" {
		t.Fatal(d)
	}
	values := map[string]any{"/name": "abc", "/size": int64(5), "/either": int64(1), "/hosts/0/host": "${{ resources.evil.outputs.x }}", "/pool": map[string]any{"min": 1, "max": 5}}
	resolved, err := template.Resolve(checked, func(r template.Reference) (any, error) { return values[r.Pointer], nil })
	if err != nil {
		t.Fatal(err)
	}
	if got := resolved["labels"].(map[string]any)["a"]; got != "${{ text }}" {
		t.Errorf("escaped text became %v", got)
	}
	if err := v.CheckResolved(resolved); err != nil {
		t.Errorf("an output that looks like a reference is text: %v", fault.From(err).Violations)
	}
	resolved["size"] = int64(500)
	if err := v.CheckResolved(resolved); fault.From(err).Field != "/size" {
		t.Errorf("a resolved value that does not fit: %v", err)
	}
}

func TestReferencesThatAreNone(t *testing.T) {
	t.Parallel()
	for reason, in := range map[string]map[string]any{
		"inside a text":          {"a": "x ${{ resources.db.outputs.url }}"},
		"two of them":            {"a": "${{ resources.a.outputs.b }}${{ resources.a.outputs.b }}"},
		"no output":              {"a": "${{ resources.db }}"},
		"an input":               {"a": "${{ inputs.x }}"},
		"the environment":        {"a": "${{ environment.name }}"},
		"code":                   {"a": "${{ 1 + 1 }}"},
		"a name that is a path":  {"a": "${{ resources.../x.outputs.y }}"},
		"a name in upper case":   {"a": "${{ resources.DB.outputs.url }}"},
		"a reserved name":        {"a": "${{ resources.postgres.outputs.url }}"},
		"another environment":    {"a": "${{ resources.prod/db.outputs.url }}"},
		"not closed":             {"a": "${{ resources.db.outputs.url"},
		"as a key":               {"${{ resources.db.outputs.url }}": 1},
		"deep":                   {"a": []any{map[string]any{"b": "${{ x }}"}}},
		"a line break":           {"a": "${{ resources.db.outputs.url }}\n"},
		"escaped and then not":   {"a": "$${{ x }} ${{ y }}"},
		"an escape that is torn": {"a": "$$${{{{ x"},
	} {
		if _, err := template.ParseReferences(in); reason == "an escape that is torn" {
			if err != nil {
				t.Errorf("%s: %v", reason, err)
			}
		} else if !errors.Is(err, fault.New(fault.Invalid, "invalid_reference", "")) {
			t.Errorf("%s: %v", reason, err)
		}
	}
	broken := errors.New("gone")
	if _, err := template.Resolve(map[string]any{"a": "${{ resources.db.outputs.url }}"}, func(template.Reference) (any, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Errorf("get's error: %v", err)
	}
}

var ref = engine.Ref{Installation: "i", ID: "res_1", Name: "orders", Team: "t", Project: "p", Environment: "e"}

func TestRender(t *testing.T) {
	t.Parallel()
	v := rich(t)
	in, err := v.Check(map[string]any{"name": "ab", "flag": true})
	if err != nil {
		t.Fatal(err)
	}
	got, err := v.Render(in, ref, "production")
	if err != nil {
		t.Fatal(err)
	}
	want := `{"list":[1,true,{"deep":5}],"name":"ab","pool":{"max":5,"min":1},"ratio":null,"size":10,"text":"ab-10@production/p.t.orders ${{ kept }}"}`
	if string(got.Spec) != want || got.Digest != v.Digest || got.Version != "1.0.0" {
		t.Errorf("got %s", got.Spec)
	}
}

func TestRenderDoesNotLookIntoValues(t *testing.T) {
	t.Parallel()
	v := rich(t)
	for _, evil := range []string{"${{ inputs.password }}", "{{ .Env }}", "$(id)", `","admin":true,"x":"`, "\u2028", "<script>"} {
		got, err := v.Render(map[string]any{"name": evil, "size": 1, "pool": map[string]any{}, "password": "s3cret"}, ref, "production")
		if err != nil {
			t.Fatal(err)
		}
		var spec map[string]any
		if err := json.Unmarshal(got.Spec, &spec); err != nil {
			t.Fatal(err)
		}
		if spec["name"] != evil || spec["admin"] != nil || strings.Contains(string(got.Spec), "s3cret") {
			t.Errorf("%q became %s", evil, got.Spec)
		}
	}
}

func TestRenderIsBounded(t *testing.T) {
	t.Parallel()
	m := templatetest.Manifest("thing", "1.0.0")
	m = strings.Replace(m, "size: {type: integer, minimum: 1, maximum: 100, default: 10}", "size: {type: string, default: ''}", 1)
	m = strings.Replace(m, "${{ inputs.size }}", `"`+strings.Repeat("${{ inputs.size }}", 1000)+`"`, 1)
	v, _, err := service(sqldbtest.SQLite(t)).Push(admin(), templatetest.Files{"template.yaml": m}.Tar(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Render(map[string]any{"size": strings.Repeat("x", 1<<20)}, ref, "production"); !fault.Is(err, fault.TooLarge) {
		t.Errorf("got %v", err)
	}
}

// The worst that a template's author and somebody who requests it can do
// together with patterns.
func TestPatternsCannotBurnTheProcessor(t *testing.T) {
	t.Parallel()
	m := templatetest.Manifest("thing", "1.0.0")
	m = strings.Replace(m, "size: {type: integer, minimum: 1, maximum: 100, default: 10}",
		`size: {type: string, default: "", pattern: '^([a-z]{0,500}){2}!?$'}`+"\n    more: {type: array, items: {type: string, pattern: '^(x+x+)+y$'}}", 1)
	v, _, err := service(sqldbtest.SQLite(t)).Push(admin(), templatetest.Files{"template.yaml": m}.Tar(t))
	if err != nil {
		t.Fatal(fault.From(err).Violations)
	}
	for reason, in := range map[string]map[string]any{
		"one text":   {"size": strings.Repeat("x", 1<<20) + "!"},
		"many texts": {"more": slices.Repeat([]any{strings.Repeat("x", 4000)}, 250)},
		"names":      {strings.Repeat("x", 1<<20): true},
	} {
		if _, err := v.Check(in); !errors.Is(err, fault.New(fault.TooLarge, "inputs_too_long", "")) {
			t.Errorf("%s: %v", reason, err)
		}
	}
	if _, err := v.Check(map[string]any{"size": strings.Repeat("x", 900) + "!", "more": []any{strings.Repeat("x", 10_000) + "y"}}); err != nil {
		t.Errorf("what is allowed: %v", fault.From(err).Violations)
	}
}

func FuzzReferences(f *testing.F) {
	f.Add("${{ resources.db.outputs.url }}")
	f.Add("$${{ x }}")
	f.Add("$$${{{{ }}")
	f.Add("a ${{ inputs.x }} b")
	f.Fuzz(func(t *testing.T, s string) {
		in := map[string]any{"a": s, "b": []any{s}}
		refs, err := template.ParseReferences(in)
		if err != nil {
			if !errors.Is(err, fault.New(fault.Invalid, "invalid_reference", "")) {
				t.Fatal(err)
			}
			return
		}
		seen := 0
		out, err := template.Resolve(in, func(template.Reference) (any, error) { seen++; return "value", nil })
		if err != nil || seen != len(refs) {
			t.Fatalf("%d references, %d resolved, %v", len(refs), seen, err)
		}
		if len(refs) == 0 && !strings.Contains(s, "$${{") && out["a"] != s {
			t.Fatalf("%q became %q", s, out["a"])
		}
	})
}
