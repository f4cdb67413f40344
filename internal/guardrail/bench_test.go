package guardrail_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"

	"fairlead/internal/gate"
	"fairlead/internal/guardrail"
	"fairlead/internal/guardrail/guardrailtest"
	"fairlead/internal/sqldb/sqldbtest"
)

// ten is a bundle of ten rules as people write them, for some teams.
func ten(t testing.TB, name, teams string) *guardrail.Bundle {
	var rules strings.Builder
	rules.WriteString("package " + name + "\n\n")
	for i := range 10 {
		fmt.Fprintf(&rules, "deny contains sprintf(\"size %%v of %%s\", [input.inputs.size, input.resource.name]) if {\n\tinput.environment.class == \"class%d\"\n\tinput.inputs.size > %d\n}\n\n", i, i)
	}
	return guardrailtest.Bundle(t, "", guardrailtest.Files{
		"policy.yaml": guardrailtest.Manifest(name, "1.0.0", name, "request") + teams, "p.rego": rules.String(),
	})
}

func busy() gate.Facts {
	f := facts(100)
	f.Environment.Class = "class7"
	return f
}

// Against OPA alone: the same rules prepared by hand and the same document.
func BenchmarkEvaluate(b *testing.B) {
	few := ten(b, "few", "")
	for _, n := range []int{10, 100_000} {
		bundles := []*guardrail.Bundle{few}
		if n > 10 { // of other teams; each bundle of ten rules has many guardrails of it in force
			var manifest strings.Builder
			files := guardrailtest.Files{}
			manifest.WriteString("apiVersion: fairlead/v1\nkind: PolicyBundle\nmetadata: {name: many, version: 1.0.0}\nguardrails:\n")
			var rules strings.Builder
			rules.WriteString("package many\n\n")
			for i := range 500 {
				fmt.Fprintf(&rules, "deny_%d contains \"x\" if input.inputs.size > %d\n\n", i, i)
			}
			files["many.rego"] = rules.String()
			for i := range 200 {
				fmt.Fprintf(&manifest, "- {package: many, stage: request, scope: {teams: [team-%d]}}\n", i)
			}
			files["policy.yaml"] = manifest.String()
			bundles = append(bundles, guardrailtest.Bundle(b, "", files))
		}
		set := guardrail.NewSet(bundles...)
		f := busy()
		if got := set.Evaluate(b.Context(), f); len(got) != 1 {
			b.Fatal(said(got))
		}
		b.Run(fmt.Sprintf("guardrails/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				set.Evaluate(b.Context(), f)
			}
		})
	}
	src, _ := few.File("p.rego")
	raw, err := rego.New(rego.Module("p.rego", string(src)), rego.Query("x = data.few.deny")).PrepareForEval(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	f := busy()
	b.Run("raw/10", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			in, err := ast.InterfaceToValue(f.Document())
			if err != nil {
				b.Fatal(err)
			}
			if rs, err := raw.Eval(b.Context(), rego.EvalParsedInput(in)); err != nil || len(rs) != 1 {
				b.Fatal(rs, err)
			}
		}
	})
	b.Run("raw/10, input at hand", func(b *testing.B) {
		in, err := ast.InterfaceToValue(f.Document())
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if rs, err := raw.Eval(b.Context(), rego.EvalParsedInput(in)); err != nil || len(rs) != 1 {
				b.Fatal(rs, err)
			}
		}
	})
	s := newService(b, sqldbtest.SQLite(b))
	b.Run("service/none", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := s.Evaluate(b.Context(), f); err != nil {
				b.Fatal(err)
			}
		}
	})
}
