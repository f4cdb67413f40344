package identity

import (
	"context"
	"strings"

	"fairlead/internal/access"
	"fairlead/internal/fault"
	"fairlead/internal/ident"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// NewTeam is what a team is made of.
type NewTeam struct {
	Name, Title string
	Attributes  map[string]string
	Owners      []string // users by name or id, who own it from the start
}

// CreateTeam makes a team.
func (s *Service) CreateTeam(ctx context.Context, in NewTeam) (Team, error) {
	d, err := s.check(ctx, access.TeamCreate, access.Organisation)
	if err != nil {
		return Team{}, err
	}
	if len(in.Owners) > 0 {
		if _, err := s.check(ctx, access.TeamGrant, access.Organisation); err != nil {
			return Team{}, err
		}
	}
	if err := checkTeam(in.Name, in.Title, in.Attributes); err != nil {
		return Team{}, err
	}
	var t Team
	err = s.db.Write(ctx, "team.create", func(tx *sqldb.Tx) error {
		t = Team{ID: ident.New("team"), Name: in.Name, Title: in.Title, Attributes: in.Attributes, CreatedAt: tx.Now(), UpdatedAt: tx.Now(), Version: 1}
		_, err := tx.ExecContext(ctx, `INSERT INTO teams (id, name, title, attributes, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $5)`,
			t.ID, t.Name, t.Title, sqldb.Attributes(t.Attributes), tx.Now().UnixMicro())
		if sqldb.IsUnique(err) {
			return fault.New(fault.Conflict, "name_taken", "there is a team %s already", in.Name).WithField("/name").WithHint("choose another name")
		}
		if err != nil {
			return err
		}
		mine, err := s.powersOf(ctx, tx, principal.From(ctx))
		if err != nil {
			return err
		}
		for _, owner := range in.Owners {
			a, err := s.accountByRef(ctx, tx, owner, principal.User)
			if err != nil {
				return fault.From(err).WithField("/owners")
			}
			b := binding{principalID: a.id, teamID: t.ID, team: t.Name, role: principal.TeamOwner}
			if err := checkGrant(mine, a, b); err != nil {
				return err
			}
			if _, err := s.store.bind(ctx, tx, b, principal.From(ctx).ID); err != nil {
				return err
			}
		}
		if len(in.Owners) > 0 {
			s.changed(tx)
		}
		tx.Notify(directoryTopic, t.ID)
		s.record(ctx, tx, access.TeamCreate, t.Target(), d, map[string]any{"owners": in.Owners, "attributes": in.Attributes})
		return nil
	})
	return t, err
}

// Team gives a team by name or id.
func (s *Service) Team(ctx context.Context, ref string) (Team, error) {
	t, _, err := s.teamFor(ctx, ref, access.TeamView)
	return t, err
}

func (s *Service) teamFor(ctx context.Context, ref string, action access.Action) (Team, access.Decision, error) {
	if _, err := known(ctx); err != nil {
		return Team{}, access.Decision{}, err
	}
	t, err := s.teamByRef(ctx, s.db.Read(), ref, false)
	if err != nil {
		return Team{}, access.Decision{}, err
	}
	d, err := s.check(ctx, action, t.Target())
	if err != nil {
		return Team{}, d, err
	}
	return t, d, nil
}

// TeamFilter narrows a list of teams; the zero value is all.
type TeamFilter struct {
	Search string // part of the name or the title
	Member string // a principal's id
	Sort   string // name, created or updated; with - before it the other way round
}

// Teams lists what the caller may see.
func (s *Service) Teams(ctx context.Context, f TeamFilter, page sqldb.Page) (items []Team, next string, err error) {
	if _, err := known(ctx); err != nil {
		return nil, "", err
	}
	scope, err := s.access.Scope(ctx, access.TeamView)
	if err != nil {
		return nil, "", err
	}
	var w sqldb.Where
	w.And(`t.deleted_at IS NULL`)
	scope.Narrow(&w, s.db, access.Columns{Team: "t.id"})
	if f.Search != "" {
		w.And(`(t.name LIKE ? ESCAPE '\' OR lower(t.title) LIKE ? ESCAPE '\')`, sqldb.Contains(clip(f.Search, 80)))
	}
	if f.Member != "" {
		w.And(`EXISTS (SELECT 1 FROM role_bindings m WHERE m.team_id = t.id AND m.principal_id = ?)`, clip(f.Member, 64))
	}
	return teams.Page(ctx, s.db.Read(), w, f.Sort, page)
}

// TeamChange says what to change of a team; nil leaves it.
type TeamChange struct {
	Name, Title *string
	Attributes  *map[string]string
}

// UpdateTeam changes a team. Its attributes decide what policies let its
// members do, so they are not its owners' to change: that takes the right to
// grant roles in the organisation.
func (s *Service) UpdateTeam(ctx context.Context, ref string, c TeamChange, ifVersion int64) (Team, error) {
	t, d, err := s.teamFor(ctx, ref, access.TeamUpdate)
	if err != nil {
		return Team{}, err
	}
	if c.Attributes != nil {
		if d, err = s.check(ctx, access.OrgGrant, access.Organisation); err != nil {
			return Team{}, err
		}
	}
	var out Team
	err = s.db.Write(ctx, "team.update", func(tx *sqldb.Tx) error {
		t, err := s.teamByRef(ctx, tx, t.ID, true)
		if err != nil {
			return err
		}
		if ifVersion != 0 && t.Version != ifVersion {
			return stale("team")
		}
		changed := map[string]any{}
		if c.Name != nil {
			t.Name, changed["name"] = *c.Name, *c.Name
		}
		if c.Title != nil {
			t.Title, changed["title"] = *c.Title, *c.Title
		}
		if c.Attributes != nil {
			t.Attributes, changed["attributes"] = *c.Attributes, *c.Attributes
		}
		if err := checkTeam(t.Name, t.Title, t.Attributes); err != nil {
			return err
		}
		t.Version, t.UpdatedAt = t.Version+1, tx.Now()
		_, err = tx.ExecContext(ctx, `UPDATE teams SET name = $2, title = $3, attributes = $4, updated_at = $5, version = $6 WHERE id = $1`,
			t.ID, t.Name, t.Title, sqldb.Attributes(t.Attributes), tx.Now().UnixMicro(), t.Version)
		if err != nil {
			return taken(err, "team", t.Name)
		}
		tx.Notify(directoryTopic, t.ID)
		s.record(ctx, tx, access.TeamUpdate, t.Target(), d, changed)
		s.changed(tx)
		out = t
		return nil
	})
	return out, err
}

// DeleteTeam deletes a team that owns nothing any more.
func (s *Service) DeleteTeam(ctx context.Context, ref string, ifVersion int64) error {
	t, d, err := s.teamFor(ctx, ref, access.TeamDelete)
	if err != nil {
		return err
	}
	return s.db.Write(ctx, "team.delete", func(tx *sqldb.Tx) error {
		t, err := s.teamByRef(ctx, tx, t.ID, true)
		if err != nil {
			return err
		}
		if ifVersion != 0 && t.Version != ifVersion {
			return stale("team")
		}
		inside, err := s.store.teamContents(ctx, tx, t.ID)
		if err != nil {
			return err
		}
		if len(inside) > 0 {
			return fault.New(fault.Conflict, "team_not_empty", "the team %s still owns: %s", t.Name, list(inside)).
				WithHint("delete them first, or move the projects to another team")
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM role_bindings WHERE team_id = $1`, t.ID); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE teams SET deleted_at = $2, version = version + 1 WHERE id = $1`, t.ID, tx.Now().UnixMicro()); err != nil {
			return err
		}
		tx.Notify(directoryTopic, t.ID)
		s.record(ctx, tx, access.TeamDelete, t.Target(), d, nil)
		s.changed(tx)
		return nil
	})
}

func checkTeam(name, title string, attributes map[string]string) error {
	if err := checkName(name); err != nil {
		return err
	}
	if err := ident.CheckText("/title", title, maxTitle); err != nil {
		return err
	}
	return ident.CheckAttributes("/attributes", attributes)
}

// list names at most ten things.
func list(names []string) string {
	if len(names) > 10 {
		names = append(append([]string{}, names[:10]...), "…")
	}
	return strings.Join(names, ", ")
}
