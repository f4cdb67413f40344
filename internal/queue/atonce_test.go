package queue

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

// row is a key of the queue as it stands.
type row struct {
	holder             string
	generation, fence  int64
	claimed, lease     int64
	due                *int64
	canceled, attempts int64
}

func at(t *testing.T, db *sqldb.DB, key string) (v row) {
	t.Helper()
	err := db.Read().QueryRowContext(t.Context(), `SELECT holder, generation, fence, claimed_generation, lease_until, due_at, cancel_requested, attempts FROM queue WHERE key = $1`, key).
		Scan(&v.holder, &v.generation, &v.fence, &v.claimed, &v.lease, &v.due, &v.canceled, &v.attempts)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// idle is a runner of one lane whose loop has looked and found nothing, and
// looks no more: so that a test says what is due.
func idle(t *testing.T, db *sqldb.DB, lane string, n int, h Handler) (*Runner, *places) {
	t.Helper()
	r := NewRunner(Options{DB: db, Lanes: map[string]int{lane: n}, Handle: h})
	p := r.places[lane]
	base, end := context.WithCancelCause(context.Background())
	p.open(base)
	p.looked(p.takeFree(), false)
	t.Cleanup(func() { end(ErrStopping); p.shut() })
	return r, p
}

func write(t *testing.T, db *sqldb.DB, fn func(tx *sqldb.Tx) error) {
	t.Helper()
	if err := db.Write(t.Context(), "test.write", fn); err != nil {
		t.Fatal(err)
	}
}

// occupy takes n places, as work that goes on does.
func (p *places) occupy(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free -= n
	p.taken.Add(n)
}

func (p *places) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.free
}

func TestWhoMayClaimAtOnce(t *testing.T) {
	t.Parallel()
	type other struct {
		key, lane, team string
		due, held       time.Duration // from now; due 0 is nothing to do, held 0 nobody
	}
	cases := []struct {
		why   string
		queue []other
		work  Work
		taken int // places that are
		stale bool
		want  bool
	}{
		{why: "nothing else is there", want: true},
		{why: "the team's own work is due", queue: []other{{"a", "l", "t", -time.Second, 0}}},
		{why: "another team's work is due", queue: []other{{"a", "l", "other", -time.Second, 0}}},
		{why: "work of a worker that died is due", queue: []other{{"a", "l", "other", -time.Hour, -time.Second}}},
		{why: "work is due that was held and given back", queue: []other{{"a", "l", "other", -time.Hour, 0}}},
		{why: "others are at work", queue: []other{{"a", "l", "other", -time.Hour, time.Hour}, {"b", "l", "t", -time.Hour, time.Hour}}, want: true},
		{why: "work is due later", queue: []other{{"a", "l", "other", time.Minute, 0}}, want: true},
		{why: "others have nothing to do", queue: []other{{"a", "l", "other", 0, 0}}, want: true},
		{why: "work of another lane is due", queue: []other{{"a", "m", "other", -time.Second, 0}}, want: true},
		{why: "it rested", queue: []other{{"k", "l", "t", 0, 0}}, want: true},
		{why: "it waited for a later time", queue: []other{{"k", "l", "t", time.Hour, 0}}, want: true},
		{why: "it is due itself, alone", queue: []other{{"k", "l", "t", -time.Second, 0}}, want: true},
		{why: "it was held by a worker that died", queue: []other{{"k", "l", "t", -time.Hour, -time.Second}}, want: true},
		{why: "somebody else works on it", queue: []other{{"k", "l", "t", -time.Hour, time.Hour}}},
		{why: "it came from another lane", queue: []other{{"k", "m", "t", 0, 0}}, want: true},
		{why: "it is for later", work: Work{Key: "k", Lane: "l", Team: "t", After: time.Minute}},
		{why: "the lane is nobody's here", work: Work{Key: "k", Lane: "m", Team: "t"}},
		{why: "no place is free", taken: 4},
		{why: "half of the places are taken: many ask", taken: 2},
		{why: "most of the places are free", taken: 1, want: true},
		{why: "there may be something that was not looked for", stale: true},
	}
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		for i, c := range cases {
			own := func(name string) string { return fmt.Sprint(name, i) } // a lane and keys of its own
			got := make(chan *Claim, 1)
			r, p := idle(t, db, own("l"), 4, func(ctx context.Context, c *Claim) error {
				got <- c
				return c.Write(ctx, "test.done", func(tx *sqldb.Tx) error { return c.Done(ctx, tx, 0) })
			})
			write(t, db, func(tx *sqldb.Tx) error {
				for _, o := range c.queue {
					var due any
					lease := int64(0)
					if o.due != 0 {
						due = tx.Now().Add(o.due).UnixMicro()
					}
					if o.held != 0 {
						lease = tx.Now().Add(o.held).UnixMicro()
					}
					_, err := tx.ExecContext(t.Context(), `INSERT INTO queue (key, lane, team, generation, claimed_generation, fence, attempts, due_at, lease_until, holder)
						VALUES ($1, $2, $3, 7, 7, 5, 3, $4, $5, 'wkr_other')`, own(o.key), own(o.lane), o.team, due, lease)
					if err != nil {
						return err
					}
				}
				return nil
			})
			p.occupy(c.taken)
			if c.stale {
				p.stale()
			}
			free := p.count()
			w := c.work
			if w.Key == "" {
				w = Work{Key: "k", Lane: "l", Team: "t"}
			}
			w.Key, w.Lane = own(w.Key), own(w.Lane)
			wake, stop := db.Subscribe(topic(w.Lane))
			write(t, db, func(tx *sqldb.Tx) error { return r.Enqueue(t.Context(), tx, w) })
			switch k := at(t, db, w.Key); {
			case c.want:
				claim := <-got
				for p.count() != free {
					time.Sleep(time.Millisecond)
				}
				k = at(t, db, w.Key)
				if claim.Fence != k.fence || claim.Generation != k.generation || claim.Attempt != 1 || claim.Lane != w.Lane || claim.Team != "t" || k.claimed != k.generation {
					t.Errorf("%s: claimed %+v of %+v", c.why, claim, k)
				}
				if k.due != nil || k.lease != 0 || k.holder != "" {
					t.Errorf("%s: after its end %+v", c.why, k)
				}
			case k.holder == r.holder || k.claimed == k.generation:
				t.Errorf("%s: claimed %+v", c.why, k)
			default:
				if w.After == 0 {
					<-wake // whoever may, looks
				}
				for p.count() != free {
					time.Sleep(time.Millisecond)
				}
				if len(got) != 0 {
					t.Errorf("%s: it was handed over", c.why)
				}
			}
			stop()
			for range c.taken {
				p.vacate(false)
			}
		}
	})
}

func TestAClaimWhoseCommitComesToNothingNeverWas(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		got := make(chan string, 100)
		r, p := idle(t, db, "l", 80, func(ctx context.Context, c *Claim) error {
			got <- c.Key
			return c.Write(ctx, "test.done", func(tx *sqldb.Tx) error { return c.Done(ctx, tx, 0) })
		})
		boom := errors.New("boom")
		var all sync.WaitGroup
		for i := range 30 { // in groups that are run again because of a neighbour
			all.Go(func() {
				err := db.Write(t.Context(), "test.ask", func(tx *sqldb.Tx) error {
					if err := r.Enqueue(t.Context(), tx, Work{Key: fmt.Sprint("k", i), Lane: "l", Team: "t"}); err != nil {
						return err
					}
					switch i % 3 {
					case 1:
						return boom
					case 2:
						panic("boom")
					}
					return nil
				})
				if (err == nil) != (i%3 == 0) {
					t.Errorf("%d: %v", i, err)
				}
			})
		}
		all.Wait()
		seen := map[string]bool{}
		for range 10 {
			seen[<-got] = true
		}
		for p.count() != 80 {
			time.Sleep(time.Millisecond)
		}
		var n int
		if err := db.Read().QueryRowContext(t.Context(), `SELECT count(*) FROM queue`).Scan(&n); err != nil || n != 10 || len(seen) != 10 || len(got) != 0 {
			t.Errorf("%d rows, %d worked on, %d too many, %v", n, len(seen), len(got), err)
		}
		// The whole group is refused.
		db.SetFlusher(func(context.Context, *sqldb.Tx, []any) error { return boom })
		err := db.Write(t.Context(), "test.ask", func(tx *sqldb.Tx) error {
			tx.Collect("a record")
			return r.Enqueue(t.Context(), tx, Work{Key: "refused", Lane: "l", Team: "t"})
		})
		if !errors.Is(err, boom) || p.count() != 80 || len(got) != 0 {
			t.Errorf("%v; %d places", err, p.count())
		}
	})
}

func TestStoppingBetweenTheCommitAndTheWorkGivesTheLeaseBack(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		told := make(chan error, 1)
		r := NewRunner(Options{DB: db, Lanes: map[string]int{"l": 1}, Handle: func(ctx context.Context, _ *Claim) error {
			<-ctx.Done()
			told <- context.Cause(ctx)
			return ctx.Err()
		}})
		ctx, stop := context.WithCancel(context.Background())
		defer stop()
		ended := make(chan struct{})
		go func() { r.Run(ctx); close(ended) }()
		for { // until its loop has looked
			if _, ok := r.places["l"].reserve(); ok {
				r.places["l"].vacate(false)
				break
			}
			time.Sleep(time.Millisecond)
		}
		write(t, db, func(tx *sqldb.Tx) error {
			err := r.Enqueue(t.Context(), tx, Work{Key: "k", Lane: "l", Team: "t"})
			stop() // while it is being committed
			return err
		})
		<-ended
		if err := <-told; !errors.Is(err, ErrStopping) {
			t.Errorf("the handler was told %v", err)
		}
		if k := at(t, db, "k"); k.holder != "" || k.lease != 0 || k.due == nil || k.fence != 1 {
			t.Errorf("%+v", k)
		}
		// Whoever asks afterwards stands in the queue.
		write(t, db, func(tx *sqldb.Tx) error { return r.Enqueue(t.Context(), tx, Work{Key: "late", Lane: "l", Team: "t"}) })
		if k := at(t, db, "late"); k.holder != "" || k.due == nil {
			t.Errorf("%+v", k)
		}
	})
}

func TestWorkAskedForMeanwhileComesAfterAClaimAtOnce(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		claims, goOn := make(chan *Claim, 9), make(chan struct{})
		r := NewRunner(Options{DB: db, Lanes: map[string]int{"l": 2}, Poll: time.Hour, Handle: func(ctx context.Context, c *Claim) error {
			claims <- c
			<-goOn
			return c.Write(ctx, "test.done", func(tx *sqldb.Tx) error { return c.Done(ctx, tx, 0) })
		}})
		ctx, stop := context.WithCancel(context.Background())
		ended := make(chan struct{})
		go func() { r.Run(ctx); close(ended) }()
		defer func() { stop(); <-ended }()
		ask := func() {
			write(t, db, func(tx *sqldb.Tx) error { return r.Enqueue(t.Context(), tx, Work{Key: "k", Lane: "l", Team: "t"}) })
		}
		ask()
		first := <-claims
		ask()
		ask()
		goOn <- struct{}{}
		second := <-claims
		goOn <- struct{}{}
		if second.Fence <= first.Fence || second.Generation != 3 {
			t.Errorf("fences %d, %d; generation %d", first.Fence, second.Fence, second.Generation)
		}
	})
}

// TestClaimsAtOnceAndFromTheQueueNeverMeet has several replicas ask for the
// same keys at once, with transactions that fail now and then: each key is
// worked on by one at a time, none is left, and every place is free at the end.
func TestClaimsAtOnceAndFromTheQueueNeverMeet(t *testing.T) {
	t.Parallel()
	race := func(t *testing.T, handles ...*sqldb.DB) {
		var mu sync.Mutex
		busy, wanted, done := map[string]bool{}, map[string]int{}, map[string]int{}
		handle := func(db *sqldb.DB) Handler {
			return func(ctx context.Context, c *Claim) error {
				mu.Lock()
				if busy[c.Key] {
					t.Errorf("%s is worked on twice at once", c.Key)
				}
				busy[c.Key] = true
				asked := wanted[c.Key] // all of what was asked for before is seen to
				mu.Unlock()
				defer func() {
					mu.Lock()
					busy[c.Key] = false
					done[c.Key] = max(done[c.Key], asked)
					mu.Unlock()
				}()
				return c.Write(ctx, "test.done", func(tx *sqldb.Tx) error {
					mu.Lock()
					busy[c.Key] = false // the commit lets others in
					mu.Unlock()
					return c.Done(ctx, tx, 0)
				})
			}
		}
		ctx, stop := context.WithCancel(context.Background())
		var running, asking sync.WaitGroup
		var runners []*Runner
		for _, db := range handles {
			r := NewRunner(Options{DB: db, Lanes: map[string]int{"l": 3}, Handle: handle(db)})
			runners = append(runners, r)
			running.Go(func() { r.Run(ctx) })
		}
		seed := rand.Uint64()
		for i := range 9 {
			dice := rand.New(rand.NewPCG(seed, uint64(i)))
			r := runners[i%len(runners)]
			asking.Go(func() {
				for range 25 {
					key := fmt.Sprint("k", dice.IntN(12))
					fails := dice.IntN(5) == 0
					err := r.o.DB.Write(t.Context(), "test.ask", func(tx *sqldb.Tx) error {
						if err := r.Enqueue(t.Context(), tx, Work{Key: key, Lane: "l", Team: fmt.Sprint("t", dice.IntN(3))}); err != nil {
							return err
						}
						if fails {
							return errors.New("boom")
						}
						mu.Lock()
						wanted[key]++
						mu.Unlock()
						return nil
					})
					if (err != nil) != fails {
						t.Errorf("seed %d: %v", seed, err)
					}
				}
			})
		}
		asking.Wait()
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			var left int
			if err := handles[0].Read().QueryRowContext(t.Context(), `SELECT count(*) FROM queue WHERE due_at IS NOT NULL`).Scan(&left); err != nil {
				t.Fatal(err)
			}
			if left == 0 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("seed %d: %d keys are left", seed, left)
			}
		}
		stop()
		running.Wait()
		for _, r := range runners {
			if n := r.places["l"].count(); n != 3 {
				t.Errorf("seed %d: %d places are free", seed, n)
			}
		}
		mu.Lock()
		defer mu.Unlock()
		for key := range wanted {
			if done[key] == 0 {
				t.Errorf("seed %d: %s was never worked on", seed, key)
			}
		}
	}
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		race(t, sqldbtest.Open(t, sqldb.Options{URL: "sqlite:" + t.TempDir() + "/s.db"}))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		u := sqldbtest.PostgresURL(t)
		race(t, sqldbtest.Open(t, sqldb.Options{URL: u}), sqldbtest.Open(t, sqldb.Options{URL: u}), sqldbtest.Open(t, sqldb.Options{URL: u}))
	})
}
