package lease_test

import (
	"log/slog"
	"testing"

	"fairlead/internal/fault"
	"fairlead/internal/identity/identitytest"
	"fairlead/internal/lease"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

func TestRulesArePagedFilteredAndOfTeamsThatOneSees(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := identitytest.New(t, db)
		svc := lease.New(lease.Options{DB: db, Access: w.Access, Log: slog.New(slog.DiscardHandler)})
		w.Team("payments")
		w.Team("strangers")
		w.User("olga", "payments", principal.TeamOwner)
		for _, r := range []lease.Rule{{Class: "development"}, {Class: "staging"}, {Class: "staging", Kind: lease.Environment}, {Class: "staging", Template: "null"},
			{Class: "development", Team: "payments"}, {Class: "development", Team: "strangers"}} {
			_, err := svc.SetRule(w.Admin, r, 0)
			w.Must(err)
		}
		for _, c := range []struct {
			who  string
			f    lease.RuleFilter
			want int
		}{
			{identitytest.AdminName, lease.RuleFilter{}, 6},
			{"olga", lease.RuleFilter{}, 5},
			{"olga", lease.RuleFilter{Class: "development"}, 2},
			{"olga", lease.RuleFilter{Team: "strangers"}, 0},
			{"olga", lease.RuleFilter{Team: "payments", Sort: "-created"}, 1},
			{"olga", lease.RuleFilter{Kind: lease.Environment}, 1},
			{"olga", lease.RuleFilter{Template: "null", Sort: "-class"}, 1},
			{"olga", lease.RuleFilter{Team: "no name"}, 0},
		} {
			seen := map[string]bool{}
			for page := (sqldb.Page{Limit: 2}); ; {
				items, next, err := svc.Rules(w.As(c.who), c.f, page)
				w.Must(err)
				for _, r := range items {
					if seen[r.ID] || len(items) > 2 {
						t.Errorf("%+v: %s is there twice, or its page too long", c, r.ID)
					}
					seen[r.ID] = true
				}
				if page.After = next; next == "" {
					break
				}
			}
			if len(seen) != c.want {
				t.Errorf("%+v: %d rules", c, len(seen))
			}
		}
		if _, _, err := svc.Rules(t.Context(), lease.RuleFilter{}, sqldb.Page{}); fault.From(err).Code != "unauthenticated" {
			t.Error(err)
		}
		if _, _, err := svc.Rules(w.Admin, lease.RuleFilter{Sort: "length"}, sqldb.Page{}); fault.From(err).Code != "unknown_sort" {
			t.Error(err)
		}
	})
}
