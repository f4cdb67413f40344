package resource

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"fairlead/internal/access"
	"fairlead/internal/sqldb"
)

// filter builds a WHERE with numbered placeholders.
type filter struct {
	conds []string
	args  []any
}

func newFilter() *filter { return &filter{} }

func (f *filter) arg(v any) string {
	f.args = append(f.args, v)
	return "$" + strconv.Itoa(len(f.args))
}

func (f *filter) and(cond string) { f.conds = append(f.conds, cond) }

func (f *filter) where() string {
	if len(f.conds) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(f.conds, " AND ")
}

// scope lets through what the caller may see.
func (f *filter) scope(db *sqldb.DB, s access.Scope) {
	if s.All {
		return
	}
	f.and(`(` + db.InArray("r.environment_id", f.arg(toJSON(nonNil(s.EnvironmentIDs)))) +
		` OR ` + db.InArray("r.project_id", f.arg(toJSON(nonNil(s.ProjectIDs)))) +
		` OR ` + db.InArray("r.team_id", f.arg(toJSON(nonNil(s.TeamIDs)))) + `)`)
}

func nonNil(v []string) []string {
	if v == nil {
		return []string{}
	}
	return v
}

var likeEscape = strings.NewReplacer("!", "!!", "%", "!%", "_", "!_")

// splitKey is the way back from the key "name/id" of a list's last item.
func splitKey(after string) (name, id string) {
	name, id, _ = strings.Cut(after, "/")
	return name, id
}

// newestFirst pages through the rows of one owner, from the highest key down.
func newestFirst[T any](ctx context.Context, db *sqldb.DB, scan func(sqldb.Row) (T, error), selectFrom, owner, ownerID, key string, p sqldb.Page, keyOf func(T) any) ([]T, string, error) {
	b := newFilter()
	b.and(owner + ` = ` + b.arg(ownerID))
	if p.After != "" {
		var after any = p.After
		if n, err := strconv.ParseInt(p.After, 10, 64); err == nil {
			after = n
		}
		b.and(key + ` < ` + b.arg(after))
	}
	list, err := sqldb.Collect(ctx, db.Read(), scan, selectFrom+b.where()+` ORDER BY `+key+` DESC LIMIT `+b.arg(p.Size()+1), b.args...)
	if err != nil || len(list) <= p.Size() {
		return list, "", err
	}
	list = list[:p.Size()]
	return list, fmt.Sprint(keyOf(list[len(list)-1])), nil
}
