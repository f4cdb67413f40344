package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	_ "modernc.org/sqlite" // as the product has it
)

// sqliteDSN has the product's settings for whoever writes: each commit is on
// the disk before it returns.
func sqliteDSN(file string) string {
	return "file:" + file + "?_txlock=immediate&_pragma=busy_timeout(10000)&_pragma=foreign_keys(1)" +
		"&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=wal_autocheckpoint(2000)"
}

const (
	submitters = 64 // connections that ask at once
	pgWriters  = 16 // connections of the bare side: as many as a server of ours has
)

func nullBurst(ctx context.Context, r *run) error {
	n := 1000
	if r.quick {
		n = 200
	}
	for _, store := range []string{"sqlite", "postgres"} {
		if err := r.nullOn(ctx, store, n); err != nil {
			return fmt.Errorf("%s: %w", store, err)
		}
	}
	return nil
}

func (r *run) nullOn(ctx context.Context, store string, n int) error {
	url, end, err := r.postgres(ctx, "null-pg-"+store)
	if err != nil {
		return err
	}
	defer end()
	s := setup{dir: filepath.Join(r.dir, "null-"+store), postgres: url}
	var b *bare
	if store == "postgres" {
		s.store = url
		b, err = bareOnPostgres(ctx, url, pgWriters)
	} else {
		b, err = bareOnSQLite(ctx, filepath.Join(r.dir, "null-bare.db"))
	}
	if err != nil {
		return err
	}
	defer b.close()
	f, err := r.fairlead(ctx, s)
	if err != nil {
		return err
	}
	defer f.stop()
	if err := f.signIn(ctx); err != nil {
		return err
	}
	look, err := lookInto(store, s)
	if err != nil {
		return err
	}
	defer look.Close()
	var made atomic.Int64
	ready := int64(0)
	ours := timed(func(ctx context.Context) error {
		one := func(ctx context.Context) error {
			return f.do(ctx, "POST", inDev, map[string]any{"name": fmt.Sprintf("n-%d", made.Add(1)), "template": "null"}, nil)
		}
		if _, err := burst(n, submitters, one)(ctx); err != nil {
			return err
		}
		for ready < made.Load() {
			if err := look.QueryRowContext(ctx, `SELECT count(*) FROM resources WHERE phase = 'ready'`).Scan(&ready); err != nil {
				return err
			}
			if ready < made.Load() {
				time.Sleep(5 * time.Millisecond)
			}
		}
		return nil
	})
	// burst counts attempts, not successes: made runs ahead by none, for every
	// attempt that fails ends the bench.
	before, err := f.cpu()
	if err != nil {
		return err
	}
	storeBefore, err := backends(ctx, store, look)
	if err != nil {
		return err
	}
	err = r.compare(ctx, comparison{
		bench: "4", what: fmt.Sprintf("%d × submit → ready, on %s", n, store), peer: fmt.Sprintf("3 bare durable commits each, %d connections", b.writers),
		ours: ours, theirs: burst(3*n, b.writers, b.commit), stats: []statistic{{"time", mean, 1.5}},
	})
	if err != nil {
		return err
	}
	// The machine's load moves the ratio, and this hardly.
	after, err := f.cpu()
	if err != nil {
		return err
	}
	storeAfter, err := backends(ctx, store, look)
	fmt.Fprintf(os.Stderr, "  on %s our server took %.2f ms of processor time for each resource, and its connections to a server of the store %.2f ms\n", store,
		(after-before).Seconds()*1000/float64(made.Load()), (storeAfter-storeBefore).Seconds()*1000/float64(made.Load()))
	return err
}

// backends gives the processor time of our server's connections to PostgreSQL,
// which has a process for each.
func backends(ctx context.Context, store string, look *sql.DB) (sum time.Duration, err error) {
	if store != "postgres" {
		return 0, nil
	}
	rows, err := look.QueryContext(ctx, `SELECT pid FROM pg_stat_activity WHERE application_name = 'fairlead'`)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var pid int
		if err := rows.Scan(&pid); err != nil {
			return 0, err
		}
		one, err := times(pid, 2)
		if err != nil {
			return 0, err
		}
		sum += one
	}
	return sum, rows.Err()
}

// lookInto opens the server's own store, to see what it does without asking it.
func lookInto(store string, s setup) (*sql.DB, error) {
	if store == "postgres" {
		return sql.Open("pgx", s.store)
	}
	return sql.Open("sqlite", "file:"+filepath.Join(s.dir, "fairlead.db")+"?_pragma=query_only(1)&_pragma=busy_timeout(10000)")
}

// bare is a store with nothing around it.
type bare struct {
	writers int
	commit  func(context.Context) error // of one small row, durable
	close   func()
}

func bareOnSQLite(ctx context.Context, file string) (*bare, error) {
	db, err := sql.Open("sqlite", sqliteDSN(file))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, `CREATE TABLE bare (id INTEGER PRIMARY KEY, at BIGINT NOT NULL, what TEXT NOT NULL)`); err != nil {
		return nil, err
	}
	insert, err := db.PrepareContext(ctx, `INSERT INTO bare (at, what) VALUES (?, ?)`)
	if err != nil {
		return nil, err
	}
	return &bare{writers: 1, close: func() { db.Close() }, commit: func(ctx context.Context) error {
		_, err := insert.ExecContext(ctx, time.Now().UnixMicro(), "something was done")
		return err
	}}, nil
}

func bareOnPostgres(ctx context.Context, url string, writers int) (*bare, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	cfg.MaxConns, cfg.MinConns = int32(writers), int32(writers) //nolint:gosec // a small number
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if _, err := pool.Exec(ctx, `CREATE SCHEMA bare; CREATE TABLE bare.rows (id BIGSERIAL PRIMARY KEY, at BIGINT NOT NULL, what TEXT NOT NULL)`); err != nil {
		pool.Close()
		return nil, err
	}
	return &bare{writers: writers, close: pool.Close, commit: func(ctx context.Context) error {
		_, err := pool.Exec(ctx, `INSERT INTO bare.rows (at, what) VALUES ($1, $2)`, time.Now().UnixMicro(), "something was done")
		return err
	}}, nil
}

// each runs f in so many goroutines and gives the first error.
func each(n int, f func(i int) error) error {
	var all sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		all.Go(func() { errs[i] = f(i) })
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
