package sqldbtest

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"fairlead/internal/sqldb"
)

// Each runs f on SQLite and on PostgreSQL, as parallel subtests.
func Each(t *testing.T, f func(t *testing.T, db *sqldb.DB)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); f(t, SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { t.Parallel(); f(t, Postgres(t)) })
}

// SQLite gives a new SQLite database.
func SQLite(t testing.TB) *sqldb.DB {
	t.Helper()
	return Open(t, sqldb.Options{URL: "sqlite:" + filepath.Join(t.TempDir(), "store.db")})
}

// Postgres gives a new database on the binary's PostgreSQL server.
func Postgres(t testing.TB) *sqldb.DB {
	t.Helper()
	return Open(t, sqldb.Options{URL: PostgresURL(t)})
}

// Open opens a database and closes it with the test.
func Open(t testing.TB, o sqldb.Options) *sqldb.DB {
	t.Helper()
	db, err := sqldb.Open(context.Background(), o)
	if err != nil {
		t.Fatalf("open store: %v", err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

var databases atomic.Int64

// PostgresURL creates an empty database and gives its URL. Open it more than
// once to test replicas. It is dropped with the test.
func PostgresURL(t testing.TB) string {
	t.Helper()
	server := PostgresServer(t)
	name := fmt.Sprintf("t%d_%d", time.Now().UnixNano(), databases.Add(1))
	admin(t, server, `CREATE DATABASE `+name)
	t.Cleanup(func() { admin(t, server, `DROP DATABASE IF EXISTS `+name+` WITH (FORCE)`) })
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}

func admin(t testing.TB, server, sql string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, sql); err != nil && !strings.Contains(sql, "DROP") {
		t.Fatalf("%s: %v", sql, err)
	}
}
