package access_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"fairlead/internal/access"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

type recorded struct {
	who    string
	action access.Action
	target access.Target
	d      access.Decision
	times  int64
	more   any
}

func TestDenialsAreRecordedInSums(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		var log []recorded
		s, err := access.New(t.Context(), access.Options{
			DB: db, Keep: func(ctx context.Context) context.Context {
				return principal.With(context.Background(), principal.From(ctx))
			},
			Audit: func(ctx context.Context, _ *sqldb.Tx, a access.Action, t access.Target, d access.Decision, details map[string]any) {
				if n, ok := details["times"].(int64); ok {
					log = append(log, recorded{principal.From(ctx).ID, a, t, d, n, details["actions"]})
				}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		as := func(id string) context.Context {
			return principal.With(t.Context(), principal.Principal{Kind: principal.User, ID: id, Name: id,
				Memberships: []principal.Membership{{TeamID: "team_a", Role: principal.Viewer}}})
		}
		deny := func(ctx context.Context, a access.Action, target access.Target) {
			t.Helper()
			target.TeamID = "team_a"
			if _, err := s.Check(ctx, a, target); err == nil {
				t.Fatalf("%s is allowed", a)
			}
		}
		for i := range 1000 {
			deny(as("ann"), access.ProjectCreate, access.Target{Kind: "project", Name: fmt.Sprint("p", i)})
		}
		deny(as("ann"), access.ProjectDelete, access.Target{Kind: "project", ID: "prj_1", Name: "one"})
		deny(as("bob"), access.ProjectDelete, access.Target{Kind: "project", ID: "prj_1", Name: "one"})
		for i := range 500 {
			deny(as("eve"), access.ResourceDestroy, access.Target{Kind: "resource", ID: fmt.Sprint("res_", i), Name: "r"})
		}
		if _, err := s.Check(t.Context(), access.ProjectDelete, access.Target{Kind: "project", ID: "prj_1"}); err == nil {
			t.Fatal("nobody may")
		}
		if _, err := s.Check(as("stranger"), access.UserView, access.Target{Kind: "user", ID: "usr_1"}); err == nil {
			t.Log("users may be seen by all") // looking is not recorded either way
		}
		if len(log) != 0 {
			t.Fatalf("a denied request wrote %v", log)
		}
		s.RecordDenials(t.Context())
		of := func(who string) (out []recorded) {
			for _, r := range log {
				if r.d.Allowed {
					t.Errorf("recorded as allowed: %v", r)
				}
				if r.who == who {
					out = append(out, r)
				}
			}
			return out
		}
		ann, bob, eve := of("ann"), of("bob"), of("eve")
		if len(ann)+len(bob)+len(eve) != len(log) {
			t.Errorf("others: %v", log)
		}
		if len(ann) != 2 || ann[0].times != 1000 || ann[0].action != access.ProjectCreate || ann[1].target.Name != "one" || len(bob) != 1 || bob[0].times != 1 {
			t.Errorf("ann %v, bob %v", ann, bob)
		}
		if n := len(eve); n != 11 || eve[10].times != 490 || !slices.Equal(eve[10].more.([]string), []string{"resource:destroy"}) {
			t.Errorf("eve: %d records, the last %v", n, eve[n-1])
		}
		log = nil
		s.RecordDenials(t.Context())
		if len(log) != 0 {
			t.Errorf("recorded twice: %v", log)
		}
	})
}
