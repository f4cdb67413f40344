package identity

import (
	"context"
	"slices"

	"fairlead/internal/access"
	"fairlead/internal/fault"
	"fairlead/internal/ident"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

var (
	orgRoles  = []principal.Role{principal.PlatformAdmin, principal.Auditor}
	teamRoles = []principal.Role{principal.TeamOwner, principal.Developer, principal.Viewer, principal.Approver, principal.Auditor}
)

// Grant is a role for a principal, in a team or (Team "") in the organisation.
type Grant struct {
	Team   string // name or id
	Member string // user or robot, name or id
	Role   principal.Role
}

// GrantRole gives a role. Nobody gives what they do not hold. Giving what is
// there already changes nothing and is no error.
func (s *Service) GrantRole(ctx context.Context, g Grant) error {
	team, d, action, err := s.authoriseGrant(ctx, g)
	if err != nil {
		return err
	}
	return s.db.Write(ctx, "role.grant", func(tx *sqldb.Tx) error {
		a, b, mine, err := s.grantee(ctx, tx, g, team)
		if err != nil {
			return err
		}
		if err := checkGrant(mine, a, b); err != nil {
			return err
		}
		changed, err := s.store.bind(ctx, tx, b, principal.From(ctx).ID)
		if err != nil || !changed {
			return err
		}
		s.record(ctx, tx, action, grantTarget(team, a), d, map[string]any{"change": "grant", "principal": a.id, "name": a.name, "role": string(b.role)})
		s.changed(tx)
		return nil
	})
}

// RevokeRole takes a role. The last platform administrator keeps theirs, and
// only a platform administrator takes a team's last owner. Taking what is not
// there is no error.
func (s *Service) RevokeRole(ctx context.Context, g Grant) error {
	team, d, action, err := s.authoriseGrant(ctx, g)
	if err != nil {
		return err
	}
	return s.db.Write(ctx, "role.revoke", func(tx *sqldb.Tx) error {
		a, b, mine, err := s.grantee(ctx, tx, g, team)
		if err != nil {
			return err
		}
		if !mine.covers(b) {
			return notHeld(b)
		}
		return s.revoke(ctx, tx, a, b, mine, action, d, team)
	})
}

// RemoveMember takes all roles of a principal in a team.
func (s *Service) RemoveMember(ctx context.Context, teamRef, member string) error {
	g := Grant{Team: teamRef, Member: member, Role: principal.Viewer}
	if teamRef == "" {
		return notFound("team")
	}
	team, d, action, err := s.authoriseGrant(ctx, g)
	if err != nil {
		return err
	}
	return s.db.Write(ctx, "role.remove-member", func(tx *sqldb.Tx) error {
		a, _, mine, err := s.grantee(ctx, tx, g, team)
		if err != nil {
			return err
		}
		theirs, err := s.store.bindings(ctx, tx, a.id)
		if err != nil {
			return err
		}
		for _, b := range theirs {
			if b.teamID != team.ID {
				continue
			}
			if !mine.covers(b) {
				return notHeld(b)
			}
			if err := s.revoke(ctx, tx, a, b, mine, action, d, team); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Service) revoke(ctx context.Context, tx *sqldb.Tx, a account, b binding, mine powers, action access.Action, d access.Decision, team Team) error {
	if b.role == principal.PlatformAdmin || b.role == principal.TeamOwner && !mine.all {
		left, err := s.store.holders(ctx, tx, b.teamID, b.role)
		if err != nil {
			return err
		}
		if len(left) == 1 && left[0] == a.id {
			if b.role == principal.PlatformAdmin {
				return lastAdmin()
			}
			return fault.New(fault.Conflict, "last_team_owner", "this is the last owner of the team %s", team.Name).
				WithHint("make somebody else its owner first, or ask a platform administrator")
		}
	}
	changed, err := s.store.unbind(ctx, tx, b)
	if err != nil || !changed {
		return err
	}
	s.record(ctx, tx, action, grantTarget(team, a), d, map[string]any{"change": "revoke", "principal": a.id, "name": a.name, "role": string(b.role)})
	s.changed(tx)
	return nil
}

// Members lists who has a role in a team, by name.
func (s *Service) Members(ctx context.Context, teamRef string, page sqldb.Page) (items []Member, next string, err error) {
	t, _, err := s.teamFor(ctx, teamRef, access.TeamView)
	if err != nil {
		return nil, "", err
	}
	return s.store.members(ctx, s.db.Read(), t.ID, page)
}

// authoriseGrant asks access whether the caller gives and takes roles there at all.
func (s *Service) authoriseGrant(ctx context.Context, g Grant) (Team, access.Decision, access.Action, error) {
	if _, err := known(ctx); err != nil {
		return Team{}, access.Decision{}, "", err
	}
	if g.Team == "" {
		d, err := s.check(ctx, access.OrgGrant, access.Organisation)
		if err == nil {
			err = checkRole(g.Role, orgRoles, "the organisation")
		}
		return Team{}, d, access.OrgGrant, err
	}
	t, d, err := s.teamFor(ctx, g.Team, access.TeamGrant)
	if err == nil {
		err = checkRole(g.Role, teamRoles, "a team")
	}
	return t, d, access.TeamGrant, err
}

func checkRole(r principal.Role, known []principal.Role, where string) error {
	if slices.Contains(known, r) {
		return nil
	}
	names := make([]string, len(known))
	for i, k := range known {
		names[i] = string(k)
	}
	return fault.New(fault.Invalid, "unknown_role", "there is no such role in %s", where).WithField("/role").WithHint("the roles are %s", list(names))
}

// grantee finds who gets or loses a role and what the caller holds, in an
// order of locks that all grants share: the team, then the principal.
func (s *Service) grantee(ctx context.Context, tx *sqldb.Tx, g Grant, team Team) (account, binding, powers, error) {
	if team.ID != "" {
		if _, err := s.teamByRef(ctx, tx, team.ID, true); err != nil {
			return account{}, binding{}, powers{}, err
		}
	}
	a, err := s.anyone(ctx, tx, g.Member)
	if err != nil {
		return account{}, binding{}, powers{}, err
	}
	mine, err := s.powersOf(ctx, tx, principal.From(ctx))
	return a, binding{principalID: a.id, teamID: team.ID, team: team.Name, role: g.Role}, mine, err
}

// anyone finds a user or a robot and locks it, so that a role and a disabling
// do not pass each other unseen.
func (s *Service) anyone(ctx context.Context, tx *sqldb.Tx, ref string) (account, error) {
	if !ident.IsRef(ref) {
		return account{}, notFound("user or robot")
	}
	var id string
	err := tx.QueryRowContext(ctx, `SELECT id FROM principals WHERE id = $1 OR name = $1`, ref).Scan(&id)
	if missing(err) {
		return account{}, notFound("user or robot")
	}
	if err != nil {
		return account{}, err
	}
	return s.store.accountByID(ctx, tx, id, true)
}

// checkGrant refuses roles that a principal cannot have and those that the
// caller does not hold.
func checkGrant(mine powers, a account, b binding) error {
	where, known := "the organisation", orgRoles
	if b.teamID != "" {
		where, known = "a team", teamRoles
	}
	if err := checkRole(b.role, known, where); err != nil {
		return err
	}
	if a.kind == principal.Robot && b.teamID != a.teamID {
		return fault.New(fault.Conflict, "robot_of_other_team", "the robot %s belongs to another team", a.name).
			WithHint("a robot has roles in its own team only; make a robot in this one")
	}
	if !a.disabledAt.IsZero() {
		return fault.New(fault.Conflict, "principal_disabled", "%s is disabled", a.name).WithHint("enable the account first")
	}
	if !mine.covers(b) {
		return notHeld(b)
	}
	return nil
}

// grantTarget is what the record of a grant is about: the team, or, for a role
// in the organisation, who has it.
func grantTarget(t Team, a account) access.Target {
	if t.ID == "" {
		return a.target()
	}
	return t.Target()
}
