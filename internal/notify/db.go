package notify

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"fairlead/internal/ident"
	"fairlead/internal/sqldb"
)

// store is this feature's SQL.
type store struct{ db *sqldb.DB }

const webhookColumns = `w.id, w.team_id, coalesce(t.name, ''), w.url, w.types, w.description, w.enabled, w.disabled_why, w.key_generation,
	w.overlap_until, w.created_at, w.created_by, w.updated_at, w.version, coalesce(n.failures, 0), coalesce(n.failing_at, 0)`

const webhookTables = ` FROM webhooks w LEFT JOIN teams t ON t.id = w.team_id LEFT JOIN notify_targets n ON n.id = w.id`

func scanWebhook(r sqldb.Row) (Webhook, error) {
	var w Webhook
	var types string
	var overlap, created, updated, failing int64
	err := r.Scan(&w.ID, &w.TeamID, &w.Team, &w.URL, &types, &w.Description, &w.Enabled, &w.DisabledWhy, &w.generation,
		&overlap, &created, &w.CreatedBy, &updated, &w.Version, &w.Failures, &failing)
	if err != nil {
		return Webhook{}, err
	}
	w.Overlap, w.CreatedAt, w.UpdatedAt, w.FailingSince = moment(overlap), sqldb.Time(created), sqldb.Time(updated), moment(failing)
	return w, json.Unmarshal([]byte(types), &w.Types)
}

func moment(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return sqldb.Time(us)
}

var webhooks = sqldb.List[Webhook]{
	Select: `SELECT ` + webhookColumns + webhookTables, Scan: scanWebhook, Default: "created",
	Orders: map[string]sqldb.Order[Webhook]{
		"created": {Columns: []string{"w.id"}, Key: func(w Webhook) []any { return []any{w.ID} }},
		"url":     {Columns: []string{"w.url", "w.id"}, Key: func(w Webhook) []any { return []any{w.URL, w.ID} }},
	},
}

// webhook gives a webhook, locked when q is a transaction that changes it.
func (s store) webhook(ctx context.Context, q sqldb.Querier, id string, lock bool) (Webhook, error) {
	suffix := ""
	if lock && s.db.Dialect() == sqldb.Postgres {
		suffix = " FOR UPDATE OF w"
	}
	return scanWebhook(q.QueryRowContext(ctx, webhooks.Select+` WHERE w.id = $1`+suffix, id))
}

func (s store) insert(ctx context.Context, tx *sqldb.Tx, w Webhook) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO webhooks (id, team_id, url, types, description, created_at, created_by, enabled_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $6, $6)`,
		w.ID, w.TeamID, w.URL, sqldb.Strings(w.Types), w.Description, tx.Now().UnixMicro(), w.CreatedBy)
	return err
}

// update writes what can change of a webhook; enabled anew, it gets what
// happens from now on.
func (s store) update(ctx context.Context, tx *sqldb.Tx, w Webhook, anew bool) error {
	_, err := tx.ExecContext(ctx, `UPDATE webhooks SET url = $2, types = $3, description = $4, enabled = $5, disabled_why = $6, key_generation = $7,
			overlap_until = $8, updated_at = $9, version = version + 1, enabled_at = CASE WHEN $10 = 1 THEN $9 ELSE enabled_at END WHERE id = $1`,
		w.ID, w.URL, sqldb.Strings(w.Types), w.Description, number(w.Enabled), w.DisabledWhy, w.generation, microsOrZero(w.Overlap), tx.Now().UnixMicro(), number(anew))
	return err
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

func microsOrZero(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func (s store) delete(ctx context.Context, tx *sqldb.Tx, id string) error {
	for _, q := range []string{`DELETE FROM deliveries WHERE target = $1`, `DELETE FROM notify_targets WHERE id = $1`, `DELETE FROM webhooks WHERE id = $1`} {
		if _, err := tx.ExecContext(ctx, q, id); err != nil {
			return err
		}
	}
	return nil
}

// teamsWithWebhooks gives the ids of teams that have any.
func (s store) teamsWithWebhooks(ctx context.Context) ([]string, error) {
	return sqldb.Collect(ctx, s.db.Read(), sqldb.Text, `SELECT DISTINCT team_id FROM webhooks WHERE team_id <> '' ORDER BY team_id`)
}

// team finds a team by name or id.
func (s store) team(ctx context.Context, ref string) (id, name string, err error) {
	err = s.db.Read().QueryRowContext(ctx, `SELECT id, name FROM teams WHERE (id = $1 OR name = $1) AND deleted_at IS NULL`, ref).Scan(&id, &name)
	return id, name, err
}

// user gives the id of whom ref names; ref itself where it is nobody's name.
func (s store) user(ctx context.Context, ref string) (string, error) {
	id := ref
	err := s.db.Read().QueryRowContext(ctx, `SELECT id FROM principals WHERE name = $1`, ref).Scan(&id)
	if missing(err) {
		return ref, nil
	}
	return id, err
}

const deliveryColumns = `d.id, d.target, d.recipient, d.event_id, d.event_type, d.payload, d.status, d.attempts, d.next_at, d.expires_at,
	d.last_code, d.last_error, d.last_body, d.created_at, d.updated_at, d.fence`

// scanDelivery reads deliveryColumns, and what follows them.
func scanDelivery(r sqldb.Row, more ...any) (Delivery, error) {
	var d Delivery
	var next, expires, created, updated int64
	err := r.Scan(append([]any{&d.ID, &d.Target, &d.Recipient, &d.EventID, &d.EventType, &d.Payload, &d.Status, &d.Attempts, &next, &expires,
		&d.LastCode, &d.LastError, &d.LastBody, &created, &updated, &d.fence}, more...)...)
	d.NextAt, d.ExpiresAt, d.CreatedAt, d.UpdatedAt = sqldb.Time(next), sqldb.Time(expires), sqldb.Time(created), sqldb.Time(updated)
	return d, err
}

var deliveries = sqldb.List[Delivery]{
	Select: `SELECT ` + deliveryColumns + `, coalesce(o.name, ''), coalesce(o.email, '') FROM deliveries d LEFT JOIN principals o ON o.id = d.recipient`, Scan: scanListed, Default: "-created",
	Orders: map[string]sqldb.Order[Delivery]{
		"created": {Columns: []string{"d.id"}, Key: func(d Delivery) []any { return []any{d.ID} }},
	},
}

// scanListed reads a delivery with whose it is.
func scanListed(r sqldb.Row) (Delivery, error) {
	var name, email string
	d, err := scanDelivery(r, &name, &email)
	d.User, d.Email = name, email
	return d, err
}

func (s store) delivery(ctx context.Context, q sqldb.Querier, id string) (Delivery, error) {
	return scanListed(q.QueryRowContext(ctx, deliveries.Select+` WHERE d.id = $1`, id))
}

// add makes a delivery of an event, once for each receiver.
func (s store) add(ctx context.Context, tx *sqldb.Tx, d Delivery, teamID string) error {
	now := tx.Now()
	tx.Notify(wake, "")
	_, err := tx.ExecContext(ctx, `INSERT INTO deliveries (id, target, recipient, event_id, event_type, team_id, payload, status, next_at, expires_at, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 'pending', $8, $9, $8, $8) ON CONFLICT (event_id, target, recipient) DO NOTHING`,
		ident.New("dlv"), d.Target, d.Recipient, d.EventID, d.EventType, teamID, d.Payload, now.UnixMicro(), now.Add(giveUp).UnixMicro())
	return err
}

func missing(err error) bool { return errors.Is(err, sql.ErrNoRows) }
