package quota_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/ident"
	"fairlead/internal/project"
	"fairlead/internal/quota"
	"fairlead/internal/sqldb"
)

func reserve(w *world, f gate.Facts) error {
	return w.DB.Write(w.t.Context(), "test.reserve", func(tx *sqldb.Tx) error { return w.svc.Reserve(w.t.Context(), tx, f) })
}

func release(w *world, id string) error {
	return w.DB.Write(w.t.Context(), "test.release", func(tx *sqldb.Tx) error { return w.svc.Release(w.t.Context(), tx, id) })
}

func (w *world) used(id string) float64 {
	w.t.Helper()
	l, err := w.svc.Get(w.Admin, id)
	w.Must(err)
	return l.Used.Float()
}

func (w *world) set(in quota.Setting) quota.Limit {
	w.t.Helper()
	l, err := w.svc.Set(w.Admin, in, 0)
	w.Must(err)
	return l
}

// racing runs n of f at once.
func racing(n int, f func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { f(i) })
	}
	all.Wait()
}

func TestRequestsThatRaceDoNotOvershoot(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		l := w.set(quota.Setting{Team: "payments", Metric: quota.Count, Max: 10, Enforce: true})
		w.set(quota.Setting{Project: "shop", Metric: "cpu", Max: 1000, Enforce: true})
		var granted atomic.Int64
		racing(64, func(int) {
			err := reserve(w, w.facts(ident.New("res"), 1, 0))
			if err == nil {
				granted.Add(1)
			} else if f := fault.From(err); f.Code != "quota_exceeded" || f.Kind != fault.Denied {
				t.Error(err)
			}
		})
		if granted.Load() != 10 || w.used(l.ID) != 10 {
			t.Errorf("%d were granted, %v are used; want 10", granted.Load(), w.used(l.ID))
		}
		w.exact()
	})
}

func TestALimitThatIsSetWhileRequestsRaceCountsThemAll(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ids := make([]string, 40)
		for i := range ids {
			ids[i] = ident.New("res")
		}
		racing(44, func(i int) {
			var err error
			switch {
			case i < 40:
				err = reserve(w, w.facts(ids[i], 1.5, 10))
			case i < 43:
				_, err = w.svc.Set(w.Admin, quota.Setting{Team: "payments", Metric: []string{quota.Count, "cpu", quota.MonthlyCost}[i-40], Max: 1e6, Enforce: true}, 0)
			default:
				_, err = w.svc.Set(w.Admin, quota.Setting{Metric: quota.Count, Class: "development", Max: 1e6}, 0)
			}
			if err != nil {
				t.Error(err)
			}
		})
		w.exact()
		racing(40, func(i int) {
			if err := errors.Join(reserve(w, w.update(ids[i], 2.5, 5)), release(w, ids[i]), release(w, ids[i])); err != nil {
				t.Error(err)
			}
		})
		w.exact()
		all, _, err := w.svc.List(w.Admin, quota.Filter{}, sqldb.Page{})
		w.Must(err)
		for _, l := range all {
			if l.Used != 0 {
				t.Errorf("%s %s: %s are used of nothing", l.Place(), l.Metric, l.Used)
			}
		}
	})
}

func TestChangesMoveByTheDifference(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		l := w.set(quota.Setting{Environment: "dev", Project: "shop", Metric: "cpu", Max: 10, Enforce: true})
		soft := w.set(quota.Setting{Metric: "cpu", Max: 1, Enforce: false})
		budget := w.set(quota.Setting{Team: "payments", Metric: quota.MonthlyCost, Max: 100, Enforce: true})
		a, b := ident.New("res"), ident.New("res")
		w.Must(reserve(w, w.facts(a, 6, 60)))
		for _, step := range []struct {
			why  string
			do   func() error
			code string
			cpu  float64
			cost float64
		}{
			{"a second one does not fit", func() error { return reserve(w, w.facts(b, 5, 1)) }, "quota_exceeded", 6, 60},
			{"nor into the budget", func() error { return reserve(w, w.facts(b, 1, 41)) }, "budget_exceeded", 6, 60},
			{"a smaller one does", func() error { return reserve(w, w.facts(b, 4, 40)) }, "", 10, 100},
			{"the same again changes nothing", func() error { return reserve(w, w.update(b, 4, 40)) }, "", 10, 100},
			{"growing does not fit", func() error { return reserve(w, w.update(b, 4.000001, 40)) }, "quota_exceeded", 10, 100},
			{"shrinking does", func() error { return reserve(w, w.update(a, 3, 30)) }, "", 7, 70},
			{"a unit that is no longer wanted is free", func() error { return reserve(w, w.update(a, 0, 30)) }, "", 4, 70},
			{"gone", func() error { return release(w, a) }, "", 4, 40},
			{"gone twice", func() error { return release(w, a) }, "", 4, 40},
			{"what was never there", func() error { return release(w, "res_none") }, "", 4, 40},
		} {
			err := step.do()
			if (step.code == "") != (err == nil) || err != nil && fault.From(err).Code != step.code {
				t.Errorf("%s: %v", step.why, err)
			}
			if w.used(l.ID) != step.cpu || w.used(soft.ID) != step.cpu || w.used(budget.ID) != step.cost {
				t.Errorf("%s: used %v, %v and %v; want %v and %v", step.why, w.used(l.ID), w.used(soft.ID), w.used(budget.ID), step.cpu, step.cost)
			}
		}
		w.exact()
	})
}

func TestALimitMayBeLoweredBelowItsUse(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		a := ident.New("res")
		w.Must(reserve(w, w.facts(a, 8, 0)))
		l := w.set(quota.Setting{Team: "payments", Metric: "cpu", Max: 4, Enforce: true})
		if w.used(l.ID) != 8 {
			t.Errorf("used %v, want what is held already", w.used(l.ID))
		}
		if err := reserve(w, w.update(a, 9, 0)); fault.From(err).Code != "quota_exceeded" {
			t.Errorf("growing: %v", err)
		}
		w.Must(reserve(w, w.update(a, 8, 0)))
		w.Must(reserve(w, w.update(a, 6, 0))) // still above, but less
		if err := reserve(w, w.update(a, 7, 0)); fault.From(err).Code != "quota_exceeded" {
			t.Errorf("growing again: %v", err)
		}
		w.exact()
	})
}

func TestAResourceThatFollowsItsEnvironmentToAnotherClass(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		development := w.set(quota.Setting{Class: "development", Metric: quota.Count, Max: 5, Enforce: true})
		production := w.set(quota.Setting{Class: "production", Metric: quota.Count, Max: 1, Enforce: true})
		a, b := ident.New("res"), ident.New("res")
		w.Must(reserve(w, w.facts(a, 1, 0)))
		w.Must(reserve(w, w.facts(b, 1, 0)))
		moved := w.update(a, 1, 0)
		moved.Environment.Class = "production"
		w.Must(reserve(w, moved))
		if w.used(development.ID) != 1 || w.used(production.ID) != 1 {
			t.Errorf("used %v and %v, want 1 and 1", w.used(development.ID), w.used(production.ID))
		}
		moved = w.update(b, 1, 0)
		moved.Environment.Class = "production"
		if err := reserve(w, moved); fault.From(err).Code != "quota_exceeded" {
			t.Error(err)
		}
		w.exact()
	})
}

func (w *world) reclass(class project.Class) error {
	_, err := w.Projects.UpdateEnvironment(w.Admin, "shop", w.dev.ID, project.EnvironmentChange{Class: &class}, 0)
	return err
}

func TestAnotherClassIsRefusedPastItsQuota(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.set(quota.Setting{Project: "shop", Metric: quota.Count, Max: 10, Enforce: true})
		few := w.set(quota.Setting{Team: "payments", Class: "staging", Metric: quota.Count, Max: 2, Enforce: true})
		dear := w.set(quota.Setting{Class: "production", Metric: quota.MonthlyCost, Max: 25, Enforce: true})
		for range 3 {
			w.Must(reserve(w, w.facts(ident.New("res"), 1, 10)))
		}
		for class, code := range map[project.Class]string{project.Staging: "quota_exceeded", project.Production: "budget_exceeded"} {
			if f := fault.From(w.reclass(class)); f.Code != code || f.Kind != fault.Denied {
				t.Errorf("to %s: %v", class, f)
			}
		}
		e, err := w.Projects.Environment(w.Admin, w.dev.ID)
		w.Must(err)
		if e.Class != project.Development || w.used(few.ID) != 0 || w.used(dear.ID) != 0 {
			t.Errorf("refused, and it is %s; %v and %v are used", e.Class, w.used(few.ID), w.used(dear.ID))
		}
		w.exact()
		few, err = w.svc.Set(w.Admin, quota.Setting{Team: "payments", Class: "staging", Metric: quota.Count, Max: 3, Enforce: true}, 0)
		w.Must(err)
		w.Must(w.reclass(project.Staging))
		if w.used(few.ID) != 3 {
			t.Errorf("%v are used in the class that it has now", w.used(few.ID))
		}
		w.exact()
		w.Must(w.reclass(project.Development))
		if w.used(few.ID) != 0 {
			t.Errorf("%v are used in the class that it had", w.used(few.ID))
		}
		w.exact()
	})
}

func TestAClassThatChangesWhileRequestsRace(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		staging := w.set(quota.Setting{Class: "staging", Metric: quota.Count, Max: 12, Enforce: true})
		w.set(quota.Setting{Class: "development", Metric: quota.Count, Max: 30, Enforce: true})
		ids := make([]string, 30)
		for i := range ids {
			ids[i] = ident.New("res")
		}
		racing(len(ids)+2, func(i int) {
			if i < 2 {
				_ = w.reclass([]project.Class{project.Staging, project.Development}[i]) // some are too many for it
				return
			}
			f := w.facts(ids[i-2], 1, 0)
			f.RunID, f.Stage = "run", gate.Plan // as a worker does, which goes by the class that there is
			_ = reserve(w, f)
		})
		if w.used(staging.ID) > 12 {
			t.Errorf("%v of 12 are used", w.used(staging.ID))
		}
		w.exact()
		wrong, err := sqldb.Collect(t.Context(), w.DB.Read(), sqldb.Text, `SELECT h.resource_id FROM quota_holdings h JOIN environments e ON e.id = h.environment_id WHERE e.class <> h.class`)
		w.Must(err)
		if len(wrong) > 0 {
			t.Errorf("%d hold in a class that their environment is not of", len(wrong))
		}
	})
}

func TestNewPricesMoveBudgetsAndTellWhoseIsPassed(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		l := w.set(quota.Setting{Team: "payments", Metric: quota.MonthlyCost, Max: 30, WarnAt: 0.5, Enforce: true})
		a, b := ident.New("res"), ident.New("res")
		w.Must(reserve(w, w.facts(a, 1, 10)))
		w.Must(reserve(w, w.facts(b, 1, 10)))
		w.Must(w.svc.Warn(t.Context())) // near
		reprice := func(id string, monthly float64) {
			w.Must(w.DB.Write(t.Context(), "test.reprice", func(tx *sqldb.Tx) error { return w.svc.Reprice(t.Context(), tx, id, monthly) }))
			w.exact()
		}
		warned := func() (n int) {
			w.Must(w.svc.Warn(t.Context()))
			w.Must(w.DB.Read().QueryRowContext(t.Context(), `SELECT count(*) FROM events WHERE type = 'budget.warned'`).Scan(&n))
			return n
		}
		reprice(a, 15)
		if n := warned(); n != 1 || w.used(l.ID) != 25 {
			t.Errorf("%d warnings, %v used", n, w.used(l.ID))
		}
		reprice(b, 25) // past the maximum: nothing is refused, its owners are told
		reprice(b, 26) // once
		if n := warned(); n != 2 || w.used(l.ID) != 41 {
			t.Errorf("%d warnings, %v used", n, w.used(l.ID))
		}
		if err := reserve(w, w.facts(ident.New("res"), 1, 1)); fault.From(err).Code != "budget_exceeded" {
			t.Error(err)
		}
		reprice(b, 0)
		reprice(ident.New("res"), 99) // what is gone holds nothing
		if w.used(l.ID) != 15 {
			t.Errorf("%v used", w.used(l.ID))
		}
		// What was never priced is, when there are prices.
		c := ident.New("res")
		w.Must(reserve(w, w.facts(c, 1, 0)))
		reprice(c, 5)
		if w.used(l.ID) != 20 {
			t.Errorf("%v used", w.used(l.ID))
		}
		w.Must(release(w, c))
		w.exact()
	})
}

func TestUsageIsOfOthers(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		if got, err := w.svc.Usage(t.Context(), w.facts("", 1, 1)); err != nil || len(got) != 0 {
			t.Errorf("without limits: %v, %v", got, err)
		}
		l := w.set(quota.Setting{Team: "payments", Template: "postgres", Metric: "cpu", Max: 10, WarnAt: 0.8, Enforce: true})
		w.set(quota.Setting{Team: "payments", Template: "redis", Metric: "cpu", Max: 10})
		w.set(quota.Setting{Class: "production", Metric: "cpu", Max: 10})
		a, b := ident.New("res"), ident.New("res")
		w.Must(errors.Join(reserve(w, w.facts(a, 3, 0)), reserve(w, w.facts(b, 2, 0))))
		got, err := w.svc.Usage(t.Context(), w.update(b, 4, 0))
		w.Must(err)
		want := gate.Use{Limit: l.ID, Scope: "team", Name: "payments, postgres", Metric: "cpu", Max: 10, Used: 3, Held: 2, Wanted: 4, WarnAt: 0.8, Enforce: true}
		if len(got) != 1 || got[0] != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

func TestAmountsThatAreNone(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for why, v := range map[string]float64{"negative": -1, "not a number": math.NaN(), "infinite": math.Inf(1), "huge": 1e13, "minus infinity": math.Inf(-1)} {
			if err := reserve(w, w.facts(ident.New("res"), v, 0)); fault.From(err).Code != "invalid_amount" {
				t.Errorf("a unit that is %s: %v", why, err)
			}
			if err := reserve(w, w.facts(ident.New("res"), 1, v)); fault.From(err).Code != "invalid_amount" {
				t.Errorf("a cost that is %s: %v", why, err)
			}
			if _, err := w.svc.Set(w.Admin, quota.Setting{Metric: "cpu", Max: v}, 0); fault.From(err).Code != "invalid_amount" {
				t.Errorf("a limit that is %s: %v", why, err)
			}
			if _, err := w.svc.Set(w.Admin, quota.Setting{Metric: "cpu", Max: 1, WarnAt: v}, 0); fault.From(err).Code != "invalid_quota" {
				t.Errorf("a share that is %s: %v", why, err)
			}
		}
		// Sums do not leave what can be counted, whoever may take without end.
		soft := w.set(quota.Setting{Metric: "cpu", Max: 1})
		var refused error
		for range 10 {
			refused = errors.Join(refused, reserve(w, w.facts(ident.New("res"), 1e12, 0)))
		}
		if fault.From(refused).Code == "internal" || refused == nil || w.used(soft.ID) > 8e12 {
			t.Errorf("used %v, %v", w.used(soft.ID), refused)
		}
	})
}

func TestSumsDoNotDrift(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		l := w.set(quota.Setting{Team: "payments", Metric: "cpu", Max: 1000, Enforce: true})
		a := ident.New("res")
		w.Must(reserve(w, w.facts(a, 0.1, 0)))
		for i := range 200 {
			w.Must(reserve(w, w.update(a, 0.1*float64(i%7)+0.3, 0)))
		}
		w.Must(reserve(w, w.update(a, 0.3, 0)))
		if w.used(l.ID) != 0.3 {
			t.Errorf("used %v, want 0.3", w.used(l.ID))
		}
		w.Must(release(w, a))
		if w.used(l.ID) != 0 {
			t.Errorf("used %v, want 0", w.used(l.ID))
		}
	})
}

// Whatever is done in whatever order, used is the sum of what is held, and a
// limit that blocks is not passed by anything that grew.
func TestUsedIsTheSumOfWhatIsHeld(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		rapid.Check(t, func(rt *rapid.T) {
			var ids []string
			for i := range rapid.IntRange(1, 12).Draw(rt, "steps") {
				switch rapid.IntRange(0, 4).Draw(rt, "what") {
				case 0, 1:
					id := ident.New("res")
					f := w.facts(id, rapid.Float64Range(0, 5).Draw(rt, "cpu"), rapid.Float64Range(0, 50).Draw(rt, "cost"))
					f.Environment.Class = rapid.SampledFrom([]string{"development", "production"}).Draw(rt, "class")
					if reserve(w, f) == nil {
						ids = append(ids, id)
					}
				case 2:
					if len(ids) > 0 {
						f := w.update(rapid.SampledFrom(ids).Draw(rt, "of"), rapid.Float64Range(0, 5).Draw(rt, "cpu"), rapid.Float64Range(0, 50).Draw(rt, "cost"))
						f.Environment.Class = rapid.SampledFrom([]string{"development", "production"}).Draw(rt, "class")
						_ = reserve(w, f)
					}
				case 3:
					if len(ids) > 0 {
						w.Must(release(w, rapid.SampledFrom(ids).Draw(rt, "of")))
					}
				default:
					w.set(quota.Setting{Team: rapid.SampledFrom([]string{"", "payments"}).Draw(rt, "team"), Class: rapid.SampledFrom([]string{"", "production"}).Draw(rt, "class of the limit"),
						Metric: rapid.SampledFrom([]string{"cpu", quota.Count, quota.MonthlyCost}).Draw(rt, "metric"), Max: float64(i * 7), Enforce: true})
				}
				w.exact()
			}
			for _, id := range ids {
				w.Must(release(w, id))
			}
		})
	})
}

func TestOneThatFailsTakesNothingFromItsNeighbours(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.set(quota.Setting{Metric: quota.Count, Max: 100, Enforce: true})
		boom := errors.New("boom")
		var ok atomic.Int64
		racing(40, func(i int) {
			err := w.DB.Write(t.Context(), "test.half", func(tx *sqldb.Tx) error {
				if err := w.svc.Reserve(context.WithoutCancel(t.Context()), tx, w.facts(fmt.Sprintf("res_%d", i), 1, 0)); err != nil {
					return err
				}
				if i%2 == 0 {
					return boom
				}
				return nil
			})
			if err == nil {
				ok.Add(1)
			}
		})
		if ok.Load() != 20 {
			t.Errorf("%d went through", ok.Load())
		}
		w.exact()
	})
}
