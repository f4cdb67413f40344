package queue_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"fairlead/internal/queue"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

func enqueue(t *testing.T, db *sqldb.DB, works ...queue.Work) {
	t.Helper()
	err := db.Write(t.Context(), "test.enqueue", func(tx *sqldb.Tx) error {
		for _, w := range works {
			if err := queue.Enqueue(t.Context(), tx, w); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// run starts a runner that ends with the test.
func run(t *testing.T, o queue.Options) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { queue.NewRunner(o).Run(ctx) })
	stop = func() { cancel(); wg.Wait() }
	t.Cleanup(stop)
	return stop
}

func done(ctx context.Context, c *queue.Claim) error {
	return c.Write(ctx, "test.done", func(tx *sqldb.Tx) error { return c.Done(ctx, tx, 0) })
}

func receive[T any](t *testing.T, ch <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(30 * time.Second):
		t.Fatalf("timed out waiting for %s", what)
		panic("unreachable")
	}
}

func TestEachKeyIsWorkedOnByOneAtATime(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		var mu sync.Mutex
		busy, seen := map[string]bool{}, map[string]int{}
		finished := make(chan string, 1000)
		handle := func(ctx context.Context, c *queue.Claim) error {
			mu.Lock()
			if busy[c.Key] {
				t.Errorf("%s is worked on twice at once", c.Key)
			}
			busy[c.Key] = true
			seen[c.Key]++
			mu.Unlock()
			defer func() {
				mu.Lock()
				busy[c.Key] = false
				mu.Unlock()
				finished <- c.Key
			}()
			return done(ctx, c)
		}
		for range 3 { // three replicas
			run(t, queue.Options{DB: db, Lanes: map[string]int{"null": 4}, Handle: handle})
		}
		for i := range 60 {
			enqueue(t, db, queue.Work{Key: fmt.Sprint("k", i), Lane: "null", Team: fmt.Sprint("t", i%3)})
		}
		for range 60 {
			receive(t, finished, "60 keys")
		}
		mu.Lock()
		defer mu.Unlock()
		if len(seen) != 60 {
			t.Errorf("%d keys were seen", len(seen))
		}
	})
}

func TestOneTeamsThousandDoNotStarveAnothersOne(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		var works []queue.Work
		for i := range 1000 {
			works = append(works, queue.Work{Key: fmt.Sprint("big", i), Lane: "null", Team: "big"})
		}
		enqueue(t, db, works...)
		enqueue(t, db, queue.Work{Key: "small", Lane: "null", Team: "small"})
		order := make(chan string, 2000)
		run(t, queue.Options{DB: db, Lanes: map[string]int{"null": 2}, Handle: func(ctx context.Context, c *queue.Claim) error {
			order <- c.Team
			return done(ctx, c)
		}})
		for i := range 10 {
			if receive(t, order, "the small team") == "small" {
				return
			}
			_ = i
		}
		t.Error("the small team's one request stands behind ten of the big one's")
	})
}

func TestWorkEnqueuedMeanwhileIsLookedAtAgain(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		claims := make(chan *queue.Claim)
		goOn := make(chan struct{})
		run(t, queue.Options{DB: db, Lanes: map[string]int{"null": 1}, Handle: func(ctx context.Context, c *queue.Claim) error {
			claims <- c
			<-goOn
			return done(ctx, c)
		}})
		w := queue.Work{Key: "k", Lane: "null", Team: "t"}
		enqueue(t, db, w)
		first := receive(t, claims, "the first claim")
		enqueue(t, db, w)
		enqueue(t, db, w)
		goOn <- struct{}{}
		second := receive(t, claims, "the second claim")
		goOn <- struct{}{}
		if second.Fence <= first.Fence || second.Generation != 3 {
			t.Errorf("fences %d, %d; generation %d", first.Fence, second.Fence, second.Generation)
		}
	})
}

func TestAStaleClaimWritesNothing(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		claims := make(chan *queue.Claim, 2)
		cause := make(chan error, 2)
		slow := func(ctx context.Context, c *queue.Claim) error {
			claims <- c
			<-ctx.Done()
			cause <- context.Cause(ctx)
			return ctx.Err()
		}
		run(t, queue.Options{DB: db, Lanes: map[string]int{"null": 1}, Handle: slow, Lease: 300 * time.Millisecond})
		enqueue(t, db, queue.Work{Key: "k", Lane: "null", Team: "t"})
		stale := receive(t, claims, "the first claim")
		// What a peer does after the lease ran out, in one step.
		if err := queue.Release(t.Context(), db); err != nil {
			t.Fatal(err)
		}
		err := stale.Write(t.Context(), "test.stale", func(tx *sqldb.Tx) error {
			_, err := tx.ExecContext(t.Context(), `INSERT INTO settings (key, value) VALUES ('stale', '')`)
			return err
		})
		if !errors.Is(err, queue.ErrFenced) {
			t.Errorf("a stale write: %v", err)
		}
		err = stale.Write(t.Context(), "test.stale", func(tx *sqldb.Tx) error {
			return tx.Later(t.Context(), `INSERT INTO settings (key, value) VALUES ('stale', '')`)
		})
		if !errors.Is(err, queue.ErrFenced) {
			t.Errorf("a stale write that looks at nothing: %v", err)
		}
		var n int
		if err := db.Read().QueryRowContext(t.Context(), `SELECT count(*) FROM settings WHERE key = 'stale'`).Scan(&n); err != nil || n != 0 {
			t.Errorf("stale writes left %d rows, %v", n, err)
		}
		if err := receive(t, cause, "the heartbeat to notice"); !errors.Is(err, queue.ErrFenced) {
			t.Errorf("the handler was told %v", err)
		}
	})
}

func TestTheHeartbeatKeepsALongHandlersLease(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		claims := make(chan *queue.Claim, 10)
		goOn := make(chan struct{})
		for range 2 {
			run(t, queue.Options{DB: db, Lanes: map[string]int{"null": 1}, Lease: 300 * time.Millisecond, Poll: 20 * time.Millisecond,
				Handle: func(ctx context.Context, c *queue.Claim) error {
					claims <- c
					select {
					case <-goOn:
					case <-ctx.Done():
					}
					return done(ctx, c)
				}})
		}
		enqueue(t, db, queue.Work{Key: "k", Lane: "null", Team: "t"})
		receive(t, claims, "the claim")
		select {
		case c := <-claims:
			t.Errorf("claimed again with fence %d while the first holder is alive", c.Fence)
		case <-time.After(1500 * time.Millisecond): // five leases: the time is the thing under test
		}
		close(goOn)
	})
}

func TestCancelReachesTheHandler(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		claims, cause := make(chan *queue.Claim, 1), make(chan error, 1)
		run(t, queue.Options{DB: db, Lanes: map[string]int{"null": 1}, Handle: func(ctx context.Context, c *queue.Claim) error {
			claims <- c
			<-ctx.Done()
			cause <- context.Cause(ctx)
			return done(context.WithoutCancel(ctx), c)
		}})
		enqueue(t, db, queue.Work{Key: "k", Lane: "null", Team: "t"})
		receive(t, claims, "the claim")
		err := db.Write(t.Context(), "test.cancel", func(tx *sqldb.Tx) error {
			found, err := queue.RequestCancel(t.Context(), tx, "k")
			if !found {
				t.Error("no such row")
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := receive(t, cause, "the handler"); !errors.Is(err, queue.ErrCanceled) {
			t.Errorf("told %v", err)
		}
	})
}

func TestStoppingGivesLeasesBackAtOnce(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		claims := make(chan *queue.Claim, 1)
		stop := run(t, queue.Options{DB: db, Lanes: map[string]int{"null": 1}, Handle: func(ctx context.Context, c *queue.Claim) error {
			claims <- c
			<-ctx.Done()
			return ctx.Err()
		}})
		enqueue(t, db, queue.Work{Key: "k", Lane: "null", Team: "t"})
		receive(t, claims, "the claim")
		stop()
		again := make(chan *queue.Claim, 1)
		run(t, queue.Options{DB: db, Lanes: map[string]int{"null": 1}, Handle: func(ctx context.Context, c *queue.Claim) error {
			again <- c
			return done(ctx, c)
		}})
		receive(t, again, "the successor, well before the lease of 30 s is over")
	})
}

func TestAPanicIsRetriedAndSpoilsNoNeighbour(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		good := make(chan string, 10)
		run(t, queue.Options{DB: db, Lanes: map[string]int{"null": 1}, Handle: func(ctx context.Context, c *queue.Claim) error {
			if c.Key == "poison" && c.Attempt == 1 {
				panic("poison")
			}
			good <- c.Key
			return done(ctx, c)
		}})
		enqueue(t, db, queue.Work{Key: "poison", Lane: "null", Team: "t"}, queue.Work{Key: "fine", Lane: "null", Team: "t"})
		got := receive(t, good, "a neighbour") + " " + receive(t, good, "the retry")
		if got != "fine poison" {
			t.Errorf("order %q", got)
		}
	})
}

func TestBackoffGrowsAndIsBounded(t *testing.T) {
	t.Parallel()
	for attempt, most := range map[int]time.Duration{0: time.Second, 1: time.Second, 2: 2 * time.Second, 5: 16 * time.Second, 50: 5 * time.Minute} {
		for range 100 {
			if d := queue.Backoff(attempt); d > most || d < most/2 {
				t.Errorf("attempt %d: %v, want %v to %v", attempt, d, most/2, most)
			}
		}
	}
}
