package template_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"fairlead/internal/access/accesstest"
	"fairlead/internal/engine"
	"fairlead/internal/fault"
	"fairlead/internal/sqldb/sqldbtest"
	"fairlead/internal/template"
	"fairlead/internal/template/templatetest"
)

// fakePricer refuses rules that say "bad", and prices by the first item's price.
type fakePricer struct{}

func (fakePricer) Check(file string, rule []byte, _ []string) error {
	if string(rule) == "bad" {
		return fault.New(fault.Invalid, "invalid_policy", "%s:1: bad", file).WithField(file)
	}
	return nil
}

func (fakePricer) Monthly(_ context.Context, _ string, _ []byte, inputs map[string]any, _ string, prices map[string]float64) (float64, error) {
	size, _ := inputs["size"].(int64)
	return float64(size) * prices["disk"], nil
}

func pricing(t *testing.T) *template.Service {
	return template.New(template.Options{DB: sqldbtest.SQLite(t), Access: accesstest.AllowAll{}, Engines: fakes(), Prices: fakePricer{}})
}

func gated(t *testing.T, section string) templatetest.Files {
	return edit(t, "engine: fake\n", "engine: fake\n"+section+"\n").With(templatetest.Files{"cost.rego": "package cost"})
}

func TestWhatGatesKnowOfATemplate(t *testing.T) {
	t.Parallel()
	v, _, err := pricing(t).Push(admin(), gated(t, `units: {storage: "${{ inputs.size }}", licences: 2.5}
cost: cost.rego
approval: {role: team-owner, count: 2, within: 4h}
lease: {default: 72h, max: 720h}`).Tar(t))
	if err != nil {
		t.Fatal(err, fault.From(err).Violations)
	}
	checked, err := v.Check(map[string]any{"size": int64(7)})
	if err != nil {
		t.Fatal(err)
	}
	want := template.Gate{
		Units: map[string]float64{"storage": 7, "licences": 2.5}, Approval: &template.Approval{Role: "team-owner", Count: 2, Within: 4 * time.Hour},
		CostFile: "cost.rego", CostRule: []byte("package cost"), Lease: template.Lease{Default: 72 * time.Hour, Max: 720 * time.Hour},
	}
	if d := cmp.Diff(want, v.Gate(checked)); d != "" {
		t.Error(d)
	}
	if g := v.Gate(map[string]any{}); g.Units["storage"] != 0 {
		t.Errorf("an input that is left out: %v", g.Units)
	}
	if g := v.Gate(map[string]any{"size": "${{ resources.disk.size }}"}); g.Units["storage"] >= 0 {
		t.Errorf("a reference is not known, but counted as %v", g.Units)
	}
}

func TestGatesThatAreRefused(t *testing.T) {
	t.Parallel()
	s := pricing(t)
	for _, row := range []struct{ why, section, field string }{
		{"a unit that is counted anyway", "units: {count: 1}", "/units/count"},
		{"a budget as a unit", "units: {monthly_cost: 1}", "/units/monthly_cost"},
		{"a unit in capitals", "units: {CPU: 1}", "/units/CPU"},
		{"a negative unit", "units: {cpu: -1}", "/units/cpu"},
		{"a unit in words", "units: {cpu: many}", "/units/cpu"},
		{"a unit of no input", "units: {cpu: '${{ inputs.siz }}'}", "/units/cpu"},
		{"a unit of a name", "units: {cpu: '${{ team.name }}'}", "/units/cpu"},
		{"a unit that is a text with a number", "units: {cpu: '1${{ inputs.size }}'}", "/units/cpu"},
		{"units as a list", "units: [cpu]", "/units"},
		{"a rule that is not there", "cost: costs.rego", "/cost"},
		{"a rule that climbs", "cost: ../cost.rego", "/cost"},
		{"a rule that is no Rego", "cost: template.yaml", "/cost"},
		{"approval of nobody known", "approval: {role: king}", "/approval/role"},
		{"approval by none", "approval: {count: 0}", "/approval/count"},
		{"approval by more than there are", "approval: {people: [ada], count: 2}", "/approval/count"},
		{"approval at once", "approval: {within: 1ms}", "/approval/within"},
		{"a lease longer than its longest", "lease: {default: 48h, max: 24h}", "/lease/default"},
		{"a lease in words", "lease: {default: long}", "/lease/default"},
		{"an unknown field of a lease", "lease: {defualt: 24h}", "/lease/defualt"},
		{"an answer to drift that is none", "drift: {person: panic}", "/drift/person"},
		{"a cause of drift that is none", "drift: {weather: heal}", "/drift/weather"},
		{"what drift ignores is no list", "drift: {ignore: tags}", "/drift/ignore"},
		{"what drift ignores names no field", "drift: {ignore: [{address: a.b}]}", "/drift/ignore/0/field"},
		{"what drift ignores is too much of a pattern", "drift: {ignore: [{address: '***********', field: x}]}", "/drift/ignore/0/address"},
	} {
		_, _, err := s.Push(admin(), gated(t, row.section).Tar(t))
		f := fault.From(err)
		found := f.Field == row.field
		for _, v := range f.Violations {
			found = found || v.Field == row.field
		}
		if err == nil || f.Code != "invalid_template" || !found {
			t.Errorf("%s: %v (%s %s)", row.why, err, f.Code, f.Field)
		}
	}
	_, _, err := s.Push(admin(), gated(t, "cost: cost.rego").With(templatetest.Files{"cost.rego": "bad"}).Tar(t))
	if f := fault.From(err); f.Code != "invalid_policy" || f.Field != "cost.rego" {
		t.Errorf("a rule that does not compile: %v", err)
	}
}

func TestTestCasesMayExpectACost(t *testing.T) {
	t.Parallel()
	s := pricing(t)
	for _, row := range []struct {
		why, test string
		passes    bool
	}{
		{"as expected", "name: x\nprices: {disk: 0.1}\ninputs: {size: 5}\nexpect: {cost: 0.5}\n", true},
		{"another", "name: x\nprices: {disk: 0.1}\ninputs: {size: 5}\nexpect: {cost: 0.6}\n", false},
	} {
		report, err := s.Test(admin(), gated(t, "cost: cost.rego").With(templatetest.Files{"tests/a.yaml": row.test}).Tar(t))
		if err != nil || report.Passed() != row.passes {
			t.Errorf("%s: %+v, %v", row.why, report, err)
		}
	}
	for why, test := range map[string]string{
		"a cost in words": "name: x\nexpect: {cost: cheap}\n", "a negative price": "name: x\nprices: {disk: -1}\nexpect: {cost: 1}\n", "prices as a list": "name: x\nprices: [1]\nexpect: {cost: 1}\n",
	} {
		if _, err := s.Test(admin(), gated(t, "cost: cost.rego").With(templatetest.Files{"tests/a.yaml": test}).Tar(t)); fault.From(err).Code != "invalid_template" {
			t.Errorf("%s: %v", why, err)
		}
	}
	if _, err := s.Test(admin(), templatetest.New("thing", "1.0.0").With(templatetest.Files{"tests/a.yaml": "name: x\nexpect: {cost: 1}\n"}).Tar(t)); fault.From(err).Code != "invalid_template" {
		t.Errorf("a cost without a rule: %v", err)
	}
}

func TestWhatATemplateSaysOfDrift(t *testing.T) {
	t.Parallel()
	s := pricing(t)
	v, _, err := s.Push(admin(), gated(t, "drift: {person: ask, noise: alert, ignore: [{address: 'x.*', field: tags}], ordered: [{address: y, field: 'list*'}]}").Tar(t))
	if err != nil {
		t.Fatal(err)
	}
	want := template.Drift{Answers: map[engine.Cause]string{engine.CausePerson: "ask", engine.CauseNoise: "alert"},
		Ignore: []template.Fields{{Address: "x.*", Field: "tags"}}, Ordered: []template.Fields{{Address: "y", Field: "list*"}}}
	if d := cmp.Diff(want, v.Drift); d != "" {
		t.Error(d)
	}
}
