package identity

import (
	"context"

	"fairlead/internal/access"
	"fairlead/internal/ident"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// NewRobot is what a robot is made of.
type NewRobot struct {
	Team              string // name or id
	Name, DisplayName string
	Roles             []principal.Role // in the team; the caller must hold them
	Attributes        map[string]string
}

// CreateRobot makes a machine identity of a team. Attributes, which policies
// look at, are for who manages users.
func (s *Service) CreateRobot(ctx context.Context, in NewRobot) (Robot, error) {
	if _, err := known(ctx); err != nil {
		return Robot{}, err
	}
	team, err := s.teamByRef(ctx, s.db.Read(), in.Team, false)
	if err != nil {
		return Robot{}, err
	}
	d, err := s.check(ctx, access.RobotManage, team.Target())
	if err != nil {
		return Robot{}, err
	}
	if len(in.Attributes) > 0 {
		if _, err := s.check(ctx, access.UserCreate, access.Organisation); err != nil {
			return Robot{}, err
		}
	}
	if err := checkAccount(in.Name, in.DisplayName, "", in.Attributes); err != nil {
		return Robot{}, err
	}
	var out Robot
	err = s.db.Write(ctx, "robot.create", func(tx *sqldb.Tx) error {
		if _, err := s.teamByRef(ctx, tx, team.ID, true); err != nil {
			return err
		}
		a := account{id: ident.New("bot"), kind: principal.Robot, name: in.Name, displayName: in.DisplayName, attributes: in.Attributes,
			teamID: team.ID, team: team.Name, createdAt: tx.Now(), updatedAt: tx.Now(), version: 1}
		if err := s.store.insertAccount(ctx, tx, a); err != nil {
			return taken(err, "robot", in.Name)
		}
		mine, err := s.powersOf(ctx, tx, principal.From(ctx))
		if err != nil {
			return err
		}
		var given []binding
		for _, r := range in.Roles {
			b := binding{principalID: a.id, teamID: team.ID, team: team.Name, role: r}
			if err := checkGrant(mine, a, b); err != nil {
				return err
			}
			if _, err := s.store.bind(ctx, tx, b, principal.From(ctx).ID); err != nil {
				return err
			}
			given = append(given, b)
		}
		s.record(ctx, tx, access.RobotManage, a.target(), d, map[string]any{"change": "create", "roles": in.Roles})
		out = a.robot(given)
		return nil
	})
	return out, err
}

// Robot gives a robot by name or id.
func (s *Service) Robot(ctx context.Context, ref string) (Robot, error) {
	a, err := s.robotFor(ctx, ref, access.RobotView)
	if err != nil {
		return Robot{}, err
	}
	b, err := s.store.bindings(ctx, s.db.Read(), a.id)
	return a.robot(b), err
}

func (s *Service) robotFor(ctx context.Context, ref string, action access.Action) (account, error) {
	if _, err := known(ctx); err != nil {
		return account{}, err
	}
	a, err := s.accountByRef(ctx, s.db.Read(), ref, principal.Robot)
	if err != nil {
		return account{}, err
	}
	_, err = s.check(ctx, action, a.target())
	return a, err
}

// RobotFilter narrows a list of robots; the zero value is all.
type RobotFilter struct {
	Search   string
	Team     string // name or id
	Disabled *bool
	Sort     string // name, created or updated; with - before it the other way round
}

// Robots lists what the caller may see.
func (s *Service) Robots(ctx context.Context, f RobotFilter, page sqldb.Page) (items []Robot, next string, err error) {
	p, err := known(ctx)
	if err != nil {
		return nil, "", err
	}
	scope, err := s.access.Scope(ctx, access.RobotView)
	if err != nil {
		return nil, "", err
	}
	var w sqldb.Where
	w.And(`p.kind = ?`, string(principal.Robot))
	if !scope.All {
		visible := sqldb.Strings(append([]string{p.ID}, scope.TeamIDs...))
		w.And(`(`+s.db.InArray("p.id", "?")+` OR `+s.db.InArray("p.team_id", "?")+`)`, visible)
	}
	narrow(&w, f.Search, f.Disabled)
	if f.Team != "" {
		w.And(`p.team_id IN (SELECT t.id FROM teams t WHERE t.deleted_at IS NULL AND (t.id = ? OR t.name = ?))`, clip(f.Team, 64))
	}
	accounts, next, err := accounts.Page(ctx, s.db.Read(), w, f.Sort, page)
	if err != nil {
		return nil, "", err
	}
	items = []Robot{}
	roles, err := s.store.bindings(ctx, s.db.Read(), accountIDs(accounts)...)
	for _, a := range accounts {
		items = append(items, a.robot(roles))
	}
	return items, next, err
}

// RobotChange says what to change of a robot; nil leaves it.
type RobotChange struct {
	DisplayName *string
	Attributes  *map[string]string // only who manages users
	Disabled    *bool
}

// UpdateRobot changes a robot. Disabling ends its tokens at once.
func (s *Service) UpdateRobot(ctx context.Context, ref string, change RobotChange, ifVersion int64) (Robot, error) {
	a, err := s.robotFor(ctx, ref, access.RobotManage)
	if err != nil {
		return Robot{}, err
	}
	d, err := s.check(ctx, access.RobotManage, a.target())
	if err != nil {
		return Robot{}, err
	}
	if change.Attributes != nil {
		if d, err = s.check(ctx, access.UserCreate, access.Organisation); err != nil {
			return Robot{}, err
		}
	}
	var out Robot
	err = s.db.Write(ctx, "robot.update", func(tx *sqldb.Tx) error {
		a, err := s.lockAccount(ctx, tx, a.id, "robot", ifVersion)
		if err != nil {
			return err
		}
		changed, err := s.applyUser(ctx, tx, &a, UserChange{DisplayName: change.DisplayName, Attributes: change.Attributes, Disabled: change.Disabled})
		if err != nil {
			return err
		}
		if err := s.store.updateAccount(ctx, tx, a); err != nil {
			return err
		}
		changed["change"] = "update"
		s.record(ctx, tx, access.RobotManage, a.target(), d, changed)
		s.changed(tx)
		if a, err = s.store.accountByID(ctx, tx, a.id, false); err != nil {
			return err
		}
		b, err := s.store.bindings(ctx, tx, a.id)
		out = a.robot(b)
		return err
	})
	return out, err
}

// DisableRobot is what deleting a robot means.
func (s *Service) DisableRobot(ctx context.Context, ref string, ifVersion int64) error {
	yes := true
	_, err := s.UpdateRobot(ctx, ref, RobotChange{Disabled: &yes}, ifVersion)
	return err
}

// robot picks its own among the bindings.
func (a account) robot(bindings []binding) Robot {
	r := Robot{
		ID: a.id, Name: a.name, DisplayName: a.displayName, TeamID: a.teamID, Team: a.team, Roles: []principal.Role{},
		Attributes: a.attributes, DisabledAt: a.disabledAt, CreatedAt: a.createdAt, UpdatedAt: a.updatedAt, Version: a.version,
	}
	for _, b := range bindings {
		if b.principalID == a.id && b.teamID == a.teamID {
			r.Roles = append(r.Roles, b.role)
		}
	}
	return r
}
