package yamlx_test

import (
	"encoding/json"
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"fairlead/internal/yamlx"
)

func TestEachNumberHasOneForm(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		why, in string
		want    any // nil: refused
	}{
		{"whole", "7", int64(7)},
		{"whole with a point", "7.0", int64(7)},
		{"whole with a power", "7e3", int64(7000)},
		{"minus nothing", "-0.0", int64(0)},
		{"above 2^53", "9007199254740993", int64(9007199254740993)},
		{"above 2^63", "9223372036854775808", json.Number("9223372036854775808")},
		{"above 2^63, and a float's own", "1e30", 1e30},
		{"whole, and more than a float's digits", "84228610012427100.0", int64(84228610012427100)},
		{"the smallest", "-92233720368547758080e-1", int64(math.MinInt64)},
		{"a fraction", "-0.10", -0.1},
		{"more digits than a float has", "0.12345678901234567890", json.Number("0.12345678901234567890")},
		{"too big", "1e400", nil},
		{"too small", "1e-400", nil},
		{"would take a gigabyte to compute with", "1e-999999999", nil},
		{"nothing, with a power that fits nowhere", "0e99999999999999999999", int64(0)},
		{"none", "0x10", nil},
		{"none either", "NaN", nil},
		{"YAML's own way of writing, with too many digits", "+.12345678901234567890", nil},
	} {
		got, ok := yamlx.Number(c.in)
		if ok != (c.want != nil) || ok && got != c.want {
			t.Errorf("%s: %s is %T %v, %v", c.why, c.in, got, got, ok)
		}
	}
}

func TestNoNumberLosesADigit(t *testing.T) {
	t.Parallel()
	literal := rapid.StringMatching(`-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,40})?([eE][-+]?[0-9]{1,2})?`)
	rapid.Check(t, func(t *rapid.T) {
		in := literal.Draw(t, "number")
		v, ok := yamlx.Number(in)
		if !ok {
			t.Fatalf("%s is refused", in)
		}
		out, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		a, _ := new(big.Rat).SetString(in)
		b, _ := new(big.Rat).SetString(string(out))
		if a.Cmp(b) != 0 {
			t.Fatalf("%s became %s", in, out)
		}
		if again, ok := yamlx.Number(string(out)); !ok || again != v {
			t.Fatalf("%s is %T %v, read again %T %v", in, v, v, again, again)
		}
	})
}
