package calendar

import (
	"context"

	"fairlead/internal/access"
	"fairlead/internal/ident"
	"fairlead/internal/sqldb"
)

// Filter narrows a list of the calendar; the zero value is all.
type Filter struct {
	Team, Project, Environment string // names or ids: what holds there, or in a part of it
	Class                      string // what is for environments of this class alone
	Sort                       string // name or created, of freezes also until; with - before it the other way round
}

const (
	windowColumns   = `c.id, c.name, c.scope, ` + placeColumns + `, c.class, c.weekdays, c.opens, c.closes, c.zone, c.created_at, c.created_by, c.version FROM calendar_windows c`
	freezeColumns   = `c.id, c.name, c.scope, ` + placeColumns + `, c.class, c.reason, c.from_at, c.until_at, c.except_teams, c.created_at, c.created_by, c.version FROM calendar_freezes c`
	scheduleColumns = `c.id, c.name, c.scope, ` + placeColumns + `, c.class, c.weekdays, c.opens, c.closes, c.zone, c.turned_at, c.created_at, c.created_by, c.version FROM calendar_schedules c`
)

// orders are those of every list here.
func orders[T any](of func(T) (id, name string)) map[string]sqldb.Order[T] {
	return map[string]sqldb.Order[T]{
		"name":    {Columns: []string{"c.name", "c.id"}, Key: func(v T) []any { id, name := of(v); return []any{name, id} }},
		"created": {Columns: []string{"c.id"}, Key: func(v T) []any { id, _ := of(v); return []any{id} }},
	}
}

var (
	windows = sqldb.List[Window]{Select: `SELECT ` + windowColumns + placeJoins, Scan: scanWindow, Default: "name",
		Orders: orders(func(w Window) (string, string) { return w.ID, w.Name })}
	schedules = sqldb.List[Schedule]{Select: `SELECT ` + scheduleColumns + placeJoins, Scan: scanSchedule, Default: "name",
		Orders: orders(func(v Schedule) (string, string) { return v.ID, v.Name })}
	freezes = sqldb.List[Freeze]{Select: `SELECT ` + freezeColumns + placeJoins, Scan: scanFreeze, Default: "until", Orders: freezeOrders()}
)

func freezeOrders() map[string]sqldb.Order[Freeze] {
	out := orders(func(f Freeze) (string, string) { return f.ID, f.Name })
	out["until"] = sqldb.Order[Freeze]{Columns: []string{"c.until_at", "c.id"}, Key: func(f Freeze) []any { return []any{f.Until.UnixMicro(), f.ID} }}
	return out
}

// Windows lists those of places that the caller may know of.
func (s *Service) Windows(ctx context.Context, f Filter, page sqldb.Page) (items []Window, next string, err error) {
	w, err := s.seen(ctx, f)
	if err != nil {
		return nil, "", err
	}
	return windows.Page(ctx, s.DB.Read(), w, f.Sort, page)
}

// Freezes lists those of places that the caller may know of, the first to end
// first; those that are over are not in it.
func (s *Service) Freezes(ctx context.Context, f Filter, page sqldb.Page) (items []Freeze, next string, err error) {
	w, err := s.seen(ctx, f)
	if err != nil {
		return nil, "", err
	}
	now, err := s.DB.Now(ctx)
	if err != nil {
		return nil, "", err
	}
	w.And(`c.until_at > ?`, now.UnixMicro())
	if items, next, err = freezes.Page(ctx, s.DB.Read(), w, f.Sort, page); err == nil {
		err = s.store.nameTeams(ctx, items)
	}
	return items, next, err
}

// Schedules lists those of places that the caller may know of.
func (s *Service) Schedules(ctx context.Context, f Filter, page sqldb.Page) (items []Schedule, next string, err error) {
	w, err := s.seen(ctx, f)
	if err != nil {
		return nil, "", err
	}
	return schedules.Page(ctx, s.DB.Read(), w, f.Sort, page)
}

// seen lets through what holds where the caller may know of: the
// organisation's is everybody's.
func (s *Service) seen(ctx context.Context, f Filter) (w sqldb.Where, err error) {
	if err := known(ctx); err != nil {
		return w, err
	}
	w.And(livingPlace)
	at := access.Columns{Team: "t.id", Project: "p.id", Environment: "e.id"}
	for _, scope := range []string{Team, Project, Environment} {
		view, err := s.Access.Scope(ctx, Place{Scope: scope}.view())
		if err != nil {
			return w, err
		}
		view.NarrowThose(&w, s.DB, `c.scope = '`+scope+`'`, at)
	}
	for _, part := range []struct{ cond, ref string }{{`(t.id = ? OR t.name = ?)`, f.Team}, {`(p.id = ? OR p.name = ?)`, f.Project}, {`(e.id = ? OR e.name = ?)`, f.Environment}} {
		switch {
		case part.ref == "":
		case !ident.IsRef(part.ref):
			w.And(`1 = 0`)
		default:
			w.And(part.cond, part.ref)
		}
	}
	if f.Class != "" {
		w.And(`c.class = ?`, f.Class)
	}
	return w, nil
}
