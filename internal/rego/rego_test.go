package rego_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"fairlead/internal/fault"
	"fairlead/internal/rego"
)

func compile(t testing.TB, src string) *rego.Program {
	t.Helper()
	p, err := rego.Compile(rego.Files{"p.rego": []byte(src)}, rego.Options{})
	if err != nil {
		t.Fatal(err, fault.From(err).Violations)
	}
	return p
}

func eval(t testing.TB, src string, input any, l rego.Limits) (rego.Answer, error) {
	t.Helper()
	q, err := compile(t, src).Prepare(rego.Rule{Package: "p", Name: "x"})
	if err != nil {
		t.Fatal(err)
	}
	in, err := rego.NewInput(input)
	if err != nil {
		t.Fatal(err)
	}
	a, err := q.Eval(t.Context(), in, l)
	if err != nil {
		return rego.Answer{}, err
	}
	return a[0], nil
}

func TestCompileSaysAllThatIsWrong(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		reason string
		files  rego.Files
		o      rego.Options
		kind   fault.Kind
		want   []string // each within some violation
	}{
		{"a syntax error", rego.Files{"a.rego": []byte("package a\n\ndeny contains msg if {\n")}, rego.Options{}, fault.Invalid, []string{"a.rego:"}},
		{"two files, an error in each", rego.Files{"a.rego": []byte("package a\n\nx := {"), "b.rego": []byte("package b\n\ny := ]")}, rego.Options{}, fault.Invalid, []string{"a.rego:3:", "b.rego:3:"}},
		{"two errors of one file", rego.Files{"a.rego": []byte("package a\n\nx := nothing\ny := nobody\n")}, rego.Options{}, fault.Invalid, []string{"a.rego:3:6: ", "a.rego:4:6: "}},
		{"a rule that needs itself", rego.Files{"a.rego": []byte("package a\n\nx := y\ny := x\n")}, rego.Options{}, fault.Invalid, []string{"recursive"}},
		{"a function that calls itself", rego.Files{"a.rego": []byte("package a\n\nf(n) := f(n-1)\n")}, rego.Options{}, fault.Invalid, []string{"recursive"}},
		{"the network", rego.Files{"a.rego": []byte("package a\n\nx := http.send({})\n")}, rego.Options{}, fault.Invalid, []string{"policies have no network"}},
		{"the clock", rego.Files{"a.rego": []byte("package a\n\nx := time.now_ns()\n")}, rego.Options{}, fault.Invalid, []string{"use input.time"}},
		{"the environment", rego.Files{"a.rego": []byte("package a\n\nx := opa.runtime().env\n")}, rego.Options{}, fault.Invalid, []string{"environment"}},
		{"randomness", rego.Files{"a.rego": []byte("package a\n\nx := rand.intn(\"a\", 4)\n")}, rego.Options{}, fault.Invalid, []string{"randomness"}},
		{"a forbidden function in v0 too", rego.Files{"a.rego": []byte("package a\n\nx[y] { y = http.send({}) }\n")}, rego.Options{}, fault.Invalid, []string{"policies have no network"}},
		{"a type error", rego.Files{"a.rego": []byte("package a\n\nx := 1 + \"a\"\n")}, rego.Options{}, fault.Invalid, []string{"a.rego:3:"}},
		{"an unused variable, strictly", rego.Files{"a.rego": []byte("package a\n\nx if { y := 1 }\n")}, rego.Options{Strict: true}, fault.Invalid, []string{"unused"}},
		{"no UTF-8", rego.Files{"a.rego": []byte("package a\xff")}, rego.Options{}, fault.Invalid, []string{"UTF-8"}},
		{"too deep", rego.Files{"a.rego": []byte("package a\n\nx := " + strings.Repeat("[", 300) + strings.Repeat("]", 300))}, rego.Options{}, fault.Invalid, []string{"a.rego:3:1: brackets are nested"}},
		{"comprehensions within comprehensions", rego.Files{"a.rego": []byte("package a\n\nx := " + strings.Repeat("[y | y := ", 60) + "1" + strings.Repeat("]", 60))}, rego.Options{}, fault.Invalid, []string{"a.rego:3:1: too many comprehensions"}},
		{"else without end", rego.Files{"a.rego": []byte("package a\n\nx := 1 if input.a\n" + strings.Repeat("else := 2 if input.b\n", 20000))}, rego.Options{}, fault.Invalid, []string{"a.rego:3:1: more than 100 else"}},
		{"a sum without end", rego.Files{"a.rego": []byte("package a\n\nx := 1" + strings.Repeat("+1", 400000))}, rego.Options{}, fault.Invalid, []string{"recursion depth"}},
		{"10 MB", rego.Files{"a.rego": []byte("package a\n" + strings.Repeat("# x\n", 10<<20/4))}, rego.Options{}, fault.TooLarge, nil},
		{"data where a package is", rego.Files{"a.rego": []byte("package a.b\n\nx := 1\n")}, rego.Options{Data: map[string]any{"a": map[string]any{"b": map[string]any{"x": 2}}}}, fault.Invalid, []string{"in the data files too"}},
	} {
		_, err := rego.Compile(tc.files, tc.o)
		f := fault.From(err)
		if err == nil || f.Kind != tc.kind || f.Message == "" || f.Hint == "" {
			t.Errorf("%s: %v", tc.reason, err)
			continue
		}
		for _, want := range tc.want {
			found := false
			for _, v := range f.Violations {
				found = found || strings.Contains(v.Message, want)
			}
			if !found {
				t.Errorf("%s: nothing says %q: %+v", tc.reason, want, f.Violations)
			}
		}
	}
}

func TestTheSchemaFindsMisspeltFields(t *testing.T) {
	t.Parallel()
	schema := map[string]any{"type": "object", "additionalProperties": false, "properties": map[string]any{
		"environment": map[string]any{"type": "object", "additionalProperties": false, "properties": map[string]any{"class": map[string]any{"type": "string"}}},
		"inputs":      map[string]any{"type": "object", "additionalProperties": true},
		"lease":       map[string]any{"type": "object", "properties": map[string]any{"hours": map[string]any{"type": "number"}}},
	}}
	for src, good := range map[string]bool{
		"package a\ndeny contains \"x\" if input.environment.class == \"production\"":                            true,
		"package a\ndeny contains \"x\" if input.enviroment.class == \"production\"":                             false,
		"package a\ndeny contains \"x\" if input.environment.klass == \"production\"":                            false,
		"package a\ndeny contains \"x\" if input.inputs.whatever.below == 3":                                     true,
		"package a\ndeny contains \"x\" if not input.lease":                                                      true,
		"package a\ndeny contains \"x\" if { some k, v in input.inputs; v == k }":                                true,
		"package raw\ndeny contains \"x\" if input.resource_changes[_].type == \"t\"":                            true,
		"package a\ntest_x if { count(deny) == 0 with input as {\"enviroment\": 1} }\ndeny contains 1 if 1 == 2": true,
	} {
		_, err := rego.Compile(rego.Files{"a.rego": []byte(src)}, rego.Options{Schema: schema, Typed: func(pkg string) bool { return pkg == "a" }})
		if (err == nil) != good {
			t.Errorf("%s: %v", src, err)
		}
	}
}

func TestOldPoliciesCompileAsTheyAre(t *testing.T) {
	t.Parallel()
	p, err := rego.Compile(rego.Files{
		"a.rego": []byte("package main\n\ndeny[msg] {\n  input.a == 1\n  unused := 1\n  msg = sprintf(\"%v\", [input.a])\n}\n\ndeny_more[{\"msg\": m}] { m = \"y\" }\n"),
		"b.rego": []byte("package main\n\nwarn contains \"new\" if input.a == 1\n"),
	}, rego.Options{})
	if err != nil {
		t.Fatal(err, fault.From(err).Violations)
	}
	pkg, ok := p.Package("main")
	if !ok || fmt.Sprint(pkg.Rules) != "[deny deny_more warn]" || !pkg.Old {
		t.Errorf("%+v", pkg)
	}
	q, err := p.Prepare(rego.Rule{Package: "main", Name: "deny"}, rego.Rule{Package: "main", Name: "deny_more"}, rego.Rule{Package: "main", Name: "warn"}, rego.Rule{Package: "main", Name: "none"})
	if err != nil {
		t.Fatal(err)
	}
	in, _ := rego.NewInput(map[string]any{"a": 1})
	a, err := q.Eval(t.Context(), in, rego.Limits{})
	if err != nil || fmt.Sprint(a) != "[{true true [1]} {true true [map[msg:y]]} {true true [new]} {false false <nil>}]" {
		t.Error(a, err)
	}
}

const huge = `x := count([1 | some i in numbers.range(1, 20000); some j in numbers.range(1, 20000); i * j == -1])`

func TestEvaluationIsBounded(t *testing.T) {
	t.Parallel()
	doubling := "s0 := [i | some i in numbers.range(1, 10000)]\n"
	for i := 1; i <= 24; i++ {
		doubling += fmt.Sprintf("s%d := array.concat(s%d, s%d)\n", i, i-1, i-1)
	}
	texts := "s0 := \"0123456789012345678901234567890123456789\"\n"
	for i := 1; i <= 30; i++ {
		texts += fmt.Sprintf("s%d := concat(\"\", [s%d, s%d])\n", i, i-1, i-1)
	}
	for _, tc := range []struct {
		reason, src string
		limits      rego.Limits
		want        rego.Trouble
	}{
		{"a comprehension over 400 million pairs", huge, rego.Limits{Time: 100 * time.Millisecond}, rego.Timeout},
		{"a range of a trillion", "x := count(numbers.range(1, 1000000000000))", rego.Limits{Time: 200 * time.Millisecond}, ""},
		{"a list that doubles", doubling + "x := count(s24)", rego.Limits{Time: 20 * time.Second, Memory: 32 << 20}, rego.Memory},
		{"a text that doubles", texts + "x := count(s30)", rego.Limits{Time: 20 * time.Second, Memory: 32 << 20}, rego.Memory},
		{"a million verdicts", "x contains i if some i in numbers.range(1, 1000000)", rego.Limits{Time: 20 * time.Second, Output: 10000}, rego.Output},
		{"one rule, two values", "x := 1 if input.a\nx := 2 if input.b", rego.Limits{}, rego.Conflict},
		{"a builtin that cannot", "x := to_number(input.text)", rego.Limits{}, rego.Builtin},
		{"divided by zero", "x := 1 / input.zero", rego.Limits{}, rego.Builtin},
	} {
		began := time.Now()
		_, err := eval(t, "package p\n"+tc.src, map[string]any{"a": true, "b": true, "text": "three", "zero": 0}, tc.limits)
		var e *rego.Error
		if !errors.As(err, &e) || tc.want != "" && e.Trouble != tc.want || e.Message == "" {
			t.Errorf("%s: %v", tc.reason, err)
		}
		if took := time.Since(began); took > 15*time.Second {
			t.Errorf("%s: took %v", tc.reason, took)
		}
	}
}

func TestACanceledCallerEndsTheEvaluation(t *testing.T) {
	t.Parallel()
	q, err := compile(t, "package p\n"+huge).Prepare(rego.Rule{Package: "p", Name: "x"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	in, _ := rego.NewInput(nil)
	_, err = q.Eval(ctx, in, rego.Limits{Time: time.Minute})
	if !errors.Is(err, &rego.Error{Trouble: rego.Canceled}) {
		t.Error(err)
	}
}

func TestTests(t *testing.T) {
	t.Parallel()
	p, err := rego.Compile(rego.Files{
		"a.rego":      []byte("package a\n\nimport rego.v1\n\ndeny contains \"no\" if input.bad\n"),
		"a_test.rego": []byte("package a_test\n\nimport data.a\n\ntest_good if count(a.deny) == 0 with input as {}\n\ntest_bad if {\n  print(\"seen\", a.deny)\n  count(a.deny) == 0 with input as {\"bad\": true}\n}\n\ntest_error if to_number(\"x\") == 1\n\ntodo_test_later if false\n"),
	}, rego.Options{Strict: true})
	if err != nil {
		t.Fatal(err, fault.From(err).Violations)
	}
	for range 2 {
		results, err := p.Test(t.Context(), rego.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range results {
			got = append(got, fmt.Sprintf("%s %s:%d %v %v %s %s", r.Name, r.File, r.Line, r.Passed, r.Skipped, r.Failure, r.Output))
		}
		t.Log(strings.Join(got, "\n"))
		if len(results) != 4 || !results[0].Passed || results[1].Passed || results[2].Passed || !results[3].Skipped || !strings.Contains(results[1].Output, "seen") {
			t.Error(strings.Join(got, "\n"))
		}
	}
	slow := compile(t, "package p\n"+huge+"\ntest_slow if x == 0\n")
	if results, err := slow.Test(t.Context(), rego.Limits{Time: 100 * time.Millisecond}); !errors.Is(err, &rego.Error{Trouble: rego.Timeout}) {
		t.Error(results, err)
	}
}

func FuzzCompile(f *testing.F) {
	for _, s := range []string{"package a\n\ndeny contains msg if { msg := \"x\" }", "package a\ndeny[x] { x = 1 }", "package a\nimport future.keywords\nx := {y | some y in input}", "{", "package a\n# METADATA\n# schemas:\n# - input: {type: 3}\nx := 1", "package a.b[\"c\"]\nx.y.z[1] := 2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, src string) {
		p, err := rego.Compile(rego.Files{"a.rego": []byte(src)}, rego.Options{Strict: true})
		if err != nil {
			if k := fault.KindOf(err); k != fault.Invalid && k != fault.TooLarge {
				t.Fatal(err)
			}
			return
		}
		var rules []rego.Rule
		for _, pkg := range p.Packages() {
			for _, r := range pkg.Rules {
				rules = append(rules, rego.Rule{Package: pkg.Name, Name: r})
			}
		}
		q, err := p.Prepare(rules...)
		if err != nil {
			t.Fatal(err)
		}
		in, _ := rego.NewInput(map[string]any{})
		_, _ = q.Eval(t.Context(), in, rego.Limits{Time: 100 * time.Millisecond})
	})
}
