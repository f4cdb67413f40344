package sqldb

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"fairlead/internal/fault"
)

// Where collects the conditions of a query and their values. The zero value
// lets everything through.
type Where struct {
	conds []string
	args  []any
}

// And adds a condition. Each ? stands for the next of args; when there is one
// value alone, every ? stands for it.
func (w *Where) And(cond string, args ...any) {
	for _, a := range args {
		w.args = append(w.args, a)
		n := 1
		if len(args) == 1 {
			n = -1
		}
		cond = strings.Replace(cond, "?", "$"+strconv.Itoa(len(w.args)), n)
	}
	w.conds = append(w.conds, cond)
}

// SQL is the WHERE clause, with a space before it, and its values.
func (w *Where) SQL() (string, []any) {
	if len(w.conds) == 0 {
		return "", w.args
	}
	return " WHERE " + strings.Join(w.conds, " AND "), w.args
}

// Order is one way to sort a list of T.
type Order[T any] struct {
	Columns []string      // compared in turn; together they are unique
	Key     func(T) []any // the columns' values of an item: string or int64
}

// List is how a list is read, a page at a time, by key: what comes or goes on
// pages seen before shifts nothing.
type List[T any] struct {
	Select  string // SELECT … FROM …
	Scan    func(Row) (T, error)
	Orders  map[string]Order[T] // by the name that callers give, "-" before it for descending
	Default string              // what "" means
}

// Page gives the items of page p and the key of the next page ("" on the
// last). A sort that the list does not know is Invalid with the code
// "unknown_sort"; a key that is none of this list in this order is Invalid
// with the code "invalid_cursor".
func (l List[T]) Page(ctx context.Context, q Querier, w Where, sort string, p Page) ([]T, string, error) {
	if sort == "" {
		sort = l.Default
	}
	order, ok := l.Orders[strings.TrimPrefix(sort, "-")]
	if !ok {
		return nil, "", l.unknown()
	}
	direction, compare := "", ">"
	if strings.HasPrefix(sort, "-") {
		direction, compare = " DESC", "<"
	}
	if p.After != "" {
		place, err := order.parse(sort, p.After)
		if err != nil {
			return nil, "", err
		}
		w = Where{slices.Clone(w.conds), slices.Clone(w.args)}
		w.And("("+strings.Join(order.Columns, ", ")+") "+compare+" (?"+strings.Repeat(", ?", len(place)-1)+")", place...)
	}
	where, args := w.SQL()
	by := strings.Join(order.Columns, direction+", ") + direction
	items, err := collect(ctx, q, l.Scan, p.Size(), l.Select+where+" ORDER BY "+by+" LIMIT "+strconv.Itoa(p.Size()+1), args...)
	if err != nil || len(items) <= p.Size() {
		return items, "", err
	}
	items = items[:p.Size()]
	return items, l.After(sort, items[len(items)-1]), nil
}

// After is the key of the page that begins behind item.
func (l List[T]) After(sort string, item T) string {
	if sort == "" {
		sort = l.Default
	}
	key := sort
	for _, v := range l.Orders[strings.TrimPrefix(sort, "-")].Key(item) {
		key += "/" + fmt.Sprint(v)
	}
	return key
}

// parse reads what After made in the same order.
func (o Order[T]) parse(sort, after string) ([]any, error) {
	bad := fault.New(fault.Invalid, "invalid_cursor", "the cursor is not one of this list in this order").
		WithHint("start again without a cursor, and leave sort as it is from page to page").WithField("query:cursor")
	parts := strings.SplitN(after, "/", len(o.Columns)+1)
	if parts[0] != sort || len(parts) != len(o.Columns)+1 || !utf8.ValidString(after) || strings.ContainsRune(after, 0) {
		return nil, bad
	}
	var zero T
	place := o.Key(zero)
	for i, text := range parts[1:] {
		if _, number := place[i].(int64); !number {
			place[i] = text
			continue
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, bad.WithCause(err)
		}
		place[i] = n
	}
	return place, nil
}

func (l List[T]) unknown() error {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(l.Orders)) {
		names = append(names, name, "-"+name)
	}
	return fault.New(fault.Invalid, "unknown_sort", "the list cannot be sorted that way").
		WithField("query:sort").WithHint("sort by one of %s", strings.Join(names, ", "))
}

// Contains is the pattern of LIKE … ESCAPE '\' for text somewhere within a
// column in lower case.
func Contains(text string) string {
	return "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(strings.ToLower(text)) + "%"
}

// Text scans a row of one column.
func Text(r Row) (v string, err error) { return v, r.Scan(&v) }

// Strings is a JSON array, never null, as InArray takes it.
func Strings(v []string) string {
	if len(v) == 0 {
		return "[]"
	}
	b, err := json.Marshal(v)
	if err != nil { // strings always marshal
		return "[]"
	}
	return string(b)
}

// Time reads a column of microseconds.
func Time(us int64) time.Time { return time.UnixMicro(us).UTC() }

// TimeOrZero reads a column of microseconds that may be NULL.
func TimeOrZero(us sql.NullInt64) time.Time {
	if !us.Valid {
		return time.Time{}
	}
	return Time(us.Int64)
}

// Named gives the usual orders of a table that has an id (by age), a name and
// updated_at: name, created, updated.
func Named[T any](alias string, of func(T) (id, name string, updated time.Time)) map[string]Order[T] {
	id := alias + ".id"
	return map[string]Order[T]{
		"name": {Columns: []string{alias + ".name", id}, Key: func(v T) []any {
			id, name, _ := of(v)
			return []any{name, id}
		}},
		"created": {Columns: []string{id}, Key: func(v T) []any {
			id, _, _ := of(v)
			return []any{id}
		}},
		"updated": {Columns: []string{alias + ".updated_at", id}, Key: func(v T) []any {
			id, _, updated := of(v)
			return []any{updated.UnixMicro(), id}
		}},
	}
}
