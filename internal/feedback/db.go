package feedback

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"fairlead/internal/sqldb"
)

// store is this feature's SQL.
type store struct{ db *sqldb.DB }

const columns = `f.id, f.page, f.user_id, coalesce(p.name, f.user_id), f.version, f.helpful, f.words, f.at`

func scan(r sqldb.Row) (v Said, err error) {
	var at int64
	err = r.Scan(&v.ID, &v.Page, &v.UserID, &v.User, &v.Version, &v.Helpful, &v.Words, &at)
	v.At = sqldb.Time(at)
	return v, err
}

var said = sqldb.List[Said]{
	Select: `SELECT ` + columns + ` FROM feedback f LEFT JOIN principals p ON p.id = f.user_id`, Scan: scan, Default: "-at",
	Orders: map[string]sqldb.Order[Said]{
		"at": {Columns: []string{"f.at", "f.id"}, Key: func(v Said) []any { return []any{v.At.UnixMicro(), v.ID} }},
	},
}

var sums = sqldb.List[Sum]{
	Select: `SELECT s.page, s.yes, s.no, s.words, s.last FROM (SELECT f.page AS page, sum(CASE WHEN f.helpful = 1 THEN 1 ELSE 0 END) AS yes,
		sum(CASE WHEN f.helpful = 1 THEN 0 ELSE 1 END) AS no, sum(CASE WHEN f.words <> '' THEN 1 ELSE 0 END) AS words, max(f.at) AS last FROM feedback f GROUP BY f.page) s`,
	Scan: func(r sqldb.Row) (v Sum, err error) {
		var last int64
		err = r.Scan(&v.Page, &v.Helpful, &v.Not, &v.Words, &last)
		v.Last = sqldb.Time(last)
		return v, err
	},
	Default: "-not",
	Orders: map[string]sqldb.Order[Sum]{
		"not":     {Columns: []string{"s.no", "s.page"}, Key: func(v Sum) []any { return []any{v.Not, v.Page} }},
		"helpful": {Columns: []string{"s.yes", "s.page"}, Key: func(v Sum) []any { return []any{v.Helpful, v.Page} }},
		"page":    {Columns: []string{"s.page"}, Key: func(v Sum) []any { return []any{v.Page} }},
		"last":    {Columns: []string{"s.last", "s.page"}, Key: func(v Sum) []any { return []any{v.Last.UnixMicro(), v.Page} }},
	},
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

// recent counts what somebody has said of late.
func (s store) recent(ctx context.Context, tx *sqldb.Tx, userID string, since time.Time) (n int64, err error) {
	err = tx.QueryRowContext(ctx, `SELECT count(*) FROM feedback WHERE user_id = $1 AND at > $2`, userID, since.UnixMicro()).Scan(&n)
	return n, err
}

// of gives what somebody said of a page before, and how often they changed it;
// the zero value when they did not.
func (s store) of(ctx context.Context, tx *sqldb.Tx, page, userID, version string) (v Said, changes int64, err error) {
	err = tx.QueryRowContext(ctx, `SELECT f.changes FROM feedback f WHERE f.page = $1 AND f.user_id = $2 AND f.version = $3`+s.db.ForUpdate(), page, userID, version).Scan(&changes)
	if errors.Is(err, sql.ErrNoRows) {
		return Said{}, 0, nil
	}
	if err != nil {
		return Said{}, 0, err
	}
	v, err = scan(tx.QueryRowContext(ctx, said.Select+` WHERE f.page = $1 AND f.user_id = $2 AND f.version = $3`, page, userID, version))
	return v, changes, err
}

// put writes what somebody says. Two that come at once are one, the later.
func (s store) put(ctx context.Context, tx *sqldb.Tx, v Said) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO feedback (id, page, user_id, version, helpful, words, at) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (page, user_id, version) DO UPDATE SET helpful = excluded.helpful, words = excluded.words, at = excluded.at, changes = feedback.changes + 1`,
		v.ID, v.Page, v.UserID, v.Version, number(v.Helpful), v.Words, v.At.UnixMicro())
	return err
}
