package calendar

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/event"
	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/ident"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// Topic is woken when windows or freezes change.
const Topic = "calendar"

const staleAfter = 30 * time.Second // wake-ups can get lost

// Environments finds environments.
type Environments interface {
	// Resolve finds one by names or ids for the principal in ctx.
	Resolve(ctx context.Context, project, environment string) (gate.Environment, error)
}

// Wake has resources look again.
type Wake interface {
	Wake(ctx context.Context, tx *sqldb.Tx, resourceID string) error
}

// Resources stops and starts resources.
type Resources interface {
	// Pause stops or starts one, as the system. It fails with the kind Invalid
	// when it is of a kind that cannot be stopped, with Conflict when it cannot
	// be now.
	Pause(ctx context.Context, projectID, environmentID, resourceID string, paused bool) error
}

// Options is what the service stands on. All are needed.
type Options struct {
	DB           *sqldb.DB
	Access       access.Authorizer
	Environments Environments
	Wake         Wake
	Resources    Resources
	Log          *slog.Logger
}

// Service keeps the calendar. It is safe for concurrent use.
type Service struct {
	Options
	store   store
	current atomic.Pointer[set]
}

// New makes the service.
func New(o Options) *Service { return &Service{Options: o, store: store{o.DB}} }

// Run keeps what is known of the calendar fresh until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	wake, stop := s.DB.Subscribe(Topic)
	defer stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-wake:
			s.current.Store(nil)
		}
	}
}

// Window implements gate.Calendar. What nobody asked for is never held.
func (s *Service) Window(ctx context.Context, f gate.Facts) (gate.Window, error) {
	if f.Action == gate.Keep {
		return gate.Window{}, nil
	}
	all, err := s.all(ctx)
	if err != nil {
		return gate.Window{}, err
	}
	return all.window(f.Environment, f.Now), nil
}

func (s *Service) all(ctx context.Context) (*set, error) {
	if c := s.current.Load(); c != nil && time.Since(c.read) < staleAfter {
		return c, nil
	}
	read := time.Now()
	c, err := s.store.read(ctx)
	if err != nil {
		return nil, err
	}
	c.read = read
	s.current.Store(c)
	return c, nil
}

// Status is how it stands for an environment.
type Status struct {
	Now     gate.Window
	OpenTo  time.Time // when it is open by windows: until then; zero: no end is known
	Windows []Window  // those that decide
	Freezes []Freeze  // that hold, or will
}

// Status tells what holds for an environment that the caller may see.
func (s *Service) Status(ctx context.Context, project, environment string) (Status, error) {
	if err := known(ctx); err != nil {
		return Status{}, err
	}
	e, err := s.Environments.Resolve(ctx, project, environment)
	if err != nil {
		return Status{}, err
	}
	all, err := s.all(ctx)
	if err != nil {
		return Status{}, err
	}
	now, err := s.DB.Now(ctx)
	if err != nil {
		return Status{}, err
	}
	st := Status{Now: all.window(e, now), Windows: all.of(e)}
	for _, w := range st.Windows {
		if to, open := w.open(now); open && to.After(st.OpenTo) {
			st.OpenTo = to
		}
	}
	for _, f := range all.freezes {
		if f.holds(e) && f.Until.After(now) {
			st.Freezes = append(st.Freezes, f)
			if !st.Now.Closed && f.covers(e, f.From) && (st.OpenTo.IsZero() || f.From.Before(st.OpenTo)) {
				st.OpenTo = f.From
			}
		}
	}
	return st, nil
}

// kind is one of what the calendar holds: windows, freezes, schedules.
type kind[T any] struct {
	name string
	all  func(*set) []T
	of   func(T) (place Place, id, name string)
}

var (
	windowKind   = kind[Window]{"window", func(c *set) []Window { return c.windows }, func(w Window) (Place, string, string) { return w.Place, w.ID, w.Name }}
	freezeKind   = kind[Freeze]{"freeze", func(c *set) []Freeze { return c.freezes }, func(f Freeze) (Place, string, string) { return f.Place, f.ID, f.Name }}
	scheduleKind = kind[Schedule]{"schedule", func(c *set) []Schedule { return c.schedules }, func(v Schedule) (Place, string, string) { return v.Place, v.ID, v.Name }}
)

func (k kind[T]) missing() error {
	return fault.New(fault.NotFound, "not_found", "there is no such %s, or none that you may know of", k.name).WithHint("list them: fairlead calendar %s ls", k.name)
}

// one finds what there is by a name or an id, for the caller to do something with.
func one[T any](ctx context.Context, s *Service, ref string, action func(Place) access.Action, k kind[T]) (v T, d access.Decision, err error) {
	if err := known(ctx); err != nil {
		return v, d, err
	}
	s.current.Store(nil) // what was just written counts, also by another replica
	all, err := s.all(ctx)
	if err != nil {
		return v, d, err
	}
	for _, v := range k.all(all) {
		place, id, name := k.of(v)
		if id != ref && name != ref {
			continue
		}
		if place.Scope == Organisation && action(place) == place.view() {
			return v, d, nil // everybody may know of it
		}
		d, err := s.Access.Check(ctx, action(place), place.Target())
		if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Denied) && action(place) == place.view() {
			err = k.missing()
		}
		return v, d, err
	}
	return v, d, k.missing()
}

func find[T any](ctx context.Context, s *Service, ref string, k kind[T]) (T, error) {
	v, _, err := one(ctx, s, ref, Place.view, k)
	if err != nil {
		var none T
		return none, err
	}
	return v, nil
}

// FindWindow gives one that the caller may know of, by name or id.
func (s *Service) FindWindow(ctx context.Context, ref string) (Window, error) {
	return find(ctx, s, ref, windowKind)
}

// FindFreeze gives one that the caller may know of, by name or id.
func (s *Service) FindFreeze(ctx context.Context, ref string) (Freeze, error) {
	return find(ctx, s, ref, freezeKind)
}

// AddWindow makes a window. Of its place names or ids count.
func (s *Service) AddWindow(ctx context.Context, w Window) (Window, error) {
	d, err := s.mayAdd(ctx, &w.Place)
	if err != nil {
		return w, err
	}
	if err := w.check(); err != nil {
		return w, err
	}
	err = s.change(ctx, "calendar.window", false, func(tx *sqldb.Tx) error {
		w.ID, w.CreatedAt, w.CreatedBy, w.Version = ident.New("win"), tx.Now(), principal.From(ctx).ID, 1
		if err := s.store.insertWindow(ctx, tx, w); err != nil {
			return taken(err, "window")
		}
		return s.record(ctx, tx, w.Place, d, map[string]any{"window": w.Name, "id": w.ID, "weekdays": w.Weekdays, "opens": Clock(w.Opens), "closes": Clock(w.Closes), "zone": w.Zone})
	})
	return w, err
}

// AddFreeze makes a freeze; from now on when From is zero. Of its place and of
// its exceptions names or ids count.
func (s *Service) AddFreeze(ctx context.Context, f Freeze) (Freeze, error) {
	d, err := s.mayAdd(ctx, &f.Place)
	if err != nil {
		return f, err
	}
	if f.From.IsZero() {
		if f.From, err = s.DB.Now(ctx); err != nil {
			return f, err
		}
	}
	f.From, f.Until = f.From.UTC().Truncate(time.Microsecond), f.Until.UTC().Truncate(time.Microsecond)
	if err := f.check(); err != nil {
		return f, err
	}
	names := f.ExceptNames
	f.Except, f.ExceptNames = nil, nil
	for _, ref := range names {
		p := Place{}
		if err := s.store.resolve(ctx, &p, Team, ref); err != nil {
			return f, noPlace(err, Team, "/except")
		}
		f.Except, f.ExceptNames = append(f.Except, p.TeamID), append(f.ExceptNames, p.Team)
	}
	err = s.change(ctx, "calendar.freeze", false, func(tx *sqldb.Tx) error {
		f.ID, f.CreatedAt, f.CreatedBy, f.Version = ident.New("frz"), tx.Now(), principal.From(ctx).ID, 1
		if !f.Until.After(tx.Now()) {
			return fault.New(fault.Invalid, "invalid_freeze", "the freeze is over already").WithField("/until").
				WithHint("give an end that is still to come")
		}
		if err := s.store.insertFreeze(ctx, tx, f); err != nil {
			return taken(err, "freeze")
		}
		return s.record(ctx, tx, f.Place, d, map[string]any{"freeze": f.Name, "id": f.ID, "reason": f.Reason, "from": f.From, "until": f.Until, "except": f.ExceptNames})
	})
	return f, err
}

// RemoveWindow takes a window away, by name or id; what waits looks again.
func (s *Service) RemoveWindow(ctx context.Context, ref string) error {
	return remove(ctx, s, ref, windowKind)
}

// RemoveFreeze ends a freeze, by name or id; what waits looks again.
func (s *Service) RemoveFreeze(ctx context.Context, ref string) error {
	return remove(ctx, s, ref, freezeKind)
}

func remove[T any](ctx context.Context, s *Service, ref string, k kind[T]) error {
	v, d, err := one(ctx, s, ref, func(Place) access.Action { return access.CalendarManage }, k)
	if err != nil {
		return err
	}
	p, id, name := k.of(v)
	return s.change(ctx, "calendar.remove", true, func(tx *sqldb.Tx) error {
		res, err := tx.ExecContext(ctx, `DELETE FROM calendar_`+k.name+`s WHERE id = $1`, id)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, k.missing())
		}
		return s.record(ctx, tx, p, d, map[string]any{k.name: name, "id": id, "removed": true})
	})
}

// change writes, tells every replica, and with wake has what a window or a
// freeze holds look again.
func (s *Service) change(ctx context.Context, op string, wake bool, fn func(tx *sqldb.Tx) error) error {
	defer s.current.Store(nil)
	err := s.DB.Write(ctx, op, func(tx *sqldb.Tx) error {
		tx.Notify(Topic, "")
		return fn(tx)
	})
	if err != nil || !wake {
		return err
	}
	s.current.Store(nil)
	return s.DB.Write(ctx, "calendar.wake", func(tx *sqldb.Tx) error {
		held, err := s.store.held(ctx, tx)
		for _, id := range held {
			if err := s.Wake.Wake(ctx, tx, id); err != nil {
				return err
			}
		}
		return err
	})
}

func (s *Service) mayAdd(ctx context.Context, p *Place) (access.Decision, error) {
	if err := known(ctx); err != nil {
		return access.Decision{}, err
	}
	p.Scope = Organisation
	for _, part := range []struct{ scope, ref string }{{Team, p.Team}, {Project, p.Project}, {Environment, p.Environment}} {
		if part.ref == "" {
			continue
		}
		team := p.TeamID
		if err := s.store.resolve(ctx, p, part.scope, part.ref); err != nil {
			return access.Decision{}, noPlace(err, part.scope, "/"+part.scope)
		}
		if p.Scope = part.scope; team != "" && team != p.TeamID {
			return access.Decision{}, noPlace(sql.ErrNoRows, part.scope, "/"+part.scope)
		}
	}
	d, err := s.Access.Check(ctx, access.CalendarManage, p.Target())
	if fault.Is(err, fault.NotFound) {
		err = noPlace(sql.ErrNoRows, p.Scope, "/"+p.Scope)
	}
	return d, err
}

func noPlace(err error, kind, field string) error {
	if !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	return access.Missing(kind).WithField(field)
}

func (s *Service) record(ctx context.Context, tx *sqldb.Tx, p Place, d access.Decision, details map[string]any) error {
	details["scope"], details["class"] = p.Scope, p.Class
	audit.Append(ctx, tx, audit.Entry{Action: string(access.CalendarManage), Target: p.Target(), Decision: d, Details: details})
	return event.Emit(ctx, tx, event.Event{Type: "calendar.changed", Subject: details["id"].(string), TeamID: p.TeamID, ProjectID: p.ProjectID, EnvironmentID: p.EnvironmentID, Data: details})
}

func taken(err error, what string) error {
	if sqldb.IsUnique(err) {
		return fault.New(fault.Conflict, "name_taken", "there is a %s of that name already", what).WithField("/name").WithHint("choose another name")
	}
	return err
}

func known(ctx context.Context) error {
	if p := principal.From(ctx); p.Kind == principal.Anonymous || p.ID == "" {
		return fault.New(fault.Unauthenticated, "unauthenticated", "sign in first").WithHint("use fairlead login, or send a token")
	}
	return nil
}
