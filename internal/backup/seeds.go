package backup

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"fairlead/internal/sqldb"
)

// seeds are the rows that the migrations themselves have put into each table.
// A store that has these and no others is as empty as one can be.
type seeds map[string][]string

// newSeeds asks a new store, which is thrown away: what the next migration
// seeds is known here without being told. It is the same for ever in a process.
var newSeeds = sync.OnceValues(func() (_ seeds, err error) {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "fairlead-restore-")
	if err != nil {
		return nil, unavailable(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "new.db")
	db, err := sqldb.Open(ctx, sqldb.Options{URL: "sqlite:" + path})
	if err != nil {
		return nil, err
	}
	if err := db.Close(); err != nil {
		return nil, unavailable(err)
	}
	pool, err := openSQLite(path, "mode=ro")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	tx, err := pool.BeginTx(ctx, nil)
	if err != nil {
		return nil, unavailable(err)
	}
	defer func() { _ = tx.Rollback() }()
	q := querier{tx}
	names, err := tables(ctx, q, sqldb.SQLite)
	if err != nil {
		return nil, unavailable(err)
	}
	out := seeds{}
	for _, name := range names {
		if out[name], err = content(ctx, q, name, -1); err != nil {
			return nil, err
		}
	}
	return out, nil
})

// are tells whether the table has just what it was seeded with.
func (s seeds) are(ctx context.Context, q querier, name string) (bool, error) {
	there, err := content(ctx, q, name, len(s[name])+1)
	return slices.Equal(there, s[name]), err
}

// content gives at most limit rows, or all when that is negative, as text that
// is the same for the same rows on either store.
func content(ctx context.Context, q querier, name string, limit int) ([]string, error) {
	table, err := quoted(name)
	if err != nil {
		return nil, err
	}
	query := `SELECT * FROM ` + table
	if limit >= 0 {
		query += fmt.Sprintf(` LIMIT %d`, limit)
	}
	rows, err := q.QueryContext(ctx, query)
	if err != nil {
		return nil, unavailable(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, unavailable(err)
	}
	var out []string
	for rows.Next() {
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, unavailable(err)
		}
		row := map[string]string{}
		for i, v := range values {
			if b, ok := v.([]byte); ok {
				v = string(b)
			}
			row[columns[i]] = fmt.Sprintf("%q", fmt.Sprint(v))
		}
		text := ""
		for _, c := range slices.Sorted(maps.Keys(row)) {
			text += c + "=" + row[c] + " "
		}
		out = append(out, text)
	}
	if err := rows.Err(); err != nil {
		return nil, unavailable(err)
	}
	slices.Sort(out)
	return out, nil
}
