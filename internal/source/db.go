package source

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"fairlead/internal/sqldb"
)

// store is this feature's SQL.
type store struct{ db *sqldb.DB }

const sourceColumns = `id, name, kind, url, path, refs, release, credential, known_hosts, hooked, every_s, due_at, wanted, looked, synced_at, failures,
	error_code, error, hint, created_at, created_by, updated_at, version, place, fence`

func scanSource(r sqldb.Row) (s Source, err error) {
	var every, due, synced, created, updated int64
	err = r.Scan(&s.ID, &s.Name, &s.Kind, &s.URL, &s.Path, &s.Refs, &s.Release, &s.Credential, &s.KnownHosts, &s.Hooked, &every, &due, &s.Wanted, &s.Looked, &synced, &s.Failures,
		&s.Problem.Code, &s.Problem.Message, &s.Problem.Hint, &created, &s.CreatedBy, &updated, &s.Version, &s.place, &s.fence)
	s.Every, s.DueAt, s.SyncedAt, s.CreatedAt, s.UpdatedAt = time.Duration(every)*time.Second, moment(due), moment(synced), sqldb.Time(created), sqldb.Time(updated)
	return s, err
}

func moment(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return sqldb.Time(us)
}

var sources = sqldb.List[Source]{
	Select: `SELECT ` + sourceColumns + ` FROM template_sources`, Scan: scanSource, Default: "name",
	Orders: map[string]sqldb.Order[Source]{"name": {Columns: []string{"name"}, Key: func(s Source) []any { return []any{s.Name} }}},
}

const tagColumns = `tag, release, sort_key, commit_id, moved_to, status, digest, code, message, hint, again, place, seen_at`

func scanTag(r sqldb.Row) (t Tag, err error) {
	var seen int64
	err = r.Scan(&t.Name, &t.Release, &t.sortKey, &t.Commit, &t.MovedTo, &t.Status, &t.Digest, &t.Problem.Code, &t.Problem.Message, &t.Problem.Hint, &t.again, &t.place, &seen)
	t.SeenAt = sqldb.Time(seen)
	return t, err
}

var tags = sqldb.List[Tag]{
	Select: `SELECT ` + tagColumns + ` FROM template_source_tags`, Scan: scanTag, Default: "-version",
	Orders: map[string]sqldb.Order[Tag]{"version": {Columns: []string{"sort_key", "tag"}, Key: func(t Tag) []any { return []any{t.sortKey, t.Name} }}},
}

// find gives a source by id or by its template's name, locked when lock.
func (s store) find(ctx context.Context, q sqldb.Querier, ref string, lock bool) (Source, error) {
	suffix := ""
	if lock && s.db.Dialect() == sqldb.Postgres {
		suffix = " FOR UPDATE"
	}
	return scanSource(q.QueryRowContext(ctx, sources.Select+` WHERE id = $1 OR name = $1`+suffix, ref))
}

func (s store) insert(ctx context.Context, tx *sqldb.Tx, v Source) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO template_sources
		(id, name, kind, url, path, refs, release, credential, known_hosts, hooked, every_s, due_at, created_at, created_by, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12, $13, $12)`,
		v.ID, v.Name, string(v.Kind), v.URL, v.Path, v.Refs, v.Release, v.Credential, v.KnownHosts, number(v.Hooked), int64(v.Every.Seconds()), tx.Now().UnixMicro(), v.CreatedBy)
	return err
}

// update writes what a change may change, and has it looked at now: whatever
// look is under way is overtaken.
func (s store) update(ctx context.Context, tx *sqldb.Tx, v Source) error {
	tx.Notify(Topic, "")
	_, err := tx.ExecContext(ctx, `UPDATE template_sources SET kind = $2, url = $3, path = $4, refs = $5, release = $6, credential = $7, known_hosts = $8, hooked = $9, every_s = $10, place = $11,
			due_at = $12, updated_at = $12, wanted = wanted + 1, version = version + 1, lease_until = 0, fence = fence + 1 WHERE id = $1`,
		v.ID, string(v.Kind), v.URL, v.Path, v.Refs, v.Release, v.Credential, v.KnownHosts, number(v.Hooked), int64(v.Every.Seconds()), v.place, tx.Now().UnixMicro())
	return err
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (s store) remove(ctx context.Context, tx *sqldb.Tx, id string) error {
	for _, q := range []string{`DELETE FROM template_source_pushes WHERE source = $1`, `DELETE FROM template_source_tags WHERE source = $1`, `DELETE FROM template_sources WHERE id = $1`} {
		if _, err := tx.ExecContext(ctx, q, id); err != nil {
			return err
		}
	}
	return nil
}

// want makes a source due now and gives the number of the look that is wanted.
func (s store) want(ctx context.Context, tx *sqldb.Tx, id string) (n int64, err error) {
	tx.Notify(Topic, "")
	err = tx.QueryRowContext(ctx, `UPDATE template_sources SET wanted = wanted + 1, due_at = $2 WHERE id = $1 RETURNING wanted`, id, tx.Now().UnixMicro()).Scan(&n)
	return n, err
}

// claim takes one source that is due, under a new fence.
func (s store) claim(ctx context.Context, lease time.Duration) (out Source, ok bool, err error) {
	err = s.db.Write(ctx, "source.claim", func(tx *sqldb.Tx) error {
		now := tx.Now()
		out, err = scanSource(tx.QueryRowContext(ctx, `UPDATE template_sources SET lease_until = $1, fence = fence + 1 WHERE id IN (
				SELECT id FROM template_sources WHERE due_at > 0 AND due_at <= $2 AND lease_until <= $2 ORDER BY due_at, id LIMIT 1`+s.db.SkipLocked()+`
			) RETURNING `+sourceColumns, now.Add(lease).UnixMicro(), now.UnixMicro()))
		ok = err == nil
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	return out, ok && err == nil, err
}

// renew keeps a claim; false when another has it, or the source is no more.
func (s store) renew(ctx context.Context, v Source, lease time.Duration) (held bool, err error) {
	err = s.db.Write(ctx, "source.renew", func(tx *sqldb.Tx) error {
		res, err := tx.ExecContext(ctx, `UPDATE template_sources SET lease_until = $3 WHERE id = $1 AND fence = $2`, v.ID, v.fence, tx.Now().Add(lease).UnixMicro())
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		held = n == 1
		return err
	})
	return held, err
}

// any tells without a write whether anything is due.
func (s store) any(ctx context.Context, now time.Time) (bool, error) {
	var n int64
	err := s.db.Read().QueryRowContext(ctx, `SELECT count(*) FROM template_sources WHERE due_at > 0 AND due_at <= $1 AND lease_until <= $1`, now.UnixMicro()).Scan(&n)
	return n > 0, err
}

// held refuses what a look wrote that another one has overtaken.
func (s store) held(ctx context.Context, tx *sqldb.Tx, v Source) error {
	now, err := s.find(ctx, tx, v.ID, true)
	if errors.Is(err, sql.ErrNoRows) || err == nil && now.fence != v.fence {
		return errOvertaken
	}
	return err
}

// done writes how a look ended. What was wanted meanwhile is looked at at once.
// A whole look leaves nothing of the places that were before.
func (s store) done(ctx context.Context, tx *sqldb.Tx, v Source, p Problem, next time.Time, whole bool) error {
	at, failures := int64(0), int64(0)
	if p.Code == "" {
		at = tx.Now().UnixMicro()
	} else {
		failures = v.Failures + 1
	}
	due := int64(0)
	if !next.IsZero() {
		due = next.UnixMicro()
	}
	if whole {
		_, err := tx.ExecContext(ctx, `DELETE FROM template_source_tags WHERE source = $1 AND place < $2 AND EXISTS (SELECT 1 FROM template_sources WHERE id = $1 AND fence = $3)`, v.ID, v.place, v.fence)
		if err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx, `UPDATE template_sources SET lease_until = 0, looked = $2, failures = $3, error_code = $4, error = $5, hint = $6,
			synced_at = CASE WHEN CAST($7 AS BIGINT) > 0 THEN CAST($7 AS BIGINT) ELSE synced_at END, due_at = CASE WHEN wanted > $2 THEN CAST($8 AS BIGINT) ELSE CAST($9 AS BIGINT) END WHERE id = $1 AND fence = $10`,
		v.ID, v.Wanted, failures, p.Code, p.Message, p.Hint, at, tx.Now().UnixMicro(), due, v.fence)
	return err
}

// known gives what was seen of a source, by tag.
func (s store) known(ctx context.Context, id string) (map[string]Tag, error) {
	list, err := sqldb.Collect(ctx, s.db.Read(), scanTag, tags.Select+` WHERE source = $1`, id)
	out := make(map[string]Tag, len(list))
	for _, t := range list {
		out[t.Name] = t
	}
	return out, err
}

func (s store) putTag(ctx context.Context, tx *sqldb.Tx, id string, t Tag) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO template_source_tags (source, tag, release, sort_key, commit_id, moved_to, status, digest, code, message, hint, again, place, seen_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
		ON CONFLICT (source, tag) DO UPDATE SET release = excluded.release, sort_key = excluded.sort_key, commit_id = excluded.commit_id, moved_to = excluded.moved_to,
			status = excluded.status, digest = excluded.digest, code = excluded.code, message = excluded.message, hint = excluded.hint, again = excluded.again, place = excluded.place, seen_at = excluded.seen_at`,
		id, t.Name, t.Release, t.sortKey, t.Commit, t.MovedTo, string(t.Status), t.Digest, t.Problem.Code, t.Problem.Message, t.Problem.Hint, number(t.again), t.place, tx.Now().UnixMicro())
	return err
}

// push notes a push by its id; false when it was there.
func (s store) push(ctx context.Context, tx *sqldb.Tx, id, push string, keep time.Duration) (bool, error) {
	now := tx.Now()
	if _, err := tx.ExecContext(ctx, `DELETE FROM template_source_pushes WHERE source = $1 AND at < $2`, id, now.Add(-keep).UnixMicro()); err != nil {
		return false, err
	}
	res, err := tx.ExecContext(ctx, `INSERT INTO template_source_pushes (source, id, at) VALUES ($1, $2, $3) ON CONFLICT (source, id) DO NOTHING`, id, push, now.UnixMicro())
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n == 1, err
}

// Release frees what a server that is no more was looking at; only where no
// other can be alive.
func Release(ctx context.Context, db *sqldb.DB) error {
	return db.Write(ctx, "source.release", func(tx *sqldb.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE template_sources SET lease_until = 0, fence = fence + 1 WHERE lease_until > 0`)
		return err
	})
}
