package postgres

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgxpool"

	"fairlead/internal/fault"
)

const oldest = 130000 // DROP DATABASE … WITH (FORCE)

// server is one PostgreSQL server and the administrator's connections to it.
type server struct {
	Server
	e     *Engine
	host  string
	port  int
	pool  *pgxpool.Pool
	facts atomic.Pointer[facts]
}

// facts are what a server told when the last connection was made.
type facts struct {
	version   int // as server_version_num
	user      string
	superuser bool
	passwords bool // may read the verifiers
	standby   bool
	tls       bool // takes TLS connections
}

// params is the query string of the output url: what the configuration says. A
// server that has no TLS is not asked for it at each log-in, which would cost a
// connection each time; unless something else stands before it.
func (s *server) params() string {
	if f := s.facts.Load(); s.Params == "" && s.PublicHost == "" && f != nil && !f.tls {
		return "sslmode=disable"
	}
	return s.Params
}

func (e *Engine) newServer(opt Server) (*server, error) {
	if opt.Name == "" {
		opt.Name = "default"
	}
	s := &server{Server: opt, e: e}
	cfg, err := pgxpool.ParseConfig(opt.URL.Reveal())
	if err != nil {
		return nil, fault.New(fault.Invalid, "postgres_url_invalid", "the URL of PostgreSQL server %q cannot be read", opt.Name).
			WithHint("it looks like postgres://user:password@host:5432/postgres") // the cause may quote the URL
	}
	s.host, s.port = opt.PublicHost, opt.PublicPort
	if s.host == "" {
		s.host = cfg.ConnConfig.Host
	}
	if s.port == 0 {
		s.port = int(cfg.ConnConfig.Port)
	}
	cfg.MaxConns, cfg.MinConns = int32(e.opt.Connections), 0
	cfg.MaxConnIdleTime = 5 * time.Minute
	cfg.PingTimeout = e.opt.ConnectTimeout
	c := cfg.ConnConfig
	c.ConnectTimeout = e.opt.ConnectTimeout
	// A cancelled statement is cancelled on the server too; one that does not
	// answer is cut after a second.
	c.BuildContextWatcherHandler = func(pc *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: pc, DeadlineDelay: time.Second}
	}
	for k, v := range map[string]string{
		"application_name":                    "fairlead",
		"client_encoding":                     "UTF8",
		"search_path":                         "pg_catalog",         // nothing that a tenant planted is ever called
		"plan_cache_mode":                     "force_generic_plan", // to plan our look takes three times as long as to look
		"statement_timeout":                   millis(e.opt.StatementTimeout),
		"lock_timeout":                        millis(e.opt.LockWait),
		"idle_in_transaction_session_timeout": millis(e.opt.StatementTimeout),
	} {
		c.RuntimeParams[k] = v
	}
	cfg.AfterConnect = s.learn
	if s.pool, err = pgxpool.NewWithConfig(context.Background(), cfg); err != nil {
		return nil, fault.New(fault.Invalid, "postgres_url_invalid", "the URL of PostgreSQL server %q cannot be used", opt.Name)
	}
	return s, nil
}

func millis(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// learn asks a fresh connection's server what it is.
func (s *server) learn(ctx context.Context, c *pgx.Conn) error {
	var f facts
	err := c.QueryRow(ctx, `SELECT current_setting('server_version_num')::int, current_user::text, r.rolsuper,
		has_table_privilege('pg_catalog.pg_authid', 'SELECT'), pg_is_in_recovery(), current_setting('ssl')::bool
		FROM pg_roles r WHERE r.rolname = current_user`).Scan(&f.version, &f.user, &f.superuser, &f.passwords, &f.standby, &f.tls)
	if err != nil {
		return err
	}
	s.facts.Store(&f)
	return nil
}

// with runs f on one of the administrator's connections, within the statement
// timeout. op names the call for failpoints and errors.
func (s *server) with(ctx context.Context, op string, f func(context.Context, *pgxpool.Conn) error) error {
	call, cancel := context.WithTimeout(ctx, s.e.opt.StatementTimeout+5*time.Second)
	defer cancel()
	s.e.hit("postgres." + op + ".before")
	conn, err := s.acquire(call)
	if err == nil {
		err = f(call, conn)
		conn.Release()
	}
	s.e.hit("postgres." + op + ".after")
	return s.fault(ctx, op, err)
}

// acquire gives a connection to a server that is fit to be used.
func (s *server) acquire(ctx context.Context) (*pgxpool.Conn, error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	if f := s.facts.Load(); f.version < oldest {
		conn.Release()
		return nil, s.tooOld(strconv.Itoa(f.version / 10000))
	}
	return conn, nil
}

// session is the connection that holds a resource's lock: all that changes the
// resource goes through it, so that losing the lock means losing the hand.
type session struct {
	*server
	ctx      context.Context // of the caller
	conn     *pgxpool.Conn
	allowed  func() error // waits for the answer whether the caller is still the one to act
	unlocked func()       // called when the locks are let go; may be nil
}

// locked runs f while holding the advisory lock key, when check says then that
// the caller is still the one to act.
func (s *server) locked(ctx context.Context, key int64, check func(context.Context) error, f func(*session) error) error {
	return s.lockedFirst(ctx, key, check, func(ses *session) error {
		if err := ses.allowed(); err != nil {
			return err
		}
		return f(ses)
	})
}

// lockedFirst runs f while holding the advisory lock key, and check meanwhile:
// f may look, and changes nothing before allowed has given no error. Whoever
// has a newer claim comes to this lock later, and finds our work done or our
// session at its mercy. The lock is let go behind the caller's back: nobody
// waits for that but who wants the lock next.
func (s *server) lockedFirst(ctx context.Context, key int64, check func(context.Context) error, f func(*session) error) error {
	conn, err := s.connect(ctx)
	if err != nil {
		return err
	}
	asking, stop := context.WithCancel(ctx)
	defer stop()
	ses := &session{server: s, ctx: ctx, conn: conn, allowed: sync.OnceValue(func() error { return check(asking) })}
	defer func() { // also when only one of the two locks was got
		go func() {
			ses.unlock()
			conn.Release()
			if ses.unlocked != nil {
				ses.unlocked()
			}
		}()
	}()
	if err := ses.lock(key, check); err != nil {
		return err
	}
	go ses.allowed() //nolint:errcheck // f asks for the answer
	return f(ses)
}

// with2 is with, without a bound on the whole: each statement has its own.
func (s *server) with2(ctx context.Context, f func(context.Context, *pgxpool.Conn) error) error {
	conn, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	return f(ctx, conn)
}

// connect is acquire, within the statement timeout.
func (s *server) connect(ctx context.Context) (*pgxpool.Conn, error) {
	call, cancel := context.WithTimeout(ctx, s.e.opt.StatementTimeout)
	defer cancel()
	conn, err := s.acquire(call)
	return conn, s.fault(ctx, "connect", err)
}

// lock takes the resource's lock for the session, and waits until no second
// connection of an earlier worker is at work.
func (ses *session) lock(key int64, check func(context.Context) error) error {
	first, second := strconv.FormatInt(key, 10), strconv.FormatInt(secondKey(key), 10)
	take := `SELECT pg_advisory_lock(` + first + `); SELECT pg_advisory_xact_lock(` + second + `)`
	err := ses.exec("lock", take)
	if !hasCode(err, "55P03") {
		return err
	}
	if err := check(ses.ctx); err != nil {
		return err
	}
	// The caller has the fenced claim, so whoever holds the lock is stale.
	ses.e.opt.Log.WarnContext(ses.ctx, "ending the session of a stale worker", "server", ses.Name)
	err = ses.exec("end_stale", `SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1
		AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
		AND classid::bigint << 32 | objid::bigint IN (`+first+`, `+second+`) AND pid <> pg_backend_pid()`)
	if err != nil {
		return err
	}
	return ses.exec("lock", take)
}

// unlock lets the locks go, also after ctx ended; a connection that cannot is
// closed by its release, which lets them go too.
func (ses *session) unlock() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ses.ctx), time.Second)
	defer cancel()
	if _, err := ses.conn.Conn().PgConn().Exec(ctx, `SELECT pg_advisory_unlock_all()`).ReadAll(); err != nil {
		_ = ses.conn.Conn().Close(ctx)
	}
}

// exec sends statements in one message; several of them are one transaction.
func (ses *session) exec(op, sql string) error {
	call, cancel := context.WithTimeout(ses.ctx, ses.e.opt.StatementTimeout+5*time.Second)
	defer cancel()
	ses.e.hit("postgres." + op + ".before")
	_, err := ses.conn.Conn().PgConn().Exec(call, sql).ReadAll()
	ses.e.hit("postgres." + op + ".after")
	return ses.fault(ses.ctx, op, err)
}

// query runs f on the session's connection.
func (ses *session) query(op string, f func(context.Context, *pgx.Conn) error) error {
	call, cancel := context.WithTimeout(ses.ctx, ses.e.opt.StatementTimeout+5*time.Second)
	defer cancel()
	ses.e.hit("postgres." + op + ".before")
	err := f(call, ses.conn.Conn())
	ses.e.hit("postgres." + op + ".after")
	return ses.fault(ses.ctx, op, err)
}

// inside runs statements as the administrator in a resource's database, where
// a tenant may have planted things: search_path is pg_catalog alone.
func (s *server) inside(ctx context.Context, op, database string, statements ...string) error {
	call, cancel := context.WithTimeout(ctx, s.e.opt.StatementTimeout+5*time.Second)
	defer cancel()
	s.e.hit("postgres." + op + ".before")
	err := s.visit(call, database, statements...)
	s.e.hit("postgres." + op + ".after")
	return s.fault(ctx, op, err)
}

// visit connects to a database and runs statements there.
func (s *server) visit(ctx context.Context, database string, statements ...string) error {
	cfg := s.pool.Config().ConnConfig
	cfg.Database = database
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	for _, sql := range statements {
		if _, err := conn.PgConn().Exec(ctx, sql).ReadAll(); err != nil {
			return err
		}
	}
	return nil
}

// greet visits a database that was just made, so that PostgreSQL's caches for
// it are on the disk when its tenant comes, who would else wait for them. It
// goes on behind the caller's back, and does no harm when it fails.
func (s *server) greet(database string) {
	s.e.greeting.Go(func() {
		ctx, cancel := context.WithTimeout(s.e.life, 2*time.Second)
		defer cancel()
		if err := s.visit(ctx, database); err != nil {
			s.e.opt.Log.DebugContext(ctx, "a new database could not be visited", "server", s.Name, "database", database, "error", err)
		}
	})
}

func hasCode(err error, codes ...string) bool {
	var pe *pgconn.PgError
	if !errors.As(err, &pe) {
		return false
	}
	for _, c := range codes {
		if pe.Code == c {
			return true
		}
	}
	return false
}
