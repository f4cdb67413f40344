package queue

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

// op is one call to the queue, about one key.
type op struct {
	kind  string // enqueue, ask, claim, nothing, renew, write, done, retry, expire, release
	key   string
	who   string // the holder who claims or renews
	fence int64  // of the claim by which it is called
	value string // to write
}

// result is what a call gave.
type result struct {
	refused bool   // the fence was not the newest
	fence   int64  // of a claim, or of what was renewed; 0 is none
	before  string // what was written before this write
}

// lease is the model: what a queue with one row a key does, one call at a time.
type lease struct {
	there, due, again bool // a row, work to do, more work since the claim
	state             int  // free, held, over
	fence             int64
	holder, value     string
}

const (
	free = iota
	held
	over // the lease ran out, and nobody took the key since
)

// step tells whether a call may give a result, and what is then.
func step(s lease, o op, r result) (bool, lease) {
	newest := s.there && s.fence == o.fence
	switch o.kind {
	case "enqueue":
		s.there, s.due, s.again = true, true, s.state != free
		return true, s
	case "claim":
		ok := s.there && s.due && s.state != held && r.fence == s.fence+1
		s.fence, s.holder, s.state, s.again = r.fence, o.who, held, false
		return ok, s
	case "ask": // enqueued and claimed in one
		ok := s.state != held && r.fence == s.fence+1
		s.there, s.due, s.fence, s.holder, s.state, s.again = true, true, r.fence, o.who, held, false
		return ok, s
	case "nothing": // a claim that found nothing at all
		return !s.there || !s.due || s.state == held, s
	case "renew":
		if s.holder != o.who {
			return r.fence == 0, s
		}
		s.state = held
		return r.fence == s.fence, s
	case "write":
		if !newest {
			return r.refused, s
		}
		ok := !r.refused && r.before == s.value
		s.value = o.value
		return ok, s
	case "done", "retry":
		if !newest {
			return r.refused, s
		}
		s.due, s.state, s.holder, s.again = o.kind == "retry" || s.again, free, "", false
		return !r.refused, s
	case "expire":
		if s.state == held {
			s.state = over
		}
		return true, s
	case "release":
		if s.state != free {
			s.state, s.holder, s.fence = free, "", s.fence+1
		}
		return true, s
	}
	panic(o.kind)
}

var model = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		keys := map[string][]porcupine.Operation{}
		for _, o := range history {
			k := o.Input.(op).key
			keys[k] = append(keys[k], o)
		}
		var out [][]porcupine.Operation
		for _, list := range keys {
			out = append(out, list)
		}
		return out
	},
	Init: func() any { return lease{} },
	Step: func(state, input, output any) (bool, any) {
		ok, next := step(state.(lease), input.(op), output.(result))
		return ok, next
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v -> %+v", input, output) },
}

// history is what some workers were told.
type history struct {
	began time.Time
	mu    sync.Mutex
	ops   []porcupine.Operation
}

// took notes calls that began at from and end now, in one.
func (h *history) took(client int, from time.Duration, r result, ops ...op) {
	end := time.Since(h.began)
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, o := range ops {
		h.ops = append(h.ops, porcupine.Operation{ClientId: client, Input: o, Call: int64(from), Output: r, Return: int64(end)})
	}
}

var linearKeys = []string{"a", "b", "c"}

// worker calls the queue as a replica does, at random.
type worker struct {
	t      *testing.T
	h      *history
	db     *sqldb.DB
	id     int
	rnd    *rand.Rand
	mine   []*Claim
	strict bool          // a claim passes nothing over: one writer
	jump   func() bool   // makes every lease run out; nil when the clock is not ours
	lease  time.Duration // longer than the test
}

func (w *worker) name() string { return "w" + strconv.Itoa(w.id) }

func (w *worker) all(kind string) (ops []op) {
	for _, k := range linearKeys {
		ops = append(ops, op{kind: kind, key: k, who: w.name()})
	}
	return ops
}

func (w *worker) turn(ctx context.Context) error {
	from := time.Since(w.h.began)
	key := linearKeys[w.rnd.IntN(len(linearKeys))]
	note := func(r result, ops ...op) { w.h.took(w.id, from, r, ops...) }
	switch n := w.rnd.IntN(100); {
	case n < 8:
		var o *offered
		err := w.db.Write(ctx, "test.ask", func(tx *sqldb.Tx) (err error) {
			o, err = offer(ctx, tx, w.name(), Work{Key: key, Lane: "l", Team: "t"}, w.lease)
			return err
		})
		switch {
		case err != nil:
			return err
		case o.mine():
			w.mine = append(w.mine, o.claim)
			note(result{fence: o.claim.Fence}, op{kind: "ask", key: key, who: w.name()})
		default:
			note(result{}, op{kind: "enqueue", key: key})
		}
	case n < 20:
		err := w.db.Write(ctx, "test.enqueue", func(tx *sqldb.Tx) error { return Enqueue(ctx, tx, Work{Key: key, Lane: "l", Team: "t"}) })
		note(result{}, op{kind: "enqueue", key: key})
		return err
	case n < 50:
		got, err := claim(ctx, w.db, w.name(), "l", 1, w.lease)
		if err != nil {
			return err
		}
		if len(got) == 0 && w.strict {
			note(result{}, w.all("nothing")...)
		}
		for _, c := range got {
			w.mine = append(w.mine, c)
			note(result{fence: c.Fence}, op{kind: "claim", key: c.Key, who: w.name()})
		}
	case n < 58:
		got, err := renew(ctx, w.db, w.name(), linearKeys, w.lease)
		if err != nil {
			return err
		}
		for _, o := range w.all("renew") {
			i := slices.IndexFunc(got, func(v renewed) bool { return v.key == o.key })
			r := result{}
			if i >= 0 {
				r.fence = got[i].fence
			}
			note(r, o)
		}
	case n < 66:
		if w.jump != nil && w.rnd.IntN(2) == 0 {
			if w.jump() {
				note(result{}, w.all("expire")...)
			}
			return nil
		}
		err := w.db.Write(ctx, "test.expire", func(tx *sqldb.Tx) error {
			_, err := tx.ExecContext(ctx, `UPDATE queue SET lease_until = 1 WHERE key = $1 AND lease_until > 1`, key)
			return err
		})
		note(result{}, op{kind: "expire", key: key})
		return err
	case n < 69:
		err := Release(ctx, w.db)
		note(result{}, w.all("release")...)
		return err
	case len(w.mine) > 0:
		return w.use(ctx, w.mine[w.rnd.IntN(len(w.mine))], note)
	}
	return nil
}

// use calls by a claim, which may be lost long since.
func (w *worker) use(ctx context.Context, c *Claim, note func(result, ...op)) error {
	o := op{kind: []string{"write", "write", "done", "retry"}[w.rnd.IntN(4)], key: c.Key, fence: c.Fence, value: fmt.Sprintf("%s-%d", w.name(), w.rnd.Uint32())}
	var r result
	err := c.Write(ctx, "test."+o.kind, func(tx *sqldb.Tx) error {
		r = result{}
		switch o.kind {
		case "done":
			return c.Done(ctx, tx, 0)
		case "retry":
			return c.Retry(ctx, tx, 0, "again")
		}
		if err := tx.QueryRowContext(ctx, `SELECT coalesce(max(value), '') FROM settings WHERE key = $1`, o.key).Scan(&r.before); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO settings (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value`, o.key, o.value)
		return err
	})
	if errors.Is(err, ErrFenced) {
		r, err = result{refused: true}, nil
	}
	note(r, o)
	if o.kind != "write" { // an ended claim is not used again
		w.mine = slices.DeleteFunc(w.mine, func(m *Claim) bool { return m == c })
	}
	return err
}

// record lets workers loose on handles of one store.
func record(t *testing.T, strict bool, jump func() bool, handles ...*sqldb.DB) []porcupine.Operation {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	h := &history{began: time.Now()}
	var all sync.WaitGroup
	for i := range 6 {
		w := &worker{t: t, h: h, db: handles[i%len(handles)], id: i, rnd: rand.New(rand.NewPCG(seed, uint64(i))), strict: strict, jump: jump, lease: time.Hour}
		all.Go(func() {
			for range 60 {
				if err := w.turn(t.Context()); err != nil {
					t.Errorf("%s: %v", w.name(), err)
					return
				}
			}
		})
	}
	all.Wait()
	return h.ops
}

// TestClaimRenewReleaseAreLinearizable: whatever several workers are told at
// once could have been told to them one after another by a fenced lease.
func TestClaimRenewReleaseAreLinearizable(t *testing.T) {
	t.Parallel()
	// check tells whether the history, which must be linearizable, has all that
	// can happen in it. The dice and the machine's load say what happens.
	check := func(t *testing.T, ops []porcupine.Operation) (all bool) {
		t.Helper()
		count := map[string]int{}
		for _, o := range ops {
			kind := o.Input.(op).kind
			if o.Output.(result).refused {
				kind += " refused"
			}
			count[kind]++
		}
		t.Logf("%v", count)
		all = true
		for _, kind := range []string{"claim", "renew", "expire", "write", "write refused", "done"} {
			all = all && count[kind] > 0
		}
		if got := porcupine.CheckOperationsTimeout(model, ops, time.Minute); got != porcupine.Ok {
			t.Fatalf("the history is %s", got)
		}
		// The check of the check: one stale write that was taken after all.
		i := slices.IndexFunc(ops, func(o porcupine.Operation) bool {
			return o.Input.(op).kind == "write" && o.Output.(result).refused
		})
		if i >= 0 {
			ops[i].Output = result{before: "nobody wrote this"}
			if got := porcupine.CheckOperationsTimeout(model, ops, time.Minute); got != porcupine.Illegal {
				t.Errorf("a history with a stale write is %s", got)
			}
		}
		return all
	}
	untilAll := func(t *testing.T, history func() []porcupine.Operation) {
		t.Helper()
		for range 5 {
			if check(t, history()) {
				return
			}
		}
		t.Error("in five histories not all was tried that can happen")
	}
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		untilAll(t, func() []porcupine.Operation {
			var hours atomic.Int64
			began := time.Now()
			clock := func() time.Time { return began.Add(time.Duration(hours.Load()) * time.Hour) }
			db := sqldbtest.Open(t, sqldb.Options{URL: "sqlite:" + filepath.Join(t.TempDir(), "store.db"), Clock: clock})
			return record(t, true, func() bool { hours.Add(2); return true }, db)
		})
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		untilAll(t, func() []porcupine.Operation {
			u := sqldbtest.PostgresURL(t)
			var replicas []*sqldb.DB
			for range 3 {
				replicas = append(replicas, sqldbtest.Open(t, sqldb.Options{URL: u}))
			}
			return record(t, false, nil, replicas...)
		})
	})
}

// TestBrokenLeasesAreRefused is the check of the check.
func TestBrokenLeasesAreRefused(t *testing.T) {
	t.Parallel()
	type call struct {
		op op
		r  result
	}
	enqueue := call{op{kind: "enqueue"}, result{}}
	take := func(who string, fence int64) call { return call{op{kind: "claim", who: who}, result{fence: fence}} }
	ask := func(who string, fence int64) call { return call{op{kind: "ask", who: who}, result{fence: fence}} }
	by := func(kind string, fence int64, r result) call {
		return call{op{kind: kind, fence: fence, value: kind}, r}
	}
	expire := call{op{kind: "expire"}, result{}}
	for _, c := range []struct {
		why   string
		want  bool
		calls []call
	}{
		{"a lease runs out, another takes over, the first is refused", true, []call{enqueue, take("x", 1), expire, take("y", 2), by("write", 1, result{refused: true}), by("write", 2, result{}), by("done", 2, result{})}},
		{"a lease that ran out is renewed before anybody took the key", true, []call{enqueue, take("x", 1), expire, {op{kind: "renew", who: "x"}, result{fence: 1}}, by("done", 1, result{})}},
		{"work that came meanwhile is due after the end", true, []call{enqueue, take("x", 1), enqueue, by("done", 1, result{}), take("y", 2)}},
		{"claimed twice", false, []call{enqueue, take("x", 1), take("y", 2)}},
		{"claimed twice under one fence", false, []call{enqueue, take("x", 1), expire, take("y", 1)}},
		{"claimed though nothing is due", false, []call{enqueue, take("x", 1), by("done", 1, result{}), take("y", 2)}},
		{"a stale write is taken", false, []call{enqueue, take("x", 1), expire, take("y", 2), by("write", 1, result{})}},
		{"a good write is refused", false, []call{enqueue, take("x", 1), by("write", 1, result{refused: true})}},
		{"a write is lost", false, []call{enqueue, take("x", 1), by("write", 1, result{}), by("write", 1, result{})}},
		{"somebody else's lease is renewed", false, []call{enqueue, take("x", 1), {op{kind: "renew", who: "y"}, result{fence: 1}}}},
		{"what is due is not found", false, []call{enqueue, {op{kind: "nothing"}, result{}}}},
		{"claimed by who asked, and lost to nobody", true, []call{ask("x", 1), by("write", 1, result{}), by("done", 1, result{})}},
		{"claimed by who asked while somebody has it", false, []call{enqueue, take("x", 1), ask("y", 2)}},
		{"claimed by who asked under an old fence", false, []call{enqueue, take("x", 1), by("done", 1, result{}), ask("y", 1)}},
		{"a lease that was given back holds on", false, []call{enqueue, take("x", 1), {op{kind: "release"}, result{}}, by("write", 1, result{})}},
	} {
		var ops []porcupine.Operation
		for i, v := range c.calls {
			v.op.key = "k"
			ops = append(ops, porcupine.Operation{Input: v.op, Output: v.r, Call: int64(2 * i), Return: int64(2*i + 1)})
		}
		if got := porcupine.CheckOperations(model, ops); got != c.want {
			t.Errorf("%s: %v, not %v", c.why, got, c.want)
		}
	}
}
