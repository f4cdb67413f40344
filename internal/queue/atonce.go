package queue

import (
	"context"
	"time"

	"fairlead/internal/sqldb"
)

// Enqueue is the package's Enqueue for whoever asks next to this runner: when
// it has a free place for the work, and nothing else of the lane is due, the
// work is claimed in the same transaction and handed to the handler after the
// commit. Nobody is passed over: with something due in the lane, whoever's it
// is, the work stands in the queue like any other. A claim whose commit comes
// to nothing never was; one whose process dies before the handler runs has a
// lease that runs out, as any other's.
func (r *Runner) Enqueue(ctx context.Context, tx *sqldb.Tx, w Work) error {
	p := r.places[w.Lane]
	if w.After > 0 || p == nil || tx.DB() != r.o.DB || r.holds(w.Key) {
		return Enqueue(ctx, tx, w)
	}
	base, ok := p.reserve()
	if !ok {
		return Enqueue(ctx, tx, w)
	}
	tx.Undone(func() { p.vacate(false) })
	o, err := offer(ctx, tx, r.holder, w, r.o.Lease)
	if err != nil {
		return err
	}
	told := o.answered && !o.mine()
	if told {
		tx.Notify(topic(w.Lane), "")
	}
	tx.After(func() {
		switch {
		case o.mine():
			r.start(base, p, o.claim)
		case told:
			p.vacate(false)
		default: // the answer came too late to tell the others with the commit
			go func() {
				r.rouse(w.Lane)
				p.vacate(true)
			}()
		}
	})
	return nil
}

// offered is work that was enqueued for whoever enqueued it.
type offered struct {
	claim    *Claim
	claimed  int64 // the generation that somebody has claimed
	answered bool
}

// mine tells, once it was answered, whether it is this claim that has it.
func (o *offered) mine() bool { return o.answered && o.claimed == o.claim.Generation }

// offer enqueues w and claims it for holder if it may be claimed. The answer
// may come with that of a later statement, and is there after the commit.
func offer(ctx context.Context, tx *sqldb.Tx, holder string, w Work, lease time.Duration) (*offered, error) {
	now := tx.Now()
	o := &offered{claim: &Claim{Key: w.Key, Lane: w.Lane, Team: w.Team, db: tx.DB()}}
	c := o.claim
	err := tx.LaterRow(ctx, func(row sqldb.Row) error {
		var canceled int64
		err := row.Scan(&c.Generation, &o.claimed, &c.Fence, &c.Attempt, &canceled)
		o.answered, c.Canceled = true, canceled != 0
		return err
	}, atOnceSQL, w.Key, w.Lane, w.Team, now.UnixMicro(), holder, now.Add(lease).UnixMicro())
	return o, err
}

// atOnceSQL enqueues $1 and claims it, unless somebody holds it or something
// else of its lane is due. It is ours when what was claimed is the newest.
const atOnceSQL = `
	INSERT INTO queue (key, lane, team, generation, due_at, holder, lease_until, fence, attempts, claimed_generation)
	SELECT $1, $2, $3, 1, CAST($4 AS BIGINT), CASE WHEN may.be = 1 THEN $5 ELSE '' END, CASE WHEN may.be = 1 THEN CAST($6 AS BIGINT) ELSE 0 END, may.be, may.be, may.be
	FROM (SELECT CASE WHEN EXISTS (
		SELECT 1 FROM queue d WHERE d.lane = $2 AND d.due_at <= CAST($4 AS BIGINT) AND d.lease_until <= CAST($4 AS BIGINT) AND d.key <> $1
	) THEN 0 ELSE 1 END AS be) may WHERE true
	ON CONFLICT (key) DO UPDATE SET
		lane = excluded.lane, team = excluded.team, generation = queue.generation + 1,
		due_at = CASE WHEN queue.due_at IS NULL OR queue.due_at > excluded.due_at THEN excluded.due_at ELSE queue.due_at END,
		holder = CASE WHEN queue.lease_until <= excluded.due_at AND excluded.fence = 1 THEN excluded.holder ELSE queue.holder END,
		lease_until = CASE WHEN queue.lease_until <= excluded.due_at AND excluded.fence = 1 THEN excluded.lease_until ELSE queue.lease_until END,
		fence = queue.fence + CASE WHEN queue.lease_until <= excluded.due_at THEN excluded.fence ELSE 0 END,
		attempts = CASE WHEN queue.lease_until <= excluded.due_at THEN excluded.fence ELSE 0 END,
		claimed_generation = CASE WHEN queue.lease_until <= excluded.due_at AND excluded.fence = 1 THEN queue.generation + 1 ELSE queue.claimed_generation END
	RETURNING generation, claimed_generation, fence, attempts, cancel_requested`

// rouse wakes a lane in every replica.
func (r *Runner) rouse(lane string) {
	ctx, done := context.WithTimeout(context.Background(), 10*time.Second)
	defer done()
	err := r.o.DB.Write(ctx, "queue.rouse", func(tx *sqldb.Tx) error {
		tx.Notify(topic(lane), "")
		return nil
	})
	if err != nil {
		r.o.Log.Info("a lane could not be woken; it looks by itself", "lane", lane, "error", err)
	}
}

// holds tells whether this runner works on a key.
func (r *Runner) holds(key string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.held[key] != nil
}
