package system_test

import (
	"context"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"fairlead/internal/audit/audittest"
	"fairlead/internal/backup"
	"fairlead/internal/conf"
	"fairlead/internal/drift"
	"fairlead/internal/engine"
	"fairlead/internal/engine/null"
	"fairlead/internal/engines"
	"fairlead/internal/fault"
	"fairlead/internal/identity/identitytest"
	"fairlead/internal/queue"
	"fairlead/internal/redact"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
	"fairlead/internal/system"
)

// server makes one server's service over a world.
func server(t *testing.T, w *identitytest.World, host string, alone bool) *system.Service {
	t.Helper()
	backups := backup.NewService(backup.Options{DB: w.DB, Authorizer: w.Access, Keys: func() (map[string]redact.Secret, error) { return map[string]redact.Secret{}, nil }})
	return system.New(system.Options{
		DB: w.DB, Access: w.Access, Engines: engines.New(engines.Options{Access: w.Access, Engines: map[string]engine.Engine{"null": &null.Engine{}}}),
		Chain: w.Log, Brakes: drift.New(drift.Options{DB: w.DB, Access: w.Access}), Backups: backups, Settings: func() []conf.Setting { return []conf.Setting{{Name: "listen", Value: "x"}} },
		Version: "1.0", Host: host, Address: host + ":1", Data: t.TempDir(), Holder: "wkr_" + host, Workers: map[string]int{"null": 3}, Alone: alone, Observe: time.Minute, Beat: 50 * time.Millisecond,
	})
}

// until asks for the status until it is as wanted.
func until(t *testing.T, w *identitytest.World, s *system.Service, ok func(system.Status) bool) system.Status {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; {
		st, err := s.Status(w.Admin)
		w.Must(err)
		if ok(st) {
			return st
		}
		if time.Now().After(deadline) {
			t.Fatalf("never as wanted: %+v", st)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func run(t *testing.T, s *system.Service) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var all sync.WaitGroup
	all.Go(func() { _ = s.Run(ctx) })
	stop = sync.OnceFunc(func() { cancel(); all.Wait() })
	t.Cleanup(stop)
	return stop
}

// TestServersAreHeardOfUntilTheyLeave: two on one store know of each other;
// one that stops says so and is gone at once.
func TestServersAreHeardOfUntilTheyLeave(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := identitytest.New(t, db)
		one, two := server(t, w, "one", false), server(t, w, "two", false)
		run(t, one)
		leave := run(t, two)
		st := until(t, w, one, func(st system.Status) bool {
			return len(st.Servers) == 2 && len(st.Engines) == 1 && st.Engines[0].Of == 2
		})
		e := st.Engines[0]
		if e.Name != "null" || e.Ready != 2 || e.Workers != 6 || e.Used || st.Store.Bytes == 0 && db.Dialect() == sqldb.Postgres || st.Store.Kind != db.Dialect() {
			t.Errorf("%+v %+v", e, st.Store)
		}
		for _, r := range st.Servers {
			if r.Lost || r.DiskTotal == 0 || r.Version != "1.0" || r.Workers["null"] != 3 {
				t.Errorf("%+v", r)
			}
		}
		leave()
		st = until(t, w, one, func(st system.Status) bool { return len(st.Servers) == 1 })
		if st.Servers[0].Host != "one" {
			t.Errorf("%+v", st.Servers)
		}
	})
}

// TestAServerThatIsKilledIsMissed: it did not say goodbye, so it is lost, and
// forgotten once another one stands in its place.
func TestAServerThatIsKilledIsMissed(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64
	db := sqldbtest.Open(t, sqldb.Options{URL: "sqlite:" + filepath.Join(t.TempDir(), "s.db"), Clock: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
	w := identitytest.New(t, db)
	killed := server(t, w, "killed", false)
	w.Must(killed.CheckEngines(w.Admin)) // one heartbeat, and no more
	ahead.Store(int64(5 * time.Second))
	one := server(t, w, "one", false)
	w.Must(one.CheckEngines(w.Admin))
	st, err := one.Status(w.Admin)
	w.Must(err)
	lost := 0
	for _, r := range st.Servers {
		if r.Lost != (r.Host == "killed") {
			t.Errorf("%+v", r)
		}
		lost++
	}
	if lost != 2 || st.Level != system.Warn {
		t.Errorf("%d servers, level %s", lost, st.Level)
	}
	alone := server(t, w, "alone", true)
	w.Must(alone.CheckEngines(w.Admin))
	if st, err = alone.Status(w.Admin); err != nil || len(st.Servers) != 1 || st.Servers[0].Host != "alone" {
		t.Errorf("after one that is alone: %+v %v", st.Servers, err)
	}
}

// TestTheQueueIsListed by state, engine and page, and says what is stuck.
func TestTheQueueIsListed(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := identitytest.New(t, db)
		s := server(t, w, "one", false)
		w.Must(s.CheckEngines(w.Admin))
		ctx := t.Context()
		w.Must(db.Write(ctx, "test", func(tx *sqldb.Tx) error {
			for key, after := range map[string]time.Duration{"a": 0, "b": time.Hour, "c": 0, "d": 0} {
				if err := queue.Enqueue(ctx, tx, queue.Work{Key: key, Lane: "null", Team: "t", After: after}); err != nil {
					return err
				}
			}
			if err := queue.Enqueue(ctx, tx, queue.Work{Key: "other", Lane: "iac", Team: "t"}); err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, `UPDATE queue SET attempts = 9, last_error = 'x' WHERE key = 'b'`); err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, `UPDATE queue SET due_at = NULL WHERE key = 'd'`); err != nil {
				return err
			}
			_, err := tx.ExecContext(ctx, `UPDATE queue SET holder = 'wkr_one', lease_until = $1 WHERE key = 'c'`, tx.Now().Add(time.Hour).UnixMicro())
			return err
		}))
		keys := func(f system.WorkFilter) map[string]system.Work {
			out := map[string]system.Work{}
			for after := ""; ; {
				list, next, err := s.Queue(w.Admin, f, sqldb.Page{Limit: 2, After: after})
				w.Must(err)
				for _, x := range list {
					out[x.Key] = x
				}
				if after = next; next == "" {
					return out
				}
			}
		}
		all := keys(system.WorkFilter{})
		if len(all) != 4 || all["a"].State != system.Waiting || all["b"].State != system.Later || !all["b"].Stuck || all["c"].State != system.Running || all["c"].Server != "one" || all["a"].Server != "" {
			t.Errorf("%+v", all)
		}
		for f, want := range map[system.WorkFilter]string{{State: system.Running}: "c", {State: system.Later}: "b", {State: system.Stuck}: "b", {Engine: "iac"}: "other"} {
			got := keys(f)
			if _, ok := got[want]; len(got) != 1 || !ok {
				t.Errorf("%+v: %+v", f, got)
			}
		}
		if _, _, err := s.Queue(w.Admin, system.WorkFilter{State: "odd"}, sqldb.Page{}); !fault.Is(err, fault.Invalid) {
			t.Errorf("an unknown state: %v", err)
		}
		st, err := s.Status(w.Admin)
		w.Must(err)
		for _, d := range st.Queue {
			if d.Lane == "null" && (d.Due != 1 || d.Held != 1 || d.Later != 1 || d.Stuck != 1) {
				t.Errorf("%+v", d)
			}
		}
	})
}

// TestOnlyWhoMaySeesTheSystem: nothing of it is for others, whoever they are.
func TestOnlyWhoMaySeesTheSystem(t *testing.T) {
	t.Parallel()
	w := identitytest.New(t, sqldbtest.SQLite(t))
	w.Team("red")
	s := server(t, w, "one", true)
	for who, ctx := range map[string]context.Context{"nobody": t.Context(), "a team's owner": w.User("olga", "red", "team-owner")} {
		_, status := s.Status(ctx)
		_, _, list := s.Queue(ctx, system.WorkFilter{}, sqldb.Page{})
		_, settings := s.Configuration(ctx)
		_, lanes := s.Lanes(ctx)
		for op, err := range map[string]error{"Status": status, "Queue": list, "Configuration": settings, "Lanes": lanes, "CheckEngines": s.CheckEngines(ctx)} {
			if err == nil || fault.KindOf(err) == fault.Internal {
				t.Errorf("%s as %s: %v", op, who, err)
			}
		}
	}
	if n := len(audittest.Records(t, w.Log, "system:view")); n > 0 {
		t.Errorf("%d looks are in the audit log", n)
	}
}
