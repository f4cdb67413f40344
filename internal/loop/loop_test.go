package loop_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"fairlead/internal/loop"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

func TestOnceRunsOnOneReplicaAndMovesWhenItStops(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		passes := make(chan int, 1000)
		start := func(id int) func() {
			ctx, cancel := context.WithCancel(context.Background())
			var wg sync.WaitGroup
			wg.Go(func() {
				loop.NewGroup(db, slog.New(slog.DiscardHandler)).Run(ctx, loop.Loop{
					Name: "observe", Every: 10 * time.Millisecond, Once: true,
					Do: func(context.Context) error { passes <- id; return nil },
				})
			})
			return func() { cancel(); wg.Wait() }
		}
		stop1 := start(1)
		if <-passes != 1 {
			t.Fatal("who?")
		}
		stop2 := start(2)
		defer stop2()
		for range 20 {
			if id := <-passes; id != 1 {
				t.Fatal("two replicas lead")
			}
		}
		stop1()
		deadline := time.After(30 * time.Second)
		for {
			select {
			case id := <-passes:
				if id == 2 {
					return
				}
			case <-deadline:
				t.Fatal("nobody took over")
			}
		}
	})
}

// A server that was killed resigns from nothing; the next one, if it is the
// only one, need not wait until that is over.
func TestWhoIsTheOnlyOneLeadsAtOnce(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		err := db.Write(t.Context(), "test.dead", func(tx *sqldb.Tx) error {
			_, err := tx.ExecContext(t.Context(), `INSERT INTO leaders (name, holder, fence, lease_until) VALUES ('observe', 'dead', 1, $1)`, tx.Now().Add(time.Hour).UnixMicro())
			return err
		})
		if err == nil {
			err = loop.Release(t.Context(), db)
		}
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var led atomic.Bool
		loop.NewGroup(db, slog.New(slog.DiscardHandler)).Run(ctx, loop.Loop{Name: "observe", Every: time.Hour, Once: true, Do: func(context.Context) error {
			led.Store(true)
			cancel()
			return nil
		}})
		if !led.Load() {
			t.Error("it does not lead")
		}
	})
}

func TestAFailingOrPanickingPassIsNotTheLast(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	loop.NewGroup(sqldbtest.SQLite(t), slog.New(slog.DiscardHandler)).Run(ctx, loop.Loop{
		Name: "x", Every: time.Millisecond,
		Do: func(context.Context) error {
			switch n.Add(1) {
			case 1:
				return errors.New("no")
			case 2:
				panic("no")
			}
			cancel()
			return nil
		},
	})
	if n.Load() != 3 {
		t.Errorf("%d passes", n.Load())
	}
}
