package project

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/fault"
	"fairlead/internal/ident"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// Leases says how long environments may live.
type Leases interface {
	// Begin starts the lease that a new environment asks for, or that its
	// rules give it, in the transaction that makes it; length 0 asks for none.
	Begin(ctx context.Context, tx *sqldb.Tx, e Environment, length time.Duration) error
	// End closes the lease of an environment that is deleted.
	End(ctx context.Context, tx *sqldb.Tx, environmentID string) error
}

// Limits are quotas and budgets.
type Limits interface {
	// Reclass counts all that is in an environment in its class, e.Class, in the
	// transaction that changes that. It fails as Denied when a limit is passed.
	Reclass(ctx context.Context, tx *sqldb.Tx, e Environment) error
}

// Options is what the service stands on. Nil Leases lets all live for ever,
// nil Limits nothing count.
type Options struct {
	DB     *sqldb.DB
	Access access.Authorizer
	Leases Leases
	Limits Limits
	Log    *slog.Logger
}

// Service keeps projects and environments. It is safe for concurrent use.
type Service struct {
	db     *sqldb.DB
	store  store
	access access.Authorizer
	leases Leases
	limits Limits
	cache  *cache
}

// New makes the service.
func New(o Options) *Service {
	return &Service{db: o.DB, store: store{o.DB}, access: o.Access, leases: o.Leases, limits: o.Limits, cache: newCache(o.DB)}
}

// directoryTopic is woken when a team, project or environment changes.
const directoryTopic = "directory"

const maxTitle = 120

// NewProject is what a project is made of.
type NewProject struct {
	Team        string // name or id
	Name, Title string
	Attributes  map[string]string
}

// Create makes a project.
func (s *Service) Create(ctx context.Context, in NewProject) (Project, error) {
	team, d, err := s.teamFor(ctx, in.Team, access.ProjectCreate)
	if err != nil {
		return Project{}, err
	}
	if err := check(in.Name, in.Title, in.Attributes); err != nil {
		return Project{}, err
	}
	var p Project
	err = s.db.Write(ctx, "project.create", func(tx *sqldb.Tx) error {
		if _, err := s.store.lockTeam(ctx, tx, team.ID, true); missing(err) {
			return notFound("team")
		} else if err != nil {
			return err
		}
		p = Project{ID: ident.New("prj"), Name: in.Name, Title: in.Title, TeamID: team.ID, Team: team.Name, Attributes: in.Attributes,
			CreatedAt: tx.Now(), UpdatedAt: tx.Now(), Version: 1}
		_, err := tx.ExecContext(ctx, `INSERT INTO projects (id, name, title, team_id, attributes, created_at, updated_at)
			VALUES ($1, $2, $3, $4, $5, $6, $6)`, p.ID, p.Name, p.Title, p.TeamID, sqldb.Attributes(p.Attributes), tx.Now().UnixMicro())
		if err != nil {
			return taken(err, "project", p.Name)
		}
		s.record(ctx, tx, access.ProjectCreate, p.Target(), d, map[string]any{"team": team.Name, "attributes": in.Attributes})
		return nil
	})
	return p, err
}

// Get gives a project by name or id.
func (s *Service) Get(ctx context.Context, ref string) (Project, error) {
	p, _, err := s.projectFor(ctx, ref, access.ProjectView)
	return p, err
}

// Filter narrows a list of projects; the zero value is all.
type Filter struct {
	Search string // part of the name or the title
	Team   string // name or id
	Sort   string // name, created or updated; with - before it the other way round
}

// List lists what the caller may see.
func (s *Service) List(ctx context.Context, f Filter, page sqldb.Page) (items []Project, next string, err error) {
	scope, err := s.scope(ctx, access.ProjectView)
	if err != nil {
		return nil, "", err
	}
	var w sqldb.Where
	w.And(`p.deleted_at IS NULL`)
	scope.Narrow(&w, s.db, access.Columns{Project: "p.id", Team: "p.team_id"})
	if f.Search != "" {
		w.And(`(p.name LIKE ? ESCAPE '\' OR lower(p.title) LIKE ? ESCAPE '\')`, sqldb.Contains(clean(f.Search)))
	}
	if f.Team != "" {
		w.And(`(t.id = ? OR t.name = ?)`, clean(f.Team))
	}
	return projects.Page(ctx, s.db.Read(), w, f.Sort, page)
}

// Change says what to change of a project; nil leaves it.
type Change struct {
	Name, Title *string
	Team        *string // moves it: takes the right to update here and to create there
	Attributes  *map[string]string
}

// Update changes a project. ifVersion 0 is any. A move takes all its
// environments along, and is refused while resources are in it: what they may
// reach was decided for the team that had it.
func (s *Service) Update(ctx context.Context, ref string, c Change, ifVersion int64) (Project, error) {
	p, d, err := s.projectFor(ctx, ref, access.ProjectUpdate)
	if err != nil {
		return Project{}, err
	}
	var to access.Target
	if c.Team != nil {
		if to, err = s.destination(ctx, *c.Team, p); err != nil {
			return Project{}, err
		}
	}
	was := p.TeamID
	var out Project
	err = s.db.Write(ctx, "project.update", func(tx *sqldb.Tx) error {
		if to.ID != "" { // teams are locked before projects everywhere
			if _, err := s.store.lockTeam(ctx, tx, to.ID, true); missing(err) {
				return notFound("team")
			} else if err != nil {
				return err
			}
		}
		p, err := s.lockProject(ctx, tx, p.ID, ifVersion)
		if err != nil {
			return err
		}
		if p.TeamID != was {
			return stale("project") // moved since access was asked
		}
		changed := map[string]any{}
		set(&p.Name, c.Name, "name", changed)
		set(&p.Title, c.Title, "title", changed)
		set(&p.Attributes, c.Attributes, "attributes", changed)
		if err := check(p.Name, p.Title, p.Attributes); err != nil {
			return err
		}
		if to.ID != "" && to.ID != p.TeamID {
			if err := s.movable(ctx, tx, p); err != nil {
				return err
			}
			changed["from"], changed["team"] = p.Team, to.Name
			p.TeamID, p.Team = to.ID, to.Name
		}
		p.Version, p.UpdatedAt = p.Version+1, tx.Now()
		_, err = tx.ExecContext(ctx, `UPDATE projects SET name = $2, title = $3, team_id = $4, attributes = $5, updated_at = $6, version = $7 WHERE id = $1`,
			p.ID, p.Name, p.Title, p.TeamID, sqldb.Attributes(p.Attributes), tx.Now().UnixMicro(), p.Version)
		if err != nil {
			return taken(err, "project", p.Name)
		}
		s.record(ctx, tx, access.ProjectUpdate, p.Target(), d, changed)
		out = p
		return nil
	})
	return out, err
}

// destination is the team that a project moves to: the caller must be allowed
// to change the project as if it were there already, and to make one there.
func (s *Service) destination(ctx context.Context, team string, p Project) (access.Target, error) {
	to, _, err := s.teamFor(ctx, team, access.ProjectCreate)
	if err != nil {
		return access.Target{}, err
	}
	there := p
	there.TeamID, there.Team = to.ID, to.Name
	_, err = s.check(ctx, access.ProjectUpdate, there.Target())
	return to, err
}

func (s *Service) movable(ctx context.Context, tx *sqldb.Tx, p Project) error {
	n, err := s.store.resourcesIn(ctx, tx, p.ID)
	if err == nil && n > 0 {
		return fault.New(fault.Conflict, "project_in_use", "the project %s has %d resources", p.Name, n).WithField("/team").
			WithHint("destroy them first; a project moves to another team while it is empty")
	}
	return err
}

// Delete deletes a project that has no environment any more.
func (s *Service) Delete(ctx context.Context, ref string, ifVersion int64) error {
	p, d, err := s.projectFor(ctx, ref, access.ProjectDelete)
	if err != nil {
		return err
	}
	return s.db.Write(ctx, "project.delete", func(tx *sqldb.Tx) error {
		p, err := s.lockProject(ctx, tx, p.ID, ifVersion)
		if err != nil {
			return err
		}
		inside, err := s.store.environmentsOf(ctx, tx, p.ID)
		if err != nil {
			return err
		}
		if len(inside) > 0 {
			return fault.New(fault.Conflict, "project_not_empty", "the project %s still has environments: %s", p.Name, list(inside)).
				WithHint("delete them first")
		}
		_, err = tx.ExecContext(ctx, `UPDATE projects SET deleted_at = $2, version = version + 1 WHERE id = $1`, p.ID, tx.Now().UnixMicro())
		if err != nil {
			return err
		}
		s.record(ctx, tx, access.ProjectDelete, p.Target(), d, nil)
		return nil
	})
}

func (s *Service) lockProject(ctx context.Context, tx *sqldb.Tx, id string, ifVersion int64) (Project, error) {
	p, err := s.store.project(ctx, tx, id, true)
	if missing(err) {
		return Project{}, notFound("project")
	}
	if err == nil && ifVersion != 0 && p.Version != ifVersion {
		err = stale("project")
	}
	return p, err
}

func (s *Service) projectFor(ctx context.Context, ref string, action access.Action) (Project, access.Decision, error) {
	if err := known(ctx); err != nil {
		return Project{}, access.Decision{}, err
	}
	if !ident.IsRef(ref) {
		return Project{}, access.Decision{}, notFound("project")
	}
	p, err := s.store.project(ctx, s.db.Read(), ref, false)
	if missing(err) {
		return Project{}, access.Decision{}, notFound("project")
	}
	if err != nil {
		return Project{}, access.Decision{}, err
	}
	d, err := s.check(ctx, action, p.Target())
	if err != nil {
		return Project{}, d, err
	}
	return p, d, nil
}

func (s *Service) teamFor(ctx context.Context, ref string, action access.Action) (access.Target, access.Decision, error) {
	if err := known(ctx); err != nil {
		return access.Target{}, access.Decision{}, err
	}
	if !ident.IsRef(ref) {
		return access.Target{}, access.Decision{}, notFound("team")
	}
	t, err := s.store.lockTeam(ctx, s.db.Read(), ref, false)
	if missing(err) {
		return access.Target{}, access.Decision{}, notFound("team")
	}
	if err != nil {
		return access.Target{}, access.Decision{}, err
	}
	d, err := s.check(ctx, action, t)
	return t, d, err
}

// check asks access; what the caller may not know of looks like what is not there.
func (s *Service) check(ctx context.Context, action access.Action, t access.Target) (access.Decision, error) {
	d, err := s.access.Check(ctx, action, t)
	if fault.Is(err, fault.NotFound) {
		return d, notFound(t.Kind)
	}
	return d, err
}

func (s *Service) scope(ctx context.Context, action access.Action) (access.Scope, error) {
	if err := known(ctx); err != nil {
		return access.Scope{}, err
	}
	return s.access.Scope(ctx, action)
}

// record writes the audit record and wakes those who keep a list of places.
func (s *Service) record(ctx context.Context, tx *sqldb.Tx, action access.Action, t access.Target, d access.Decision, details map[string]any) {
	audit.Append(ctx, tx, audit.Entry{Action: string(action), Target: t, Decision: d, Details: details})
	tx.Notify(directoryTopic, t.ID)
}

func known(ctx context.Context) error {
	if p := principal.From(ctx); p.Kind == principal.Anonymous || p.ID == "" {
		return fault.New(fault.Unauthenticated, "unauthenticated", "sign in first").WithHint("use fairlead login, or send a token")
	}
	return nil
}

func check(name, title string, attributes map[string]string) error {
	if err := ident.CheckName(name); err != nil {
		return fault.From(err).WithField("/name")
	}
	if err := ident.CheckText("/title", title, maxTitle); err != nil {
		return err
	}
	return ident.CheckAttributes("/attributes", attributes)
}

func set[T any](field *T, to *T, name string, changed map[string]any) {
	if to != nil {
		*field, changed[name] = *to, *to
	}
}

func taken(err error, kind, name string) error {
	if sqldb.IsUnique(err) {
		return fault.New(fault.Conflict, "name_taken", "there is a %s %s already", kind, name).WithField("/name").
			WithHint("choose another name")
	}
	return err
}

// clean makes a filter's text fit to be bound.
func clean(s string) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, ""), "\x00", "")
	if len(s) > 80 {
		s = strings.ToValidUTF8(s[:80], "")
	}
	return s
}

// list names at most ten things.
func list(names []string) string {
	if len(names) > 10 {
		names = append(append([]string{}, names[:10]...), "…")
	}
	return strings.Join(names, ", ")
}
