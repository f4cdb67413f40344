package quota_test

import (
	"log/slog"
	"sync/atomic"
	"testing"

	"fairlead/internal/fault"
	"fairlead/internal/ident"
	"fairlead/internal/identity/identitytest"
	"fairlead/internal/principal"
	"fairlead/internal/project"
	"fairlead/internal/quota"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

// Replicas commit at the same time, which one server alone never does: here
// the locks are all that keeps a limit.
func TestReplicasShareTheirLimits(t *testing.T) {
	t.Parallel()
	url := sqldbtest.PostgresURL(t)
	one := sqldbtest.Open(t, sqldb.Options{URL: url})
	w := &world{World: identitytest.New(t, one), t: t}
	w.Team("payments")
	w.User("olga", "payments", principal.TeamOwner)
	w.dev = w.Environment("payments", "shop", "dev", project.Development)
	var replicas []*world
	for _, db := range []*sqldb.DB{one, sqldbtest.Open(t, sqldb.Options{URL: url}), sqldbtest.Open(t, sqldb.Options{URL: url})} {
		r := *w
		world := *w.World
		world.DB = db
		r.World, r.svc = &world, quota.New(quota.Options{DB: db, Access: w.Access, Log: slog.New(slog.DiscardHandler)})
		replicas = append(replicas, &r)
	}
	*w = *replicas[0]
	for round := range 5 {
		metric := []string{"a", "b", "c", "d", "e"}[round]
		var granted atomic.Int64
		limit := make(chan quota.Limit, 1)
		racing(91, func(i int) {
			r := replicas[i%3]
			if i == 45 { // set in the middle of it all
				l, err := r.svc.Set(w.Admin, quota.Setting{Team: "payments", Metric: metric, Max: 50, Enforce: true}, 0)
				if err != nil {
					t.Error(err)
				}
				limit <- l
				return
			}
			f := r.facts(ident.New("res"), 1, 0)
			f.Template.Units = map[string]float64{metric: 1}
			err := reserve(r, f)
			switch {
			case err == nil:
				granted.Add(1)
			case fault.From(err).Code != "quota_exceeded":
				t.Error(err)
			case i%7 == 0:
				if err := r.svc.Check(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
		l := <-limit
		// Those before the limit was set may be more than it allows, nobody after.
		if used := w.used(l.ID); used != float64(granted.Load()) || used > max(50, l.Used.Float()) {
			t.Errorf("round %d: %v are used, %d were granted, %s when the limit was set", round, used, granted.Load(), l.Used)
		}
		w.exact()
	}
}
