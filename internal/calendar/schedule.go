package calendar

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"fairlead/internal/fault"
	"fairlead/internal/ident"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// Schedule says when what can be stopped runs: while its window is open. It
// acts at the turns alone: what somebody starts at night runs until the next.
type Schedule struct {
	Window
	TurnedAt time.Time // all turns until then are made
}

// turn is the last time until t at which the window opened or closed; zero
// when it did not for two weeks.
func (w Window) turn(t time.Time) time.Time {
	var last time.Time
	for days := -15; days <= 0; days++ {
		opens, closes, there := w.span(t, days)
		if !there {
			continue
		}
		for _, at := range []time.Time{opens, closes} {
			if at.After(last) && !at.After(t) {
				last = at
			}
		}
	}
	return last
}

// AddSchedule makes a schedule. Of its place names or ids count. It first acts
// at its next turn.
func (s *Service) AddSchedule(ctx context.Context, in Window) (Schedule, error) {
	d, err := s.mayAdd(ctx, &in.Place)
	if err != nil {
		return Schedule{}, err
	}
	if err := in.check(); err != nil {
		return Schedule{}, err
	}
	var out Schedule
	err = s.change(ctx, "calendar.schedule", false, func(tx *sqldb.Tx) error {
		out = Schedule{Window: in, TurnedAt: tx.Now()}
		out.ID, out.CreatedAt, out.CreatedBy, out.Version = ident.New("sch"), tx.Now(), principal.From(ctx).ID, 1
		if err := s.store.insertSchedule(ctx, tx, out); err != nil {
			return taken(err, "schedule")
		}
		return s.record(ctx, tx, out.Place, d, map[string]any{"schedule": out.Name, "id": out.ID, "weekdays": out.Weekdays, "starts": Clock(out.Opens), "stops": Clock(out.Closes), "zone": out.Zone})
	})
	return out, err
}

// FindSchedule gives one that the caller may know of, by name or id.
func (s *Service) FindSchedule(ctx context.Context, ref string) (Schedule, error) {
	return find(ctx, s, ref, scheduleKind)
}

// RemoveSchedule takes a schedule away, by name or id. What is stopped stays so.
func (s *Service) RemoveSchedule(ctx context.Context, ref string) error {
	return remove(ctx, s, ref, scheduleKind)
}

// Turn makes the turns of schedules that are due by the database's clock. Of
// several that were missed the last counts. It may be done twice: what is
// stopped already is not stopped again.
func (s *Service) Turn(ctx context.Context) error {
	ctx = principal.With(ctx, principal.System)
	now, err := s.DB.Now(ctx)
	if err != nil {
		return err
	}
	list, err := s.store.schedules(ctx)
	if err != nil {
		return err
	}
	var failed error
	for _, v := range list {
		if !v.turn(now).After(v.TurnedAt) {
			continue
		}
		_, open := v.open(now)
		if err := s.turnAll(ctx, v, !open); err != nil {
			failed = errors.Join(failed, fmt.Errorf("schedule %s: %w", v.ID, err))
			continue
		}
		err := s.DB.Write(ctx, "calendar.turned", func(tx *sqldb.Tx) error {
			_, err := tx.ExecContext(ctx, `UPDATE calendar_schedules SET turned_at = $2 WHERE id = $1 AND turned_at < $2`, v.ID, now.UnixMicro())
			return err
		})
		failed = errors.Join(failed, err)
	}
	return failed
}

// turnAll stops or starts what lies in the schedule's place. What cannot be,
// now or at all, is passed over.
func (s *Service) turnAll(ctx context.Context, v Schedule, paused bool) error {
	after := ""
	for {
		list, err := s.store.toTurn(ctx, v, paused, after)
		if err != nil || len(list) == 0 {
			return err
		}
		for _, r := range list {
			after = r.id
			err := s.Resources.Pause(ctx, r.project, r.environment, r.id, paused)
			if err != nil && !passedOver(fault.From(err).Kind) {
				return err
			}
		}
	}
}

func passedOver(k fault.Kind) bool { return k != fault.Unavailable && k != fault.Internal }

type placed struct{ id, project, environment string }

// toTurn gives the resources that a turn is about: those that run, or those
// that are stopped.
func (s store) toTurn(ctx context.Context, v Schedule, paused bool, after string) ([]placed, error) {
	var w sqldb.Where
	w.And(`r.id > ?`, after)
	w.And(`r.destroy_wanted_at IS NULL AND r.destroyed_at IS NULL`)
	if paused {
		w.And(`r.paused = 0 AND r.phase = 'ready'`)
	} else {
		w.And(`r.paused = 1`)
	}
	switch v.Scope {
	case Team:
		w.And(`r.team_id = ?`, v.TeamID)
	case Project:
		w.And(`r.project_id = ?`, v.ProjectID)
	case Environment:
		w.And(`r.environment_id = ?`, v.EnvironmentID)
	}
	if v.Class != "" {
		w.And(`e.class = ?`, v.Class)
	}
	where, args := w.SQL()
	return sqldb.Collect(ctx, s.db.Read(), func(r sqldb.Row) (p placed, err error) {
		return p, r.Scan(&p.id, &p.project, &p.environment)
	}, `SELECT r.id, r.project_id, r.environment_id FROM resources r JOIN environments e ON e.id = r.environment_id`+where+` ORDER BY r.id LIMIT 200`, args...)
}

func (s store) schedules(ctx context.Context) ([]Schedule, error) {
	return sqldb.Collect(ctx, s.db.Read(), scanSchedule, `SELECT `+scheduleColumns+placeTables+` ORDER BY c.name`)
}

func scanSchedule(r sqldb.Row) (v Schedule, err error) {
	var days string
	var turned, created int64
	err = r.Scan(&v.ID, &v.Name, &v.Scope, &v.TeamID, &v.Team, &v.ProjectID, &v.Project, &v.EnvironmentID, &v.Environment, &v.Class, &days, &v.Opens, &v.Closes, &v.Zone, &turned, &created, &v.CreatedBy, &v.Version)
	if err != nil {
		return v, err
	}
	v.TurnedAt, v.CreatedAt = sqldb.Time(turned), sqldb.Time(created)
	v.location, err = zone(v.Zone)
	return v, errors.Join(err, json.Unmarshal([]byte(days), &v.Weekdays))
}

func (s store) insertSchedule(ctx context.Context, tx *sqldb.Tx, v Schedule) error {
	days, err := json.Marshal(v.Weekdays)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO calendar_schedules (id, name, scope, place, class, weekdays, opens, closes, zone, turned_at, created_at, created_by)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
		v.ID, v.Name, v.Scope, v.id(), v.Class, string(days), v.Opens, v.Closes, v.Zone, v.TurnedAt.UnixMicro(), v.CreatedAt.UnixMicro(), v.CreatedBy)
	return err
}
