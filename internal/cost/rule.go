package cost

import (
	"context"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"time"

	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/rego"
	"fairlead/internal/yamlx"
)

// Rules compiles and asks cost rules: Rego files of the package cost with a
// rule items, a list or set of {"item": …, "quantity": …}, or a rule monthly,
// a number, or both. They see input.inputs, input.environment.class and
// data.prices.
type Rules struct{}

const rulePackage = "cost"

// schema lets a misspelt field of input be an error when the rule is pushed:
// it would be undefined, and what depends on it would cost nothing.
func schema(inputs []string) map[string]any {
	known := map[string]any{}
	for _, name := range inputs {
		known[name] = map[string]any{}
	}
	object := func(properties map[string]any) map[string]any {
		return map[string]any{"type": "object", "additionalProperties": false, "properties": properties}
	}
	return object(map[string]any{"inputs": object(known), "environment": object(map[string]any{"class": map[string]any{"type": "string"}})})
}

// bounds of one evaluation: a rule adds up a few numbers.
var bounds = rego.Limits{Time: 250 * time.Millisecond, Memory: 64 << 20, Output: 256 << 10}

// maxLines bounds what a rule may list.
const maxLines = 500

type rule struct {
	query *rego.Query
	file  string
}

func compile(file string, source []byte, p Prices, o rego.Options) (*rule, error) {
	o.Strict, o.Data = true, p.data()
	prog, err := rego.Compile(rego.Files{file: source}, o)
	if err != nil {
		return nil, err
	}
	pkg, ok := prog.Package(rulePackage)
	if !ok || !slices.Contains(pkg.Rules, "items") && !slices.Contains(pkg.Rules, "monthly") {
		return nil, fault.New(fault.Invalid, "invalid_cost_rule", "%s:1: the package cost with a rule items or monthly is not there", file).WithField(file).
			WithHint(`begin it with "package cost" and give items: a set of {"item": …, "quantity": …}`)
	}
	q, err := prog.Prepare(rego.Rule{Package: rulePackage, Name: "items"}, rego.Rule{Package: rulePackage, Name: "monthly"})
	return &rule{q, file}, err
}

// Check compiles a rule that may look at these inputs; what is wrong with it
// is an Invalid fault that names file and line.
func (Rules) Check(file string, source []byte, inputs []string) error {
	_, err := compile(file, source, Prices{}, rego.Options{Schema: schema(inputs), Typed: func(pkg string) bool { return pkg == rulePackage }})
	return err
}

// Monthly is what a rule comes to by some prices, each for a month.
func (Rules) Monthly(ctx context.Context, file string, source []byte, inputs map[string]any, class string, prices map[string]float64) (float64, error) {
	p := Prices{Items: map[string]Price{}}
	for name, monthly := range prices {
		p.Items[name] = Price{Monthly: monthly, Hourly: monthly / HoursPerMonth}
	}
	r, err := compile(file, source, p, rego.Options{})
	if err != nil {
		return 0, err
	}
	c, err := r.ask(ctx, p, inputs, class)
	return c.Monthly, err
}

func failed(format string, args ...any) *fault.Error {
	return fault.New(fault.Denied, "cost_rule_failed", "what it would cost cannot be told: "+format, args...).
		WithHint("whoever owns the template mends its cost rule; try it with: fairlead template test")
}

// ask gives what the rule comes to. A rule that errs, or runs past its bounds,
// is Denied with "cost_rule_failed"; an item that the price table has not is
// Invalid with "unknown_cost_item".
func (r *rule) ask(ctx context.Context, p Prices, inputs map[string]any, class string) (gate.Cost, error) {
	in, err := rego.NewInput(map[string]any{"inputs": plain(inputs), "environment": map[string]any{"class": class}})
	if err != nil {
		return gate.Cost{}, failed("the inputs are no JSON").WithCause(err)
	}
	answers, err := r.query.Eval(ctx, in, bounds)
	if err != nil {
		if ctx.Err() != nil {
			return gate.Cost{}, ctx.Err()
		}
		return gate.Cost{}, failed("%s", err).WithCause(err)
	}
	items, monthly := answers[0], answers[1]
	if !items.Defined && !monthly.Defined {
		return gate.Cost{}, failed("%s gives neither items nor monthly for these inputs", r.file)
	}
	c := gate.Cost{Currency: p.Currency, Prices: p.Digest}
	if items.Defined {
		if c.Items, err = lines(items.Value, p, r.file); err != nil {
			return gate.Cost{}, err
		}
	}
	if monthly.Defined {
		v, ok := number(monthly.Value)
		if !ok || v < 0 {
			return gate.Cost{}, failed("monthly of %s is no amount", r.file)
		}
		c.Items = append(c.Items, gate.CostItem{Item: "monthly", Quantity: 1, Monthly: v})
	}
	for _, i := range c.Items {
		c.Monthly += i.Monthly
	}
	if !(c.Monthly <= maxMonthly) {
		return gate.Cost{}, failed("%s comes to more than can be counted", r.file)
	}
	c.Monthly = math.Round(c.Monthly*1e6) / 1e6 // however the items were added up
	return c, nil
}

// lines reads what items says.
func lines(v any, p Prices, file string) ([]gate.CostItem, error) {
	list, ok := v.([]any)
	if !ok || len(list) > maxLines {
		return nil, failed("items of %s is no list or set of at most %d", file, maxLines)
	}
	out := make([]gate.CostItem, 0, len(list))
	for _, x := range list {
		m, _ := x.(map[string]any)
		name, ok := m["item"].(string)
		quantity, counts := number(m["quantity"])
		if !ok || !counts || !(quantity >= 0 && quantity <= maxPrice) {
			return nil, failed(`an entry of items of %s is not {"item": a name, "quantity": a number that is not negative}`, file)
		}
		price, ok := p.Items[name]
		if !ok {
			f := fault.New(fault.Invalid, "unknown_cost_item", "the price table has no item %s, which the template's cost rule asks for", yamlx.Quote(name)).
				WithHint("whoever keeps the prices adds it: fairlead cost prices put FILE")
			if near := yamlx.Nearest(name, slices.Sorted(maps.Keys(p.Items))); near != "" {
				f = f.WithHint("the price table has %q; whoever keeps the prices adds %q, or the template's owner mends its cost rule", near, name)
			}
			return nil, f
		}
		out = append(out, gate.CostItem{Item: name, Quantity: quantity, Monthly: quantity * price.Monthly})
	}
	return out, nil
}

// plain gives inputs as encoding/json knows them.
func plain(inputs map[string]any) any {
	b, err := json.Marshal(inputs)
	if err != nil {
		return map[string]any{}
	}
	var out map[string]any
	if json.Unmarshal(b, &out) != nil || out == nil {
		return map[string]any{}
	}
	return out
}
