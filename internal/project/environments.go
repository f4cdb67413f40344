package project

import (
	"context"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/fault"
	"fairlead/internal/ident"
	"fairlead/internal/sqldb"
)

// NewEnvironment is what an environment is made of.
type NewEnvironment struct {
	Name, Title string
	Class       Class
	Attributes  map[string]string
	Lease       time.Duration // how long it is to live; 0: what the rules of its class say
}

// CreateEnvironment makes an environment in a project (name or id).
func (s *Service) CreateEnvironment(ctx context.Context, projectRef string, in NewEnvironment) (Environment, error) {
	p, _, err := s.projectFor(ctx, projectRef, access.ProjectView)
	if err != nil {
		return Environment{}, err
	}
	target := access.Target{Kind: "environment", Name: in.Name, TeamID: p.TeamID, ProjectID: p.ID, EnvironmentClass: string(in.Class), Attributes: in.Attributes}
	if ident.CheckName(in.Name) != nil {
		target.Name = "" // what is no name is none for a policy either
	}
	d, err := s.check(ctx, access.EnvironmentCreate, target)
	if err != nil {
		return Environment{}, err
	}
	if err := check(in.Name, in.Title, in.Attributes); err != nil {
		return Environment{}, err
	}
	if err := checkClass(in.Class); err != nil {
		return Environment{}, err
	}
	was := p.TeamID
	var e Environment
	err = s.db.Write(ctx, "environment.create", func(tx *sqldb.Tx) error {
		p, err := s.lockProject(ctx, tx, p.ID, 0)
		if err != nil {
			return err
		}
		if p.TeamID != was {
			return notFound("project") // moved away since access was asked
		}
		e = Environment{ID: ident.New("env"), Name: in.Name, Title: in.Title, Class: in.Class, ProjectID: p.ID, Project: p.Name,
			TeamID: p.TeamID, Team: p.Team, Attributes: in.Attributes, CreatedAt: tx.Now(), UpdatedAt: tx.Now(), Version: 1}
		_, err = tx.ExecContext(ctx, `INSERT INTO environments (id, project_id, name, title, class, attributes, created_at, updated_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $7)`, e.ID, e.ProjectID, e.Name, e.Title, string(e.Class), sqldb.Attributes(e.Attributes), tx.Now().UnixMicro())
		if err != nil {
			return taken(err, "environment", e.Name)
		}
		s.record(ctx, tx, access.EnvironmentCreate, e.Target(), d, map[string]any{"class": string(e.Class), "attributes": in.Attributes})
		if s.leases != nil {
			return s.leases.Begin(ctx, tx, e, in.Lease)
		}
		return nil
	})
	return e, err
}

// Resolve finds an environment by its project's and its own name or id, for
// the caller to see. Somebody else's is not found. What it gives may be as old
// as cache says: it is for reads, and for writes that look again in their
// transaction. Its attributes are shared: do not change them.
func (s *Service) Resolve(ctx context.Context, projectRef, environmentRef string) (Environment, error) {
	key := cacheKey{projectRef, environmentRef}
	e, generation, ok := s.cache.get(key)
	if ok {
		if err := known(ctx); err != nil {
			return Environment{}, err
		}
		if _, err := s.check(ctx, access.EnvironmentView, e.Target()); err != nil {
			return Environment{}, err
		}
		return e, nil
	}
	loaded := time.Now()
	e, _, err := s.environmentFor(ctx, projectRef, environmentRef, access.EnvironmentView)
	if err == nil {
		s.cache.put(key, e, loaded, generation)
	}
	return e, err
}

// Environment finds an environment by its id, for the caller to see.
func (s *Service) Environment(ctx context.Context, id string) (Environment, error) {
	if err := known(ctx); err != nil {
		return Environment{}, err
	}
	if !ident.IsRef(id) {
		return Environment{}, notFound("environment")
	}
	e, err := s.store.environmentByID(ctx, s.db.Read(), id)
	if missing(err) {
		return Environment{}, notFound("environment")
	}
	if err != nil {
		return Environment{}, err
	}
	if _, err := s.check(ctx, access.EnvironmentView, e.Target()); err != nil {
		return Environment{}, err
	}
	return e, nil
}

// environmentFor resolves without asking for the project: whoever may see one
// environment of a project need not see the project.
func (s *Service) environmentFor(ctx context.Context, projectRef, ref string, action access.Action) (Environment, access.Decision, error) {
	var none access.Decision
	if err := known(ctx); err != nil {
		return Environment{}, none, err
	}
	if !ident.IsRef(projectRef) || !ident.IsRef(ref) {
		return Environment{}, none, notFound("environment")
	}
	p, err := s.store.project(ctx, s.db.Read(), projectRef, false)
	if missing(err) {
		return Environment{}, none, notFound("environment")
	}
	if err != nil {
		return Environment{}, none, err
	}
	e, err := s.store.environment(ctx, s.db.Read(), p.ID, ref, false)
	if missing(err) {
		return Environment{}, none, notFound("environment")
	}
	if err != nil {
		return Environment{}, none, err
	}
	d, err := s.check(ctx, action, e.Target())
	if err != nil {
		return Environment{}, d, err
	}
	return e, d, nil
}

// EnvironmentFilter narrows a list of environments; the zero value is all.
type EnvironmentFilter struct {
	Project string // name or id
	Search  string // part of the name or the title
	Class   Class
	Sort    string // name, created or updated; with - before it the other way round
}

// Environments lists what the caller may see. An unknown project, or
// one of which the caller sees nothing, is not found.
func (s *Service) Environments(ctx context.Context, f EnvironmentFilter, page sqldb.Page) (items []Environment, next string, err error) {
	scope, err := s.scope(ctx, access.EnvironmentView)
	if err != nil {
		return nil, "", err
	}
	w := visibleEnvironments(s.db, scope)
	if f.Project != "" {
		if err := s.mayList(ctx, f.Project, scope); err != nil {
			return nil, "", err
		}
		w.And(`(p.id = ? OR p.name = ?)`, f.Project)
	}
	if f.Search != "" {
		w.And(`(e.name LIKE ? ESCAPE '\' OR lower(e.title) LIKE ? ESCAPE '\')`, sqldb.Contains(clean(f.Search)))
	}
	if f.Class != "" {
		if err := checkClass(f.Class); err != nil {
			return nil, "", err
		}
		w.And(`e.class = ?`, string(f.Class))
	}
	return environments.Page(ctx, s.db.Read(), w, f.Sort, page)
}

// visibleEnvironments lets through what the scope does and is not deleted.
func visibleEnvironments(db *sqldb.DB, scope access.Scope) (w sqldb.Where) {
	w.And(`e.deleted_at IS NULL AND p.deleted_at IS NULL`)
	scope.Narrow(&w, db, access.Columns{Environment: "e.id", Project: "e.project_id", Team: "p.team_id"})
	return w
}

// mayList refuses the list of a project that the caller may not know of. Who
// sees an environment of it knows of it.
func (s *Service) mayList(ctx context.Context, ref string, scope access.Scope) error {
	_, _, err := s.projectFor(ctx, ref, access.ProjectView)
	if !fault.Is(err, fault.NotFound) || !ident.IsRef(ref) {
		return err
	}
	w := visibleEnvironments(s.db, scope)
	w.And(`(p.id = ? OR p.name = ?)`, ref)
	some, _, lerr := environments.Page(ctx, s.db.Read(), w, "created", sqldb.Page{Limit: 1})
	if lerr != nil {
		return lerr
	}
	if len(some) > 0 {
		return nil
	}
	return err
}

// EnvironmentChange says what to change of an environment; nil leaves it.
type EnvironmentChange struct {
	Name, Title *string
	Class       *Class // the caller must be allowed to change it in both classes
	Attributes  *map[string]string
}

// UpdateEnvironment changes an environment. ifVersion 0 is any. Another class
// is refused where what is there would pass a quota or a budget of that class.
func (s *Service) UpdateEnvironment(ctx context.Context, projectRef, ref string, c EnvironmentChange, ifVersion int64) (Environment, error) {
	e, d, err := s.environmentFor(ctx, projectRef, ref, access.EnvironmentUpdate)
	if err != nil {
		return Environment{}, err
	}
	seen := e
	if c.Class != nil {
		if err := checkClass(*c.Class); err != nil {
			return Environment{}, err
		}
		there := e
		there.Class = *c.Class
		if _, err := s.check(ctx, access.EnvironmentUpdate, there.Target()); err != nil {
			return Environment{}, err
		}
	}
	var out Environment
	err = s.db.Write(ctx, "environment.update", func(tx *sqldb.Tx) error {
		e, err := s.lockEnvironment(ctx, tx, seen, ifVersion)
		if err != nil {
			return err
		}
		changed := map[string]any{}
		set(&e.Name, c.Name, "name", changed)
		set(&e.Title, c.Title, "title", changed)
		set(&e.Class, c.Class, "class", changed)
		set(&e.Attributes, c.Attributes, "attributes", changed)
		if err := check(e.Name, e.Title, e.Attributes); err != nil {
			return err
		}
		e.Version, e.UpdatedAt = e.Version+1, tx.Now()
		_, err = tx.ExecContext(ctx, `UPDATE environments SET name = $2, title = $3, class = $4, attributes = $5, updated_at = $6, version = $7 WHERE id = $1`,
			e.ID, e.Name, e.Title, string(e.Class), sqldb.Attributes(e.Attributes), tx.Now().UnixMicro(), e.Version)
		if err != nil {
			return taken(err, "environment", e.Name)
		}
		s.record(ctx, tx, access.EnvironmentUpdate, e.Target(), d, changed)
		out = e
		if changed["class"] != nil && s.limits != nil {
			return s.limits.Reclass(ctx, tx, e)
		}
		return nil
	})
	return out, err
}

// DeleteEnvironment deletes an environment in which every resource is seen to
// be gone.
func (s *Service) DeleteEnvironment(ctx context.Context, projectRef, ref string, ifVersion int64) error {
	seen, d, err := s.environmentFor(ctx, projectRef, ref, access.EnvironmentDelete)
	if err != nil {
		return err
	}
	return s.db.Write(ctx, "environment.delete", func(tx *sqldb.Tx) error {
		e, err := s.lockEnvironment(ctx, tx, seen, ifVersion)
		if err != nil {
			return err
		}
		inside, err := s.store.resourcesOf(ctx, tx, e.ID)
		if err != nil {
			return err
		}
		if len(inside) > 0 {
			return fault.New(fault.Conflict, "environment_not_empty", "the environment %s still has resources: %s", e.Name, list(inside)).
				WithHint("destroy them first, and wait until they are seen to be gone")
		}
		_, err = tx.ExecContext(ctx, `UPDATE environments SET deleted_at = $2, version = version + 1 WHERE id = $1`, e.ID, tx.Now().UnixMicro())
		if err != nil {
			return err
		}
		s.record(ctx, tx, access.EnvironmentDelete, e.Target(), d, nil)
		if s.leases != nil {
			return s.leases.End(ctx, tx, e.ID)
		}
		return nil
	})
}

// lockEnvironment reads an environment again, and refuses when what access
// decided on (its team, its class) has changed since.
func (s *Service) lockEnvironment(ctx context.Context, tx *sqldb.Tx, seen Environment, ifVersion int64) (Environment, error) {
	e, err := s.store.environment(ctx, tx, seen.ProjectID, seen.ID, true)
	if missing(err) {
		return Environment{}, notFound("environment")
	}
	if err == nil && (ifVersion != 0 && e.Version != ifVersion || e.TeamID != seen.TeamID || e.Class != seen.Class) {
		err = stale("environment")
	}
	return e, err
}
