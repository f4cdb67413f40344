package event_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"fairlead/internal/event"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

func emit(t *testing.T, db *sqldb.DB, kind, subject string) {
	t.Helper()
	err := db.Write(t.Context(), "test.emit", func(tx *sqldb.Tx) error {
		return event.Emit(t.Context(), tx, event.Event{Type: kind, Subject: subject, TeamID: "team_a", To: []string{"usr_a"}, Data: map[string]any{"n": subject}})
	})
	if err != nil {
		t.Error(err)
	}
}

func drain(t *testing.T, db *sqldb.DB, consumer string) []event.Event {
	t.Helper()
	var all []event.Event
	for {
		var got []event.Event
		n, err := event.Consume(t.Context(), db, consumer, func(_ *sqldb.Tx, e []event.Event) error {
			got = e
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			return all
		}
		all = append(all, got...)
	}
}

func TestEachReaderIsHandedEachEventOnceInOrder(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		if got := drain(t, db, "a"); len(got) != 0 {
			t.Fatalf("out of nothing came %v", got)
		}
		for i := range 450 { // more than two batches
			emit(t, db, "request.denied", fmt.Sprint(i))
		}
		for _, consumer := range []string{"a", "b"} {
			got := drain(t, db, consumer)
			if len(got) != 450 {
				t.Fatalf("%s got %d", consumer, len(got))
			}
			for i, e := range got {
				if e.Position != int64(i+1) || e.Subject != fmt.Sprint(i) || e.Data["n"] != e.Subject || e.To[0] != "usr_a" || e.At.IsZero() {
					t.Fatalf("%s got %+v in place %d", consumer, e, i)
				}
			}
		}
		emit(t, db, "request.denied", "later")
		if got := drain(t, db, "a"); len(got) != 1 || got[0].Subject != "later" {
			t.Errorf("then came %v", got)
		}
	})
}

func TestAReaderThatFailsIsHandedTheSameAgain(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		emit(t, db, "request.denied", "x")
		no := errors.New("no")
		if _, err := event.Consume(t.Context(), db, "a", func(*sqldb.Tx, []event.Event) error { return no }); !errors.Is(err, no) {
			t.Fatalf("got %v", err)
		}
		if got := drain(t, db, "a"); len(got) != 1 {
			t.Errorf("then it got %v", got)
		}
	})
}

// Two transactions side by side: the one that made the smaller id commits
// last. A reader by id would have gone past it.
func TestAnEventThatCommitsLateIsNotPassed(t *testing.T) {
	t.Parallel()
	url := sqldbtest.PostgresURL(t)
	slow, fast := sqldbtest.Open(t, sqldb.Options{URL: url}), sqldbtest.Open(t, sqldb.Options{URL: url})
	made, goOn := make(chan bool, 1), make(chan bool)
	var all sync.WaitGroup
	all.Go(func() {
		err := slow.Write(t.Context(), "test.slow", func(tx *sqldb.Tx) error {
			if err := event.Emit(t.Context(), tx, event.Event{Type: "request.denied", Subject: "first made"}); err != nil {
				return err
			}
			made <- true
			<-goOn
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-made
	emit(t, fast, "request.denied", "first there")
	got := drain(t, fast, "a")
	close(goOn)
	all.Wait()
	got = append(got, drain(t, fast, "a")...)
	if len(got) != 2 || got[0].Subject != "first there" || got[1].Subject != "first made" || got[0].ID < got[1].ID {
		t.Errorf("the reader got %+v", got)
	}
}

func TestReplicasShareAReader(t *testing.T) {
	t.Parallel()
	url := sqldbtest.PostgresURL(t)
	a, b := sqldbtest.Open(t, sqldb.Options{URL: url}), sqldbtest.Open(t, sqldb.Options{URL: url})
	var mu sync.Mutex
	seen := map[string]int{}
	var all sync.WaitGroup
	for _, db := range []*sqldb.DB{a, b} {
		all.Go(func() {
			for i := range 100 {
				emit(t, db, "request.denied", fmt.Sprintf("%p %d", db, i))
			}
		})
		all.Go(func() {
			deadline := time.Now().Add(time.Minute)
			for time.Now().Before(deadline) {
				for _, e := range drain(t, db, "shared") {
					mu.Lock()
					seen[e.Subject]++
					mu.Unlock()
				}
				mu.Lock()
				n := len(seen)
				mu.Unlock()
				if n == 200 {
					return
				}
			}
		})
	}
	all.Wait()
	for subject, n := range seen {
		if n != 1 {
			t.Errorf("%s was handed out %d times", subject, n)
		}
	}
	if len(seen) != 200 {
		t.Errorf("%d of 200 were handed out", len(seen))
	}
}

func TestPruneTakesTheOldThatEverybodyHasRead(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		for i := range 250 {
			emit(t, db, "request.denied", fmt.Sprint(i))
		}
		count := func() (n int) {
			if err := db.Read().QueryRowContext(t.Context(), `SELECT count(*) FROM events`).Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		if n, err := event.Prune(t.Context(), db, -time.Hour); err != nil || n != 0 || count() != 250 {
			t.Fatalf("pruned %d that nobody has read: %v", n, err)
		}
		drain(t, db, "a")
		if n, err := event.Prune(t.Context(), db, time.Hour); err != nil || n != 0 {
			t.Fatalf("pruned %d that are new: %v", n, err)
		}
		if n, err := event.Prune(t.Context(), db, -time.Hour); err != nil || n != 250 || count() != 0 {
			t.Fatalf("pruned %d: %v", n, err)
		}
		emit(t, db, "request.denied", "after")
		if got := drain(t, db, "a"); len(got) != 1 || got[0].Position != 251 {
			t.Errorf("a position was given twice: %+v", got)
		}
	})
}
