package template

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path"
	"reflect"
	"slices"
	"strings"

	"fairlead/internal/engine"
	"fairlead/internal/fault"
	"fairlead/internal/template/bundle"
	"fairlead/internal/yamlx"
)

const (
	testsFolder = "tests/"
	maxTests    = 200
)

var classes = []string{"development", "staging", "production"}

// testCase is one document of a file in tests/.
type testCase struct {
	file    string
	line    int
	name    string
	inputs  map[string]any
	class   string
	plan    []expectedChange // nil: not looked at
	outputs []string         // nil: not looked at
	cost    *expectedCost    // nil: not looked at
	fails   *expectedFault
}

type expectedChange struct {
	kind, action, address string
	after                 map[string]any
}

// literalBrackets makes a pattern of an address: modules have addresses as
// a.b["c"], so brackets stand for themselves.
var literalBrackets = strings.NewReplacer(`\[`, `\[`, "[", `\[`)

type expectedFault struct{ code, field string }

// Report is the outcome of a template's tests.
type Report struct {
	Name    string
	Version string
	Digest  string
	Cases   []CaseReport
}

// CaseReport is the outcome of one test case.
type CaseReport struct {
	File     string
	Name     string
	Passed   bool
	Failures []string // what was expected and what came instead
}

// Passed tells whether every case passed. No cases at all is no pass.
func (r Report) Passed() bool {
	return len(r.Cases) > 0 && !slices.ContainsFunc(r.Cases, func(c CaseReport) bool { return !c.Passed })
}

func parseTests(b *bundle.Bundle, v *Version) ([]testCase, error) {
	var cases []testCase
	for _, file := range b.Names() {
		if !strings.HasPrefix(file, testsFolder) || (path.Ext(file) != ".yaml" && path.Ext(file) != ".yml") {
			continue
		}
		src, _ := b.File(file)
		docs, err := yamlx.Decode(bytes.NewReader(src), yamlx.Limits{File: file})
		if err != nil {
			return nil, err
		}
		r := yamlx.NewReader(file)
		for _, d := range docs {
			cases = append(cases, parseCase(r, d, v))
		}
		if err := r.Err("invalid_template", "the template's tests are not valid"); err != nil {
			return nil, err
		}
		if len(cases) > maxTests {
			return nil, fault.New(fault.Invalid, "invalid_template", "the template has more than %d test cases", maxTests).WithField(file)
		}
	}
	return cases, nil
}

func parseCase(r *yamlx.Reader, d yamlx.Doc, v *Version) testCase {
	o := r.Object(d.Root, "name", "inputs", "environment", "expect", "expectError", "prices")
	c := testCase{file: d.File, line: d.Root.Line, name: o.String("name"), class: o.String("environment"), inputs: map[string]any{}}
	o.Need("name")
	if c.class == "" {
		c.class = "development"
	} else if !slices.Contains(classes, c.class) {
		r.Fail(o.Node("environment"), "must be one of %s", strings.Join(classes, ", "))
	}
	if n := o.Node("inputs"); n != nil && n.Kind != yamlx.Null {
		m, ok := n.Value().(map[string]any)
		if !ok {
			r.Fail(n, "must be an object, is %s", n.Kind)
		}
		c.inputs = m
	}
	want, wantErr := o.Node("expect"), o.Node("expectError")
	if d.Root.Kind == yamlx.Object && (want == nil) == (wantErr == nil) {
		r.Fail(d.Root, "a test case has either expect or expectError")
		return c
	}
	if wantErr != nil {
		e := r.Object(wantErr, "code", "field")
		e.Need("code")
		c.fails = &expectedFault{code: e.String("code"), field: e.String("field")}
		return c
	}
	e := r.Object(want, "plan", "outputs", "cost")
	if e.Node("outputs") != nil {
		c.outputs = append([]string{}, e.Strings("outputs")...)
	}
	if n := e.Node("plan"); n != nil {
		c.plan = parsePlan(r, n)
	}
	if n := e.Node("cost"); n != nil {
		c.cost = parseCost(r, n, o.Node("prices"), v)
	}
	return c
}

func parsePlan(r *yamlx.Reader, n *yamlx.Node) []expectedChange {
	out := []expectedChange{}
	if n.Kind != yamlx.List {
		r.Fail(n, "must be a list of changes, is %s", n.Kind)
		return out
	}
	for _, item := range n.Items {
		o := r.Object(item, "kind", "action", "address", "after")
		ch := expectedChange{kind: o.String("kind"), action: o.String("action"), address: o.String("address")}
		if _, err := path.Match(literalBrackets.Replace(ch.address), ""); err != nil {
			r.Fail(o.Node("address"), "is not a pattern: use * and ? as in file names")
		}
		if a := o.Node("after"); a != nil {
			m, ok := a.Value().(map[string]any)
			if !ok {
				r.Fail(a, "must be an object, is %s", a.Kind)
			}
			ch.after = m
		}
		out = append(out, ch)
	}
	return out
}

// testRef is the resource that every test case is about.
var testRef = engine.Ref{
	Installation: "test", ID: "res_test", Name: "example", Team: "example-team", Project: "example-project", Environment: "example-env",
}

// RunTests runs the version's own test cases: inputs are validated, the spec
// is rendered, and e plans a resource of which nothing exists. Nothing real is
// touched. An engine that is no engine.DryPlanner fails the cases that expect
// a plan, and no p those that expect a cost. The error is ctx's, or that of an
// engine that cannot work just now.
func RunTests(ctx context.Context, v *Version, e engine.Engine, p Pricer) (Report, error) {
	report := Report{Name: v.Name, Version: v.Version, Digest: v.Digest, Cases: []CaseReport{}}
	for _, c := range v.tests {
		if err := ctx.Err(); err != nil {
			return report, err
		}
		failures, err := c.run(ctx, v, e, p)
		if err != nil {
			return report, err
		}
		report.Cases = append(report.Cases, CaseReport{File: c.file, Name: c.name, Passed: len(failures) == 0, Failures: failures})
	}
	return report, nil
}

func (c testCase) run(ctx context.Context, v *Version, e engine.Engine, p Pricer) ([]string, error) {
	plan, err := c.outcome(ctx, v, e)
	if fault.Is(err, fault.Unavailable) && (c.fails == nil || c.fails.code != fault.From(err).Code) {
		return nil, err // which says nothing of the template
	}
	return c.judge(ctx, v, p, plan, err), nil
}

func (c testCase) judge(ctx context.Context, v *Version, p Pricer, plan engine.Plan, err error) []string {
	if c.fails != nil {
		return c.fails.compare(err)
	}
	if err != nil {
		f := fault.From(err)
		out := []string{fmt.Sprintf("expected success, got the error %s: %s", f.Code, f.Message)}
		for _, x := range f.Violations {
			out = append(out, fmt.Sprintf("%s %s", fieldName(x.Field), x.Message))
		}
		return out
	}
	failures := []string{}
	if c.outputs != nil {
		want := slices.Sorted(slices.Values(c.outputs))
		if got := v.OutputNames(); !slices.Equal(want, got) {
			failures = append(failures, fmt.Sprintf("expected the outputs %s, the template declares %s", strings.Join(want, ", "), strings.Join(got, ", ")))
		}
	}
	if c.plan != nil {
		failures = append(failures, comparePlans(c.plan, plan)...)
	}
	if c.cost != nil {
		failures = append(failures, c.cost.compare(ctx, c, v, p)...)
	}
	return failures
}

func (c testCase) outcome(ctx context.Context, v *Version, e engine.Engine) (engine.Plan, error) {
	checked, err := v.Check(c.inputs)
	if err != nil {
		return engine.Plan{}, err
	}
	inputs, err := Resolve(checked, func(r Reference) (any, error) { return r.Resource + "." + r.Output, nil })
	if err != nil {
		return engine.Plan{}, err
	}
	t, err := v.Render(inputs, testRef, c.class)
	if err != nil {
		return engine.Plan{}, err
	}
	dry, ok := e.(engine.DryPlanner)
	_, starts := e.(engine.Runner) // a program, and so only for what is looked at
	if (!ok || starts) && c.plan == nil && c.fails == nil {
		return engine.Plan{}, nil
	}
	if !ok {
		return engine.Plan{}, fault.New(fault.Invalid, "engine_cannot_dry_plan", "the engine %s cannot plan without looking at the world", v.Engine)
	}
	return dry.PlanNew(ctx, engine.Request{Ref: testRef, Revision: 1, Template: t, Inputs: inputs, LifeCycle: v.EngineLifeCycle(inputs)})
}

func (w expectedFault) compare(err error) []string {
	if err == nil {
		return []string{fmt.Sprintf("expected the error %s, got success", w.code)}
	}
	f := fault.From(err)
	fields := []string{f.Field}
	for _, x := range f.Violations {
		fields = append(fields, x.Field)
	}
	failures := []string{}
	if f.Code != w.code {
		failures = append(failures, fmt.Sprintf("expected the error %s, got %s: %s", w.code, f.Code, f.Message))
	}
	if w.field != "" && !slices.Contains(fields, w.field) {
		failures = append(failures, fmt.Sprintf("expected the field %s at fault, got %s", w.field, strings.Join(slices.Compact(fields), ", ")))
	}
	return failures
}

// comparePlans matches each expected change with one of the plan's, and wants
// no change besides them.
func comparePlans(want []expectedChange, plan engine.Plan) []string {
	failures := []string{}
	left := slices.DeleteFunc(slices.Clone(plan.Changes), func(c engine.Change) bool { return c.Action == engine.NoOp || c.Action == engine.Read })
	for _, w := range want {
		near, nearWhy := -1, []string{}
		for i, c := range left {
			why := w.differences(c)
			if near < 0 || len(why) < len(nearWhy) {
				near, nearWhy = i, why
			}
		}
		switch {
		case near < 0:
			failures = append(failures, fmt.Sprintf("- expected %s, but the plan has no further change", w))
		case len(nearWhy) > 0:
			failures = append(failures, fmt.Sprintf("- expected %s; nearest is %s: %s", w, shown(left[near]), strings.Join(nearWhy, "; ")))
		default:
			left = slices.Delete(left, near, near+1)
		}
	}
	if len(failures) == 0 {
		for _, c := range left {
			failures = append(failures, "+ not expected: "+shown(c))
		}
	}
	return failures
}

func (w expectedChange) String() string {
	or := func(s, empty string) string {
		if s == "" {
			return empty
		}
		return s
	}
	return fmt.Sprintf("%s %s %s", or(w.action, "any action on"), or(w.kind, "any kind"), or(w.address, "*"))
}

func shown(c engine.Change) string { return fmt.Sprintf("%s %s %s", c.Action, c.Kind, c.Address) }

func (w expectedChange) differences(c engine.Change) []string {
	var why []string
	if w.kind != "" && w.kind != c.Kind {
		why = append(why, "the kind is "+c.Kind)
	}
	if w.action != "" && w.action != string(c.Action) {
		why = append(why, "the action is "+string(c.Action))
	}
	if ok, err := path.Match(literalBrackets.Replace(w.address), c.Address); w.address != "" && (err != nil || !ok) {
		why = append(why, "the address is "+c.Address)
	}
	return append(why, subset(plainJSON(w.after), plainJSON(c.After), "after")...)
}

// plainJSON gives a value as encoding/json reads it back, to compare by.
func plainJSON(v any) any {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	var out any
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if dec.Decode(&out) != nil {
		return nil
	}
	return yamlx.Numbers(out)
}

func subset(want, got any, at string) []string {
	m, ok := want.(map[string]any)
	if !ok {
		if want == nil || reflect.DeepEqual(want, got) {
			return nil
		}
		return []string{fmt.Sprintf("%s is %s, not %s", at, literal(got), literal(want))}
	}
	have, _ := got.(map[string]any)
	var why []string
	for k, x := range m {
		y, ok := have[k]
		if !ok {
			why = append(why, fmt.Sprintf("%s.%s is not there", at, k))
			continue
		}
		if x == nil && y != nil {
			why = append(why, fmt.Sprintf("%s.%s is %s, not null", at, k, literal(y)))
			continue
		}
		why = append(why, subset(x, y, at+"."+k)...)
	}
	slices.Sort(why)
	return why
}
