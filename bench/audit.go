package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

const auditWriters = 32

// allowAll lets the bench export the log; decisions are bench 10.
type allowAll struct{}

func (allowAll) Check(context.Context, access.Action, access.Target) (access.Decision, error) {
	return access.Decision{Allowed: true}, nil
}

func (allowAll) Scope(context.Context, access.Action) (access.Scope, error) {
	return access.Scope{All: true}, nil
}

func auditEntry(i int64) audit.Entry {
	return audit.Entry{
		Action:   string(access.ResourceCreate),
		Target:   access.Target{Kind: "resource", ID: fmt.Sprintf("res_%d", i), Name: "orders", TeamID: "team_1", ProjectID: "prj_1", EnvironmentID: "env_1"},
		Decision: access.Decision{Allowed: true, Policies: []string{"developers-develop"}, Version: 1},
		Details:  map[string]any{"templateVersion": "1.0.0", "run": "run_1"},
	}
}

// The bare side has the log's columns, types and indexes.
const (
	bareAuditTable = `CREATE TABLE %s (seq BIGINT PRIMARY KEY, at BIGINT NOT NULL, actor_id TEXT NOT NULL, actor_kind TEXT NOT NULL, actor_name TEXT NOT NULL,
		credential TEXT NOT NULL, action TEXT NOT NULL, target_kind TEXT NOT NULL, target_id TEXT NOT NULL, target_name TEXT NOT NULL,
		team_id TEXT NOT NULL, project_id TEXT NOT NULL, environment_id TEXT NOT NULL, address TEXT NOT NULL, request_id TEXT NOT NULL,
		decision TEXT NOT NULL, policies TEXT NOT NULL, policy_version BIGINT NOT NULL, details TEXT NOT NULL, prev_hash TEXT NOT NULL, hash TEXT NOT NULL);
		CREATE INDEX bare_at ON %[1]s (at); CREATE INDEX bare_actor ON %[1]s (actor_id, seq);
		CREATE INDEX bare_target ON %[1]s (target_id, seq); CREATE INDEX bare_team ON %[1]s (team_id, seq)`
	bareAuditInsert = `INSERT INTO %s VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16,$17,$18,$19,$20,$21)`
)

func bareAuditRow(i int64) []any {
	sum := sha256.Sum256([]byte(fmt.Sprint(i)))
	hash := hex.EncodeToString(sum[:])
	return []any{i, time.Now().UnixMicro(), "usr_1", "user", "ada", "tok_1", "resource:create", "resource", fmt.Sprintf("res_%d", i), "orders",
		"team_1", "prj_1", "env_1", "127.0.0.1", "req_1", "allowed", `["developers-develop"]`, int64(1), `{"run":"run_1","templateVersion":"1.0.0"}`, hash, hash}
}

func auditLog(ctx context.Context, r *run) error {
	ctx = principal.With(ctx, asker)
	ctx = audit.WithOrigin(ctx, audit.Origin{Address: "127.0.0.1", RequestID: "req_1"})
	for _, store := range []string{"sqlite", "postgres"} {
		if err := r.auditOn(ctx, store); err != nil {
			return fmt.Errorf("%s: %w", store, err)
		}
	}
	return r.verifyLog(ctx)
}

func (r *run) openAudit(ctx context.Context, url, name string) (*sqldb.DB, *audit.Log, error) {
	db, err := sqldb.Open(ctx, sqldb.Options{URL: url})
	if err != nil {
		return nil, nil, err
	}
	l, err := audit.NewLog(ctx, audit.Options{DB: db, KeyDir: filepath.Join(r.dir, name+"-keys"), Authorizer: allowAll{}})
	return db, l, err
}

func (r *run) auditOn(ctx context.Context, store string) error {
	var url string
	writers := auditWriters // of the bare side
	var insert func(context.Context, int64) error
	if store == "postgres" {
		admin, end, err := r.postgres(ctx, "audit-pg")
		if err != nil {
			return err
		}
		defer end()
		cfg, err := pgxpool.ParseConfig(admin)
		if err != nil {
			return err
		}
		cfg.MaxConns, cfg.MinConns = auditWriters, auditWriters
		pool, err := pgxpool.NewWithConfig(ctx, cfg)
		if err != nil {
			return err
		}
		defer pool.Close()
		if _, err := pool.Exec(ctx, `CREATE SCHEMA bare; `+fmt.Sprintf(bareAuditTable, "bare.log")); err != nil {
			return err
		}
		url = admin
		insert = func(ctx context.Context, i int64) error {
			_, err := pool.Exec(ctx, fmt.Sprintf(bareAuditInsert, "bare.log"), bareAuditRow(i)...)
			return err
		}
	} else {
		url = "sqlite:" + filepath.Join(r.dir, "audit.db")
		plain, err := sql.Open("sqlite", sqliteDSN(filepath.Join(r.dir, "audit-bare.db")))
		if err != nil {
			return err
		}
		defer plain.Close()
		plain.SetMaxOpenConns(1) // SQLite lets one write at a time
		writers = 1              // and who does not wait for another loses nothing
		if _, err := plain.ExecContext(ctx, fmt.Sprintf(bareAuditTable, "log")); err != nil {
			return err
		}
		prepared, err := plain.PrepareContext(ctx, fmt.Sprintf(bareAuditInsert, "log"))
		if err != nil {
			return err
		}
		insert = func(ctx context.Context, i int64) error {
			_, err := prepared.ExecContext(ctx, bareAuditRow(i)...)
			return err
		}
	}
	db, _, err := r.openAudit(ctx, url, store)
	if err != nil {
		return err
	}
	defer db.Close()
	var a, b atomic.Int64
	appendOne := func(ctx context.Context) error {
		i := a.Add(1)
		return db.Write(ctx, "bench.append", func(tx *sqldb.Tx) error {
			audit.Append(ctx, tx, auditEntry(i))
			return nil
		})
	}
	insertOne := func(ctx context.Context) error { return insert(ctx, b.Add(1)) }
	n := 4000
	if r.quick {
		n = 1000
	}
	return r.compare(ctx, comparison{
		bench: "15", what: fmt.Sprintf("%d chained appends, 32 writers, on %s", n, store), peer: "bare INSERT of the same row, a commit each", rate: true,
		ours: burst(n, auditWriters, appendOne), theirs: burst(n, writers, insertOne), stats: []statistic{{"rate", mean, 0.9}},
	})
}

// verifyLog makes a log, exports it and verifies the file.
func (r *run) verifyLog(ctx context.Context) error {
	n := int64(1_000_000)
	if r.quick {
		n = 50_000
	}
	db, l, err := r.openAudit(ctx, "sqlite:"+filepath.Join(r.dir, "verify.db"), "verify")
	if err != nil {
		return err
	}
	defer db.Close()
	for i := int64(0); i < n; i += 1000 {
		err := db.Write(ctx, "bench.fill", func(tx *sqldb.Tx) error {
			for k := range int64(1000) {
				audit.Append(ctx, tx, auditEntry(i+k))
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	file := filepath.Join(r.dir, "audit.jsonl")
	if err := exportTo(ctx, l, file); err != nil {
		return err
	}
	defer os.Remove(file)
	verify := timed(func(context.Context) error {
		f, err := os.Open(file)
		if err != nil {
			return err
		}
		defer f.Close()
		report, err := audit.Verify(f, nil)
		if err == nil && report.Records < n {
			err = fmt.Errorf("%d records", report.Records)
		}
		return err
	})
	raw := timed(func(context.Context) error {
		f, err := os.Open(file)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(sha256.New(), bufio.NewReaderSize(f, 1<<20))
		return err
	})
	return r.compare(ctx, comparison{
		bench: "15", what: fmt.Sprintf("verify an export of %d records", n), peer: "SHA-256 of the same bytes", rate: true,
		ours: verify, theirs: raw, stats: []statistic{{"rate", mean, 0.7}},
	})
}

func exportTo(ctx context.Context, l *audit.Log, file string) error {
	e, err := l.Export(ctx)
	if err != nil {
		return err
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	return e.Write(ctx, f)
}
