package sqldb_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"fairlead/internal/fault"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

type setting struct {
	key, value string
	length     int64
}

var settings = sqldb.List[setting]{
	Select: `SELECT key, value, length(value) FROM settings`,
	Scan: func(r sqldb.Row) (s setting, err error) {
		return s, r.Scan(&s.key, &s.value, &s.length)
	},
	Orders: map[string]sqldb.Order[setting]{
		"key":    {Columns: []string{"key"}, Key: func(s setting) []any { return []any{s.key} }},
		"length": {Columns: []string{"length(value)", "key"}, Key: func(s setting) []any { return []any{s.length, s.key} }},
	},
	Default: "key",
}

// Every order, in both directions and with pages of every size, gives each
// row once and in order; equal sort keys are split between pages too.
func TestListPagesUnderEverySort(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		err := db.Write(t.Context(), "test.put", func(tx *sqldb.Tx) (err error) {
			for i, length := range []int{3, 1, 2, 10, 2, 2, 1} {
				err = errors.Join(err, put(tx, fmt.Sprintf("list/%d", i), strings.Repeat("x", length)))
			}
			return errors.Join(err, put(tx, "other", "x"))
		})
		if err != nil {
			t.Fatal(err)
		}
		var w sqldb.Where
		w.And(`key LIKE ? ESCAPE '\'`, sqldb.Contains("LIST/"))
		for sort, want := range map[string]string{
			"": "0123456", "key": "0123456", "-key": "6543210", "length": "1624503", "-length": "3054261",
		} {
			for limit := 1; limit <= 8; limit++ {
				var got string
				for page := (sqldb.Page{Limit: limit}); ; {
					items, next, err := settings.Page(t.Context(), db.Read(), w, sort, page)
					if err != nil {
						t.Fatalf("sort %q: %v", sort, err)
					}
					for _, s := range items {
						got += strings.TrimPrefix(s.key, "list/")
					}
					if page.After = next; next == "" {
						break
					}
				}
				if got != want {
					t.Errorf("sort %q by %d: %s, want %s", sort, limit, got, want)
				}
			}
		}
	})
}

func TestListRefusesForeignKeys(t *testing.T) {
	t.Parallel()
	db := sqldbtest.SQLite(t)
	for _, c := range []struct{ sort, after, code, reason string }{
		{"size", "", "unknown_sort", "no such order"},
		{"key; DROP TABLE settings", "", "unknown_sort", "an order is a name, never SQL"},
		{"--key", "", "unknown_sort", "turned round twice"},
		{"length", "key/list", "invalid_cursor", "made in another order"},
		{"length", "length/2", "invalid_cursor", "half a key"},
		{"length", "length/x/list", "invalid_cursor", "a number that is none"},
		{"key", "key/\x00", "invalid_cursor", "PostgreSQL refuses NUL"},
		{"key", "key/\xff", "invalid_cursor", "PostgreSQL refuses what is no UTF-8"},
		{"key", "key", "invalid_cursor", "no key at all"},
	} {
		_, _, err := settings.Page(t.Context(), db.Read(), sqldb.Where{}, c.sort, sqldb.Page{After: c.after})
		if f := fault.From(err); f.Kind != fault.Invalid || f.Code != c.code {
			t.Errorf("%s: %v, want %s", c.reason, err, c.code)
		}
	}
}

func TestWhere(t *testing.T) {
	t.Parallel()
	var w sqldb.Where
	w.And("a IS NULL")
	w.And("(b = ? OR c = ?)", 1)
	w.And("(d = ? OR e = ?)", 2, 3)
	text, args := w.SQL()
	if want := " WHERE a IS NULL AND (b = $1 OR c = $1) AND (d = $2 OR e = $3)"; text != want || !slices.Equal(args, []any{1, 2, 3}) {
		t.Errorf("%s %v, want %s", text, args, want)
	}
}
