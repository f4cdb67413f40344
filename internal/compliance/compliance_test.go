package compliance_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fairlead/internal/access/accesstest"
	"fairlead/internal/audit/audittest"
	"fairlead/internal/compliance"
	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/guardrail"
	"fairlead/internal/guardrail/guardrailtest"
	"fairlead/internal/principal"
	"fairlead/internal/resource"
	"fairlead/internal/resource/resourcetest"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

var ada = principal.Principal{Kind: principal.User, ID: "usr_ada", Name: "ada"}

type world struct {
	*resourcetest.Bench
	rails *guardrail.Service
	gates *gate.Service
	svc   *compliance.Service
}

func build(t *testing.T, db *sqldb.DB) *world {
	t.Helper()
	w := &world{Bench: resourcetest.New(t, db)}
	w.rails = guardrail.New(guardrail.Options{DB: db, Access: accesstest.AllowAll{}, Key: guardrailtest.Key()})
	w.gates = w.Gates.Service(db, accesstest.AllowAll{})
	w.svc = compliance.New(compliance.Options{DB: db, Access: accesstest.Teams{}, Resources: w.Svc, Rules: w.rails, Gates: w.gates})
	return w
}

func each(t *testing.T, f func(t *testing.T, w *world)) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) { f(t, build(t, db)) })
}

func as(p principal.Principal) context.Context { return principal.With(context.Background(), p) }

// rules puts a version of the bundle sizes in force.
func (w *world) rules(version, rules string) {
	w.T.Helper()
	files := guardrailtest.Sizes(version).With(guardrailtest.Files{
		"sizes.rego": "package sizes\n\n" + rules, "sizes_test.rego": "package sizes_test\n\ntest_nothing if true\n",
	})
	if _, err := w.rails.Push(as(ada), files.Tar(w.T), "", ""); err != nil {
		w.T.Fatal(err, fault.From(err).Violations)
	}
	if _, err := w.rails.Activate(as(ada), "sizes", version); err != nil {
		w.T.Fatal(err)
	}
}

func (w *world) run() compliance.Run {
	w.T.Helper()
	r, err := w.svc.Run(as(principal.System), nil)
	if err != nil {
		w.T.Fatal(err)
	}
	return r
}

func (w *world) list(f compliance.Filter) []compliance.Violation {
	w.T.Helper()
	list, _, err := w.svc.List(w.Ctx, f, sqldb.Page{})
	if err != nil {
		w.T.Fatal(err)
	}
	return list
}

func texts(list []compliance.Violation) []string {
	var out []string
	for _, v := range list {
		out = append(out, fmt.Sprintf("%s %s %s %s: %s (%s)", v.Resource, v.Strength, v.Bundle, v.Rule, v.Message, v.Remedy))
	}
	return out
}

// told counts events of a type.
func (w *world) told(kind string) []string {
	w.T.Helper()
	list, err := sqldb.Collect(w.T.Context(), w.DB.Read(), sqldb.Text, `SELECT data FROM events WHERE type = $1 ORDER BY id`, kind)
	if err != nil {
		w.T.Fatal(err)
	}
	return list
}

func TestViolationsComeStayAndGo(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.Work()
		small, large := w.Ready("small", map[string]any{"size": 3}), w.Ready("large", map[string]any{"size": 30})
		w.rules("1.0.0", "deny contains {\"msg\": msg, \"remedy\": \"make it smaller\", \"field\": \"/size\"} if {\n\tinput.inputs.size > 10\n\tsome word in [\"big\", \"dear\"]\n\tmsg := sprintf(\"too %s\", [word])\n}\n\nwarn contains \"look\" if input.inputs.size == 3\n\napprove contains \"asks\"\n")
		r := w.run()
		if r.Resources != 2 || r.Violations != 2 || r.Opened != 2 || r.Cleared != 0 || r.FinishedAt.IsZero() || r.Failure != "" {
			t.Errorf("%+v", r)
		}
		first := w.list(compliance.Filter{})
		want := []string{
			"large deny sizes@1.0.0 sizes.deny: too big; too dear (make it smaller)",
			"small advise sizes@1.0.0 sizes.warn: look ()",
		}
		if d := cmp.Diff(want, sorted(texts(first))); d != "" {
			t.Fatal(d)
		}
		v := w.list(compliance.Filter{Resource: large.ID})[0]
		if v.Team != "alpha" || v.Project != "shop" || v.Environment != "dev" || v.Owner != "ann" || v.Field != "/size" || !v.Since.Equal(v.SeenAt) {
			t.Errorf("%+v", v)
		}
		// Its age stays when it is seen again, also when another version says it otherwise.
		w.rules("1.1.0", "deny contains \"still too big\" if input.inputs.size > 10\n")
		r = w.run()
		again := w.list(compliance.Filter{})
		if len(again) != 1 || again[0].ID != v.ID || !again[0].Since.Equal(v.Since) || !again[0].SeenAt.After(v.SeenAt) || again[0].Bundle != "sizes@1.1.0" || again[0].Message != "still too big" {
			t.Errorf("%+v", again)
		}
		if r.Opened != 0 || r.Cleared != 1 || r.Violations != 1 {
			t.Errorf("%+v", r)
		}
		if gone := w.list(compliance.Filter{Cleared: true}); len(gone) != 1 || gone[0].ResourceID != small.ID || gone[0].ClearedAt.IsZero() {
			t.Errorf("%+v", gone)
		}
		// What is destroyed offends nobody.
		if _, err := w.Svc.Destroy(w.Ctx, resourcetest.Where("large"), 0); err != nil {
			t.Fatal(err)
		}
		w.Gone(large.ID)
		if list := w.list(compliance.Filter{}); len(list) != 0 {
			t.Errorf("before the next run: %+v", list)
		}
		if r = w.run(); r.Cleared != 1 || r.Violations != 0 || r.Resources != 1 {
			t.Errorf("%+v", r)
		}
		violated, cleared := w.told("compliance.violated"), w.told("compliance.cleared")
		if len(violated) != 1 || len(cleared) != 2 {
			t.Errorf("told %v and %v", violated, cleared)
		}
		for _, line := range []string{"large in shop/dev: deny, too big; too dear; make it smaller", "small in shop/dev: advise, look"} {
			if !strings.Contains(violated[0], line) {
				t.Errorf("%q is not told: %s", line, violated[0])
			}
		}
		if n := len(audittest.Records(t, w.Audit, "guardrail:compliance")); n != 3 {
			t.Errorf("%d audit records", n)
		}
	})
}

func TestWhoCanMendItIsTold(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.Work()
		w.Ready("large", map[string]any{"size": 30})
		err := w.DB.Write(t.Context(), "test.people", func(tx *sqldb.Tx) error {
			for id, role := range map[string]string{"usr_olga": "team-owner", "usr_dora": "developer", "usr_vera": "viewer", "rob_ci": "developer", "usr_gone": "developer"} {
				kind, disabled := "user", any(nil)
				if id == "rob_ci" {
					kind = "robot"
				}
				if id == "usr_gone" {
					disabled = int64(1)
				}
				if _, err := tx.ExecContext(t.Context(), `INSERT INTO principals (id, kind, name, created_at, updated_at, disabled_at) VALUES ($1, $2, $1, 0, 0, $3)`, id, kind, disabled); err != nil {
					return err
				}
				if _, err := tx.ExecContext(t.Context(), `INSERT INTO role_bindings (principal_id, team_id, role, created_at, created_by) VALUES ($1, (SELECT id FROM teams WHERE name = 'alpha'), $2, 0, '')`, id, role); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		w.rules("1.0.0", "deny contains \"too big\" if input.inputs.size > 10\n")
		w.run()
		w.run() // and nobody twice
		to, err := sqldb.Collect(t.Context(), w.DB.Read(), sqldb.Text, `SELECT recipients FROM events WHERE type = 'compliance.violated' ORDER BY id`)
		if err != nil || len(to) != 1 || to[0] != `["usr_dora","usr_olga"]` {
			t.Errorf("told: %v %v", to, err)
		}
	})
}

func sorted(list []string) []string { return slices.Sorted(slices.Values(list)) }

func TestPlansAreAskedAboutToo(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.Work()
		w.Ready("one", map[string]any{"size": 3})
		files := guardrailtest.Files{
			"policy.yaml": guardrailtest.Manifest("plans", "1.0.0", "plans", "plan"),
			"plans.rego":  "package plans\n\ndeny contains change.kind if some change in input.plan.changes\n",
			"x_test.rego": "package x_test\n\ntest_nothing if true\n",
		}
		if _, err := w.rails.Push(as(ada), files.Tar(t), "", ""); err != nil {
			t.Fatal(err)
		}
		if _, err := w.rails.Activate(as(ada), "plans", "1.0.0"); err != nil {
			t.Fatal(err)
		}
		if r := w.run(); r.Violations != 1 {
			t.Errorf("%+v %v", r, texts(w.list(compliance.Filter{})))
		}
	})
}

func TestItRunsWhenItIsDue(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		runs := func() (n int) {
			if err := w.DB.Read().QueryRowContext(t.Context(), `SELECT count(*) FROM compliance_runs`).Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		due := func(why string, want int) {
			t.Helper()
			if err := w.svc.Due(t.Context()); err != nil {
				t.Fatal(err)
			}
			if n := runs(); n != want {
				t.Errorf("%s: %d runs, want %d", why, n, want)
			}
		}
		due("nothing is in force", 0)
		w.rules("1.0.0", "deny contains \"x\" if false\n")
		due("after an activation", 1)
		due("nothing has changed", 1)
		w.rules("1.1.0", "deny contains \"y\" if false\n")
		due("after another", 2)
		exec(t, w.DB, `UPDATE compliance_runs SET started_at = started_at - 86400000000`)
		due("a night has passed", 3)
		due("and it is done", 3)
	})
}

func exec(t *testing.T, db *sqldb.DB, query string, args ...any) {
	t.Helper()
	err := db.Write(t.Context(), "test.exec", func(tx *sqldb.Tx) error {
		_, err := tx.ExecContext(t.Context(), query, args...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestThereIsOneRunAtATime(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.rules("1.0.0", "deny contains \"x\"\n")
		var other error
		if _, err := w.svc.Run(as(principal.System), func(int) error {
			_, other = w.svc.Run(as(principal.System), nil)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if fault.From(other).Code != "compliance_running" {
			t.Errorf("the second: %v", other)
		}
		// One that died without a word is taken for gone.
		exec(t, w.DB, `INSERT INTO compliance_runs (id, started_at, beat_at, running, by_id, policy) VALUES ('cmp_dead', 1, 1, 1, 'x', 'x')`)
		w.run()
	})
}

func TestARunThatFailsSaysSoAndIsDueAgain(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.rules("1.0.0", "deny contains \"x\"\n")
		stop := errors.New("enough")
		if _, err := w.svc.Run(as(principal.System), func(int) error { return stop }); !errors.Is(err, stop) {
			t.Errorf("%v", err)
		}
		if _, last, err := w.svc.Teams(w.Ctx); err != nil || last.ID != "" {
			t.Errorf("%+v, %v", last, err)
		}
		w.run()
	})
}

func TestEveryoneSeesTheirOwn(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.Work()
		w.Ready("one", map[string]any{"size": 3})
		w.rules("1.0.0", "deny contains \"x\"\n\nwarn contains \"y\"\n")
		w.run()
		teams, last, err := w.svc.Teams(w.Ctx)
		if err != nil || len(teams) != 1 || teams[0].Team != "alpha" || teams[0].Violations != 2 || teams[0].Denied != 1 || teams[0].Resources != 1 || last.ID == "" {
			t.Errorf("%+v %+v %v", teams, last, err)
		}
		stranger := as(resourcetest.Stranger)
		if teams, _, err := w.svc.Teams(stranger); err != nil || len(teams) != 0 {
			t.Errorf("a stranger's teams: %+v, %v", teams, err)
		}
		if list, _, err := w.svc.List(stranger, compliance.Filter{}, sqldb.Page{}); err != nil || len(list) != 0 {
			t.Errorf("a stranger's list: %+v, %v", list, err)
		}
		if _, err := w.svc.Run(stranger, nil); err == nil {
			t.Error("a stranger ran it")
		}
		if _, err := w.svc.Run(context.Background(), nil); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("nobody: %v", err)
		}
		if _, _, err := w.svc.List(context.Background(), compliance.Filter{}, sqldb.Page{}); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("nobody's list: %v", err)
		}
		if _, _, err := w.svc.Teams(context.Background()); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("nobody's teams: %v", err)
		}
		for why, row := range map[string]struct {
			f    compliance.Filter
			want int
		}{
			"the team's": {compliance.Filter{Team: "alpha"}, 2}, "another's": {compliance.Filter{Team: "beta"}, 0}, "those that deny": {compliance.Filter{Strength: gate.Deny}, 1},
			"a project's": {compliance.Filter{Project: "shop", Bundle: "sizes"}, 2}, "a rule's": {compliance.Filter{Rule: "sizes.warn"}, 1}, "mended ones": {compliance.Filter{Cleared: true}, 0},
		} {
			if got := w.list(row.f); len(got) != row.want {
				t.Errorf("%s: %v", why, texts(got))
			}
		}
		page, next, err := w.svc.List(w.Ctx, compliance.Filter{}, sqldb.Page{Limit: 1})
		if err != nil || len(page) != 1 || next == "" {
			t.Fatalf("%v %q %v", page, next, err)
		}
		if rest, next, err := w.svc.List(w.Ctx, compliance.Filter{}, sqldb.Page{Limit: 1, After: next}); err != nil || len(rest) != 1 || rest[0].ID == page[0].ID || next != "" {
			t.Errorf("%v %q %v", rest, next, err)
		}
	})
}

var _ compliance.Resources = (*resource.Service)(nil)
