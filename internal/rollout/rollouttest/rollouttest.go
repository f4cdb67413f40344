package rollouttest

import (
	"context"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"fairlead/internal/access/accesstest"
	"fairlead/internal/fault"
	"fairlead/internal/principal"
	"fairlead/internal/queue"
	"fairlead/internal/resource"
	"fairlead/internal/resource/resourcetest"
	"fairlead/internal/rollout"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

// World is a bench of resources with rollouts over it. On SQLite its clock is
// the test's; on PostgreSQL what is to be later is made so by moving what is
// stored.
type World struct {
	*resourcetest.Bench
	T        *testing.T
	Rollouts *rollout.Service

	ahead *atomic.Int64 // of SQLite's clock

	mu       sync.Mutex
	versions map[string]rollout.Version
	people   map[string]principal.Principal
}

// Each runs f on both stores, in parallel.
func Each(t *testing.T, f func(w *World)) {
	t.Helper()
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		ahead := &atomic.Int64{}
		db := sqldbtest.Open(t, sqldb.Options{URL: "sqlite:" + filepath.Join(t.TempDir(), "store.db"), Clock: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
		f(New(t, db, ahead))
	})
	t.Run("postgres", func(t *testing.T) { t.Parallel(); f(New(t, sqldbtest.Postgres(t), nil)) })
}

// New makes a World. The template "store" is there in 1.0.0 and 1.1.0.
func New(t *testing.T, db *sqldb.DB, ahead *atomic.Int64) *World {
	t.Helper()
	w := &World{Bench: resourcetest.New(t, db), T: t, ahead: ahead, versions: map[string]rollout.Version{}, people: map[string]principal.Principal{}}
	for _, v := range []string{"1.0.0", "1.1.0"} {
		w.versions[v] = rollout.Version{Template: "store", Version: v, Digest: "digest-of-store" + v}
	}
	w.Know(resourcetest.Ann)
	w.Rollouts = w.Over(w.Svc)
	return w
}

// Over makes the service over resources, such as those that lose replies.
func (w *World) Over(r rollout.Resources) *rollout.Service {
	return rollout.New(rollout.Options{DB: w.DB, Access: accesstest.Teams{}, Resources: r, Names: w.Svc, Templates: versions{w}, People: people{w},
		Poll: 10 * time.Millisecond, Log: slog.New(slog.DiscardHandler)})
}

type versions struct{ w *World }

// Version implements rollout.Templates.
func (v versions) Version(_ context.Context, name, version string) (rollout.Version, error) {
	v.w.mu.Lock()
	defer v.w.mu.Unlock()
	if version == "" {
		version = "1.1.0"
	}
	out, ok := v.w.versions[version]
	if !ok || name != "store" {
		return out, fault.New(fault.NotFound, "not_found", "there is no %s %s", name, version)
	}
	return out, nil
}

// Say changes what is told of a version.
func (w *World) Say(version string, f func(*rollout.Version)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	v := w.versions[version]
	f(&v)
	w.versions[version] = v
}

type people struct{ w *World }

// Lookup implements rollout.People.
func (p people) Lookup(_ context.Context, ref string) (principal.Principal, error) {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	if out, ok := p.w.people[ref]; ok {
		return out, nil
	}
	return principal.Principal{}, fault.New(fault.NotFound, "not_found", "there is nobody of that name")
}

// Know has somebody be there, as they are now.
func (w *World) Know(p principal.Principal) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.people[p.ID] = p
}

// Forget has somebody not be there any more.
func (w *World) Forget(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.people, id)
}

// Must ends the test when there is an error.
func (w *World) Must(err error) {
	w.T.Helper()
	if err != nil {
		w.T.Fatal(err)
	}
}

// Go starts what works on resources, looks at them, and rolls out.
func (w *World) Go() {
	w.Work()
	w.Observe()
	w.Turn(w.Rollouts)
}

// Observe starts the observer.
func (w *World) Observe() {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		wake, stop := w.DB.Subscribe(resource.ObserveTopic("fake"))
		defer stop()
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-wake:
			case <-tick.C:
			}
			if err := w.Svc.ObserveEngine(ctx, "fake"); err != nil && ctx.Err() == nil {
				w.T.Errorf("observe: %v", err)
			}
		}
	})
	w.T.Cleanup(func() { cancel(); running.Wait() })
}

// Turn starts the workers of a service, that end with the test, or earlier.
func (w *World) Turn(s *rollout.Service) (stop func()) { return w.TurnFor(s, 0) }

// TurnFor is Turn with leases of a length: where time goes by in leaps, a claim
// that is at work would run out with the usual one, and the work be done twice.
func (w *World) TurnFor(s *rollout.Service, lease time.Duration) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		queue.NewRunner(queue.Options{DB: w.DB, Lanes: map[string]int{rollout.Lane: 2, rollout.PlanLane: 4}, Handle: s.Work, Poll: 50 * time.Millisecond, Lease: lease, Log: slog.New(slog.DiscardHandler)}).Run(ctx)
	})
	stop = func() { cancel(); running.Wait() }
	w.T.Cleanup(stop)
	return stop
}

// Fleet makes stores of 1.0.0 in an environment, and waits for them. Nothing
// may be scripted yet.
func (w *World) Fleet(env string, names ...string) []resource.Resource {
	w.T.Helper()
	var out []resource.Resource
	for _, name := range names {
		r, err := w.Svc.Create(w.Ctx, "shop", env, resource.Wanted{Name: name, Template: "store", Version: "1.0.0"})
		w.Must(err)
		out = append(out, r)
	}
	for i, r := range out {
		out[i] = w.UntilPhase(r.ID, resource.Ready)
	}
	return out
}

// Create begins a rollout to 1.1.0.
func (w *World) Create(s rollout.Settings, start bool) rollout.Rollout {
	w.T.Helper()
	r, err := w.Rollouts.Create(w.Ctx, rollout.Wanted{Template: "store", To: "1.1.0", Settings: s, Start: start})
	w.Must(err)
	return r
}

// Is gives a resource as it is now.
func (w *World) Is(id string) resource.Resource {
	w.T.Helper()
	r, err := w.Svc.ByID(w.Ctx, id)
	w.Must(err)
	return r
}

// When waits until a rollout is as ok wants it.
func (w *World) When(id, what string, ok func(rollout.Rollout) bool) rollout.Rollout {
	w.T.Helper()
	known := int64(-1)
	for deadline := time.Now().Add(60 * time.Second); ; {
		r, err := w.Rollouts.Wait(w.Ctx, id, known, 100*time.Millisecond)
		w.Must(err)
		if ok(r) {
			return r
		}
		if time.Now().After(deadline) {
			w.T.Fatalf("the rollout did not become %s: it is %s (%s: %s)\n%v", what, r.State, r.Reason, r.Message, w.Picture(id))
		}
		known = r.Version
	}
}

// Until waits for a state.
func (w *World) Until(id string, s rollout.State) rollout.Rollout {
	w.T.Helper()
	return w.When(id, string(s), func(r rollout.Rollout) bool { return r.State == s })
}

// UntilMember waits until so many members are in a state.
func (w *World) UntilMember(id string, s rollout.MemberState, n int64) rollout.Rollout {
	w.T.Helper()
	return w.When(id, "one with a member that is "+string(s), func(r rollout.Rollout) bool { return r.Counts[s] == n })
}

// Members gives the members by the names of their resources.
func (w *World) Members(id string) map[string]rollout.Member {
	w.T.Helper()
	list, _, err := w.Rollouts.Members(w.Ctx, id, rollout.MemberFilter{}, sqldb.Page{Limit: 200})
	w.Must(err)
	out := map[string]rollout.Member{}
	for _, m := range list {
		out[m.Resource] = m
	}
	return out
}

// Picture gives each member's state and why.
func (w *World) Picture(id string) map[string]string {
	w.T.Helper()
	out := map[string]string{}
	for name, m := range w.Members(id) {
		out[name] = string(m.State)
		if m.Reason != "" {
			out[name] += " " + m.Reason
		}
	}
	return out
}

// Later lets time go by, for rollouts and pins.
func (w *World) Later(d time.Duration) {
	w.T.Helper()
	if w.ahead != nil {
		w.ahead.Add(int64(d))
		return
	}
	w.Must(w.DB.Write(w.T.Context(), "test.later", func(tx *sqldb.Tx) error {
		for _, q := range []string{
			`UPDATE rollout_members SET started_at = started_at - $1, applied_at = applied_at - $1, updated_at = updated_at - $1, due_at = due_at - $1`,
			`UPDATE rollout_waves SET healthy_at = healthy_at - $1`, `UPDATE rollout_pins SET until_at = until_at - $1`,
			`UPDATE queue SET due_at = due_at - $1`,
		} {
			if _, err := tx.ExecContext(w.T.Context(), q, d.Microseconds()); err != nil {
				return err
			}
		}
		return nil
	}))
}

// Events counts those of a type about something.
func (w *World) Events(kind, subject string) (n int) {
	w.T.Helper()
	w.Must(w.DB.Read().QueryRowContext(w.T.Context(), `SELECT count(*) FROM events WHERE type = $1 AND subject = $2`, kind, subject).Scan(&n))
	return n
}
