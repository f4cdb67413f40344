package main

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"time"
)

// starting measures what an operator waits for: from exec to the first 200,
// the memory of a server that does nothing, and a restart after kill -9 with a
// full store.
func starting(ctx context.Context, r *run) error {
	url, end, err := r.postgres(ctx, "start-pg")
	if err != nil {
		return err
	}
	defer end()
	small := setup{dir: filepath.Join(r.dir, "start"), postgres: url}
	full := setup{dir: filepath.Join(r.dir, "start-full"), postgres: url}
	for _, s := range []setup{small, full} { // the first start makes the store
		f, err := r.fairlead(ctx, s)
		if err != nil {
			return err
		}
		err = f.signIn(ctx)
		f.stop()
		if err != nil {
			return err
		}
	}
	n := 100_000
	if r.quick {
		n = 10_000
	}
	if err := seedResources(ctx, full, n); err != nil {
		return err
	}
	p, err := r.pocketbase(ctx, "start-pocketbase")
	if err != nil {
		return err
	}
	err = p.fill(ctx, 1)
	p.stop()
	if err != nil {
		return err
	}
	ours := func(ctx context.Context) (*child, error) {
		f, err := r.fairlead(ctx, small)
		if err != nil {
			return nil, err
		}
		return f.child, nil
	}
	theirs := func(ctx context.Context) (*child, error) {
		p, err := r.startPocketbase(ctx, filepath.Join(r.dir, "start-pocketbase"))
		if err != nil {
			return nil, err
		}
		return p.child, nil
	}
	if err := r.compare(ctx, comparison{bench: "16", what: "exec → first 200", peer: "PocketBase",
		ours: startup(ours, (*child).stop), theirs: startup(theirs, (*child).stop), stats: []statistic{{"time", mean, 1.5}}}); err != nil {
		return err
	}
	if err := r.compare(ctx, comparison{bench: "16", what: "idle RSS", peer: "PocketBase",
		ours: memory(ours), theirs: memory(theirs), stats: []statistic{{"memory", mean, 1.5}}, scale: 1e-6, unit: "MB"}); err != nil {
		return err
	}
	return r.compare(ctx, comparison{bench: "16", what: fmt.Sprintf("restart after kill -9 with %d resources", n), peer: "own start, stopped gracefully, empty",
		ours: startup(func(ctx context.Context) (*child, error) {
			f, err := r.fairlead(ctx, full)
			if err != nil {
				return nil, err
			}
			f.kill()
			if f, err = r.fairlead(ctx, full); err != nil {
				return nil, err
			}
			return f.child, nil
		}, (*child).kill), theirs: startup(ours, (*child).stop), stats: []statistic{{"time", mean, 2}}})
}

// startup gives how long from exec to the first 200.
func startup(start func(context.Context) (*child, error), end func(*child)) side {
	return func(ctx context.Context) ([]float64, error) {
		c, err := start(ctx)
		if err != nil {
			return nil, err
		}
		defer end(c)
		return []float64{c.first.Seconds()}, nil
	}
}

// memory gives the resident memory after some idle seconds, in bytes.
func memory(start func(context.Context) (*child, error)) side {
	return func(ctx context.Context) ([]float64, error) {
		c, err := start(ctx)
		if err != nil {
			return nil, err
		}
		defer c.stop()
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(2 * time.Second):
		}
		b, err := c.rss()
		return []float64{b}, err
	}
}

// seedResources fills a stopped server's store with resources that are ready,
// each with its revision, its run and its place in the queue.
func seedResources(ctx context.Context, s setup, n int) error {
	db, err := sql.Open("sqlite", sqliteDSN(filepath.Join(s.dir, "fairlead.db")))
	if err != nil {
		return err
	}
	defer db.Close()
	var version, digest string
	if err := db.QueryRowContext(ctx, `SELECT version, digest FROM template_versions WHERE name = 'null'`).Scan(&version, &digest); err != nil {
		return err
	}
	const numbers = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)`
	now := time.Now().UnixMicro()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	for _, q := range []struct {
		sql  string
		args []any
	}{
		{numbers + ` INSERT INTO resources (id, name, environment_id, project_id, team_id, template, engine, phase, revision, applied_revision, outputs,
			created_at, created_by, updated_at, observed_at, observe_due_at)
			SELECT 'res_seed' || i, 's-' || i, e.id, p.id, p.team_id, 'null', 'null', 'ready', 1, 1, '{"value":{"value":"hello"}}', ?, 'bench', ?, ?, ? + i * 100000
			FROM n, environments e JOIN projects p ON p.id = e.project_id`, []any{n, now, now, now, now + int64(time.Hour/time.Microsecond)}},
		{`INSERT INTO revisions (resource_id, number, template, template_version, template_digest, inputs, sealed, note, rolled_back_to, created_at, created_by)
			SELECT id, 1, 'null', ?, ?, '{"value":"hello"}', '[]', '', 0, ?, 'bench' FROM resources WHERE id LIKE 'res_seed%'`, []any{version, digest, now}},
		{`INSERT INTO queue (key, lane, team, generation, claimed_generation, due_at)
			SELECT id, 'null', team_id, 1, 1, NULL FROM resources WHERE id LIKE 'res_seed%'`, nil},
	} {
		if _, err := tx.ExecContext(ctx, q.sql, q.args...); err != nil {
			return err
		}
	}
	return tx.Commit()
}
