package template_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"fairlead/internal/access/accesstest"
	"fairlead/internal/engine"
	"fairlead/internal/fault"
	"fairlead/internal/sqldb/sqldbtest"
	"fairlead/internal/template"
	"fairlead/internal/template/templatetest"
)

// planners stand in for the shipped engines: they plan as those do, without a
// server to ask.
func planners() templatetest.Engines {
	return templatetest.Engines{
		"fake": templatetest.Planner{OnPlan: func(req engine.Request) (engine.Plan, error) {
			var spec map[string]any
			if err := json.Unmarshal(req.Template.Spec, &spec); err != nil {
				return engine.Plan{}, err
			}
			if spec["size"] == 66.0 {
				return engine.Plan{}, fault.New(fault.Invalid, "unlucky", "no").WithField("/size")
			}
			return engine.Plan{Changes: []engine.Change{
				{Address: "box.a", Kind: "box", Action: engine.Create, After: spec},
				{Address: "lid.a", Kind: "lid", Action: engine.Create, After: map[string]any{"on": map[string]any{"box": "a", "tight": true}}},
				{Address: "shelf.a", Kind: "shelf", Action: engine.Read},
			}}, nil
		}},
		"null": templatetest.Planner{OnPlan: func(req engine.Request) (engine.Plan, error) {
			var spec struct{ Outputs map[string]any }
			err := json.Unmarshal(req.Template.Spec, &spec)
			return engine.Plan{Changes: []engine.Change{{Address: "null." + req.Ref.Name, Kind: "null", Action: engine.Create, After: spec.Outputs}}}, err
		}},
		"postgres": templatetest.Planner{OnPlan: func(req engine.Request) (engine.Plan, error) {
			name := req.Ref.Name + "_0123456789"
			return engine.Plan{Changes: []engine.Change{
				{Address: "role." + name, Kind: "role", Action: engine.Create, After: map[string]any{"login": false}},
				{Address: "role." + name + "_a", Kind: "role", Action: engine.Create, After: map[string]any{"login": true}},
				{Address: "database." + name, Kind: "database", Action: engine.Create},
			}}, nil
		}},
	}
}

func tester(t *testing.T) *template.Service {
	return template.New(template.Options{DB: sqldbtest.SQLite(t), Access: accesstest.AllowAll{}, Engines: planners()})
}

func TestRunTests(t *testing.T) {
	t.Parallel()
	s := tester(t)
	both := "expect: {plan: [{kind: box, action: create, after: {size: 10}}, {kind: lid, action: create, address: 'lid.?'}]}"
	for _, tc := range []struct {
		reason, test string
		failure      string // part of the only failure; "" passes
	}{
		{"the whole plan", both, ""},
		{"a subset of what an object becomes", "expect: {plan: [{kind: box}, {kind: lid, after: {on: {tight: true}}}]}", ""},
		{"in any order", "expect: {plan: [{kind: lid}, {kind: box}]}", ""},
		{"inputs reach the spec", "inputs: {size: 7}\nexpect: {plan: [{kind: box, after: {size: 7}}, {kind: lid}]}", ""},
		{"a plan that is not looked at", "expect: {outputs: [token, address]}", ""},
		{"a change too few", "expect: {plan: [{kind: box}, {kind: lid}, {kind: lid}]}", "no further change"},
		{"a change too many", "expect: {plan: [{kind: box}]}", "+ not expected: create lid lid.a"},
		{"no change at all", "inputs: {size: 7}\nexpect: {plan: []}", "+ not expected"},
		{"another action", "expect: {plan: [{kind: box, action: delete}, {kind: lid}]}", "the action is create"},
		{"another address", "expect: {plan: [{kind: box, address: 'box.b*'}, {kind: lid}]}", "the address is box.a"},
		{"another value deep inside", "expect: {plan: [{kind: box}, {kind: lid, after: {on: {box: b}}}]}", `after.on.box is "a", not "b"`},
		{"a value that is not there", "expect: {plan: [{kind: box, after: {colour: red}}, {kind: lid}]}", "after.colour is not there"},
		{"a value that should be null", "expect: {plan: [{kind: box, after: {size: null}}, {kind: lid}]}", "after.size is 10, not null"},
		{"other outputs", "expect: {outputs: [address]}", "the template declares address, token"},
		{"inputs that are refused", "inputs: {size: 101}\nexpectError: {code: invalid_inputs, field: /size}", ""},
		{"an error of the engine", "inputs: {size: 66}\nexpectError: {code: unlucky, field: /size}", ""},
		{"another error", "inputs: {size: 101}\nexpectError: {code: unlucky}", "expected the error unlucky, got invalid_inputs"},
		{"another field", "inputs: {size: 101}\nexpectError: {code: invalid_inputs, field: /other}", "expected the field /other"},
		{"no error", "expectError: {code: invalid_inputs}", "got success"},
		{"an error by surprise", "inputs: {size: 66}\nexpect: {outputs: [address, token]}", "got the error unlucky"},
	} {
		files := templatetest.New("thing", "1.0.0").With(templatetest.Files{"tests/a.yaml": "name: x\n" + tc.test + "\n"})
		r, err := s.Test(admin(), files.Tar(t))
		if err != nil {
			t.Errorf("%s: %v %v", tc.reason, err, fault.From(err).Violations)
			continue
		}
		said := strings.Join(r.Cases[0].Failures, "\n")
		if r.Passed() != (tc.failure == "") || r.Cases[0].Passed != r.Passed() || !strings.Contains(said, tc.failure) {
			t.Errorf("%s: passed %v: %s", tc.reason, r.Passed(), said)
		}
	}
	if r, err := s.Test(admin(), templatetest.New("thing", "1.0.0").Tar(t)); err != nil || r.Passed() {
		t.Errorf("a template without tests: passed %v, %v", r.Passed(), err)
	}
}

// blind is an engine that cannot plan without a server.
type blind struct{ engine.Engine }

func TestEnginesThatCannotDryPlan(t *testing.T) {
	t.Parallel()
	s := template.New(template.Options{DB: sqldbtest.SQLite(t), Access: accesstest.AllowAll{}, Engines: templatetest.Engines{"fake": blind{}}})
	files := templatetest.New("thing", "1.0.0").With(templatetest.Files{"tests/a.yaml": "name: inputs\ninputs: {size: 0}\nexpectError: {code: invalid_inputs}\n---\nname: plan\nexpect: {plan: []}\n---\nname: outputs\nexpect: {outputs: [address, token]}\n"})
	r, err := s.Test(admin(), files.Tar(t))
	if err != nil || !r.Cases[0].Passed || r.Cases[1].Passed || !r.Cases[2].Passed || !strings.Contains(r.Cases[1].Failures[0], "engine_cannot_dry_plan") {
		t.Errorf("%+v %v", r, err)
	}
}

// program is an engine that starts a program to plan.
type program struct{ templatetest.Planner }

func (program) Program(context.Context) (engine.Program, error) { return engine.Program{}, nil }

// A program is started for what is looked at alone, its addresses have
// brackets, and that it is not there is no verdict on a template.
func TestEnginesThatRunAProgram(t *testing.T) {
	t.Parallel()
	started := 0
	plan := func(engine.Request) (engine.Plan, error) {
		started++
		return engine.Plan{Changes: []engine.Change{{Address: `box.a["b"]`, Kind: "box", Action: engine.Create}, {Address: "box.a[0]", Kind: "box", Action: engine.Create}}}, nil
	}
	run := func(plan func(engine.Request) (engine.Plan, error), cases string) (template.Report, error) {
		s := template.New(template.Options{DB: sqldbtest.SQLite(t), Access: accesstest.AllowAll{}, Engines: templatetest.Engines{"fake": program{templatetest.Planner{OnPlan: plan}}}})
		return s.Test(admin(), templatetest.New("thing", "1.0.0").With(templatetest.Files{"tests/a.yaml": cases}).Tar(t))
	}
	if r, err := run(plan, "name: outputs\nexpect: {outputs: [address, token]}\n"); err != nil || !r.Passed() || started != 0 {
		t.Errorf("%+v, %v, started %d times", r, err, started)
	}
	if r, err := run(plan, "name: plan\nexpect: {plan: [{address: 'box.a[\"b\"]'}, {address: 'box.?[*]'}]}\n"); err != nil || !r.Passed() || started != 1 {
		t.Errorf("%+v, %v, started %d times", r, err, started)
	}
	gone := fault.New(fault.Unavailable, "engine_unavailable", "there is no program")
	if _, err := run(func(engine.Request) (engine.Plan, error) { return engine.Plan{}, gone }, "name: plan\nexpect: {plan: []}\n"); !errors.Is(err, gone) {
		t.Errorf("want that it is not there, got %v", err)
	}
}

func TestATestRunEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(admin())
	cancel()
	files := templatetest.New("thing", "1.0.0").With(templatetest.Files{"tests/a.yaml": "name: x\nexpect: {}\n"})
	if _, err := tester(t).Test(ctx, files.Tar(t)); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
