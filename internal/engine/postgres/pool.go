package postgres

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	fid "fairlead/internal/ident"
	"fairlead/internal/redact"
)

// poolPrefix begins the names of prepared databases; no resource's does.
const poolPrefix = "fl_pool_"

// poolQuery lists the databases that look like the pool's.
const poolQuery = `SELECT d.datname::text, coalesce(substring(textsend(c.description) FROM 1 FOR 4096), ''), d.datallowconn, d.datconnlimit
FROM pg_database d LEFT JOIN pg_shdescription c ON c.objoid = d.oid AND c.classoid = 'pg_database'::regclass
WHERE d.datname LIKE 'fl\_pool\_%' ORDER BY d.oid`

func poolMarker(installation, name string) marker {
	return marker{Installation: installation, Pool: strings.TrimPrefix(name, poolPrefix)}
}

// take finds a prepared database and locks it for this session; "" when there
// is none. The caller's transaction renames it, which is what takes it: until
// then a crash leaves it in the pool.
func (ses *session) take() (name string, err error) {
	installation := ses.e.opt.Installation
	prefix := strings.TrimSuffix(marker{Installation: installation, Pool: "x"}.String(), `x"}`)
	err = ses.query("take", func(ctx context.Context, c *pgx.Conn) error {
		err := c.QueryRow(ctx, `SELECT f.name FROM (SELECT d.datname::text AS name FROM pg_database d
			JOIN pg_shdescription c ON c.objoid = d.oid AND c.classoid = 'pg_database'::regclass
			WHERE d.datname LIKE 'fl\_pool\_%' AND NOT d.datallowconn AND starts_with(c.description, $1) ORDER BY d.oid OFFSET 0) f
			WHERE pg_try_advisory_lock(hashtextextended(f.name, 0)) LIMIT 1`, prefix).Scan(&name)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return err
	})
	return name, err
}

// Making a database keeps the server's disk busy, and whoever asks for the
// next one would wait for it: a pool that is being taken from is filled when
// it is left in peace for calm, or after patience at the latest.
const (
	calm     = 500 * time.Millisecond
	patience = 5 * time.Second
)

// rest waits for that.
func (e *Engine) rest(ctx context.Context) error {
	for end := time.Now().Add(patience); ; {
		e.mu.Lock()
		wait := min(time.Until(e.taken.Add(calm)), time.Until(end))
		e.mu.Unlock()
		if wait <= 0 {
			return nil
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}

// lostOne wakes Fill.
func (e *Engine) lostOne() {
	e.mu.Lock()
	e.taken = time.Now()
	e.mu.Unlock()
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// Fill keeps every server's pool full, and its records true, until ctx ends.
// Any number of replicas may run it.
func (e *Engine) Fill(ctx context.Context) error {
	if e.opt.Pool == 0 {
		<-ctx.Done()
		return nil
	}
	pause := time.Second
	for {
		err := e.FillOnce(ctx)
		if ctx.Err() != nil {
			return nil
		}
		wait := 30 * time.Second
		if err != nil {
			e.opt.Log.WarnContext(ctx, "the pool of prepared databases cannot be filled", "error", err, "again_in", pause)
			wait, pause = pause, min(2*pause, time.Minute)
		} else {
			pause = time.Second
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-e.wake:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// FillOnce sweeps and fills every pool once. A server that fails does not keep
// the others from being filled.
func (e *Engine) FillOnce(ctx context.Context) error {
	if e.opt.Pool == 0 {
		return nil
	}
	var all error
	for _, name := range e.names {
		all = errors.Join(all, e.servers[name].fill(ctx))
	}
	return all
}

func (s *server) fill(ctx context.Context) error {
	ready, err := s.sweep(ctx)
	if err != nil {
		return err
	}
	for ; ready < s.e.opt.Pool; ready++ {
		if err := s.e.rest(ctx); err != nil {
			return err
		}
		if err := s.prepare(ctx); err != nil {
			return err
		}
	}
	return nil
}

// spare is the password of a prepared log-in. Only the process that made it
// knows it, and keeps it in memory alone: another one sets a new password,
// which costs the server as long as a log-in.
type spare struct {
	password redact.Secret
	hash     string // of its verifier
}

// spare gives a prepared database's password, once.
func (e *Engine) spare(name string) (spare, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	sp, ok := e.spares[name]
	delete(e.spares, name)
	return sp, ok
}

// prepare makes one database for the pool, with its roles: closed, marked, and
// visited once, so that PostgreSQL's caches for it are on the disk when its
// tenant comes. Roles and marker are one transaction: a database without the
// marker has no roles.
func (s *server) prepare(ctx context.Context) error {
	installation, id := s.e.opt.Installation, strings.TrimPrefix(fid.New("pool"), "pool_")
	name := poolPrefix + id
	sp := spare{password: newPassword()}
	v, err := verifier(sp.password)
	if err != nil {
		return err
	}
	sp.hash = hashed(v)
	if err := s.e.opt.Ledger.Put(ctx, Prepared{s.Name, name}); err != nil {
		return err
	}
	return s.with2(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		ses := &session{server: s, ctx: ctx, conn: conn}
		if err := ses.exec("pool_lock", `SELECT pg_advisory_lock(hashtextextended(`+literal(name)+`, 0))`); err != nil {
			return err
		}
		defer ses.unlock()
		if err := ses.createDatabase("pool_create", name, fingerprint(installation, id)); err != nil {
			return err
		}
		q := ident(name)
		if err := ses.exec("pool_open", `REVOKE ALL ON DATABASE `+q+` FROM PUBLIC; ALTER DATABASE `+q+` ALLOW_CONNECTIONS true`); err != nil {
			return err
		}
		if err := s.inside(ctx, "pool_visit", name, `SELECT count(*) FROM pg_class`); err != nil {
			return err
		}
		login, mark := ident(name+"_a"), literal(poolMarker(installation, name).String())
		sql := []string{
			`CREATE ROLE ` + q + ` NOLOGIN`, `COMMENT ON ROLE ` + q + ` IS ` + mark,
			`CREATE ROLE ` + login + ` NOLOGIN PASSWORD ` + literal(v) + ` IN ROLE ` + q, `COMMENT ON ROLE ` + login + ` IS ` + mark,
			`ALTER DATABASE ` + q + ` ALLOW_CONNECTIONS false`, `ALTER DATABASE ` + q + ` OWNER TO ` + q, `COMMENT ON DATABASE ` + q + ` IS ` + mark,
		}
		if !s.facts.Load().superuser {
			sql = slices.Insert(sql, 2, `GRANT `+q+` TO CURRENT_USER`)
			sql = append(sql, `GRANT `+login+` TO CURRENT_USER`)
		}
		if err := ses.exec("pool_ready", strings.Join(sql, ";\n")); err != nil {
			return err
		}
		s.e.mu.Lock()
		defer s.e.mu.Unlock()
		s.e.spares[name] = sp
		return nil
	})
}

// sweep makes ledger and server agree, and tells how many databases are ready:
// unfinished ones of ours are dropped, ready ones without an entry get one, and
// entries without a database go. What someone works on right now is locked,
// and left for the next time.
func (s *server) sweep(ctx context.Context) (int, error) {
	entries, err := s.e.opt.Ledger.List(ctx)
	if err != nil {
		return 0, err
	}
	recorded := map[string]bool{}
	for _, p := range entries {
		if p.Server == s.Name {
			recorded[p.Name] = true
		}
	}
	found, err := s.pooled(ctx)
	if err != nil {
		return 0, err
	}
	ready := 0
	for _, d := range found {
		switch {
		case d.ready:
			ready++
			if !recorded[d.name] {
				if err := s.e.opt.Ledger.Put(ctx, Prepared{s.Name, d.name}); err != nil {
					return ready, err
				}
			}
			delete(recorded, d.name)
		case d.unfinished:
			delete(recorded, d.name)
			if err := s.ifIdle(ctx, d.name, func(ses *session, there bool) error {
				if !there {
					return nil
				}
				if err := ses.dropDatabase("pool_drop", d.name); err != nil {
					return err
				}
				return s.e.opt.Ledger.Delete(ctx, Prepared{s.Name, d.name})
			}); err != nil {
				return ready, err
			}
		}
	}
	for name := range recorded {
		if err := s.ifIdle(ctx, name, func(_ *session, there bool) error {
			if there {
				return nil // being made by another replica a moment ago
			}
			return s.e.opt.Ledger.Delete(ctx, Prepared{s.Name, name})
		}); err != nil {
			return ready, err
		}
	}
	return ready, nil
}

type pooled struct {
	name              string
	ready, unfinished bool
}

// pooled lists this installation's databases of the pool.
func (s *server) pooled(ctx context.Context) ([]pooled, error) {
	var out []pooled
	err := s.with(ctx, "pool_list", func(ctx context.Context, c *pgxpool.Conn) error {
		out = nil
		rows, err := c.Query(ctx, poolQuery)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var name string
			var comment []byte
			var open bool
			var limit int32
			if err := rows.Scan(&name, &comment, &open, &limit); err != nil {
				return err
			}
			m, marked := readMarker(comment)
			want := poolMarker(s.e.opt.Installation, name)
			switch {
			case marked && m == want:
				out = append(out, pooled{name: name, ready: true})
			case !marked && limit == fingerprint(want.Installation, want.Pool):
				out = append(out, pooled{name: name, unfinished: true})
			}
		}
		return rows.Err()
	})
	return out, err
}

// ifIdle runs f when nobody holds the prepared database's lock; there tells
// whether the database still exists.
func (s *server) ifIdle(ctx context.Context, name string, f func(ses *session, there bool) error) error {
	return s.with2(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		ses := &session{server: s, ctx: ctx, conn: conn}
		var got, there bool
		err := ses.query("pool_lock", func(ctx context.Context, c *pgx.Conn) error {
			if err := c.QueryRow(ctx, `SELECT pg_try_advisory_lock(hashtextextended($1, 0))`, name).Scan(&got); err != nil || !got {
				return err
			}
			return c.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, name).Scan(&there)
		})
		if err != nil || !got {
			return err
		}
		defer ses.unlock()
		return f(ses, there)
	})
}
