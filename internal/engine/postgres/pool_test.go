package postgres_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"fairlead/internal/engine"
	"fairlead/internal/engine/postgres"
)

// pooled gives an engine with a pool of its own installation.
func pooled(t *testing.T, size int, ledger postgres.Ledger, change ...func(*postgres.Options)) (*postgres.Engine, string) {
	t.Helper()
	installation := unique("pool")
	e := newEngine(t, append([]func(*postgres.Options){func(o *postgres.Options) {
		o.Installation, o.Pool, o.Ledger = installation, size, ledger
		o.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}}, change...)...)
	t.Cleanup(func() { dropPool(t, installation) })
	return e, installation
}

func poolOf(t *testing.T, installation string) []string {
	t.Helper()
	return rows(t, shared.URL("postgres"), `SELECT datname::text FROM pg_database WHERE datname LIKE 'fl\_pool\_%'
		AND shobj_description(oid, 'pg_database') LIKE '%"' || $1 || '"%' ORDER BY 1`, installation)
}

func dropPool(t *testing.T, installation string) {
	for _, d := range poolOf(t, installation) {
		admin(t, `DROP DATABASE `+quote(d)+` WITH (FORCE)`, `DROP ROLE IF EXISTS `+quote(d)+`, `+quote(d+"_a"))
	}
}

func of(installation, name string) engine.Request {
	r := request(name)
	r.Ref.Installation = installation
	return r
}

func TestPoolIsFilledTakenAndRefilled(t *testing.T) {
	t.Parallel()
	ledger := &postgres.MemoryLedger{}
	e, installation := pooled(t, 2, ledger)
	for range 2 { // twice makes no more
		if err := e.FillOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	before := poolOf(t, installation)
	if entries, _ := ledger.List(t.Context()); len(before) != 2 || len(entries) != 2 {
		t.Fatalf("pool %v, ledger %v", before, entries)
	}
	oids := strings.Join(rows(t, shared.URL("postgres"), `SELECT oid::text FROM pg_database WHERE datname = ANY ($1)`, before), " ")

	req := of(installation, "warm")
	res := apply(t, e, req)
	if oid := rows(t, shared.URL("postgres"), `SELECT oid::text FROM pg_database WHERE datname = $1`, text(res, "database")); !strings.Contains(oids, oid[0]) {
		t.Fatal("the database is new, not the pool's")
	}
	if err := use(t.Context(), res); err != nil {
		t.Fatal(err)
	}
	// Another process does not know the prepared password, and sets one.
	stranger := newEngine(t, func(o *postgres.Options) { o.Installation, o.Pool, o.Ledger = installation, 2, ledger })
	if err := e.FillOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	sres := apply(t, stranger, of(installation, "stranger"))
	if err := use(t.Context(), sres); err != nil {
		t.Fatal(err)
	}
	req.Previous = &res
	if o, err := e.Observe(t.Context(), []engine.Request{req}); err != nil || o[0].Presence != engine.Present || len(o[0].Drift) > 0 {
		t.Fatalf("%+v %v", o, err)
	}
	cold := of(installation, "cold")
	cold.Template.Spec = []byte(`{"pool":false}`)
	apply(t, e, cold)
	if n := poolOf(t, installation); len(n) != 1 {
		t.Fatalf("pool after one was taken: %v", n)
	}

	// Fill wakes by itself when one was taken.
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- e.Fill(ctx) }()
	wait(t, func() bool { return len(poolOf(t, installation)) == 2 })
	apply(t, e, of(installation, "another"))
	wait(t, func() bool { return len(poolOf(t, installation)) == 2 })
	wait(t, func() bool { l, _ := ledger.List(t.Context()); return len(l) == 2 })
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

func wait(t *testing.T, done func() bool) {
	t.Helper()
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	for deadline := time.After(30 * time.Second); !done(); {
		select {
		case <-poll.C:
		case <-deadline:
			t.Fatal("waited in vain")
		}
	}
}

func TestTakersGetOneEach(t *testing.T) {
	t.Parallel()
	e, installation := pooled(t, 3, &postgres.MemoryLedger{})
	if err := e.FillOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	results := make([]engine.Result, 5) // more than there are
	var wg sync.WaitGroup
	for i := range results {
		req := of(installation, "racer")
		wg.Go(func() { results[i] = apply(t, e, req) })
	}
	wg.Wait()
	for _, r := range results {
		if err := use(t.Context(), r); err != nil {
			t.Error(err)
		}
	}
	if left := poolOf(t, installation); len(left) != 0 {
		t.Errorf("left in the pool: %v", left)
	}
}

func TestSweepAfterCrashes(t *testing.T) {
	t.Parallel()
	ledger := &postgres.MemoryLedger{}
	var cancelAt string
	var cancel context.CancelFunc
	e, installation := pooled(t, 1, ledger, func(o *postgres.Options) {
		o.OnCall = func(point string) {
			if point == cancelAt {
				cancel()
			}
		}
	})
	for _, point := range []string{"postgres.pool_create.before", "postgres.pool_create.after", "postgres.pool_open.after", "postgres.pool_visit.after", "postgres.pool_ready.after"} {
		cancelAt = point
		var ctx context.Context
		ctx, cancel = context.WithCancel(t.Context())
		_ = e.FillOnce(ctx)
		cancel()
		cancelAt = ""
		if err := e.FillOnce(t.Context()); err != nil {
			t.Fatalf("%s: %v", point, err)
		}
		objects, err := e.Objects(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		entries, _ := ledger.List(t.Context())
		mine := map[string]bool{}
		for _, o := range objects {
			if o.Pool != "" && o.Suspect == "" && o.Kind == "database" {
				mine[o.Name] = true
			}
		}
		if len(mine) != 1 || len(entries) != 1 || !mine[entries[0].Name] {
			t.Fatalf("%s: objects %v, ledger %v", point, objects, entries)
		}
		dropPool(t, installation)
	}

	// A ledger that was lost (an older backup) gets its entry back.
	if err := e.FillOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	entries, _ := ledger.List(t.Context())
	for _, p := range entries {
		_ = ledger.Delete(t.Context(), p)
	}
	if err := e.FillOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	if again, _ := ledger.List(t.Context()); len(again) != 1 || len(poolOf(t, installation)) != 1 {
		t.Fatalf("ledger %v, pool %v", again, poolOf(t, installation))
	}
}

func TestObjectsListsOursAndSuspectsForgeries(t *testing.T) {
	t.Parallel()
	e, installation := pooled(t, 1, &postgres.MemoryLedger{})
	if err := e.FillOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	req := of(installation, "mine")
	req.Template.Spec = []byte(`{"pool":false}`)
	res := apply(t, e, req)
	theirs := request("theirs") // of another installation
	other := newEngine(t)
	ores := apply(t, other, theirs)
	// A tenant claims, in its own database's comment, to be somebody else's.
	if err := as(t.Context(), ores.Outputs["url"].Secret, `COMMENT ON DATABASE `+quote(text(ores, "database"))+` IS '{"fairlead":"`+installation+`","resource":"`+req.Ref.ID+`"}'`); err != nil {
		t.Fatal(err)
	}
	got, err := e.Objects(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, o := range got {
		switch {
		case o.Name == text(ores, "database"):
			t.Errorf("the forgery is believed: %+v", o)
		case o.Suspect == "" && o.Resource != "":
			count[o.Resource]++
		case o.Suspect == "" && o.Pool != "":
			count["pool"]++
		}
	}
	if count[req.Ref.ID] != len(res.Objects) || count["pool"] != 3 {
		t.Fatalf("%v in %+v", count, got)
	}
}
