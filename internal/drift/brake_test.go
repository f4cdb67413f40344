package drift_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/access/accesstest"
	"fairlead/internal/audit/audittest"
	"fairlead/internal/drift"
	"fairlead/internal/engine"
	"fairlead/internal/fault"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

var admin = principal.Principal{Kind: principal.User, ID: "usr_ann", Name: "ann", OrgRoles: []principal.Role{principal.PlatformAdmin}}

// fleet is resources, half on each of two servers.
type fleet struct {
	t   *testing.T
	db  *sqldb.DB
	svc *drift.Service
	who access.Authorizer
	all []drift.Subject
	ctx context.Context
}

func newFleet(t *testing.T, db *sqldb.DB, n int) *fleet {
	audittest.New(t, db)
	f := &fleet{t: t, db: db, who: accesstest.Service(t, db), ctx: principal.With(t.Context(), admin)}
	f.svc = f.replica(db)
	for i := range n {
		host := []string{"pg-a:5432", "pg-b:5432"}[i%2]
		f.all = append(f.all, drift.Subject{ID: fmt.Sprintf("res_%04d", i), Name: fmt.Sprintf("r-%d", i), Engine: "fake", Template: "store", Host: host,
			TeamID: "team_alpha", ProjectID: "prj_shop", Project: "shop", EnvironmentID: "env_dev", Environment: "dev"})
	}
	err := db.Write(t.Context(), "test.fleet", func(tx *sqldb.Tx) error {
		for _, q := range []string{
			`INSERT INTO teams (id, name, created_at, updated_at) VALUES ('team_alpha', 'alpha', 1, 1)`,
			`INSERT INTO principals (id, kind, name, created_at, updated_at) VALUES ('usr_ann', 'user', 'ann', 1, 1)`,
			`INSERT INTO projects (id, name, team_id, created_at, updated_at) VALUES ('prj_shop', 'shop', 'team_alpha', 1, 1)`,
			`INSERT INTO environments (id, project_id, name, class, created_at, updated_at) VALUES ('env_dev', 'prj_shop', 'dev', 'development', 1, 1)`,
		} {
			if _, err := tx.ExecContext(t.Context(), q); err != nil {
				return err
			}
		}
		for _, r := range f.all {
			if _, err := tx.ExecContext(t.Context(), `INSERT INTO resources (id, name, environment_id, project_id, team_id, template, engine, phase, revision, created_at, created_by, updated_at)
				VALUES ($1, $2, 'env_dev', 'prj_shop', 'team_alpha', 'store', 'fake', 'ready', 1, 1, 'usr_ann', 1)`, r.ID, r.Name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fleet) replica(db *sqldb.DB) *drift.Service {
	return drift.New(drift.Options{DB: db, Access: f.who, Log: slog.New(slog.DiscardHandler)})
}

// seen is a sight of a resource, as wanted or with its door gone.
func seen(r drift.Subject, bad bool) drift.Sight {
	s := drift.Sight{Subject: r, Presence: engine.Present}
	if bad {
		s.Presence = engine.Partial
		s.Drift = []engine.Drift{{Address: "door", Field: "exists", Want: true, Got: false, Severity: engine.Heal, Cause: engine.CauseDeleted}}
	}
	return s
}

// pass observes resources and gives those whose repair began.
func (f *fleet) pass(svc *drift.Service, db *sqldb.DB, list []drift.Subject, bad func(drift.Subject) bool) []string {
	f.t.Helper()
	sights := make([]drift.Sight, len(list))
	for i, r := range list {
		sights[i] = seen(r, bad(r))
	}
	var began []string
	err := db.Write(f.t.Context(), "test.observed", func(tx *sqldb.Tx) error {
		began = nil
		verdicts, err := svc.Judge(f.t.Context(), tx, sights)
		if err != nil {
			return err
		}
		for i, v := range verdicts {
			if v.Answer == drift.Heal {
				began = append(began, list[i].ID)
			}
			if err := svc.Record(f.t.Context(), tx, sights[i], v, "run_"+list[i].ID); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return began
}

func (f *fleet) held() []string {
	f.t.Helper()
	list, err := f.svc.Brakes(f.ctx)
	if err != nil {
		f.t.Fatal(err)
	}
	var out []string
	for _, b := range list {
		if !b.HeldAt.IsZero() {
			out = append(out, b.Scope)
		}
	}
	return out
}

func all(drift.Subject) bool  { return true }
func none(drift.Subject) bool { return false }

func TestAProviderThatSuddenlyListsNothingCausesNoRecreations(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		why          string
		chunk, limit int
	}{
		{"all at once", 1000, 0},
		{"a batch at a time", 100, 0},
		{"a few at a time", 4, 2 * 5},
		{"one by one", 1, 2 * 5},
	} {
		t.Run(row.why, func(t *testing.T) {
			sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
				f := newFleet(t, db, 1000)
				f.pass(f.svc, db, f.all, none)
				began := 0
				for list := range slices.Chunk(f.all[:min(1000, 100*row.chunk)], row.chunk) {
					began += len(f.pass(f.svc, db, list, all))
				}
				if began > row.limit {
					t.Errorf("%d repairs began", began)
				}
				if got := f.held(); len(got) == 0 {
					t.Error("nothing is held")
				}
				// It was the provider: when it shows everything again, all goes on by itself.
				for range 2 {
					f.pass(f.svc, db, f.all, none)
				}
				if got := f.held(); len(got) != 0 {
					t.Errorf("still held: %v", got)
				}
				if n := len(f.pass(f.svc, db, f.all[:3], all)); n != 3 {
					t.Errorf("afterwards %d of 3 are repaired", n)
				}
			})
		})
	}
}

func TestTwoReplicasDoNotGetPastTheBrakeTogether(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		f := newFleet(t, db, 200)
		f.pass(f.svc, db, f.all, none)
		var mu sync.Mutex
		var wg sync.WaitGroup
		began := 0
		for part := range slices.Chunk(f.all, 50) { // four that observe at once
			wg.Go(func() {
				svc := f.replica(db)
				for list := range slices.Chunk(part, 2) {
					n := len(f.pass(svc, db, list, all))
					mu.Lock()
					began += n
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if began > 2*5 {
			t.Errorf("%d repairs began", began)
		}
	})
}

func TestOneServerThatShowsNothingHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		f := newFleet(t, db, 60)
		f.pass(f.svc, db, f.all, none)
		began := f.pass(f.svc, db, f.all, func(r drift.Subject) bool { return r.Host == "pg-a:5432" || r.ID == "res_0001" })
		if !slices.Equal(began, []string{"res_0001"}) || !slices.Equal(f.held(), []string{"server/pg-a:5432"}) {
			t.Errorf("%v began, %v is held", began, f.held())
		}
	})
}

func TestASlowTrickleIsHeldToo(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		f := newFleet(t, db, 50)
		began := 0
		for i := range f.all[:30] { // one of many at a time: no batch looks odd
			began += len(f.pass(f.svc, db, f.all, func(r drift.Subject) bool { return r.ID == f.all[i].ID }))
		}
		if began != 10 { // a fifth of 50
			t.Errorf("%d repairs began within the window", began)
		}
	})
}

func TestOneResourceThatSomebodyKeepsChangingTripsNothing(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		f := newFleet(t, db, 3)
		for i := range 40 {
			if n := len(f.pass(f.svc, db, f.all, func(r drift.Subject) bool { return r.ID == "res_0001" })); n != 1 {
				t.Fatalf("round %d: %d repairs, held: %v", i, n, f.held())
			}
		}
	})
}

func TestAPersonReleasesTheBrake(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		f := newFleet(t, db, 40)
		if n := len(f.pass(f.svc, db, f.all, all)); n != 0 {
			t.Fatalf("%d repairs began", n)
		}
		for _, row := range []struct {
			why, scope, reason, code string
		}{
			{"without a reason", "server/pg-a:5432", " ", "reason_missing"},
			{"what is not held", "server/elsewhere", "x", "brake_not_found"},
		} {
			if _, err := f.svc.Release(f.ctx, row.scope, row.reason); fault.From(err).Code != row.code {
				t.Errorf("%s: %v", row.why, err)
			}
		}
		for _, who := range []context.Context{t.Context(), principal.With(t.Context(), principal.Principal{Kind: principal.User, ID: "usr_sam", Name: "sam"})} {
			if _, err := f.svc.Release(who, "server/pg-a:5432", "why not"); err == nil {
				t.Error("released by whoever likes")
			}
			if _, err := f.svc.Brakes(who); err == nil {
				t.Error("shown to whoever likes")
			}
		}
		h, err := f.svc.Release(f.ctx, "server/pg-a:5432", "they were dropped on purpose")
		if err != nil || !h.HeldAt.IsZero() || h.ReleasedBy != "ann" || h.FreeUntil.Before(time.Now()) {
			t.Fatalf("%+v %v", h, err)
		}
		again, err := f.svc.Release(f.ctx, "server/pg-a:5432", "once more")
		if err != nil || again.Reason != h.Reason {
			t.Errorf("again: %+v %v", again, err)
		}
		// All of that server go on, and nothing of the other one.
		if n := len(f.pass(f.svc, db, f.all, all)); n != 20 {
			t.Errorf("%d repairs began, held: %v", n, f.held())
		}
		types := count(t, db, `SELECT type FROM events WHERE type IN ('drift.held', 'drift.released') ORDER BY type`)
		if fmt.Sprint(types) != "[drift.held drift.held drift.released]" {
			t.Errorf("told: %v", types)
		}
	})
}

func count(t *testing.T, db *sqldb.DB, query string) []string {
	t.Helper()
	out, err := sqldb.Collect(t.Context(), db.Read(), sqldb.Text, query)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
