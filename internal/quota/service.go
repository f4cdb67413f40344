package quota

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/event"
	"fairlead/internal/fault"
	"fairlead/internal/ident"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// Options is what the service stands on. All are needed.
type Options struct {
	DB     *sqldb.DB
	Access access.Authorizer
	Log    *slog.Logger
}

// Service keeps limits and what is used of them. It is safe for concurrent use.
type Service struct {
	db     *sqldb.DB
	store  store
	access access.Authorizer
	log    *slog.Logger
	none   none
}

// New makes the service.
func New(o Options) *Service {
	s := &Service{db: o.DB, store: store{o.DB}, access: o.Access, log: o.Log}
	s.none.changed, _ = o.DB.Subscribe(Topic) // for the life of the DB
	return s
}

// Set makes a limit, or changes the one that there is for the same place,
// class, template and metric. It may be below what is used: nothing is taken
// away then, and nothing is added. ifVersion 0 is any.
func (s *Service) Set(ctx context.Context, in Setting, ifVersion int64) (Limit, error) {
	if err := known(ctx); err != nil {
		return Limit{}, err
	}
	most, warn, err := in.check()
	if err != nil {
		return Limit{}, err
	}
	at, err := s.place(ctx, in)
	if err != nil {
		return Limit{}, err
	}
	d, err := s.allowed(ctx, access.QuotaManage, at)
	if err != nil {
		return Limit{}, err
	}
	var out Limit
	err = s.db.Write(ctx, "quota.set", func(tx *sqldb.Tx) error {
		if err := s.store.holdOff(ctx, tx); err != nil {
			return err
		}
		was, err := s.store.find(ctx, tx, at)
		missing := errors.Is(err, sql.ErrNoRows)
		switch {
		case err != nil && !missing:
			return err
		case ifVersion != 0 && was.Version != ifVersion: // also when there is none
			return stale()
		case missing:
			was = at
			was.ID, was.CreatedBy = ident.New("quo"), principal.From(ctx).ID
		}
		was.Max, was.WarnAt, was.Enforce = most, float64(warn)/unit, in.Enforce
		if was.Used, err = s.store.sum(ctx, tx, was); err != nil {
			return err
		}
		if err := s.store.put(ctx, tx, was, warn); err != nil {
			return err
		}
		if out, err = s.store.byID(ctx, tx, was.ID); err != nil {
			return err
		}
		return s.record(ctx, tx, out, d, map[string]any{"max": out.Max.Float(), "warnAt": out.WarnAt, "enforce": out.Enforce, "used": out.Used.Float()})
	})
	return out, err
}

// Change says what to change of a limit; nil leaves it.
type Change struct {
	Max     *float64
	WarnAt  *float64
	Enforce *bool
}

// Update changes a limit. ifVersion 0 is any.
func (s *Service) Update(ctx context.Context, id string, c Change, ifVersion int64) (Limit, error) {
	l, _, err := s.find(ctx, id, access.QuotaManage)
	if err != nil {
		return Limit{}, err
	}
	if ifVersion == 0 {
		ifVersion = l.Version // else a change made meanwhile would be undone
	}
	in := Setting{Team: l.TeamID, Project: l.ProjectID, Environment: l.EnvironmentID, Class: l.Class, Template: l.Template, Metric: l.Metric,
		Max: l.Max.Float(), WarnAt: l.WarnAt, Enforce: l.Enforce}
	if c.Max != nil {
		in.Max = *c.Max
	}
	if c.WarnAt != nil {
		in.WarnAt = *c.WarnAt
	}
	if c.Enforce != nil {
		in.Enforce = *c.Enforce
	}
	return s.Set(ctx, in, ifVersion)
}

// Get gives a limit by id.
func (s *Service) Get(ctx context.Context, id string) (Limit, error) {
	l, _, err := s.find(ctx, id, access.QuotaView)
	return l, err
}

// Remove takes a limit away. ifVersion 0 is any.
func (s *Service) Remove(ctx context.Context, id string, ifVersion int64) error {
	l, d, err := s.find(ctx, id, access.QuotaManage)
	if err != nil {
		return err
	}
	return s.db.Write(ctx, "quota.remove", func(tx *sqldb.Tx) error {
		res, err := tx.ExecContext(ctx, `DELETE FROM quota_limits WHERE id = $1 AND ($2 = 0 OR version = $2)`, l.ID, ifVersion)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, stale())
		}
		return s.record(ctx, tx, l, d, map[string]any{"removed": true, "max": l.Max.Float()})
	})
}

// Filter narrows a list of limits; the zero value is all.
type Filter struct {
	Team, Project, Environment string // names or ids
	Metric                     string
	Sort                       string // created, metric or share; with - before it the other way round
}

// List lists the limits that the caller may see.
func (s *Service) List(ctx context.Context, f Filter, page sqldb.Page) (items []Limit, next string, err error) {
	if err := known(ctx); err != nil {
		return nil, "", err
	}
	scope, err := s.access.Scope(ctx, access.QuotaView)
	if err != nil {
		return nil, "", err
	}
	w := living()
	scope.Narrow(&w, s.db, access.Columns{Team: "t.id", Project: "p.id", Environment: "e.id"})
	for _, part := range []struct{ alias, ref string }{{"t", f.Team}, {"p", f.Project}, {"e", f.Environment}} {
		if part.ref == "" {
			continue
		}
		if !ident.IsRef(part.ref) {
			w.And("1 = 0")
			continue
		}
		w.And("("+part.alias+".id = ? OR "+part.alias+".name = ?)", part.ref)
	}
	if f.Metric != "" {
		if !metricForm().MatchString(f.Metric) {
			w.And("1 = 0")
		} else {
			w.And("l.metric = ?", f.Metric)
		}
	}
	return limits.Page(ctx, s.db.Read(), w, f.Sort, page)
}

// Holding is what one resource takes of a limit.
type Holding struct {
	ResourceID, Resource string
	Project, Environment string
	Template             string
	Amount               Amount
}

// Holdings lists what takes of a limit, the most first.
func (s *Service) Holdings(ctx context.Context, id string, page sqldb.Page) (items []Holding, next string, err error) {
	l, _, err := s.find(ctx, id, access.QuotaView)
	if err != nil {
		return nil, "", err
	}
	scope, err := s.access.Scope(ctx, access.ResourceView) // names of resources are theirs to tell
	if err != nil {
		return nil, "", err
	}
	var w sqldb.Where
	w.And("h.amount > 0")
	w.And("h.metric = ?", l.Metric)
	for _, part := range []struct{ column, value string }{
		{"h.class", l.Class}, {"h.template", l.Template}, {"h.team_id", only(l, Team)}, {"h.project_id", only(l, Project)}, {"h.environment_id", only(l, Environment)},
	} {
		if part.value != "" {
			w.And(part.column+" = ?", part.value)
		}
	}
	scope.Narrow(&w, s.db, access.Columns{Team: "h.team_id", Project: "h.project_id", Environment: "h.environment_id"})
	return holdings.Page(ctx, s.db.Read(), w, "", page)
}

func (s *Service) find(ctx context.Context, id string, action access.Action) (Limit, access.Decision, error) {
	if err := known(ctx); err != nil {
		return Limit{}, access.Decision{}, err
	}
	if !ident.IsRef(id) {
		return Limit{}, access.Decision{}, notFound("quota")
	}
	l, err := s.store.byID(ctx, s.db.Read(), id)
	if errors.Is(err, sql.ErrNoRows) {
		return Limit{}, access.Decision{}, notFound("quota")
	}
	if err != nil {
		return Limit{}, access.Decision{}, err
	}
	d, err := s.allowed(ctx, action, l)
	return l, d, err
}

// allowed asks access; what the caller may not know of looks like what is not there.
func (s *Service) allowed(ctx context.Context, action access.Action, l Limit) (access.Decision, error) {
	d, err := s.access.Check(ctx, action, l.Target())
	if fault.Is(err, fault.NotFound) {
		return d, notFound("quota")
	}
	return d, err
}

// place finds the narrowest place that in names.
func (s *Service) place(ctx context.Context, in Setting) (Limit, error) {
	l := Limit{Scope: Organisation, Class: in.Class, Template: in.Template, Metric: in.Metric}
	for _, part := range []struct{ ref, scope, field string }{{in.Team, Team, "/team"}, {in.Project, Project, "/project"}, {in.Environment, Environment, "/environment"}} {
		if part.ref == "" {
			continue
		}
		if !ident.IsRef(part.ref) {
			return l, fault.From(notFound(part.scope)).WithField(part.field)
		}
		team := l.TeamID
		l.Scope = part.scope
		err := s.store.resolve(ctx, &l, part.ref)
		if errors.Is(err, sql.ErrNoRows) || err == nil && team != "" && l.TeamID != team {
			return l, fault.From(notFound(part.scope)).WithField(part.field)
		}
		if err != nil {
			return l, err
		}
	}
	return l, nil
}

func (s *Service) record(ctx context.Context, tx *sqldb.Tx, l Limit, d access.Decision, details map[string]any) error {
	details["metric"], details["place"] = l.Metric, l.Place()
	audit.Append(ctx, tx, audit.Entry{Action: string(access.QuotaManage), Target: l.Target(), Decision: d, Details: details})
	tx.Notify(Topic, "")
	return event.Emit(ctx, tx, event.Event{Type: "quota.changed", Subject: l.ID, TeamID: l.TeamID, ProjectID: l.ProjectID, EnvironmentID: l.EnvironmentID, Data: details})
}

func known(ctx context.Context) error {
	if p := principal.From(ctx); p.Kind == principal.Anonymous || p.ID == "" {
		return fault.New(fault.Unauthenticated, "unauthenticated", "sign in first").WithHint("use fairlead login, or send a token")
	}
	return nil
}

func notFound(kind string) error {
	return access.Missing(kind)
}

func stale() error {
	return fault.New(fault.Stale, "stale_version", "the quota was changed by somebody else meanwhile").
		WithHint("read it again, then repeat the change")
}

// only gives the id of the limit's place when it is of the scope.
func only(l Limit, scope string) string {
	if l.Scope != scope {
		return ""
	}
	return l.at()
}
