package calendar

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"fairlead/internal/ident"
	"fairlead/internal/sqldb"
)

// store is this feature's SQL.
type store struct{ db *sqldb.DB }

const placeColumns = `COALESCE(t.id, ''), COALESCE(t.name, ''), COALESCE(p.id, ''), COALESCE(p.name, ''), COALESCE(e.id, ''), COALESCE(e.name, '')`

// placeTables joins the place of the rows under the alias c. What holds in a
// place that is deleted is not seen any more.
const (
	placeTables = placeJoins + ` WHERE ` + livingPlace
	livingPlace = `e.deleted_at IS NULL AND p.deleted_at IS NULL AND t.deleted_at IS NULL`
	placeJoins  = `
	LEFT JOIN environments e ON c.scope = 'environment' AND e.id = c.place
	LEFT JOIN projects p ON p.id = CASE WHEN c.scope = 'project' THEN c.place ELSE e.project_id END
	LEFT JOIN teams t ON t.id = CASE WHEN c.scope = 'team' THEN c.place ELSE p.team_id END`
)

func (s store) read(ctx context.Context) (*set, error) {
	now, err := s.db.Now(ctx)
	if err != nil {
		return nil, err
	}
	var out set
	out.windows, err = sqldb.Collect(ctx, s.db.Read(), scanWindow, `SELECT `+windowColumns+placeTables+` ORDER BY c.name`)
	if err != nil {
		return nil, err
	}
	if out.schedules, err = s.schedules(ctx); err != nil {
		return nil, err
	}
	out.freezes, err = sqldb.Collect(ctx, s.db.Read(), scanFreeze, `SELECT `+freezeColumns+placeTables+` AND c.until_at > $1 ORDER BY c.until_at, c.id`, now.UnixMicro())
	if err != nil {
		return nil, err
	}
	return &out, s.nameTeams(ctx, out.freezes)
}

func scanWindow(r sqldb.Row) (Window, error) {
	var w Window
	var days string
	var created int64
	err := r.Scan(&w.ID, &w.Name, &w.Scope, &w.TeamID, &w.Team, &w.ProjectID, &w.Project, &w.EnvironmentID, &w.Environment, &w.Class, &days, &w.Opens, &w.Closes, &w.Zone, &created, &w.CreatedBy, &w.Version)
	if err != nil {
		return w, err
	}
	w.CreatedAt = sqldb.Time(created)
	if err := json.Unmarshal([]byte(days), &w.Weekdays); err != nil {
		return w, fmt.Errorf("window %s: %w", w.ID, err)
	}
	if w.location, err = zone(w.Zone); err != nil {
		return w, fmt.Errorf("window %s: %w", w.ID, err)
	}
	return w, nil
}

func scanFreeze(r sqldb.Row) (Freeze, error) {
	var f Freeze
	var except string
	var from, until, created int64
	err := r.Scan(&f.ID, &f.Name, &f.Scope, &f.TeamID, &f.Team, &f.ProjectID, &f.Project, &f.EnvironmentID, &f.Environment, &f.Class, &f.Reason, &from, &until, &except, &created, &f.CreatedBy, &f.Version)
	if err != nil {
		return f, err
	}
	f.From, f.Until, f.CreatedAt = sqldb.Time(from), sqldb.Time(until), sqldb.Time(created)
	return f, json.Unmarshal([]byte(except), &f.Except)
}

// nameTeams fills in the names of the teams that freezes except.
func (s store) nameTeams(ctx context.Context, list []Freeze) error {
	var ids []string
	for _, f := range list {
		ids = append(ids, f.Except...)
	}
	if len(ids) == 0 {
		return nil
	}
	type named struct{ id, name string }
	found, err := sqldb.Collect(ctx, s.db.Read(), func(r sqldb.Row) (n named, err error) { return n, r.Scan(&n.id, &n.name) },
		`SELECT id, name FROM teams WHERE `+s.db.InArray("id", "$1"), sqldb.Strings(ids))
	if err != nil {
		return err
	}
	names := map[string]string{}
	for _, n := range found {
		names[n.id] = n.name
	}
	for i := range list {
		for _, id := range list[i].Except {
			list[i].ExceptNames = append(list[i].ExceptNames, names[id])
		}
	}
	return nil
}

// resolve finds what a reference of a scope names, inside of what p has already.
func (s store) resolve(ctx context.Context, p *Place, scope, ref string) error {
	if !ident.IsRef(ref) {
		return sql.ErrNoRows
	}
	switch scope {
	case Team:
		return s.db.Read().QueryRowContext(ctx, `SELECT id, name FROM teams WHERE (id = $1 OR name = $1) AND deleted_at IS NULL`, ref).Scan(&p.TeamID, &p.Team)
	case Project:
		return s.db.Read().QueryRowContext(ctx, `SELECT p.id, p.name, t.id, t.name FROM projects p JOIN teams t ON t.id = p.team_id
			WHERE (p.id = $1 OR p.name = $1) AND p.deleted_at IS NULL`, ref).Scan(&p.ProjectID, &p.Project, &p.TeamID, &p.Team)
	}
	return s.db.Read().QueryRowContext(ctx, `SELECT e.id, e.name, p.id, p.name, t.id, t.name FROM environments e JOIN projects p ON p.id = e.project_id JOIN teams t ON t.id = p.team_id
		WHERE (e.id = $1 OR e.name = $1 AND e.project_id = $2) AND e.deleted_at IS NULL`, ref, p.ProjectID).Scan(&p.EnvironmentID, &p.Environment, &p.ProjectID, &p.Project, &p.TeamID, &p.Team)
}

func (s store) insertWindow(ctx context.Context, tx *sqldb.Tx, w Window) error {
	days, err := json.Marshal(w.Weekdays)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO calendar_windows (id, name, scope, place, class, weekdays, opens, closes, zone, created_at, created_by)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		w.ID, w.Name, w.Scope, w.id(), w.Class, string(days), w.Opens, w.Closes, w.Zone, w.CreatedAt.UnixMicro(), w.CreatedBy)
	return err
}

// insertFreeze also frees the names of freezes that are over.
func (s store) insertFreeze(ctx context.Context, tx *sqldb.Tx, f Freeze) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM calendar_freezes WHERE name = $1 AND until_at <= $2`, f.Name, tx.Now().UnixMicro())
	if err == nil {
		_, err = tx.ExecContext(ctx, `INSERT INTO calendar_freezes (id, name, scope, place, class, reason, from_at, until_at, except_teams, created_at, created_by)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
			f.ID, f.Name, f.Scope, f.id(), f.Class, f.Reason, f.From.UnixMicro(), f.Until.UnixMicro(), sqldb.Strings(f.Except), f.CreatedAt.UnixMicro(), f.CreatedBy)
	}
	return err
}

// held gives the resources that wait for the calendar; of very many the rest
// look again at their time.
func (s store) held(ctx context.Context, tx *sqldb.Tx) ([]string, error) {
	return sqldb.Collect(ctx, tx, sqldb.Text, `SELECT r.id FROM resources r WHERE r.reason = 'change_window' AND r.destroyed_at IS NULL ORDER BY r.id LIMIT 1000`)
}
