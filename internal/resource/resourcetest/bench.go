package resourcetest

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/access/accesstest"
	"fairlead/internal/audit"
	"fairlead/internal/audit/audittest"
	"fairlead/internal/drift"
	"fairlead/internal/engine"
	"fairlead/internal/gate/gatetest"
	"fairlead/internal/principal"
	"fairlead/internal/queue"
	"fairlead/internal/resource"
	"fairlead/internal/sqldb"
)

// Bench is a service with everything around it. Its environment is "dev" of
// the project "shop" of the team "alpha"; Ctx is ann, who is in it.
type Bench struct {
	T      testing.TB
	DB     *sqldb.DB
	Svc    *resource.Service
	Engine *Engine
	Audit  *audit.Log
	Drifts *drift.Service
	Gates  *gatetest.Gates
	Ctx    context.Context
	desk   desk
}

// desk gives work to the worker that was started last, as a server does to its
// own, and to the queue while there is none.
type desk struct{ runner atomic.Pointer[queue.Runner] }

// Enqueue implements resource.Queue.
func (d *desk) Enqueue(ctx context.Context, tx *sqldb.Tx, w queue.Work) error {
	if r := d.runner.Load(); r != nil {
		return r.Enqueue(ctx, tx, w)
	}
	return queue.Enqueue(ctx, tx, w)
}

// The people.
var (
	Ann      = principal.Principal{Kind: principal.User, ID: "usr_ann", Name: "ann", Memberships: []principal.Membership{{TeamID: "team_alpha", Team: "alpha", Role: principal.Developer}}}
	Stranger = principal.Principal{Kind: principal.User, ID: "usr_sam", Name: "sam", Memberships: []principal.Membership{{TeamID: "team_beta", Team: "beta", Role: principal.Developer}}}
)

// New makes a Bench on an empty database. Principals see their own team alone.
func New(t testing.TB, db *sqldb.DB) *Bench {
	t.Helper()
	log := audittest.New(t, db)
	b := &Bench{T: t, DB: db, Engine: NewEngine(), Audit: log, Gates: &gatetest.Gates{}, Ctx: principal.With(context.Background(), Ann)}
	err := db.Write(t.Context(), "test.world", func(tx *sqldb.Tx) error {
		for _, q := range []string{
			`INSERT INTO teams (id, name, created_at, updated_at) VALUES ('team_alpha', 'alpha', 1, 1), ('team_beta', 'beta', 1, 1)`,
			`INSERT INTO principals (id, kind, name, created_at, updated_at) VALUES ('usr_ann', 'user', 'ann', 1, 1), ('usr_sam', 'user', 'sam', 1, 1)`,
			`INSERT INTO projects (id, name, team_id, created_at, updated_at) VALUES ('prj_shop', 'shop', 'team_alpha', 1, 1), ('prj_other', 'other', 'team_beta', 1, 1)`,
			`INSERT INTO environments (id, project_id, name, class, created_at, updated_at) VALUES
				('env_dev', 'prj_shop', 'dev', 'development', 1, 1), ('env_prod', 'prj_shop', 'prod', 'production', 1, 1), ('env_beta', 'prj_other', 'dev', 'development', 1, 1)`,
		} {
			if _, err := tx.ExecContext(t.Context(), q); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatalf("make the world: %v", err)
	}
	b.Drifts = drift.New(drift.Options{DB: db, Access: accesstest.Teams{}, Log: slog.New(slog.DiscardHandler)})
	b.Svc = b.Service(db, accesstest.Teams{})
	return b
}

// Service makes another service on a database, such as a replica's.
func (b *Bench) Service(db *sqldb.DB, a access.Authorizer) *resource.Service {
	return resource.New(resource.Options{
		DB: db, Access: a, Environments: environments{db, a}, Templates: Templates{}, Secrets: secrets{db}, Gates: b.Gates.Service(db, a),
		Drifts: b.Drifts, Acceptances: b.Drifts, Checks: b.Drifts, Queue: &b.desk,
		Engines: map[string]engine.Engine{"fake": b.Engine}, Installation: "inst", ObserveEvery: time.Millisecond, Log: slog.New(slog.DiscardHandler),
	})
}

// Work starts a worker that ends with the test, or earlier.
func (b *Bench) Work() (stop func()) { return b.WorkOn(b.DB, b.Svc.Reconcile, 0) }

// WorkOn is Work for a replica: its database, its handler, its lease.
func (b *Bench) WorkOn(db *sqldb.DB, handle queue.Handler, lease time.Duration) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	r := queue.NewRunner(queue.Options{DB: db, Lanes: map[string]int{"fake": 4}, Handle: handle, Lease: lease, Poll: 100 * time.Millisecond})
	b.desk.runner.Store(r)
	var running sync.WaitGroup
	running.Go(func() { r.Run(ctx) })
	stop = func() { cancel(); running.Wait() }
	b.T.Cleanup(stop)
	return stop
}

// Where names a resource of the bench's environment.
func Where(name string) resource.Where {
	return resource.Where{Project: "shop", Environment: "dev", Name: name}
}

// Create requests a store.
func (b *Bench) Create(name string, inputs map[string]any) resource.Resource {
	b.T.Helper()
	r, err := b.Svc.Create(b.Ctx, "shop", "dev", resource.Wanted{Name: name, Template: "store", Inputs: inputs})
	if err != nil {
		b.T.Fatalf("create %s: %v", name, err)
	}
	return r
}

// Must gives v, or ends the test.
func Must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

const patience = 30 * time.Second

// Until waits until a resource is as ok wants it.
func (b *Bench) Until(id, what string, ok func(resource.Resource) bool) resource.Resource {
	b.T.Helper()
	deadline := time.Now().Add(patience)
	known := int64(-1)
	for {
		r, err := b.Svc.WaitID(b.Ctx, id, resource.Until{Known: known}, 100*time.Millisecond)
		if err != nil {
			b.T.Fatalf("wait for %s: %v", id, err)
		}
		if ok(r) {
			return r
		}
		if time.Now().After(deadline) {
			b.T.Fatalf("%s did not become %s: it is %s (%s: %s) at revision %d of %d\n%s", r.Name, what, r.Phase, r.Reason, r.Message, r.AppliedRevision, r.Revision, b.Log(r.RunID))
		}
		if known = r.Version; r.Phase.Settled() { // Wait would not wait
			time.Sleep(time.Millisecond)
		}
	}
}

// UntilPhase waits for a phase of the newest run.
func (b *Bench) UntilPhase(id string, p resource.Phase) resource.Resource {
	b.T.Helper()
	return b.Until(id, string(p), func(r resource.Resource) bool { return r.Phase == p })
}

// Ready creates a store and waits for it.
func (b *Bench) Ready(name string, inputs map[string]any) resource.Resource {
	b.T.Helper()
	return b.UntilPhase(b.Create(name, inputs).ID, resource.Ready)
}

// Gone waits until a resource is destroyed.
func (b *Bench) Gone(id string) resource.Resource {
	b.T.Helper()
	return b.UntilPhase(id, resource.Destroyed)
}

// Log gives a run's log as text.
func (b *Bench) Log(runID string) string {
	lines, _, err := b.Svc.Lines(b.Ctx, runID, 0, 1000)
	if err != nil {
		return err.Error()
	}
	out := ""
	for _, l := range lines {
		out += l.Phase + " " + l.Level + " " + l.Message + "\n"
	}
	return out
}

// RunOf waits for a run to be over.
func (b *Bench) RunOf(id string) resource.Run {
	b.T.Helper()
	ctx, cancel := context.WithTimeout(b.Ctx, patience)
	defer cancel()
	run, err := b.Svc.Follow(ctx, id, 0, func(resource.LogLine) error { return nil })
	if err != nil {
		b.T.Fatalf("follow %s: %v", id, err)
	}
	return run
}

// Entered waits until a gate was reached.
func (b *Bench) Entered(g *Gate) {
	b.T.Helper()
	select {
	case <-g.Entered:
	case <-time.After(patience):
		b.T.Fatal("the engine was not called")
	}
}

// Audited gives the actions that were recorded on a resource, oldest first.
func (b *Bench) Audited(id string) []string {
	b.T.Helper()
	var out []string
	for _, r := range audittest.Records(b.T, b.Audit, "") {
		if r.TargetID == id {
			out = append(out, r.Action)
		}
	}
	return out
}
