package cost

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"fairlead/internal/gate"
	"fairlead/internal/sqldb"
)

// store is this feature's SQL, on the read pool or in a transaction.
type store struct{ db *sqldb.DB }

const tableColumns = `v.version, v.digest, v.currency, v.items, v.document, v.created_at, v.created_by, v.repriced_at, v.repriced`

func scanTable(r sqldb.Row) (Table, error) {
	var t Table
	var created int64
	var repriced sql.NullInt64
	err := r.Scan(&t.Version, &t.Digest, &t.Currency, &t.Count, &t.Document, &created, &t.CreatedBy, &repriced, &t.Repriced)
	t.CreatedAt, t.RepricedAt = sqldb.Time(created), sqldb.TimeOrZero(repriced)
	return t, err
}

var tables = sqldb.List[Table]{
	Select: `SELECT ` + tableColumns + ` FROM price_tables v`, Scan: scanTable, Default: "-version",
	Orders: map[string]sqldb.Order[Table]{"version": {Columns: []string{"v.version"}, Key: func(t Table) []any { return []any{t.Version} }}},
}

// spent is a report's order; Report gives it what to select.
var spent = sqldb.List[Spent]{
	Scan: func(r sqldb.Row) (Spent, error) {
		var s Spent
		var all sql.NullInt64
		var allMonthly int64
		var sum Sum
		err := r.Scan(&s.ID, &s.Name, &s.Currency, &s.micros, &s.monthly, &s.Resources, &all, &allMonthly, &sum.Resources, &sum.Only)
		if all.Valid {
			sum.Spent, sum.Monthly = float64(all.Int64)/1e6, float64(allMonthly)/1e6
			s.All = &sum
		}
		s.Name = strings.ReplaceAll(s.Name, " ", "/") // a slash would part a page's key
		s.Spent, s.Monthly = float64(s.micros)/1e6, float64(s.monthly)/1e6
		return s, err
	},
	Default: "name",
	Orders: map[string]sqldb.Order[Spent]{
		"name":    {Columns: []string{"g.name", "g.id", "g.currency"}, Key: func(s Spent) []any { return []any{strings.ReplaceAll(s.Name, "/", " "), s.ID, s.Currency} }},
		"monthly": {Columns: []string{"g.monthly", "g.id", "g.currency"}, Key: func(s Spent) []any { return []any{s.monthly, s.ID, s.Currency} }},
		"cost":    {Columns: []string{"g.spent", "g.id", "g.currency"}, Key: func(s Spent) []any { return []any{s.micros, s.ID, s.Currency} }},
	},
}

// newest gives the table in force; the zero Table when there is none.
func (s store) newest(ctx context.Context, q sqldb.Querier) (Table, error) {
	return orNone(scanTable(q.QueryRowContext(ctx, `SELECT `+tableColumns+` FROM price_tables v ORDER BY v.version DESC LIMIT 1`)))
}

func (s store) version(ctx context.Context, n int64) (Table, error) {
	return orNone(scanTable(s.db.Read().QueryRowContext(ctx, `SELECT `+tableColumns+` FROM price_tables v WHERE v.version = $1`, n)))
}

func orNone(t Table, err error) (Table, error) {
	if errors.Is(err, sql.ErrNoRows) {
		return Table{}, nil
	}
	return t, err
}

// lockPrices lets one put prices at a time.
func (s store) lockPrices(ctx context.Context, tx *sqldb.Tx) error {
	if s.db.Dialect() != sqldb.Postgres {
		return nil
	}
	_, err := tx.ExecContext(ctx, `LOCK TABLE price_tables IN SHARE ROW EXCLUSIVE MODE`)
	return err
}

func (s store) put(ctx context.Context, tx *sqldb.Tx, t Table) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO price_tables (version, digest, currency, items, document, created_at, created_by) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		t.Version, t.Digest, t.Currency, t.Count, t.Document, t.CreatedAt.UnixMicro(), t.CreatedBy)
	return err
}

// metered is what a resource costs as it was last noted; Unpriced when it was not.
func (s store) metered(ctx context.Context, resourceID string) (gate.Cost, error) {
	var monthly int64
	var c gate.Cost
	err := s.db.Read().QueryRowContext(ctx, `SELECT monthly, currency FROM cost_spans WHERE resource_id = $1 AND ended_at IS NULL`, resourceID).Scan(&monthly, &c.Currency)
	if errors.Is(err, sql.ErrNoRows) {
		return gate.Cost{Unpriced: true}, nil
	}
	c.Monthly = float64(monthly) / 1e6
	c.Before = c.Monthly
	return c, err
}
