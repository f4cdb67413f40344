package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"fairlead/internal/engine"
	"fairlead/internal/engine/postgres"
	"fairlead/internal/fault"
)

// TestACallThatEndsInTheLockKeepsNone ends a call that has the first of its
// resource's locks while it waits for the second. Its connection goes back to
// the others: with the lock still on it, the next worker would wait for nobody
// and then end whatever that connection does by then.
func TestACallThatEndsInTheLockKeepsNone(t *testing.T) {
	t.Parallel()
	e := newEngine(t, func(o *postgres.Options) { o.LockWait = 20 * time.Second })
	req := request("given-up")
	conn, err := pgx.Connect(t.Context(), shared.URL("postgres").Reveal())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	first, second := postgres.Keys(req.Ref)
	if _, err := conn.Exec(t.Context(), `SELECT pg_advisory_lock($1)`, second); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := e.Apply(ctx, req, engine.Plan{}, engine.Discard)
		done <- err
	}()
	held := func() int {
		return len(rows(t, shared.URL("postgres"), `SELECT pid::text FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid::bigint << 32 | objid::bigint = $1`, first))
	}
	until := func(n int) {
		t.Helper()
		for end := time.Now().Add(15 * time.Second); held() != n; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("the first lock is held by %d sessions, want %d", held(), n)
			}
		}
	}
	until(1)
	cancel()
	if err := <-done; fault.From(err).Code != "interrupted" {
		t.Fatalf("%v", err)
	}
	until(0)
}
