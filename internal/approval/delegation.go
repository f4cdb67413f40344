package approval

import (
	"context"
	"database/sql"
	"time"

	"fairlead/internal/sqldb"
)

// Delegation is that somebody stands in for somebody else for a while.
type Delegation struct {
	ID        string
	FromID    string
	From      string // name
	ToID      string
	To        string
	Begins    time.Time
	Until     time.Time
	Reason    string
	CreatedAt time.Time
	CreatedBy string // name
	EndedAt   time.Time
}

const delegationSelect = `SELECT g.id, g.from_id, coalesce(f.name, g.from_id), g.to_id, coalesce(t.name, g.to_id), g.from_at, g.until_at, g.reason,
	g.created_at, coalesce(c.name, g.created_by), g.ended_at FROM approval_delegations g
	LEFT JOIN principals f ON f.id = g.from_id LEFT JOIN principals t ON t.id = g.to_id LEFT JOIN principals c ON c.id = g.created_by`

func scanDelegation(r sqldb.Row) (Delegation, error) {
	var d Delegation
	var begins, until, created int64
	var ended sql.NullInt64
	err := r.Scan(&d.ID, &d.FromID, &d.From, &d.ToID, &d.To, &begins, &until, &d.Reason, &created, &d.CreatedBy, &ended)
	d.Begins, d.Until, d.CreatedAt, d.EndedAt = sqldb.Time(begins), sqldb.Time(until), sqldb.Time(created), sqldb.TimeOrZero(ended)
	return d, err
}

var delegations = sqldb.List[Delegation]{
	Select: delegationSelect, Scan: scanDelegation, Default: "-created",
	Orders: map[string]sqldb.Order[Delegation]{"created": {Columns: []string{"g.id"}, Key: func(d Delegation) []any { return []any{d.ID} }}},
}

// inForce is the condition that a delegation holds at $2.
const inForce = ` AND g.from_at <= $2 AND g.until_at > $2 AND g.ended_at IS NULL`

// delegatedTo gives who delegated to somebody at a time.
func (s store) delegatedTo(ctx context.Context, q sqldb.Querier, id string, at time.Time) ([]Delegation, error) {
	return sqldb.Collect(ctx, q, scanDelegation, delegationSelect+` WHERE g.to_id = $1`+inForce+` ORDER BY g.id LIMIT 50`, id, at.UnixMicro())
}

// standIns gives who stands in for some people at a time.
func (s store) standIns(ctx context.Context, q sqldb.Querier, ids []string, at time.Time) ([]Delegation, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	return sqldb.Collect(ctx, q, scanDelegation, delegationSelect+` WHERE `+s.db.InArray("g.from_id", "$1")+inForce+` ORDER BY g.id LIMIT 50`,
		sqldb.Strings(ids), at.UnixMicro())
}
