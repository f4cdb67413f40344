package quota_test

import (
	"context"
	"slices"
	"testing"

	"fairlead/internal/audit/audittest"
	"fairlead/internal/fault"
	"fairlead/internal/ident"
	"fairlead/internal/principal"
	"fairlead/internal/project"
	"fairlead/internal/quota"
	"fairlead/internal/sqldb"
)

func TestWhoMaySeeAndSetLimits(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		l := w.set(quota.Setting{Project: "shop", Metric: quota.Count, Max: 3, WarnAt: 0.5, Enforce: true})
		w.set(quota.Setting{Metric: quota.Count, Max: 1000, Enforce: true})
		robots := w.set(quota.Setting{Team: "payments", Metric: "memory", Max: 3, Enforce: true})
		w.Must(reserve(w, w.facts(ident.New("res"), 1, 1)))
		five := 5.0
		ops := []struct {
			name  string
			reads bool
			call  func(context.Context) error
		}{
			{"Get", true, func(c context.Context) error { _, err := w.svc.Get(c, l.ID); return err }},
			{"Holdings", true, func(c context.Context) error { _, _, err := w.svc.Holdings(c, l.ID, sqldb.Page{}); return err }},
			{"Set", false, func(c context.Context) error {
				_, err := w.svc.Set(c, quota.Setting{Team: "payments", Metric: "cpu", Max: 5}, 0)
				return err
			}},
			{"Update", false, func(c context.Context) error {
				_, err := w.svc.Update(c, l.ID, quota.Change{Max: &five}, 0)
				return err
			}},
			{"Remove", false, func(c context.Context) error { return w.svc.Remove(c, robots.ID, 0) }},
		}
		before := len(audittest.Records(t, w.Log, "quota:manage"))
		for _, op := range ops {
			if err := op.call(t.Context()); !fault.Is(err, fault.Unauthenticated) {
				t.Errorf("%s by nobody: %v", op.name, err)
			}
			if err := op.call(w.As("sam")); !fault.Is(err, fault.NotFound) {
				t.Errorf("%s by a stranger: %v", op.name, err)
			}
			err := op.call(w.As("olga"))
			if op.reads && err != nil || !op.reads && !fault.Is(err, fault.Denied) {
				t.Errorf("%s by the team's owner: %v", op.name, err)
			}
		}
		if n := len(audittest.Records(t, w.Log, "quota:manage")); n != before {
			t.Errorf("%d records of what was refused", n-before)
		}
		for _, op := range ops {
			before := len(audittest.Records(t, w.Log, "quota:manage"))
			w.Must(op.call(w.Admin))
			if n := len(audittest.Records(t, w.Log, "quota:manage")) - before; n != 1 && !op.reads || n != 0 && op.reads {
				t.Errorf("%s: %d records", op.name, n)
			}
		}
		for _, who := range []struct {
			why  string
			ctx  context.Context
			want int
		}{{"the organisation's and the team's", w.Admin, 3}, {"the team's", w.As("olga"), 2}, {"none", w.As("sam"), 0}} {
			got, _, err := w.svc.List(who.ctx, quota.Filter{}, sqldb.Page{})
			if err != nil || len(got) != who.want {
				t.Errorf("%s: %d, %v", who.why, len(got), err)
			}
		}
		if _, _, err := w.svc.List(t.Context(), quota.Filter{}, sqldb.Page{}); !fault.Is(err, fault.Unauthenticated) {
			t.Error(err)
		}
	})
}

func TestSettingTwiceIsOneLimit(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		in := quota.Setting{Project: "shop", Environment: "dev", Metric: "cpu", Class: "", Max: 1, Enforce: true}
		a := w.set(in)
		in.Max = 2
		b, err := w.svc.Set(w.Admin, in, a.Version)
		w.Must(err)
		if a.ID != b.ID || b.Version != a.Version+1 || b.Max.Float() != 2 || b.Environment != "dev" || b.Project != "shop" || b.Team != "payments" {
			t.Errorf("%+v", b)
		}
		if _, err := w.svc.Set(w.Admin, in, a.Version); !fault.Is(err, fault.Stale) {
			t.Error(err)
		}
		if err := w.svc.Remove(w.Admin, a.ID, a.Version); !fault.Is(err, fault.Stale) {
			t.Error(err)
		}
		racing(8, func(int) {
			if _, err := w.svc.Set(w.Admin, quota.Setting{Team: "payments", Metric: "memory", Max: 7}, 0); err != nil {
				t.Error(err)
			}
		})
		got, _, err := w.svc.List(w.Admin, quota.Filter{Metric: "memory", Team: "payments"}, sqldb.Page{})
		if err != nil || len(got) != 1 {
			t.Errorf("%d limits, %v", len(got), err)
		}
	})
}

func TestPlacesThatAreNone(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for _, row := range []struct {
			why, code, field string
			in               quota.Setting
		}{
			{"no such team", "not_found", "/team", quota.Setting{Team: "nobody", Metric: "cpu"}},
			{"a project of another team", "not_found", "/project", quota.Setting{Team: "strangers", Project: "shop", Metric: "cpu"}},
			{"an environment without its project", "not_found", "/environment", quota.Setting{Environment: "dev", Metric: "cpu"}},
			{"a metric with a quote", "invalid_quota", "/metric", quota.Setting{Metric: "cpu'"}},
			{"no metric", "invalid_quota", "/metric", quota.Setting{}},
			{"no such class", "invalid_quota", "/class", quota.Setting{Metric: "cpu", Class: "test"}},
			{"a template that is no name", "invalid_name", "/template", quota.Setting{Metric: "cpu", Template: "Post Gres"}},
			{"not even a reference", "not_found", "/team", quota.Setting{Metric: "cpu", Team: "a' OR '1'='1"}},
		} {
			_, err := w.svc.Set(w.Admin, row.in, 0)
			if f := fault.From(err); f.Code != row.code || f.Field != row.field {
				t.Errorf("%s: %v (%s %s)", row.why, err, f.Code, f.Field)
			}
		}
	})
}

func TestAListIsPagedAndSorted(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for i, m := range []string{"c", "a", "d", "b"} {
			w.set(quota.Setting{Team: "payments", Metric: m, Max: float64(i)})
		}
		for sort, want := range map[string]string{"metric": "abcd", "-metric": "dcba", "": "cadb"} {
			var got string
			page := sqldb.Page{Limit: 1}
			for {
				items, next, err := w.svc.List(w.As("olga"), quota.Filter{Sort: sort}, page)
				w.Must(err)
				for _, l := range items {
					got += l.Metric
				}
				if page.After = next; next == "" {
					break
				}
			}
			if got != want {
				t.Errorf("%s: %s", sort, got)
			}
		}
	})
}

func TestOwnersAreWarnedOnceAMonth(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		l := w.set(quota.Setting{Team: "payments", Metric: quota.MonthlyCost, Max: 100, WarnAt: 0.8, Enforce: true})
		w.set(quota.Setting{Metric: "cpu", Max: 1}) // soft: warns above its maximum
		warned := func() (got []string) {
			t.Helper()
			w.Must(w.svc.Warn(t.Context()))
			got, err := sqldb.Collect(t.Context(), w.DB.Read(), sqldb.Text, `SELECT type || ' ' || recipients FROM events WHERE type LIKE '%.warned' ORDER BY type`)
			w.Must(err)
			return got
		}
		a, b := ident.New("res"), ident.New("res")
		w.Must(reserve(w, w.facts(a, 1, 79)))
		if got := warned(); len(got) != 0 {
			t.Errorf("too early: %v", got)
		}
		w.Must(reserve(w, w.facts(b, 1, 1)))
		olga, ada := principal.From(w.As("olga")).ID, principal.From(w.Admin).ID
		want := []string{`budget.warned ["` + olga + `"]`, `quota.warned ["` + ada + `"]`}
		if got := warned(); !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		w.Must(release(w, b))
		w.Must(reserve(w, w.facts(ident.New("res"), 1, 5)))
		if got := warned(); len(got) != 2 {
			t.Errorf("again in the same month: %v", got)
		}
		w.Must(w.DB.Write(t.Context(), "test.month", func(tx *sqldb.Tx) error {
			_, err := tx.ExecContext(t.Context(), `UPDATE quota_limits SET warned_month = '2020-01' WHERE id = $1`, l.ID)
			return err
		}))
		if got := warned(); len(got) != 3 {
			t.Errorf("in the next month: %v", got)
		}
	})
}

func TestTheCheckMendsWhatIsWrong(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		l := w.set(quota.Setting{Team: "payments", Metric: "cpu", Max: 100, Enforce: true})
		production := w.set(quota.Setting{Class: "production", Metric: quota.Count, Max: 100, Enforce: true})
		a := ident.New("res")
		w.Must(reserve(w, w.facts(a, 3, 0)))
		break_ := func(sql string) {
			t.Helper()
			w.Must(w.DB.Write(t.Context(), "test.break", func(tx *sqldb.Tx) error { _, err := tx.ExecContext(t.Context(), sql); return err }))
		}
		break_(`UPDATE quota_limits SET used = used + 7000000`)
		w.Must(w.svc.Check(t.Context()))
		if w.used(l.ID) != 3 {
			t.Errorf("used %v, want 3", w.used(l.ID))
		}
		class := project.Production
		_, err := w.Projects.UpdateEnvironment(w.Admin, "shop", "dev", project.EnvironmentChange{Class: &class}, 0)
		w.Must(err)
		w.Must(w.svc.Check(t.Context()))
		if w.used(production.ID) != 1 {
			t.Errorf("used %v in production, want 1", w.used(production.ID))
		}
		break_(`INSERT INTO resources (id, name, environment_id, project_id, team_id, template, engine, phase, revision, created_at, created_by, updated_at, destroyed_at)
			VALUES ('` + a + `', 'db', '` + w.dev.ID + `', '', '', 'postgres', 'null', 'destroyed', 1, 0, '', 0, 1)`)
		w.Must(w.svc.Check(t.Context()))
		if w.used(l.ID) != 0 || w.used(production.ID) != 0 {
			t.Errorf("used %v and %v by nothing", w.used(l.ID), w.used(production.ID))
		}
		w.exact()
	})
}

func TestTheCheckDisturbsNobody(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.set(quota.Setting{Team: "payments", Metric: "cpu", Max: 1e6, Enforce: true})
		racing(30, func(i int) {
			if i%5 == 0 {
				if err := w.svc.Check(t.Context()); err != nil {
					t.Error(err)
				}
				return
			}
			id := ident.New("res")
			w.Must(reserve(w, w.facts(id, float64(i), 0)))
			if i%2 == 0 {
				w.Must(release(w, id))
			}
		})
		w.exact()
	})
}
