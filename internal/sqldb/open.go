package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"modernc.org/sqlite" // the SQLite driver, without cgo

	"fairlead/internal/failpoint"
	"fairlead/internal/fault"
)

// Dialect tells the two databases apart, where that cannot be avoided.
type Dialect string

// The dialects.
const (
	SQLite   Dialect = "sqlite"
	Postgres Dialect = "postgres"
)

// Options says how to open a DB.
type Options struct {
	// URL is "sqlite:PATH" or a postgres:// URL.
	URL string
	Log *slog.Logger
	// Clock is the machine's, which SQLite's follows (see clock); nil is
	// failpoint.Now. PostgreSQL keeps its own.
	Clock func() time.Time
	// Sole says that nothing else writes to the SQLite file while it is open, as
	// whoever has locked its directory knows. Reads may share a snapshot then.
	Sole bool
	// Fatal is told of a failed fsync: what was acknowledged may be gone, so
	// the process must end. Nil panics.
	Fatal func(error)
}

// DB is an open, migrated database. It is safe for concurrent use.
type DB struct {
	dialect Dialect
	write   *sql.DB
	read    *sql.DB
	log     *slog.Logger
	clock   *clock // SQLite's
	fatal   func(error)
	hub     hub
	pgURL   string
	path    string

	writePrepared *prepared // nil on PostgreSQL
	direct        direct    // SQLite's statements of the commit loop
	texts         texts     // what is known of the commit loop's statements
	readers       *readers  // SQLite's connections for reading; nil on PostgreSQL

	jobs    chan *job
	ended   chan struct{} // closed when nothing takes jobs any more
	flusher Flusher
	stop    context.CancelFunc
	done    sync.WaitGroup
	stats   stats
	told    atomic.Pointer[told] // PostgreSQL's
}

// Open opens the database and brings its schema up to date. Several replicas
// may do so at once on PostgreSQL: one migrates, the others wait. Close it.
func Open(ctx context.Context, o Options) (*DB, error) {
	db := &DB{log: o.Log, clock: &clock{machine: o.Clock}, fatal: o.Fatal, jobs: make(chan *job, 1024), ended: make(chan struct{})}
	if db.log == nil {
		db.log = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		db.clock.machine = failpoint.Now
	}
	if db.fatal == nil {
		db.fatal = func(err error) { panic(err) }
	}
	var err error
	switch {
	case strings.HasPrefix(o.URL, "sqlite:"):
		err = db.openSQLite(ctx, strings.TrimPrefix(o.URL, "sqlite:"), o.Sole)
	case strings.HasPrefix(o.URL, "postgres://"), strings.HasPrefix(o.URL, "postgresql://"):
		err = db.openPostgres(ctx, o.URL)
	default:
		return nil, fault.New(fault.Invalid, "unknown_store", "the store is neither sqlite nor a postgres:// URL").
			WithHint("use --store sqlite, or --store postgres://USER@HOST/DATABASE")
	}
	if err != nil {
		return nil, err
	}
	if err := db.migrate(ctx); err != nil {
		return nil, errors.Join(err, db.closePools())
	}
	if err := db.resumeClock(ctx); err != nil {
		return nil, errors.Join(err, db.closePools())
	}
	run, stop := context.WithCancel(context.Background())
	db.stop = stop
	db.done.Add(1)
	go db.commitLoop(run)
	if db.dialect == Postgres {
		db.done.Add(1)
		go db.listenLoop(run)
	}
	return db, nil
}

func (db *DB) openSQLite(ctx context.Context, path string, sole bool) error {
	abs, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	db.dialect, db.path = SQLite, abs
	if err := private(abs); err != nil {
		return openFailed(err)
	}
	dsn := func(pragmas ...string) string {
		q := url.Values{"_txlock": {"immediate"}}
		for _, p := range append([]string{"busy_timeout(10000)", "foreign_keys(1)"}, pragmas...) {
			q.Add("_pragma", p)
		}
		return (&url.URL{Scheme: "file", Opaque: abs, RawQuery: q.Encode()}).String()
	}
	// FULL in WAL mode fsyncs the log at each commit: acknowledged is durable.
	if db.write, err = sql.Open("sqlite", dsn("journal_mode(WAL)", "synchronous(FULL)", "wal_autocheckpoint(2000)")); err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	db.write.SetMaxOpenConns(1)
	if err := db.write.PingContext(ctx); err != nil {
		return openFailed(err)
	}
	reading, err := sqlite.NewConnector(dsn("query_only(1)"))
	if err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	db.readers = newReaders(reading, sole)
	db.read = sql.OpenDB(reading) // for what reads its rows in its own time
	db.read.SetMaxOpenConns(8)
	db.read.SetConnMaxIdleTime(time.Minute)
	db.writePrepared = newPrepared(db.write)
	return nil
}

// private makes sure that nobody else reads the store; its log and its index
// take over the mode. The folder may have to let others pass. A store that is
// there is not opened for it: to close it again would give up SQLite's locks.
func private(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return os.Chmod(path, 0o600)
	}
	if err != nil {
		return err
	}
	return f.Close()
}

func (db *DB) openPostgres(ctx context.Context, u string) error {
	cfg, err := pgx.ParseConfig(u)
	if err != nil {
		// pgx's own text may repeat the URL, with its password.
		return fault.New(fault.Invalid, "invalid_store_url", "the store's URL cannot be read").
			WithHint("it looks like postgres://USER:PASSWORD@HOST:5432/DATABASE")
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = 10 * time.Second
	}
	cfg.RuntimeParams["application_name"] = "fairlead"
	// A replica that is stopped or cut off in mid-transaction must not keep its
	// row locks: the server ends its session, and the others go on.
	for name, value := range map[string]string{
		"idle_in_transaction_session_timeout": "10s", "tcp_keepalives_idle": "15", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "3",
	} {
		if _, set := cfg.RuntimeParams[name]; !set {
			cfg.RuntimeParams[name] = value
		}
	}
	db.dialect, db.pgURL = Postgres, u
	open := func(conns int, more map[string]string) *sql.DB {
		cfg := cfg.Copy()
		maps.Copy(cfg.RuntimeParams, more)
		pool := sql.OpenDB(pipeConnector{stdlib.GetConnector(*cfg)})
		pool.SetMaxOpenConns(conns)
		pool.SetMaxIdleConns(conns) // a log-in costs more than a hundred statements
		pool.SetConnMaxIdleTime(5 * time.Minute)
		return pool
	}
	// The committer does not queue behind sixty readers. What it asks for it
	// names by a key; a plan made while a table had one page, to read it through,
	// would be kept while it grows to thousands.
	db.write, db.read = open(2, map[string]string{"enable_seqscan": "off", "jit": "off"}), open(14, nil)
	if err := db.write.PingContext(ctx); err != nil {
		_ = db.closePools()
		return openFailed(err)
	}
	return nil
}

func openFailed(err error) error {
	if f, ok := errors.AsType[*fault.Error](translate(err)); ok && f.Code != "store_unavailable" {
		return f
	}
	return fault.New(fault.Unavailable, "store_unavailable", "the store cannot be opened").
		WithHint("check that it is running, that its address is right and that this account may use it").WithCause(err)
}

func (db *DB) resumeClock(ctx context.Context) error {
	if db.dialect != SQLite {
		return nil
	}
	behind, err := db.clock.resume(ctx, db.Read())
	if behind > worthAWord {
		db.log.WarnContext(ctx, "the machine's clock is behind the store's, which goes on at half speed until it is caught up: set the machine's clock", "behind", behind.Round(time.Second))
	}
	return err
}

// Close waits for writes under way, then closes. Writes after it fail.
func (db *DB) Close() error {
	db.stop()
	db.done.Wait()
	return db.closePools()
}

func (db *DB) closePools() error {
	err := db.readers.close()
	if db.read != nil && db.read != db.write {
		if e := db.read.Close(); err == nil {
			err = e
		}
	}
	if db.write != nil {
		if e := db.direct.close(db.write); err == nil {
			err = e
		}
		if e := db.write.Close(); err == nil {
			err = e
		}
	}
	return err
}

// Dialect tells which database this is.
func (db *DB) Dialect() Dialect { return db.dialect }

// Path is the SQLite file, or "".
func (db *DB) Path() string { return db.path }

// URL is the PostgreSQL URL with its password, or "". It is for tools that
// must connect by themselves, such as a backup; never print it.
func (db *DB) URL() string { return db.pgURL }

// Now is the database's clock: of SQLite this process's, of PostgreSQL the
// server's. Inside Write use Tx.Now, which costs nothing.
func (db *DB) Now(ctx context.Context) (time.Time, error) {
	if db.dialect == SQLite {
		return db.clock.now(), nil
	}
	var us int64
	if err := db.Read().QueryRowContext(ctx, pgNow).Scan(&us); err != nil {
		return time.Time{}, err
	}
	return time.UnixMicro(us).UTC(), nil
}

// About is Now as a transaction was told it within the last second, and what
// went by since; it asks the database only when there was none. It is a few
// milliseconds behind at most, and never ahead.
func (db *DB) About(ctx context.Context) (time.Time, error) {
	if told := db.told.Load(); told != nil && time.Since(told.at) < time.Second {
		return told.now.Add(time.Since(told.at)).Truncate(time.Microsecond), nil
	}
	return db.Now(ctx)
}

// told is what the database's clock was, and when this process knew.
type told struct {
	now time.Time
	at  time.Time // only ever compared with itself
}

const pgNow = `SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint`

// InArray is the SQL that tells whether column is in the JSON array bound to
// the placeholder, e.g. InArray("environment_id", "$3"). Filters by what the
// caller may see are written with it: one bound value, whatever its length.
func (db *DB) InArray(column, placeholder string) string {
	if db.dialect == SQLite {
		return column + " IN (SELECT value FROM json_each(" + placeholder + "))"
	}
	return column + " = ANY (ARRAY(SELECT jsonb_array_elements_text(" + placeholder + "::jsonb)))"
}

// SkipLocked is the suffix of a SELECT inside a claiming UPDATE: rows that
// another replica is claiming are passed over. SQLite has one writer and needs
// none.
func (db *DB) SkipLocked() string {
	if db.dialect == SQLite {
		return ""
	}
	return " FOR UPDATE SKIP LOCKED"
}

// ForUpdate is the suffix of a SELECT whose row this transaction will change.
func (db *DB) ForUpdate() string {
	if db.dialect == SQLite {
		return ""
	}
	return " FOR UPDATE"
}
