package cost_test

import (
	"testing"

	"fairlead/internal/cost"
	"fairlead/internal/fault"
)

// Whatever is put, it is a price table of sound prices, or a fault that says
// what is wrong.
func FuzzParsePrices(f *testing.F) {
	for _, seed := range []string{table, "currency: EUR\nitems: {cpu: {hourly: 0.02, unit: a core}}", "currency: EUR\nitems: {cpu: {monthly: 1e9}}", "[", "a: &a [*a]", "currency: EUR\nitems: {cpu: {monthly: .inf}}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		p, err := cost.ParsePrices(src)
		if err != nil {
			if !fault.Is(err, fault.Invalid) && !fault.Is(err, fault.TooLarge) {
				t.Fatal(err)
			}
			return
		}
		if len(p.Currency) != 3 || p.Digest == "" {
			t.Fatalf("%+v", p)
		}
		for name, i := range p.Items {
			if !(i.Monthly >= 0 && i.Monthly <= 1e12 && i.Hourly >= 0 && i.Hourly <= 1e9) {
				t.Fatalf("%s costs %v a month, %v an hour", name, i.Monthly, i.Hourly)
			}
		}
	})
}
