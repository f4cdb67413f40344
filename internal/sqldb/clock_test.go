package sqldb_test

import (
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"fairlead/internal/sqldb"
)

// machine is a clock that a test sets.
type machine struct{ at atomic.Pointer[time.Time] }

func (m *machine) set(t time.Time) { m.at.Store(&t) }
func (m *machine) now() time.Time  { return *m.at.Load() }

func TestSQLitesClockNeverGoesBack(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var m machine
	m.set(noon)
	file := filepath.Join(t.TempDir(), "clock.db")
	open := func() *sqldb.DB {
		db, err := sqldb.Open(t.Context(), sqldb.Options{URL: "sqlite:" + file, Clock: m.now})
		if err != nil {
			t.Fatal(err)
		}
		return db
	}
	inWrite := func(db *sqldb.DB) (at time.Time) {
		if err := db.Write(t.Context(), "test.now", func(tx *sqldb.Tx) error { at = tx.Now(); return nil }); err != nil {
			t.Fatal(err)
		}
		return at
	}
	db := open()
	for _, step := range []struct {
		why      string
		machine  time.Time
		from, to time.Time
		restart  bool
	}{
		{"the machine's", noon, noon, noon, false},
		{"forwards it is followed at once: a machine that slept", noon.Add(time.Hour), noon.Add(time.Hour), noon.Add(time.Hour), false},
		{"set back, it goes on from what was shown", noon, noon.Add(time.Hour), noon.Add(time.Hour + time.Minute), false},
		{"also after a restart", noon.Add(-time.Hour), noon.Add(time.Hour), noon.Add(time.Hour + time.Minute), true},
		{"until the machine's has caught up", noon.Add(2 * time.Hour), noon.Add(2 * time.Hour), noon.Add(2 * time.Hour), false},
	} {
		m.set(step.machine)
		if step.restart {
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			db = open()
		}
		last := time.Time{}
		for range 3 {
			at := inWrite(db)
			read, err := db.Now(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if at.Before(step.from) || read.After(step.to) || at.Before(last) || read.Before(at) {
				t.Fatalf("%s: shows %v and %v after %v, not %v to %v", step.why, at, read, last, step.from, step.to)
			}
			last = read
		}
	}
	m.set(noon)
	from, err := db.Now(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; { // behind, it still goes on: leases run out
		now, err := db.Now(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if now.After(from) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the clock stands still")
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}
