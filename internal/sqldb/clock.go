package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"
)

// SQLite has no clock of its own, so the machine's is the database's. All that
// is stored to happen later is told by it: a clock that is set back an hour
// would hold every lease, backoff and leadership for an hour. So the store's
// clock never goes back, and a restart keeps to what was shown before it; it
// goes at half speed until the machine's has caught up. It follows the
// machine's forwards at once: a machine that slept must find its tokens
// expired. PostgreSQL's clock is its server's, whose keeper sets it.
type clock struct {
	machine func() time.Time

	mu    sync.Mutex
	shown time.Time // the latest that was shown
	when  time.Time // this process's clock then; only ever compared with itself
	saved time.Time // the latest that a restart will know of
}

const (
	clockKey   = "clock"
	saveClock  = 5 * time.Second // commits were shown no more than this after what was saved
	worthAWord = time.Minute
)

// now shows the time.
func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.machine().UTC().Round(0)
	if t.Before(c.shown) {
		t = c.shown.Add(time.Since(c.when) / 2)
	}
	c.shown, c.when = t, time.Now()
	return t
}

// resume reads what was shown before this process, and tells how far the
// machine's clock is behind that.
func (c *clock) resume(ctx context.Context, q Querier) (behind time.Duration, err error) {
	var text string
	err = q.QueryRowContext(ctx, `SELECT value FROM settings WHERE key = $1`, clockKey).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read the store's clock: %w", err)
	}
	us, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, nil // damaged: the machine's clock is what is left
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.saved = time.UnixMicro(us).UTC()
	if behind = c.saved.Sub(c.machine()); behind <= 0 {
		return 0, nil
	}
	c.shown, c.when = c.saved.Add(saveClock), time.Now()
	return behind, nil
}

// save keeps what a group was shown, in its transaction, now and then. What it
// gives is to be called after the commit.
func (c *clock) save(g *groupTx) (func(), error) {
	c.mu.Lock()
	late := g.now.Sub(c.saved) >= saveClock
	c.mu.Unlock()
	if g.now.IsZero() || !late {
		return func() {}, nil
	}
	_, err := g.tx.ExecContext(g.ctx, `INSERT INTO settings (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value`,
		clockKey, strconv.FormatInt(g.now.UnixMicro(), 10))
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.saved = g.now
	}, err
}
