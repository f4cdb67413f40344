package cost_test

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"sync"
	"testing"
	"time"

	"fairlead/internal/audit/audittest"
	"fairlead/internal/cost"
	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/sqldb"
)

func cpu(n any) map[string]any { return map[string]any{"cpu": n} }

func TestEstimatesFollowThePrices(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		other := w.replica()
		ask := func(s *cost.Service, f gate.Facts) gate.Cost {
			t.Helper()
			c, err := s.Estimate(t.Context(), f)
			w.Must(err)
			return c
		}
		if c := ask(w.svc, w.facts("", cpu(2))); !c.Unpriced {
			t.Errorf("without prices: %+v", c)
		}
		first := w.put(table)
		none := w.facts("", cpu(2))
		none.Template.CostRule = nil
		if c := ask(w.svc, none); !c.Unpriced || c.Monthly != 0 {
			t.Errorf("without a rule: %+v", c)
		}
		f := w.facts("", cpu(2))
		f.Before = cpu(1)
		for range 2 { // the second is remembered
			if c := ask(w.svc, f); c.Monthly != 146 || c.Before != 73 || c.Currency != "EUR" || c.Prices != first.Digest || len(c.Items) != 1 {
				t.Errorf("%+v", c)
			}
		}
		w.put("currency: EUR\nitems: {cpu: {monthly: 100}}")
		if c := ask(w.svc, f); c.Monthly != 200 || c.Before != 100 {
			t.Errorf("after a change: %+v", c)
		}
		if c := ask(other, f); c.Monthly != 200 {
			t.Errorf("on another replica: %+v", c)
		}
		f.Environment.Class = "production" // another answer, not the remembered one
		f.Template.Digest, f.Template.CostRule = "d2", []byte("package cost\nmonthly := 5 if input.environment.class == \"production\"")
		if c := ask(w.svc, f); c.Monthly != 5 {
			t.Errorf("in production: %+v", c)
		}
	})
}

func TestWhatIsNotAskedForIsNotHeldUpByItsCost(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.put(table)
		f := w.facts("res_1", cpu(2))
		c, err := w.svc.Estimate(t.Context(), f)
		w.Must(err)
		w.meter(f, &c)
		w.put("currency: EUR\nitems: {gpu: {monthly: 1}}")
		if _, err := w.svc.Estimate(t.Context(), f); fault.From(err).Code != "unknown_cost_item" {
			t.Errorf("a request: %v", err)
		}
		f.Action = gate.Keep
		if c, err := w.svc.Estimate(t.Context(), f); err != nil || c.Monthly != 146 {
			t.Errorf("healing: %+v, %v", c, err)
		}
		f.Action, f.Before = gate.Update, cpu(1)
		f.Template.Digest, f.Template.CostRule = "d2", []byte("package cost\nitems := [{\"item\": \"gpu\", \"quantity\": 1}] if input.inputs.cpu == 2")
		if c, err := w.svc.Estimate(t.Context(), f); err != nil || c.Monthly != 1 || c.Before != 146 {
			t.Errorf("mending it: %+v, %v", c, err)
		}
	})
}

func (w *world) meter(f gate.Facts, c *gate.Cost) {
	w.t.Helper()
	w.Must(w.DB.Write(w.t.Context(), "test.meter", func(tx *sqldb.Tx) error { return w.svc.Meter(w.t.Context(), tx, f, c) }))
}

// ago lets every span have begun, and ended, so much earlier.
func (w *world) ago(d time.Duration) {
	w.t.Helper()
	w.Must(w.DB.Write(w.t.Context(), "test.ago", func(tx *sqldb.Tx) error {
		_, err := tx.ExecContext(w.t.Context(), `UPDATE cost_spans SET started_at = started_at - $1, ended_at = ended_at - $1`, d.Microseconds())
		return err
	}))
}

func near(a, b float64) bool { return math.Abs(a-b) < 0.01 }

func TestWhatWasSpent(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		f := w.facts("res_1", nil)
		eur := func(v float64) *gate.Cost { return &gate.Cost{Currency: "EUR", Monthly: v} }
		w.meter(f, eur(73)) // 0.1 an hour
		w.meter(f, eur(73)) // again: the same span goes on
		w.ago(10 * time.Hour)
		w.meter(f, eur(146))
		w.ago(5 * time.Hour)
		if got, currency, err := w.svc.CostSoFar(t.Context(), "res_1"); err != nil || !near(got, 2) || currency != "EUR" {
			t.Errorf("so far %v %s, %v; want 2", got, currency, err)
		}
		w.meter(f, nil)
		w.meter(f, nil)
		w.ago(100 * time.Hour)
		other := w.facts("res_2", nil)
		other.Resource, other.Template.Name = "cache", "redis"
		w.meter(other, eur(7.3))
		w.meter(w.facts("res_3", nil), &gate.Cost{Unpriced: true})
		w.ago(10 * time.Hour)
		if got, _, err := w.svc.CostSoFar(t.Context(), w.dev.ID); err != nil || !near(got, 2.1) {
			t.Errorf("the environment so far %v, %v; want 2.1", got, err)
		}
		if got, _, err := w.svc.CostSoFar(t.Context(), "res_none"); err != nil || got != 0 {
			t.Errorf("nothing so far %v, %v", got, err)
		}
		now, err := w.DB.Now(t.Context())
		w.Must(err)
		for _, row := range []struct {
			why   string
			f     cost.Filter
			names []string
			spent []float64
		}{
			{"by resource", cost.Filter{}, []string{"cache", "db"}, []float64{0.1, 2}},
			{"the dearest first", cost.Filter{Sort: "-cost"}, []string{"db", "cache"}, []float64{2, 0.1}},
			{"what costs most a month first", cost.Filter{Sort: "-monthly"}, []string{"cache", "db"}, []float64{0.1, 2}},
			{"the sum of all", cost.Filter{By: "currency"}, []string{"EUR"}, []float64{2.1}},
			{"by environment", cost.Filter{By: "environment"}, []string{"shop/dev"}, []float64{2.1}},
			{"by project", cost.Filter{By: "project"}, []string{"shop"}, []float64{2.1}},
			{"by team", cost.Filter{By: "team", Team: "payments"}, []string{"payments"}, []float64{2.1}},
			{"by template", cost.Filter{By: "template", Project: "shop", Environment: "dev"}, []string{"postgres", "redis"}, []float64{2, 0.1}},
			{"of one template", cost.Filter{Template: "redis"}, []string{"cache"}, []float64{0.1}},
			{"of another team", cost.Filter{Team: "strangers"}, nil, nil},
			{"lately", cost.Filter{From: now.Add(-5 * time.Hour)}, []string{"cache"}, []float64{0.05}},
			{"long ago", cost.Filter{To: now.Add(-112 * time.Hour)}, []string{"db"}, []float64{1.6}},
		} {
			var names []string
			var spent []float64
			page := sqldb.Page{Limit: 1}
			for {
				items, next, err := w.svc.Report(w.As("olga"), row.f, page)
				w.Must(err)
				for _, i := range items {
					names, spent = append(names, i.Name), append(spent, i.Spent)
				}
				if page.After = next; next == "" {
					break
				}
			}
			if len(names) != len(row.names) {
				t.Errorf("%s: %v %v", row.why, names, spent)
				continue
			}
			for i := range names {
				if names[i] != row.names[i] || !near(spent[i], row.spent[i]) {
					t.Errorf("%s: %v %v, want %v %v", row.why, names, spent, row.names, row.spent)
				}
			}
		}
		if items, _, err := w.svc.Report(w.As("sam"), cost.Filter{}, sqldb.Page{}); err != nil || len(items) != 0 {
			t.Errorf("a stranger sees %v, %v", items, err)
		}
		if _, _, err := w.svc.Report(w.As("olga"), cost.Filter{By: "moon"}, sqldb.Page{}); fault.From(err).Code != "unknown_grouping" {
			t.Error(err)
		}
	})
}

func TestPricesHaveVersions(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		if _, err := w.svc.Table(w.Admin, 0); fault.From(err).Code != "no_prices" {
			t.Error(err)
		}
		w.put(table)
		again, created, err := w.svc.Put(w.Admin, "# the same\n"+table)
		if err != nil || created || again.Version != 1 {
			t.Errorf("the same again: %d %v %v", again.Version, created, err)
		}
		var all sync.WaitGroup
		for i := range 6 {
			all.Go(func() {
				if _, _, err := w.svc.Put(w.Admin, "currency: EUR\nitems: {cpu: {monthly: "+string(rune('1'+i))+"}}"); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		got, _, err := w.svc.History(w.As("olga"), sqldb.Page{})
		if err != nil || len(got) != 7 || got[0].Version != 7 {
			t.Errorf("%d versions, %v", len(got), err)
		}
		if old, err := w.svc.Table(w.As("olga"), 1); err != nil || old.Items["cpu"].Monthly != 73 {
			t.Errorf("%+v, %v", old, err)
		}
		if _, err := w.svc.Table(w.Admin, 99); fault.From(err).Code != "no_prices" {
			t.Error(err)
		}
		if n := len(audittest.Records(t, w.Log, "quota:manage")); n != 7 {
			t.Errorf("%d records", n)
		}
	})
}

func TestWhoMayAskWhatThingsCost(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.put(table)
		stranger := w.User("nobody", "")
		for _, op := range []struct {
			name   string
			member bool // members of a team may
			call   func(context.Context) error
		}{
			{"Put", false, func(c context.Context) error { _, _, err := w.svc.Put(c, table); return err }},
			{"Table", true, func(c context.Context) error { _, err := w.svc.Table(c, 0); return err }},
			{"History", true, func(c context.Context) error { _, _, err := w.svc.History(c, sqldb.Page{}); return err }},
			{"Preview", true, func(c context.Context) error { _, err := w.svc.Preview(c, cost.Request{Inputs: cpu(1)}); return err }},
		} {
			if err := op.call(t.Context()); !fault.Is(err, fault.Unauthenticated) {
				t.Errorf("%s by nobody: %v", op.name, err)
			}
			if err := op.call(stranger); !fault.Is(err, fault.Denied) && !fault.Is(err, fault.NotFound) {
				t.Errorf("%s by a stranger: %v", op.name, err)
			}
			if err := op.call(w.As("olga")); (err == nil) != op.member {
				t.Errorf("%s by a member: %v", op.name, err)
			}
			w.Must(op.call(w.Admin))
		}
		p, err := w.svc.Preview(w.As("olga"), cost.Request{Inputs: cpu(3)})
		if err != nil || p.Cost.Monthly != 219 || len(p.Usage) != 1 {
			t.Errorf("%+v, %v", p, err)
		}
		if spans, err := sqldb.Collect(t.Context(), w.DB.Read(), sqldb.Text, `SELECT resource_id FROM cost_spans`); err != nil || len(spans) != 0 {
			t.Errorf("a preview left %v, %v", spans, err)
		}
	})
}

// standing is what lives, as resource would give it, two a page.
type standing struct {
	mu     sync.Mutex
	wanted []gate.Facts
	inUse  map[string]gate.Facts
}

func (l *standing) Standing(_ context.Context, after string) (wanted, inUse []gate.Facts, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.wanted {
		if f.ResourceID > after && len(wanted) < 2 {
			wanted, inUse = append(wanted, f), append(inUse, l.inUse[f.ResourceID])
		}
	}
	return wanted, inUse, nil
}

type budgets struct {
	held   map[string]float64
	broken string // id of one that cannot be priced anew
}

func (b *budgets) Reprice(ctx context.Context, tx *sqldb.Tx, id string, monthly float64) error {
	if id == b.broken {
		return errors.New("this one cannot be")
	}
	tx.After(func() { b.held[id] = monthly })
	return tx.Later(ctx, `INSERT INTO quota_holdings (resource_id, metric, amount, class, team_id, project_id, environment_id, template)
		VALUES ($1, 'monthly_cost', $2, '', '', '', '', '') ON CONFLICT (resource_id, metric) DO UPDATE SET amount = excluded.amount`, id, int64(monthly*1e6))
}

func TestNewPricesReachWhatLives(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		lives, held := &standing{inUse: map[string]gate.Facts{}}, &budgets{held: map[string]float64{}}
		w.svc = cost.New(cost.Options{DB: w.DB, Access: w.Access, Requests: fakeRequests{w}, Usage: fakeUsage{}, Living: lives, Holdings: held, Log: slog.New(slog.DiscardHandler)})
		exec := func(query string, args ...any) {
			w.Must(w.DB.Write(t.Context(), "test.exec", func(tx *sqldb.Tx) error {
				_, err := tx.ExecContext(t.Context(), query, args...)
				return err
			}))
		}
		add := func(id string, wanted, applied int64, inputs, made map[string]any) {
			exec(`INSERT INTO resources (id, name, environment_id, project_id, team_id, template, engine, phase, revision, applied_revision, created_at, created_by, updated_at)
				VALUES ($1, $1, $2, $3, $4, 'postgres', 'null', 'ready', $5, $6, 0, 'x', 0)`, id, w.dev.ID, w.dev.ProjectID, w.dev.TeamID, wanted, applied)
			f := w.facts(id, inputs)
			f.Action, f.Revision = gate.Keep, wanted
			lives.wanted = append(lives.wanted, f)
			if applied > 0 {
				f = w.facts(id, made)
				f.Action, f.Revision = gate.Keep, applied
				lives.inUse[id] = f
			}
		}
		add("res_1", 1, 1, cpu(2), cpu(2))
		add("res_2", 2, 1, cpu(3), cpu(1)) // a change of it waits
		add("res_3", 1, 0, cpu(4), nil)    // never made
		spent := func(id string) (monthly int64) {
			w.Must(w.DB.Read().QueryRowContext(t.Context(), `SELECT coalesce(sum(monthly), 0) FROM cost_spans WHERE resource_id = $1 AND ended_at IS NULL`, id).Scan(&monthly))
			return monthly / 1e6
		}
		first := w.put(table) // a cpu is 73
		w.Must(w.svc.Reprice(t.Context()))
		if held.held["res_1"] != 146 || held.held["res_2"] != 219 || held.held["res_3"] != 292 || spent("res_1") != 146 || spent("res_2") != 73 || spent("res_3") != 0 {
			t.Errorf("%v; %d %d %d", held.held, spent("res_1"), spent("res_2"), spent("res_3"))
		}
		records := len(audittest.Records(t, w.Log, "cost:reprice"))
		w.Must(w.svc.Reprice(t.Context())) // finds that nothing differs
		if n := len(audittest.Records(t, w.Log, "cost:reprice")); records != 3 || n != records {
			t.Errorf("%d audit records, then %d", records, n)
		}
		// Somebody may still ask by the prices of before: it is not over.
		if got, err := w.svc.Table(w.Admin, 0); err != nil || !got.RepricedAt.IsZero() {
			t.Errorf("%+v %v", got, err)
		}
		exec(`UPDATE price_tables SET created_at = created_at - 60000000 WHERE version = $1`, first.Version)
		w.Must(w.svc.Reprice(t.Context()))
		if got, err := w.svc.Table(w.Admin, 0); err != nil || got.RepricedAt.IsZero() || got.Repriced != 3 {
			t.Errorf("%+v %v", got, err)
		}
		if n := len(audittest.Records(t, w.Log, "cost:repriced")); n != 1 {
			t.Errorf("%d records of the end", n)
		}
		// A resource that is changed meanwhile is left to the next pass; an item
		// that is gone leaves what there is.
		exec(`UPDATE resources SET revision = 2 WHERE id = 'res_1'`)
		w.put("currency: EUR\nitems: {cpu: {monthly: 10}}")
		w.Must(w.svc.Reprice(t.Context()))
		if held.held["res_1"] != 146 || held.held["res_2"] != 30 || spent("res_1") != 146 || spent("res_2") != 10 {
			t.Errorf("%v; %d %d", held.held, spent("res_1"), spent("res_2"))
		}
		// One that fails harms no neighbour, and is tried again.
		held.broken = "res_2"
		w.put("currency: EUR\nitems: {cpu: {monthly: 11}}")
		if err := w.svc.Reprice(t.Context()); err == nil || held.held["res_3"] != 44 || held.held["res_2"] != 30 {
			t.Errorf("%v %v", held.held, err)
		}
		held.broken = ""
		w.Must(w.svc.Reprice(t.Context()))
		if held.held["res_2"] != 33 {
			t.Errorf("%v", held.held)
		}
		w.put("currency: USD\nitems: {ram: {monthly: 10}}")
		w.Must(w.svc.Reprice(t.Context()))
		if held.held["res_2"] != 33 || spent("res_2") != 11 {
			t.Errorf("%v; %d", held.held, spent("res_2"))
		}
	})
}

func TestSumsCountAResourceOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		eur := func(v float64) *gate.Cost { return &gate.Cost{Currency: "EUR", Monthly: v} }
		repriced, gone, cache := w.facts("res_1", nil), w.facts("res_2", nil), w.facts("res_3", nil)
		cache.Template.Name = "redis"
		w.meter(repriced, eur(73))
		w.meter(gone, eur(73))
		w.ago(10 * time.Hour)
		w.meter(repriced, eur(146))
		w.meter(gone, eur(7.3))
		w.ago(10 * time.Hour)
		w.meter(gone, nil)
		w.meter(cache, eur(73))
		w.ago(10 * time.Hour)
		report := func(f cost.Filter, limit int) []cost.Spent {
			items, _, err := w.svc.Report(w.As("olga"), f, sqldb.Page{Limit: limit})
			w.Must(err)
			return items
		}
		// 1 + 2 + 2 of what was repriced, 1 + 0.1 of what is gone, 1 of the cache
		for _, by := range []string{"currency", "team", "project", "environment"} {
			if got := report(cost.Filter{By: by}, 10); len(got) != 1 || !near(got[0].Spent, 7.1) || !near(got[0].Monthly, 219) || got[0].Resources != 3 {
				t.Errorf("by %s: %+v; want 7.1, 219 a month of 3", by, got)
			}
		}
		got := report(cost.Filter{By: "template"}, 1)
		if len(got) != 1 || got[0].Resources != 2 || !near(got[0].Spent, 6.1) || !near(got[0].Monthly, 146) {
			t.Errorf("by template: %+v; want 6.1, 146 a month of 2", got)
		}
		if all := got[0].All; all == nil || !near(all.Spent, 7.1) || !near(all.Monthly, 219) || all.Resources != 3 || !all.Only {
			t.Errorf("a page's line is a part of %+v; want 7.1, 219 a month of 3", all)
		}
		moved := cache
		w.Must(w.DB.Read().QueryRowContext(t.Context(), `SELECT id FROM teams WHERE name = 'strangers'`).Scan(&moved.Environment.TeamID))
		w.meter(moved, &gate.Cost{Currency: "USD", Monthly: 73})
		w.ago(10 * time.Hour)
		items, _, err := w.svc.Report(w.Admin, cost.Filter{By: "team"}, sqldb.Page{})
		w.Must(err)
		if len(items) != 2 || items[0].Resources != 3 || items[1].Resources != 1 || !near(items[1].Spent, 1) || items[0].All.Only || !near(items[1].All.Monthly, 73) {
			t.Errorf("what moved counts where it was and where it is: %+v", items)
		}
	})
}
