package lease_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/access/accesstest"
	"fairlead/internal/approval"
	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/gate/gatetest"
	"fairlead/internal/identity"
	"fairlead/internal/lease"
	"fairlead/internal/principal"
	"fairlead/internal/project"
	"fairlead/internal/resource"
	"fairlead/internal/resource/resourcetest"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

// world is a bench of resources whose gates ask the real leases. On SQLite its
// clock is the test's; on PostgreSQL what is to be later is made so by moving
// what is stored.
type world struct {
	*resourcetest.Bench
	t        *testing.T
	svc      *lease.Service
	projects *project.Service
	admin    context.Context
	ahead    *atomic.Int64 // of SQLite's clock
	access   authorizer
}

// authorizer is accesstest.Teams, in which root manages the calendar and sees
// everything, and the system does.
type authorizer struct{ accesstest.Teams }

func (a authorizer) Check(ctx context.Context, action access.Action, t access.Target) (access.Decision, error) {
	p := principal.From(ctx)
	if p.ID == "usr_root" || p.Kind == principal.Internal {
		return access.Decision{Allowed: true, Policies: []string{"root"}, Version: 1}, nil
	}
	d, err := a.Teams.Check(ctx, action, t)
	if err == nil && action == access.CalendarManage {
		return d, fault.New(fault.Denied, "access_denied", "you may not")
	}
	return d, err
}

func (a authorizer) Scope(ctx context.Context, action access.Action) (access.Scope, error) {
	if p := principal.From(ctx); p.ID == "usr_root" || p.Kind == principal.Internal {
		return access.Scope{All: true}, nil
	}
	return a.Teams.Scope(ctx, action)
}

type costs struct{}

func (costs) CostSoFar(context.Context, string) (float64, string, error) { return 1.5, "EUR", nil }

type people struct{}

func (people) Lookup(_ context.Context, ref string) (principal.Principal, error) {
	for _, p := range []principal.Principal{resourcetest.Ann, resourcetest.Stranger, root, bob} {
		if ref == p.ID || ref == p.Name {
			return p, nil
		}
	}
	return principal.Principal{}, fault.New(fault.NotFound, "not_found", "nobody")
}

var (
	root = principal.Principal{Kind: principal.User, ID: "usr_root", Name: "root"}
	bob  = principal.Principal{Kind: principal.User, ID: "usr_bob", Name: "bob", Memberships: []principal.Membership{{TeamID: "team_alpha", Team: "alpha", Role: principal.Developer}}}
)

// late lets parts that need each other find each other.
type late struct{ w *world }

func (l late) End(ctx context.Context, p, e, r string) error {
	_, err := l.w.Svc.End(principal.With(ctx, principal.System), resource.Where{Project: p, Environment: e, Name: r})
	return err
}

func (l late) Resolve(ctx context.Context, p, e string) (gate.Environment, error) {
	v, err := l.w.projects.Resolve(ctx, p, e)
	return environment(v), err
}

func (l late) Delete(ctx context.Context, p, e string) error {
	return l.w.projects.DeleteEnvironment(principal.With(ctx, principal.System), p, e, 0)
}

func (l late) Begin(ctx context.Context, tx *sqldb.Tx, e project.Environment, length time.Duration) error {
	return l.w.svc.BeginEnvironment(ctx, tx, environment(e), length)
}

type lateLeases struct{ late }

func (l lateLeases) End(ctx context.Context, tx *sqldb.Tx, id string) error {
	return l.w.svc.End(ctx, tx, id)
}

func (l late) Wake(ctx context.Context, tx *sqldb.Tx, id string) error {
	return l.w.Svc.Wake(ctx, tx, id)
}

func environment(e project.Environment) gate.Environment {
	return gate.Environment{ID: e.ID, Name: e.Name, Class: string(e.Class), ProjectID: e.ProjectID, Project: e.Project, TeamID: e.TeamID, Team: e.Team}
}

func each(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		ahead := &atomic.Int64{}
		db := sqldbtest.Open(t, sqldb.Options{URL: "sqlite:" + filepath.Join(t.TempDir(), "store.db"), Clock: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
		f(t, newWorld(t, db, ahead))
	})
	t.Run("postgres", func(t *testing.T) { t.Parallel(); f(t, newWorld(t, sqldbtest.Postgres(t), nil)) })
}

func newWorld(t *testing.T, db *sqldb.DB, ahead *atomic.Int64) *world {
	t.Helper()
	w := &world{Bench: resourcetest.New(t, db), t: t, ahead: ahead, admin: principal.With(context.Background(), root)}
	w.must(db.Write(t.Context(), "test.people", func(tx *sqldb.Tx) error {
		_, err := tx.ExecContext(t.Context(), `INSERT INTO principals (id, kind, name, created_at, updated_at) VALUES ('usr_root', 'user', 'root', 1, 1), ('usr_bob', 'user', 'bob', 1, 1)`)
		return err
	}))
	w.svc = w.replica(db)
	w.projects = project.New(project.Options{DB: db, Access: w.access, Leases: lateLeases{late{w}}, Log: slog.New(slog.DiscardHandler)})
	approvals := approval.New(approval.Options{DB: db, Access: w.access, People: identity.NewDirectory(db), Wake: late{w}, Log: slog.New(slog.DiscardHandler)})
	w.Gates.Use(gatetest.Real{Leases: w.svc, Approvals: approvals})
	w.Svc = w.Service(db, w.access)
	return w
}

// replica is another service on a database.
func (w *world) replica(db *sqldb.DB) *lease.Service {
	return lease.New(lease.Options{DB: db, Access: w.access, Resources: late{w}, Environments: late{w}, Costs: costs{}, People: people{}, Records: w.Audit, Log: slog.New(slog.DiscardHandler)})
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// later lets time go by, for leases alone.
func (w *world) later(d time.Duration) {
	w.t.Helper()
	if w.ahead != nil {
		w.ahead.Add(int64(d))
		return
	}
	w.must(w.DB.Write(w.t.Context(), "test.later", func(tx *sqldb.Tx) error {
		_, err := tx.ExecContext(w.t.Context(), `UPDATE leases SET begins_at = begins_at - $1, ends_at = ends_at - $1, due_at = due_at - $1, ending_at = ending_at - $1,
			warn_at = (SELECT COALESCE(jsonb_agg(v::bigint - $1), '[]')::text FROM jsonb_array_elements_text(warn_at::jsonb) v)`, d.Microseconds())
		return err
	}))
}

// ask requests a store with a lease.
func (w *world) ask(env, name string, length time.Duration, inputs map[string]any) (resource.Resource, error) {
	return w.Svc.Create(w.Ctx, "shop", env, resource.Wanted{Name: name, Template: "store", Inputs: inputs, Lease: length})
}

func (w *world) get(name string, length time.Duration) resource.Resource {
	w.t.Helper()
	r, err := w.ask("dev", name, length, nil)
	w.must(err)
	return r
}

// of gives the open lease of something, or the newest that is over.
func (w *world) of(subject string) lease.Lease {
	w.t.Helper()
	list, _, err := w.svc.List(w.admin, lease.Filter{Over: true, Sort: "-created"}, sqldb.Page{Limit: 200})
	w.must(err)
	for _, l := range list {
		if l.SubjectID == subject || l.Subject == subject {
			return l
		}
	}
	w.t.Fatalf("%s has no lease among %d", subject, len(list))
	return lease.Lease{}
}

func (w *world) turn() {
	w.t.Helper()
	w.must(w.svc.Turn(context.Background()))
}

// settled turns until a lease is over.
func (w *world) settled(id string) lease.Lease {
	w.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		l, err := w.svc.Get(w.admin, id)
		w.must(err)
		if l.State == lease.Ended {
			return l
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("the lease is %s: %s", l.State, l.Problem)
		}
		w.now(id)
		w.turn()
	}
}

// now makes an ending due at once.
func (w *world) now(id string) {
	w.t.Helper()
	w.must(w.DB.Write(w.t.Context(), "test.now", func(tx *sqldb.Tx) error {
		_, err := tx.ExecContext(w.t.Context(), `UPDATE leases SET due_at = 1 WHERE id = $1 AND state = 'ending'`, id)
		return err
	}))
}

func (w *world) rule(r lease.Rule) lease.Rule {
	w.t.Helper()
	out, err := w.svc.SetRule(w.admin, r, 0)
	w.must(err)
	return out
}

// events gives the events of a type about something, oldest first.
func (w *world) events(kind, subject string) []string {
	w.t.Helper()
	list, err := sqldb.Collect(w.t.Context(), w.DB.Read(), sqldb.Text, `SELECT recipients || ' ' || data FROM events WHERE type = $1 AND subject = $2 ORDER BY id`, kind, subject)
	w.must(err)
	return list
}

func code(err error) string {
	if err == nil {
		return ""
	}
	var f *fault.Error
	if !errors.As(err, &f) {
		return err.Error()
	}
	return f.Code
}
