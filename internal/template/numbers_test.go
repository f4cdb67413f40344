package template_test

import (
	"encoding/json"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"fairlead/internal/engine"
	"fairlead/internal/sqldb/sqldbtest"
	"fairlead/internal/template/templatetest"
)

// What a developer writes is what the engine gets, digit by digit.
func TestAnInputKeepsEveryDigitUpToTheEngine(t *testing.T) {
	t.Parallel()
	m := templatetest.Manifest("digits", "1.0.0")
	at, end := strings.Index(m, "inputs:\n"), strings.Index(m, "outputs:\n")
	m = m[:at] + "inputs:\n  type: object\n  required: [whole, any]\n  properties:\n    whole: {type: integer}\n    any: {type: number}\n" +
		m[end:strings.Index(m, "spec:\n")] + "spec:\n  outputs:\n    name: {any: '${{ inputs.any }}', whole: '${{ inputs.whole }}', text: 'n=${{ inputs.whole }}'}\n"
	v, _, err := service(sqldbtest.SQLite(t)).Push(admin(), templatetest.Files{"template.yaml": m}.Tar(t))
	if err != nil {
		t.Fatal(err)
	}
	whole := rapid.StringMatching(`-?[1-9][0-9]{0,40}`)
	number := rapid.StringMatching(`-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][-+]?[0-9]{1,2})?`)
	rapid.Check(t, func(t *rapid.T) {
		w, n := whole.Draw(t, "whole"), number.Draw(t, "number")
		in, err := v.Check(map[string]any{"whole": json.Number(w), "any": json.Number(n)})
		if err != nil {
			t.Fatal(err)
		}
		rendered, err := v.Render(in, engine.Ref{}, "development")
		if err != nil {
			t.Fatal(err)
		}
		var spec struct {
			Outputs struct {
				Name struct {
					Any, Whole json.Number
					Text       string
				}
			}
		}
		if err := json.Unmarshal(rendered.Spec, &spec); err != nil {
			t.Fatal(err)
		}
		got := spec.Outputs.Name
		if got.Text != "n="+w || string(got.Whole) != w || rat(got.Any).Cmp(rat(json.Number(n))) != 0 {
			t.Fatalf("%s and %s became %s", w, n, rendered.Spec)
		}
	})
}

func rat(n json.Number) *big.Rat {
	r, _ := new(big.Rat).SetString(string(n))
	return r
}
