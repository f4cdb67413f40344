package loop

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"fairlead/internal/ident"
	"fairlead/internal/sqldb"
)

// Loop is one piece of recurring work.
type Loop struct {
	Name  string
	Every time.Duration // between the end of one pass and the start of the next, with some jitter
	Wake  string        // a sqldb topic that starts a pass early; "" for none
	Once  bool          // on one replica at a time only
	Do    func(ctx context.Context) error
}

// Group runs loops until its context ends.
type Group struct {
	DB     *sqldb.DB
	Log    *slog.Logger
	holder string
}

// NewGroup makes a Group for one replica.
func NewGroup(db *sqldb.DB, log *slog.Logger) *Group {
	return &Group{DB: db, Log: log, holder: ident.New("ldr")}
}

// Run runs l until ctx ends. A pass that fails or panics is logged, and the
// next one comes at its time.
func (g *Group) Run(ctx context.Context, l Loop) {
	var wake <-chan string
	if l.Wake != "" {
		ch, stop := g.DB.Subscribe(l.Wake)
		defer stop()
		wake = ch
	}
	for {
		if err := g.pass(ctx, l); err != nil && ctx.Err() == nil {
			g.Log.Warn("a background loop failed; it goes on at its next turn", "loop", l.Name, "error", err)
		}
		timer := time.NewTimer(l.Every - l.Every/10 + time.Duration(rand.Int64N(int64(l.Every/5)+1)))
		select {
		case <-ctx.Done():
			timer.Stop()
			if l.Once {
				g.resign(l.Name)
			}
			return
		case <-wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

func (g *Group) pass(ctx context.Context, l Loop) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	if l.Once {
		lead, err := g.lead(ctx, l.Name, max(3*l.Every, 15*time.Second))
		if err != nil || !lead {
			return err
		}
	}
	return l.Do(ctx)
}

// lead takes or keeps the leadership of a loop. A leader whose lease ran out
// in mid-pass may overlap with the next one: what a loop does must bear that,
// by a claim's fence or by being idempotent.
func (g *Group) lead(ctx context.Context, name string, lease time.Duration) (bool, error) {
	lead := false
	err := g.DB.Write(ctx, "loop.lead", func(tx *sqldb.Tx) error {
		now := tx.Now()
		res, err := tx.ExecContext(ctx, `
			INSERT INTO leaders (name, holder, fence, lease_until) VALUES ($1, $2, 1, $3)
			ON CONFLICT (name) DO UPDATE SET
				fence = CASE WHEN leaders.holder = excluded.holder THEN leaders.fence ELSE leaders.fence + 1 END,
				holder = excluded.holder, lease_until = excluded.lease_until
			WHERE leaders.holder = excluded.holder OR leaders.lease_until <= $4`,
			name, g.holder, now.Add(lease).UnixMicro(), now.UnixMicro())
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		lead = n == 1
		return err
	})
	return lead, err
}

// Release gives up every leadership at once. It is for the start of a server
// that is known to be the only one: one that was killed leads no more.
func Release(ctx context.Context, db *sqldb.DB) error {
	return db.Write(ctx, "loop.release", func(tx *sqldb.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE leaders SET lease_until = 0 WHERE lease_until > 0`)
		return err
	})
}

func (g *Group) resign(name string) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := g.DB.Write(ctx, "loop.resign", func(tx *sqldb.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE leaders SET lease_until = 0 WHERE name = $1 AND holder = $2`, name, g.holder)
		return err
	})
	if err != nil {
		g.Log.Warn("leadership could not be given up; it runs out by itself", "loop", name, "error", err)
	}
}
