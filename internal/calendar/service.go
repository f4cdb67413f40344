package calendar

import (
	"cmp"
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

// Windows lists those of places that the caller may know of.
func (s *Service) Windows(ctx context.Context) ([]Window, error) {
	return visible(ctx, s, func(c *set) []Window { return c.windows }, func(w Window) Place { return w.Place })
}

// Freezes lists those of places that the caller may know of, the first to end
// first; those that are over are not in it.
func (s *Service) Freezes(ctx context.Context) ([]Freeze, error) {
	return visible(ctx, s, func(c *set) []Freeze { return c.freezes }, func(f Freeze) Place { return f.Place })
}

// FindWindow gives one of Windows by name or id.
func (s *Service) FindWindow(ctx context.Context, ref string) (Window, error) {
	list, err := s.Windows(ctx)
	for _, w := range list {
		if w.ID == ref || w.Name == ref {
			return w, nil
		}
	}
	return Window{}, cmp.Or(err, missing("window"))
}

// FindFreeze gives one of Freezes by name or id.
func (s *Service) FindFreeze(ctx context.Context, ref string) (Freeze, error) {
	list, err := s.Freezes(ctx)
	for _, f := range list {
		if f.ID == ref || f.Name == ref {
			return f, nil
		}
	}
	return Freeze{}, cmp.Or(err, missing("freeze"))
}

func missing(what string) error {
	return fault.New(fault.NotFound, "not_found", "there is no such %s, or none that you may know of", what).WithHint("list them: fairlead calendar %s ls", what)
}

func visible[T any](ctx context.Context, s *Service, from func(*set) []T, where func(T) Place) ([]T, error) {
	if err := known(ctx); err != nil {
		return nil, err
	}
	s.current.Store(nil) // a list shows what was just written, also by another replica
	all, err := s.all(ctx)
	if err != nil {
		return nil, err
	}
	out := []T{}
	for _, v := range from(all) {
		p := where(v)
		if p.Scope != Organisation {
			_, err := s.Access.Check(ctx, p.view(), p.Target())
			if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Denied) {
				continue
			}
			if err != nil {
				return nil, err
			}
		}
		out = append(out, v)
	}
	return out, nil
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
	return remove(ctx, s, "window", ref, func(c *set) (Place, string, string, bool) {
		for _, w := range c.windows {
			if w.ID == ref || w.Name == ref {
				return w.Place, w.ID, w.Name, true
			}
		}
		return Place{}, "", "", false
	})
}

// RemoveFreeze ends a freeze, by name or id; what waits looks again.
func (s *Service) RemoveFreeze(ctx context.Context, ref string) error {
	return remove(ctx, s, "freeze", ref, func(c *set) (Place, string, string, bool) {
		for _, f := range c.freezes {
			if f.ID == ref || f.Name == ref {
				return f.Place, f.ID, f.Name, true
			}
		}
		return Place{}, "", "", false
	})
}

func remove(ctx context.Context, s *Service, what, ref string, find func(*set) (Place, string, string, bool)) error {
	if err := known(ctx); err != nil {
		return err
	}
	s.current.Store(nil)
	all, err := s.all(ctx)
	if err != nil {
		return err
	}
	p, id, name, ok := find(all)
	if !ok {
		return missing(what)
	}
	d, err := s.Access.Check(ctx, access.CalendarManage, p.Target())
	if fault.Is(err, fault.NotFound) {
		return missing(what)
	}
	if err != nil {
		return err
	}
	return s.change(ctx, "calendar.remove", true, func(tx *sqldb.Tx) error {
		res, err := tx.ExecContext(ctx, `DELETE FROM calendar_`+what+`s WHERE id = $1`, id)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, missing(what))
		}
		return s.record(ctx, tx, p, d, map[string]any{what: name, "id": id, "removed": true})
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
	return fault.New(fault.NotFound, "not_found", "there is no such %s, or none that you may know of", kind).WithField(field).
		WithHint("check the name; list what you can see")
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
