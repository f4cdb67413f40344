package replay_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"fairlead/internal/access"
	"fairlead/internal/access/accesstest"
	"fairlead/internal/audit"
	"fairlead/internal/audit/audittest"
	"fairlead/internal/engine"
	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/gate/gatetest"
	"fairlead/internal/guardrail"
	"fairlead/internal/guardrail/guardrailtest"
	"fairlead/internal/principal"
	"fairlead/internal/replay"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

var ada = principal.Principal{Kind: principal.User, ID: "usr_ada", Name: "ada", OrgRoles: []principal.Role{principal.PlatformAdmin}}

type world struct {
	t     *testing.T
	db    *sqldb.DB
	rails *guardrail.Service
	gates *gate.Service
	audit *audit.Log
	stand living
	svc   *replay.Service
}

type living struct {
	list    []gate.Facts
	endless chan struct{} // not nil: there is no end of them
}

func (l *living) Living(ctx context.Context, yield func(gate.Facts) error) error {
	for l.endless != nil {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := yield(facts("endless", 1)); err != nil {
			return err
		}
	}
	for _, f := range l.list {
		if err := yield(f); err != nil {
			return err
		}
	}
	return nil
}

func build(t *testing.T, db *sqldb.DB, a access.Authorizer) *world {
	t.Helper()
	w := &world{t: t, db: db, audit: audittest.New(t, db)}
	w.rails = guardrail.New(guardrail.Options{DB: db, Access: a, Key: guardrailtest.Key()})
	open := &gatetest.Gates{}
	w.gates = gate.New(gate.Options{DB: db, Access: a, Rules: w.rails, Limits: open, Prices: open, Calendar: open, Leases: open, Approvals: open, Log: slog.New(slog.DiscardHandler)})
	w.svc = replay.New(replay.Options{DB: db, Access: a, Bundles: w.rails, Decisions: w.gates, Resources: &w.stand})
	return w
}

func each(t *testing.T, f func(w *world)) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) { f(build(t, db, accesstest.AllowAll{})) })
}

func as(p principal.Principal) context.Context { return principal.With(context.Background(), p) }

func facts(name string, size int) gate.Facts {
	return gate.Facts{
		Stage: gate.Request, Action: gate.Create, Principal: ada, RequestID: "req_" + name, Resource: name, Revision: 1, Inputs: map[string]any{"size": size},
		Environment: gate.Environment{ID: "env_dev", Name: "dev", Class: "development", ProjectID: "prj_shop", Project: "shop", TeamID: "team_alpha", Team: "alpha"},
		Template:    gate.Template{Name: "store", Version: "1.0.0", Digest: "d", Engine: "fake"},
	}
}

// ask has a request judged and recorded, as resource does; with a plan when it
// came so far.
func (w *world) ask(f gate.Facts, planned bool) {
	w.t.Helper()
	j, err := w.gates.Judge(as(ada), f)
	if err != nil {
		w.t.Fatal(err)
	}
	if j.Denied() {
		if err := w.gates.Refuse(as(ada), j); !fault.Is(err, fault.Denied) {
			w.t.Fatal(err)
		}
		return
	}
	write := func(do func(tx *sqldb.Tx) error) {
		w.t.Helper()
		if err := w.db.Write(as(ada), "test.record", do); err != nil {
			w.t.Fatal(err)
		}
	}
	id := "res_" + f.Resource
	write(func(tx *sqldb.Tx) error {
		_, err := w.gates.Admit(as(ada), tx, j, id, "run_"+f.Resource)
		return err
	})
	if !planned {
		return
	}
	f.Stage, f.Action, f.ResourceID, f.RunID, f.RunKind = gate.Plan, "", id, "run_"+f.Resource, "apply"
	f.Plan = &engine.Plan{Changes: []engine.Change{{Address: "store." + f.Resource, Kind: "store", Action: engine.Create, After: map[string]any{"size": f.Inputs["size"]}}}}
	if j, err = w.gates.Judge(as(principal.System), f); err != nil {
		w.t.Fatal(err)
	}
	write(func(tx *sqldb.Tx) error {
		_, err := w.gates.Pass(as(principal.System), tx, j, gate.Binding{})
		return err
	})
}

func (w *world) push(files guardrailtest.Files) {
	w.t.Helper()
	if _, err := w.rails.Push(as(ada), files.Tar(w.t), "", ""); err != nil {
		w.t.Fatal(err, fault.From(err).Violations)
	}
}

// next is the bundle sizes with other rules.
func next(rules string) guardrailtest.Files {
	return guardrailtest.Sizes("2.0.0").With(guardrailtest.Files{
		"sizes.rego":      "package sizes\n\n" + rules,
		"sizes_test.rego": "package sizes_test\n\ntest_nothing if true\n",
	})
}

func shown(r replay.Report) []string {
	var out []string
	for _, c := range r.Changes {
		line := fmt.Sprintf("%s %s %s → %s", c.Kind, c.Resource, c.Was, c.Now)
		for _, v := range c.Verdicts {
			line += " | " + v.Rule + ": " + v.Message
		}
		for _, v := range c.Gone {
			line += " | no more " + v.Rule
		}
		out = append(out, line)
	}
	return out
}

func (w *world) run(ask replay.Ask) replay.Report {
	w.t.Helper()
	if ask.Since == 0 {
		ask.Since = time.Hour
	}
	r, err := w.svc.Run(as(ada), ask, nil)
	if err != nil {
		w.t.Fatal(err, fault.From(err).Violations)
	}
	return r
}

func TestItShowsExactlyWhatWouldBeDifferent(t *testing.T) {
	each(t, func(w *world) {
		w.push(guardrailtest.Sizes("1.0.0"))
		if _, err := w.rails.Activate(as(ada), "sizes", "1.0.0"); err != nil {
			t.Fatal(err)
		}
		w.ask(facts("tiny", 1), true)
		w.ask(facts("small", 4), true) // its request and its plan are one request
		w.ask(facts("mid", 12), true)  // denied
		w.ask(facts("large", 30), true)
		again := facts("large", 31) // asked for again, and refused again: two requests
		again.RequestID = "req_again"
		w.ask(again, false)
		w.stand.list = []gate.Facts{facts("tiny", 1), facts("old", 12), facts("older", 30)}
		w.push(next("deny contains \"huge\" if input.inputs.size > 30\n\ndeny contains \"odd\" if {\n\tinput.action == \"keep\"\n\tinput.inputs.size == 1\n}\n\napprove contains \"big\" if input.inputs.size > 3\n\nwarn contains \"look\" if input.inputs.size == 1\n"))
		r := w.run(replay.Ask{Name: "sizes", Version: "2.0.0"})
		want := []string{
			"request small allowed → approval | sizes.approve: big",
			"request mid denied → approval | sizes.approve: big | no more sizes.deny",
			"request large denied → approval | sizes.approve: big | no more sizes.deny",
			"resource tiny allowed → denied | sizes.deny: odd | sizes.warn: look",
			"resource old denied → allowed | no more sizes.deny",
			"resource older denied → allowed | no more sizes.deny",
		}
		if d := cmp.Diff(want, shown(r)); d != "" {
			t.Error(d)
		}
		s := r.Summary
		if s.Decisions != 7 || s.Resources != 3 || s.Changed != 6 || s.Shown != 6 || s.Advised != 2 || s.Broken != 0 || s.Bundle != "sizes@2.0.0" || s.Replaces != "sizes@1.0.0" {
			t.Errorf("%+v", s)
		}
		if d := cmp.Diff(map[string]int{"request allowed → approval": 1, "request denied → approval": 2, "resource allowed → denied": 1, "resource denied → allowed": 2}, s.Kinds); d != "" {
			t.Error(d)
		}
		// The version in force changes nothing.
		if r := w.run(replay.Ask{Name: "sizes", Version: "1.0.0"}); r.Changed != 0 || r.Advised != 0 {
			t.Errorf("%+v", shown(r))
		}
	})
}

func TestAPlanThatIsRefusedCountsOnce(t *testing.T) {
	each(t, func(w *world) {
		w.ask(facts("a", 5), true)
		w.ask(facts("b", 50), true)
		files := guardrailtest.Files{
			"policy.yaml":  guardrailtest.Manifest("shapes", "1.0.0", "shapes", "plan") + "- package: asks\n  stage: request\n",
			"shapes.rego":  "package shapes\n\ndeny contains change.address if {\n\tsome change in input.plan.changes\n\tchange.after.size > 10\n}\n",
			"asks.rego":    "package asks\n\napprove contains \"all\"\n",
			"x_test.rego":  "package x_test\n\ntest_nothing if true\n",
			"data.json":    "{}",
			"README.md":    "x",
			"tests/x.yaml": "a: 1\n",
		}
		// It is not pushed: a folder is tried as it is.
		r := w.run(replay.Ask{Archive: files.Tar(t)})
		want := []string{
			"request a allowed → approval | asks.approve: all",
			"request b allowed → denied | asks.approve: all | shapes.deny: store.b",
		}
		if d := cmp.Diff(want, shown(r)); d != "" {
			t.Error(d)
		}
		if r.Changed != 2 || r.Kinds["request allowed → denied"] != 1 || r.Kinds["request allowed → approval"] != 1 || r.Replaces != "" {
			t.Errorf("%+v", r.Summary)
		}
		list, err := w.rails.List(as(ada), "", sqldb.Page{})
		if err != nil || len(list.Items) != 0 {
			t.Errorf("something was kept: %+v, %v", list.Items, err)
		}
	})
}

func TestARuleThatBreaksDeniesAndIsCounted(t *testing.T) {
	each(t, func(w *world) {
		w.ask(facts("a", 5), false)
		r := w.run(replay.Ask{Archive: next("deny contains to_number(\"x\")\n").Tar(t)})
		if r.Broken != 1 || r.Kinds["request allowed → denied"] != 1 || !strings.Contains(shown(r)[0], "could not be evaluated") {
			t.Errorf("%+v %v", r.Summary, shown(r))
		}
	})
}

func TestItLeavesNothingButAnAuditRecord(t *testing.T) {
	each(t, func(w *world) {
		w.ask(facts("a", 5), true)
		before := len(audittest.Records(t, w.audit, ""))
		w.run(replay.Ask{Archive: guardrailtest.Sizes("1.0.0").Tar(t)})
		found := audittest.Records(t, w.audit, "guardrail:backtest")
		if len(found) != 1 || len(audittest.Records(t, w.audit, "")) != before+1 {
			t.Errorf("audited %+v", found)
		}
		records, _, err := w.gates.Records(as(ada), gate.Filter{}, sqldb.Page{})
		if err != nil || len(records) != 2 {
			t.Errorf("%d records: %v", len(records), err)
		}
	})
}

func TestItCanBeCalledOff(t *testing.T) {
	each(t, func(w *world) {
		for i := range 40 {
			w.ask(facts(fmt.Sprint("r", i), 5), false)
		}
		files := guardrailtest.Sizes("1.0.0")
		ctx, cancel := context.WithCancel(as(ada))
		_, err := w.svc.Run(ctx, replay.Ask{Archive: files.Tar(t), Since: time.Hour}, func(p replay.Progress) error {
			if p.OfDecisions != 40 {
				t.Errorf("%+v", p)
			}
			cancel()
			return nil
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("called off: %v", err)
		}
		stop := errors.New("the client is gone")
		if _, err := w.svc.Run(as(ada), replay.Ask{Archive: files.Tar(t), Since: time.Hour}, func(replay.Progress) error { return stop }); !errors.Is(err, stop) {
			t.Errorf("stopped: %v", err)
		}
		if n := len(audittest.Records(t, w.audit, "guardrail:backtest")); n != 2 {
			t.Errorf("%d audit records", n)
		}
	})
}

func TestWhoMayAndWhatMayBeAsked(t *testing.T) {
	t.Parallel()
	db := sqldbtest.SQLite(t)
	w := build(t, db, accesstest.AllowAll{})
	good := func() replay.Ask {
		return replay.Ask{Archive: guardrailtest.Sizes("1.0.0").Tar(t), Since: time.Hour}
	}
	if _, err := w.svc.Run(context.Background(), good(), nil); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("nobody: %v", err)
	}
	if _, err := build(t, sqldbtest.SQLite(t), accesstest.DenyAll{}).svc.Run(as(ada), good(), nil); !fault.Is(err, fault.Denied) {
		t.Errorf("who may not: %v", err)
	}
	for why, row := range map[string]struct {
		ask  replay.Ask
		code string
	}{
		"no time at all":        {replay.Ask{Name: "sizes"}, "invalid_since"},
		"longer than is kept":   {replay.Ask{Name: "sizes", Since: 91 * 24 * time.Hour}, "invalid_since"},
		"a bundle that is none": {replay.Ask{Name: "sizes", Since: time.Hour}, "unknown_guardrails"},
		"one that is broken":    {replay.Ask{Archive: next("deny contains x").Tar(t), Since: time.Hour}, "invalid_policy"},
	} {
		if _, err := w.svc.Run(as(ada), row.ask, nil); fault.From(err).Code != row.code {
			t.Errorf("%s: %v", why, err)
		}
	}
	// Two run; the third is asked to come back.
	entered, goOn := make(chan bool, 2), make(chan bool)
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			_, err := w.svc.Run(as(ada), good(), func(replay.Progress) error { entered <- true; <-goOn; return nil })
			if err != nil {
				t.Error(err)
			}
		})
	}
	<-entered
	<-entered
	if _, err := w.svc.Run(as(ada), good(), nil); fault.From(err).Code != "backtests_busy" {
		t.Errorf("the third: %v", err)
	}
	close(goOn)
	all.Wait()
}
