package resourceapi_test

import (
	"encoding/json"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"fairlead/internal/sqldb/sqldbtest"
)

// Numbers come back as they were sent, and the same again changes nothing.
func TestNumbersKeepEveryDigitOverHTTP(t *testing.T) {
	t.Parallel()
	f := newFace(t, sqldbtest.SQLite(t))
	number := rapid.StringMatching(`-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][-+]?[0-9]{1,2})?`)
	rapid.Check(t, func(t *rapid.T) {
		numbers := rapid.SliceOfN(number, 1, 5).Draw(t, "numbers")
		body := `{"template":"store","inputs":{"list":[` + strings.Join(numbers, ",") + `]}}`
		first := f.as("ann", "PUT", orders, body)
		again := f.as("ann", "PUT", orders, body)
		got := f.as("ann", "GET", orders, "")
		if first.StatusCode/100 != 2 || got.StatusCode != 200 || again.Header.Get("ETag") != first.Header.Get("ETag") {
			t.Fatalf("%d %s; again %d %s", first.StatusCode, first.text, again.StatusCode, again.Header.Get("ETag"))
		}
		for _, a := range []answer{first, got} {
			var r struct{ Inputs struct{ List []json.Number } }
			if err := json.Unmarshal([]byte(a.text), &r); err != nil {
				t.Fatal(err)
			}
			for i, sent := range numbers {
				want, _ := new(big.Rat).SetString(sent)
				is, _ := new(big.Rat).SetString(string(r.Inputs.List[i]))
				if want.Cmp(is) != 0 {
					t.Fatalf("%s came back as %s", sent, r.Inputs.List[i])
				}
			}
		}
	})
}
