package cost_test

import (
	"errors"
	"math"
	"os"
	"strings"
	"testing"

	"fairlead/internal/cost"
	"fairlead/internal/fault"
)

func TestPriceTablesThatAreNone(t *testing.T) {
	t.Parallel()
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b,*b]\ncurrency: EUR\nitems: {}\n"
	for why, src := range map[string]string{
		"nothing":                ``,
		"no object":              `[]`,
		"no currency":            `items: {}`,
		"no items":               `currency: EUR`,
		"a currency in words":    "currency: euro\nitems: {}",
		"no price":               "currency: EUR\nitems: {cpu: {unit: core}}",
		"two prices":             "currency: EUR\nitems: {cpu: {monthly: 1, hourly: 1}}",
		"a negative price":       "currency: EUR\nitems: {cpu: {monthly: -1}}",
		"a price that is a text": "currency: EUR\nitems: {cpu: {monthly: '1'}}",
		"not a number":           "currency: EUR\nitems: {cpu: {monthly: .nan}}",
		"infinite":               "currency: EUR\nitems: {cpu: {monthly: .inf}}",
		"huge":                   "currency: EUR\nitems: {cpu: {monthly: 1e300}}",
		"an odd name":            "currency: EUR\nitems: {'c p u': {monthly: 1}}",
		"the same item twice":    "currency: EUR\nitems: {cpu: {monthly: 1}, cpu: {monthly: 2}}",
		"an unknown field":       "currency: EUR\nitems: {cpu: {monthly: 1, montly: 2}}",
		"two documents":          "currency: EUR\nitems: {}\n---\ncurrency: EUR\nitems: {}",
		"aliases that multiply":  bomb,
		"nested without end":     "currency: EUR\nitems: " + strings.Repeat("[", 100_000),
		"too large":              "currency: EUR\nitems: {}\n#" + strings.Repeat("x", 1<<20),
		"too many items":         "currency: EUR\nitems:\n" + manyItems(5001),
	} {
		if _, err := cost.ParsePrices([]byte(src)); !fault.Is(err, fault.Invalid) && !fault.Is(err, fault.TooLarge) {
			t.Errorf("%s: %v", why, err)
		}
	}
}

func manyItems(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("  i" + strings.Repeat("a", i%50) + strings.Repeat("b", i/50) + ": {monthly: 1}\n")
	}
	return b.String()
}

func TestTheExampleIsAPriceTable(t *testing.T) {
	t.Parallel()
	src, err := os.ReadFile("../../examples/prices.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p, err := cost.ParsePrices(src)
	if err != nil || p.Currency != "EUR" || p.Items["cpu"].Monthly != 0.021*730 {
		t.Errorf("%+v, %v", p, err)
	}
	// The shipped template asks for items that it has.
	rule, err := os.ReadFile("../../templates/postgres/cost.rego")
	if err != nil {
		t.Fatal(err)
	}
	prices := map[string]float64{}
	for name, i := range p.Items {
		prices[name] = i.Monthly
	}
	got, err := cost.Rules{}.Monthly(t.Context(), "cost.rego", rule, map[string]any{"connection_limit": int64(20), "keep_last_dump": true}, "development", prices)
	if err != nil || got != 20 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestWhatARuleComesTo(t *testing.T) {
	t.Parallel()
	prices := map[string]float64{"cpu": 10, "disk": 0.1, "huge": 1e9}
	loop := "package cost\nitems := [{\"item\": \"cpu\", \"quantity\": x} | x := count([1 | some a in numbers.range(1, 100000); some b in numbers.range(1, 100000); a < b])]"
	for _, row := range []struct {
		why, rule string
		want      float64
		code      string
	}{
		{"a set", `items contains {"item": "cpu", "quantity": input.inputs.cpu}`, 20, ""},
		{"a list", `items := [{"item": "cpu", "quantity": 1}, {"item": "cpu", "quantity": 2}]`, 30, ""},
		{"by class", "items := [{\"item\": \"cpu\", \"quantity\": n}] if n := {\"production\": 3, \"development\": 1}[input.environment.class]", 10, ""},
		{"an empty set", "items contains x if { x := input.inputs.absent }", 0, ""},
		{"an amount", "monthly := input.inputs.cpu * data.prices.cpu.monthly", 20, ""},
		{"both", "monthly := 1.5\nitems := [{\"item\": \"disk\", \"quantity\": 3}]", 1.8, ""},
		{"by the hour", "monthly := data.prices.cpu.hourly * 730", 10, ""},
		{"an unknown item", `items := [{"item": "gpu", "quantity": 1}]`, 0, "unknown_cost_item"},
		{"nothing at all", "items := [] if input.inputs.cpu == 7", 0, "cost_rule_failed"},
		{"a negative quantity", `items := [{"item": "cpu", "quantity": -1}]`, 0, "cost_rule_failed"},
		{"a quantity in words", `items := [{"item": "cpu", "quantity": "2"}]`, 0, "cost_rule_failed"},
		{"no list", `items := {"cpu": 1}`, 0, "cost_rule_failed"},
		{"a list of texts", `items := ["cpu"]`, 0, "cost_rule_failed"},
		{"a negative amount", "monthly := -1", 0, "cost_rule_failed"},
		{"more than can be counted", `items := [{"item": "huge", "quantity": 1000000000}]`, 0, "cost_rule_failed"},
		{"a huge amount", "monthly := 1e300", 0, "cost_rule_failed"},
		{"two values", "monthly := 1 if input.inputs.cpu == 2\nmonthly := 2 if input.inputs.cpu > 1", 0, "cost_rule_failed"},
		{"a loop", strings.TrimPrefix(loop, "package cost\n"), 0, "cost_rule_failed"},
		{"a giant answer", `items := [{"item": "cpu", "quantity": x} | some x in numbers.range(1, 100000)]`, 0, "cost_rule_failed"},
	} {
		t.Run(row.why, func(t *testing.T) {
			got, err := cost.Rules{}.Monthly(t.Context(), "cost.rego", []byte("package cost\n"+row.rule), map[string]any{"cpu": int64(2)}, "development", prices)
			if row.code == "" && (err != nil || math.Abs(got-row.want) > 1e-9) {
				t.Errorf("got %v, %v; want %v", got, err, row.want)
			}
			if f := fault.From(err); row.code != "" && (err == nil || f.Code != row.code) {
				t.Errorf("got %v, %v; want %s", got, err, row.code)
			}
		})
	}
}

func TestRulesThatAreRefusedAtPush(t *testing.T) {
	t.Parallel()
	for why, rule := range map[string]string{
		"no Rego":                    "items: []",
		"nothing":                    "",
		"another package":            "package costs\nitems := []",
		"another rule":               "package cost\nitem := []",
		"a misspelt field":           "package cost\nmonthly := 1 if input.environment.clas == \"production\"",
		"an input that there is not": "package cost\nitems contains {\"item\": \"cpu\", \"quantity\": input.inputs.cpus}",
		"the network":                "package cost\nmonthly := http.send({\"url\": \"http://169.254.169.254\"}).body",
		"the clock":                  "package cost\nmonthly := time.now_ns()",
		"the environment":            "package cost\nmonthly := opa.runtime().env.HOME",
		"recursion":                  "package cost\nmonthly := monthly + 1",
		"brackets without end":       "package cost\nitems := " + strings.Repeat("[", 10_000),
		"10 MB":                      "package cost\nmonthly := 1\n#" + strings.Repeat("x", 10<<20),
		"binary":                     "package cost\n\xff\xfe",
	} {
		err := cost.Rules{}.Check("cost.rego", []byte(rule), []string{"cpu"})
		f, ok := errors.AsType[*fault.Error](err)
		if !ok || f.Kind != fault.Invalid && f.Kind != fault.TooLarge {
			t.Errorf("%s: %v", why, err)
			continue
		}
		if why == "a misspelt field" && !strings.Contains(f.Message, "cost.rego:2") {
			t.Errorf("%s: %v names no line", why, err)
		}
	}
}
