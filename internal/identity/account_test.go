package identity_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"fairlead/internal/audit/audittest"
	"fairlead/internal/fault"
	"fairlead/internal/identity"
	"fairlead/internal/identity/identitytest"
	"fairlead/internal/principal"
	"fairlead/internal/project"
	"fairlead/internal/redact"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

func ptr[T any](v T) *T { return &v }

// operations are all exported methods that act on others' things. The
// audit action says what an allowed call records; "" reads.
func operations(tokenID string) []struct {
	name, audit string
	call        func(context.Context, *identity.Service) error
} {
	red := identity.Grant{Team: "red", Member: "carol", Role: principal.Viewer}
	return []struct {
		name, audit string
		call        func(context.Context, *identity.Service) error
	}{
		{"CreateUser", "user:create", func(c context.Context, s *identity.Service) error {
			_, err := s.CreateUser(c, identity.NewUser{Name: "made"})
			return err
		}},
		{"User", "", func(c context.Context, s *identity.Service) error { _, err := s.User(c, "bob"); return err }},
		{"UpdateUser", "user:update", func(c context.Context, s *identity.Service) error {
			_, err := s.UpdateUser(c, "bob", identity.UserChange{DisplayName: ptr("B")}, 0)
			return err
		}},
		{"Reset", "user:update", func(c context.Context, s *identity.Service) error { _, err := s.Reset(c, "bob"); return err }},
		{"UserSessions", "", func(c context.Context, s *identity.Service) error {
			_, _, err := s.UserSessions(c, "bob", sqldb.Page{})
			return err
		}},
		{"IssueLink", "user:update", func(c context.Context, s *identity.Service) error { _, err := s.IssueLink(c, "bob"); return err }},
		{"RevokeSessions", "session:revoke", func(c context.Context, s *identity.Service) error { return s.RevokeSessions(c, "bob") }},
		{"CreateTeam", "team:create", func(c context.Context, s *identity.Service) error {
			_, err := s.CreateTeam(c, identity.NewTeam{Name: "made"})
			return err
		}},
		{"Team", "", func(c context.Context, s *identity.Service) error { _, err := s.Team(c, "red"); return err }},
		{"UpdateTeam", "team:update", func(c context.Context, s *identity.Service) error {
			_, err := s.UpdateTeam(c, "red", identity.TeamChange{Title: ptr("R")}, 0)
			return err
		}},
		{"Members", "", func(c context.Context, s *identity.Service) error {
			_, _, err := s.Members(c, "red", sqldb.Page{})
			return err
		}},
		{"GrantRole", "team:grant", func(c context.Context, s *identity.Service) error { return s.GrantRole(c, red) }},
		{"RevokeRole", "team:grant", func(c context.Context, s *identity.Service) error { return s.RevokeRole(c, red) }},
		{"RemoveMember", "team:grant", func(c context.Context, s *identity.Service) error { return s.RemoveMember(c, "red", "bob") }},
		{"GrantRole in the organisation", "organisation:grant", func(c context.Context, s *identity.Service) error {
			return s.GrantRole(c, identity.Grant{Member: "carol", Role: principal.Auditor})
		}},
		{"RevokeRole in the organisation", "organisation:grant", func(c context.Context, s *identity.Service) error {
			return s.RevokeRole(c, identity.Grant{Member: "carol", Role: principal.Auditor})
		}},
		{"CreateRobot", "robot:manage", func(c context.Context, s *identity.Service) error {
			_, err := s.CreateRobot(c, identity.NewRobot{Team: "red", Name: "made-bot", Roles: []principal.Role{principal.Developer}})
			return err
		}},
		{"Robot", "", func(c context.Context, s *identity.Service) error { _, err := s.Robot(c, "red-bot"); return err }},
		{"UpdateRobot", "robot:manage", func(c context.Context, s *identity.Service) error {
			_, err := s.UpdateRobot(c, "red-bot", identity.RobotChange{DisplayName: ptr("R")}, 0)
			return err
		}},
		{"CreateToken for a robot", "token:create", func(c context.Context, s *identity.Service) error {
			_, err := s.CreateToken(c, identity.NewToken{Name: "ci", Robot: "red-bot"})
			return err
		}},
		{"Token", "", func(c context.Context, s *identity.Service) error { _, err := s.Token(c, tokenID); return err }},
		{"RevokeToken", "token:revoke", func(c context.Context, s *identity.Service) error { return s.RevokeToken(c, tokenID) }},
		{"DisableRobot", "robot:manage", func(c context.Context, s *identity.Service) error { return s.DisableRobot(c, "red-bot", 0) }},
		{"DisableUser", "user:update", func(c context.Context, s *identity.Service) error { return s.DisableUser(c, "bob", 0) }},
		{"DeleteTeam", "team:delete", func(c context.Context, s *identity.Service) error { return s.DeleteTeam(c, "empty", 0) }},
	}
}

func TestEveryMethodRefusesStrangersAndRecordsWhatItDoes(t *testing.T) {
	each(t, func(t *testing.T, w *identitytest.World) {
		w.Team("red")
		w.Team("blue")
		w.Team("empty")
		w.User("bob", "red", principal.Developer)
		w.User("carol", "")
		stranger := w.User("mallory", "blue", principal.TeamOwner)
		_, err := w.Identity.CreateRobot(w.Admin, identity.NewRobot{Team: "red", Name: "red-bot"})
		w.Must(err)
		token, err := w.Identity.CreateToken(w.As("bob"), identity.NewToken{Name: "bobs"})
		w.Must(err)
		count := func() int { return len(audittest.Records(t, w.Log, "")) }
		ops := operations(token.Credential.ID)
		before := count()
		for _, op := range ops {
			if err := op.call(t.Context(), w.Identity); !fault.Is(err, fault.Unauthenticated) {
				t.Errorf("%s by nobody: %v", op.name, err)
			}
			if err := op.call(stranger, w.Identity); !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Denied) {
				t.Errorf("%s by a stranger: %v", op.name, err)
			}
			if err := op.call(stranger, w.Identity); strings.Contains(fmt.Sprint(err), "other") || fault.Is(err, fault.Denied) &&
				!slices.Contains([]string{"CreateUser", "CreateTeam", "GrantRole in the organisation", "RevokeRole in the organisation"}, op.name) {
				t.Errorf("%s tells a stranger that the thing is there: %v", op.name, err)
			}
		}
		if n := count(); n != before {
			t.Errorf("%d audit records of refused requests", n-before)
		}
		for _, op := range ops {
			before := len(audittest.Records(t, w.Log, op.audit))
			if err := op.call(w.Admin, w.Identity); err != nil {
				t.Errorf("%s by an administrator: %v", op.name, err)
			}
			if n := len(audittest.Records(t, w.Log, op.audit)); op.audit != "" && n != before+1 {
				t.Errorf("%s: %d audit records, want 1", op.name, n-before)
			}
		}
	})
}

func TestOwnThingsNeedSomebody(t *testing.T) {
	each(t, func(t *testing.T, w *identitytest.World) {
		none := principal.With(t.Context(), principal.Principal{Kind: principal.User}) // an empty claim is nobody
		for _, ctx := range []context.Context{t.Context(), none} {
			_, err := w.Identity.Me(ctx)
			code(t, err, "unauthenticated")
			_, err = w.Identity.Rename(ctx, "x", 0)
			code(t, err, "unauthenticated")
			_, _, err = w.Identity.Sessions(ctx, sqldb.Page{})
			code(t, err, "unauthenticated")
			code(t, w.Identity.RevokeSession(ctx, "ses_1"), "unauthenticated")
			code(t, w.Identity.SetPassword(ctx, redact.Secret{}, redact.New(goodPassword)), "unauthenticated")
			_, _, err = w.Identity.Tokens(ctx, identity.TokenFilter{}, sqldb.Page{})
			code(t, err, "unauthenticated")
			_, _, err = w.Identity.Users(ctx, identity.UserFilter{}, sqldb.Page{})
			code(t, err, "unauthenticated")
			_, _, err = w.Identity.Teams(ctx, identity.TeamFilter{}, sqldb.Page{})
			code(t, err, "unauthenticated")
			_, _, err = w.Identity.Robots(ctx, identity.RobotFilter{}, sqldb.Page{})
			code(t, err, "unauthenticated")
		}
		w.User("bob", "")
		ctx, session := signIn(t, w, "bob")
		w.User("eve", "")
		code(t, w.Identity.RevokeSession(w.As("eve"), session.Credential.ID), "not_found")
		me, err := w.Identity.Me(ctx)
		w.Must(err)
		if me.User.Name != "bob" || !me.User.HasPassword || me.Session != session.Credential.ID {
			t.Errorf("%+v", me)
		}
		u, err := w.Identity.Rename(ctx, "Bob the Builder", me.User.Version)
		w.Must(err)
		if u.DisplayName != "Bob the Builder" {
			t.Error(u)
		}
		_, err = w.Identity.Rename(ctx, "again", me.User.Version)
		code(t, err, "stale_version")
		_, err = w.Identity.UpdateUser(ctx, "bob", identity.UserChange{Email: ptr("bob@example.org")}, 0)
		w.Must(err)
		// One's own account is not one's own to make more of.
		_, err = w.Identity.UpdateUser(ctx, "bob", identity.UserChange{Attributes: &map[string]string{"audience": "all"}}, 0)
		code(t, err, codeOf(w.Identity.GrantRole(ctx, identity.Grant{Member: "bob", Role: principal.PlatformAdmin})))
		_, err = w.Identity.IssueLink(ctx, "bob")
		if err == nil {
			t.Error("made a link for themselves")
		}
	})
}

func TestNobodyGrantsWhatTheyDoNotHold(t *testing.T) {
	each(t, func(t *testing.T, w *identitytest.World) {
		w.Team("red")
		w.Team("blue")
		owner := w.User("olga", "red", principal.TeamOwner)
		w.User("bob", "")
		dev := w.User("dave", "red", principal.Developer)
		w.Must(w.Identity.GrantRole(owner, identity.Grant{Team: "red", Member: "bob", Role: principal.Developer}))
		w.Must(w.Identity.GrantRole(owner, identity.Grant{Team: "red", Member: "bob", Role: principal.Developer})) // again: nothing happens
		for _, c := range []struct {
			by   context.Context
			g    identity.Grant
			why  string
			kind fault.Kind
		}{
			{owner, identity.Grant{Team: "blue", Member: "bob", Role: principal.Viewer}, "another team", fault.NotFound},
			{owner, identity.Grant{Member: "olga", Role: principal.PlatformAdmin}, "the organisation", fault.Denied},
			{owner, identity.Grant{Team: "red", Member: "olga", Role: principal.PlatformAdmin}, "an organisation's role through a team", fault.Invalid},
			{owner, identity.Grant{Team: "red", Member: "olga", Role: ""}, "no role", fault.Invalid},
			{owner, identity.Grant{Team: "red", Member: "no-such", Role: principal.Viewer}, "nobody", fault.NotFound},
			{dev, identity.Grant{Team: "red", Member: "dave", Role: principal.TeamOwner}, "self-promotion", fault.Denied},
		} {
			if err := w.Identity.GrantRole(c.by, c.g); !fault.Is(err, c.kind) {
				t.Errorf("%s: %v", c.why, err)
			}
		}
		// A snapshot from before a revocation grants nothing.
		w.Must(w.Identity.GrantRole(w.Admin, identity.Grant{Team: "red", Member: "bob", Role: principal.TeamOwner}))
		w.Must(w.Identity.RevokeRole(w.Admin, identity.Grant{Team: "red", Member: "olga", Role: principal.TeamOwner}))
		code(t, w.Identity.GrantRole(owner, identity.Grant{Team: "red", Member: "olga", Role: principal.TeamOwner}), "role_not_held")

		// The last owner stays, unless a platform administrator says so.
		bob := w.As("bob")
		code(t, w.Identity.RevokeRole(bob, identity.Grant{Team: "red", Member: "bob", Role: principal.TeamOwner}), "last_team_owner")
		code(t, w.Identity.RemoveMember(bob, "red", "bob"), "last_team_owner")
		w.Must(w.Identity.RevokeRole(w.Admin, identity.Grant{Team: "red", Member: "bob", Role: principal.TeamOwner}))

		// Attributes of a team are what policies look at.
		w.Must(w.Identity.GrantRole(w.Admin, identity.Grant{Team: "red", Member: "olga", Role: principal.TeamOwner}))
		_, err := w.Identity.UpdateTeam(w.As("olga"), "red", identity.TeamChange{Attributes: &map[string]string{"tier": "gold"}}, 0)
		if !fault.Is(err, fault.Denied) {
			t.Error(err)
		}
	})
}

func TestRobotsStayInTheirTeam(t *testing.T) {
	each(t, func(t *testing.T, w *identitytest.World) {
		w.Team("red")
		w.Team("blue")
		owner := w.User("olga", "red", principal.TeamOwner)
		r, err := w.Identity.CreateRobot(owner, identity.NewRobot{Team: "red", Name: "ci", Roles: []principal.Role{principal.Developer}})
		w.Must(err)
		if r.Team != "red" || !slices.Equal(r.Roles, []principal.Role{principal.Developer}) {
			t.Errorf("%+v", r)
		}
		code(t, w.Identity.GrantRole(w.Admin, identity.Grant{Team: "blue", Member: "ci", Role: principal.Viewer}), "robot_of_other_team")
		code(t, w.Identity.GrantRole(w.Admin, identity.Grant{Member: "ci", Role: principal.PlatformAdmin}), "robot_of_other_team")
		token, err := w.Identity.CreateToken(owner, identity.NewToken{Name: "ci", Robot: "ci"})
		w.Must(err)
		if !strings.HasPrefix(token.Value.Reveal(), "fl_bot_") {
			t.Error("not recognisable as a robot's")
		}
		// Even a tampered table gives it nothing elsewhere.
		w.Must(w.DB.Write(t.Context(), "test.tamper", func(tx *sqldb.Tx) error {
			_, err := tx.ExecContext(t.Context(), `INSERT INTO role_bindings (principal_id, team_id, role, created_at, created_by)
				SELECT $1, '', 'platform-admin', 0, '' UNION ALL SELECT $1, id, 'team-owner', 0, '' FROM teams WHERE name = 'blue'`, r.ID)
			return err
		}))
		p, err := w.Identity.AuthenticateToken(t.Context(), token.Value)
		w.Must(err)
		if p.Kind != principal.Robot || len(p.OrgRoles) != 0 || len(p.Memberships) != 1 || p.Memberships[0].Team != "red" {
			t.Errorf("%+v", p)
		}
		robot := principal.With(t.Context(), p)
		if _, err := w.Identity.CreateToken(robot, identity.NewToken{Name: "again"}); err == nil {
			t.Error("a robot made itself a token")
		}
		_, err = w.Identity.CreateUser(w.Admin, identity.NewUser{Name: "ci"})
		code(t, err, "name_taken")
	})
}

func TestTheLastAdministratorStays(t *testing.T) {
	each(t, func(t *testing.T, w *identitytest.World) {
		admin := identity.Grant{Member: identitytest.AdminName, Role: principal.PlatformAdmin}
		code(t, w.Identity.RevokeRole(w.Admin, admin), "last_platform_admin")
		code(t, w.Identity.DisableUser(w.Admin, identitytest.AdminName, 0), "last_platform_admin")
		w.User("second", "")
		w.Must(w.Identity.GrantRole(w.Admin, identity.Grant{Member: "second", Role: principal.PlatformAdmin}))
		second := w.As("second")
		var wg sync.WaitGroup // each takes the other away at once: one must stay
		for _, f := range []func() error{
			func() error { return w.Identity.DisableUser(w.Admin, "second", 0) },
			func() error { return w.Identity.RevokeRole(second, admin) },
			func() error {
				return w.Replica(w.DB).RevokeRole(w.Admin, identity.Grant{Member: "second", Role: principal.PlatformAdmin})
			},
		} {
			wg.Go(func() { _ = f() })
		}
		wg.Wait()
		var n int
		w.Must(w.DB.Read().QueryRowContext(t.Context(), `SELECT count(*) FROM role_bindings b JOIN principals p ON p.id = b.principal_id
			WHERE b.team_id = '' AND b.role = 'platform-admin' AND p.disabled_at IS NULL`).Scan(&n))
		if n < 1 {
			t.Error("nobody can administer any more")
		}
	})
}

func TestBootstrap(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := identitytest.New(t, db)
		w.Must(db.Write(t.Context(), "test.clear", func(tx *sqldb.Tx) error {
			_, err := tx.ExecContext(t.Context(), `DELETE FROM role_bindings`)
			return err
		}))
		links := make([]identity.Issued[identity.Link], 3)
		var wg sync.WaitGroup
		for i := range links {
			svc := w.Replica(db)
			wg.Go(func() {
				var err error
				if links[i], err = svc.Bootstrap(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		users, _, err := w.Identity.Users(principal.With(t.Context(), principal.System), identity.UserFilter{Role: principal.PlatformAdmin}, sqldb.Page{})
		w.Must(err)
		if len(users) != 1 || users[0].Name != identity.FirstAdmin || users[0].HasPassword {
			t.Fatalf("%+v", users)
		}
		again, err := w.Identity.Bootstrap(t.Context())
		w.Must(err)
		session, err := w.Identity.SignIn(t.Context(), identity.SignIn{Link: again.Value})
		w.Must(err)
		p, err := w.Identity.AuthenticateSession(t.Context(), session.Value)
		w.Must(err)
		if !p.HasOrgRole(principal.PlatformAdmin) {
			t.Error(p)
		}
		for _, l := range links {
			_, err := w.Identity.SignIn(t.Context(), identity.SignIn{Link: l.Value})
			code(t, err, "invalid_link")
		}
		lost, err := w.Identity.Bootstrap(t.Context())
		w.Must(err)
		if lost.Value.Empty() {
			t.Error("no link, although the reply to the only sign-in may have been lost")
		}
		w.Must(db.Write(t.Context(), "test.use", func(tx *sqldb.Tx) error {
			_, err := tx.ExecContext(t.Context(), `UPDATE sessions SET last_seen_at = last_seen_at + 1 WHERE principal_id = $1`, p.ID)
			return err
		}))
		done, err := w.Identity.Bootstrap(t.Context())
		w.Must(err)
		if !done.Value.Empty() {
			t.Error("a link although somebody has come in")
		}
	})
}

func TestListsShowWhatTheCallerMaySeeInPages(t *testing.T) {
	each(t, func(t *testing.T, w *identitytest.World) {
		for i := range 7 {
			w.Team(fmt.Sprintf("team-%d", i))
		}
		bob := w.User("bob", "team-3", principal.Developer)
		for _, sort := range []string{"", "-name", "created", "-created"} {
			var names []string
			page := sqldb.Page{Limit: 3}
			for {
				teams, next, err := w.Identity.Teams(w.Admin, identity.TeamFilter{Sort: sort}, page)
				w.Must(err)
				for _, x := range teams {
					names = append(names, x.Name)
				}
				if page.After = next; next == "" {
					break
				}
			}
			want := []string{"team-0", "team-1", "team-2", "team-3", "team-4", "team-5", "team-6"}
			if strings.HasPrefix(sort, "-") {
				slices.Reverse(want)
			}
			if !strings.HasSuffix(sort, "created") && !slices.Equal(names, want) || len(names) != 7 {
				t.Errorf("%q: %v", sort, names)
			}
		}
		mine, _, err := w.Identity.Teams(bob, identity.TeamFilter{}, sqldb.Page{})
		w.Must(err)
		if len(mine) != 1 || mine[0].Name != "team-3" {
			t.Errorf("bob sees %+v", mine)
		}
		users, _, err := w.Identity.Users(bob, identity.UserFilter{}, sqldb.Page{})
		w.Must(err)
		if !slices.ContainsFunc(users, func(u identity.User) bool { return u.Name == "bob" }) || slices.ContainsFunc(users, func(u identity.User) bool { return u.Name == identitytest.AdminName }) {
			t.Errorf("bob sees %+v", users)
		}
		for _, hostile := range []string{"%", "_", `\`, "' OR 1=1 --", "\x00", "\xff", strings.Repeat("x", 5000)} {
			found, _, err := w.Identity.Teams(w.Admin, identity.TeamFilter{Search: hostile, Member: hostile}, sqldb.Page{})
			if err != nil || len(found) != 0 {
				t.Errorf("%.20q: %d found, %v", hostile, len(found), err)
			}
			if _, _, err := w.Identity.Users(w.Admin, identity.UserFilter{Search: hostile, Team: hostile, Role: principal.Role(hostile)}, sqldb.Page{}); err != nil {
				t.Errorf("%.20q: %v", hostile, err)
			}
			_, err = w.Identity.Team(w.Admin, hostile)
			code(t, err, "not_found")
			_, err = w.Identity.CreateTeam(w.Admin, identity.NewTeam{Name: hostile})
			code(t, err, "invalid_name")
			_, _, err = w.Identity.Teams(w.Admin, identity.TeamFilter{}, sqldb.Page{After: hostile})
			if err != nil || hostile != "_" { // that one could be a name's neighbour
				code(t, err, "invalid_cursor")
			}
			_, _, err = w.Identity.Teams(w.Admin, identity.TeamFilter{Sort: hostile}, sqldb.Page{})
			code(t, err, "unknown_sort")
		}
		tokens := 5
		for i := range tokens {
			_, err := w.Identity.CreateToken(bob, identity.NewToken{Name: fmt.Sprint("t", i)})
			w.Must(err)
		}
		first, next, err := w.Identity.Tokens(bob, identity.TokenFilter{}, sqldb.Page{Limit: 4})
		w.Must(err)
		rest, _, err := w.Identity.Tokens(bob, identity.TokenFilter{}, sqldb.Page{Limit: 4, After: next})
		w.Must(err)
		if len(first) != 4 || len(rest) != 1 || first[0].Name != "t4" || rest[0].Name != "t0" {
			t.Errorf("%+v %+v", first, rest)
		}
		others, _, err := w.Identity.Tokens(w.User("eve", ""), identity.TokenFilter{Owner: "bob"}, sqldb.Page{})
		if err != nil || len(others) != 0 {
			t.Errorf("eve sees %v %v", others, err)
		}
	})
}

func TestATeamIsDeletedWhenItOwnsNothing(t *testing.T) {
	each(t, func(t *testing.T, w *identitytest.World) {
		red := w.Team("red")
		w.User("bob", "red", principal.TeamOwner)
		w.Environment("red", "shop", "dev", project.Development)
		_, err := w.Identity.CreateRobot(w.Admin, identity.NewRobot{Team: "red", Name: "ci"})
		w.Must(err)
		err = w.Identity.DeleteTeam(w.Admin, "red", 0)
		code(t, err, "team_not_empty")
		for _, name := range []string{"project shop", "robot ci"} {
			if !strings.Contains(fault.From(err).Message, name) {
				t.Errorf("%s is not named: %v", name, err)
			}
		}
		w.Must(w.Projects.DeleteEnvironment(w.Admin, "shop", "dev", 0))
		w.Must(w.Projects.Delete(w.Admin, "shop", 0))
		w.Must(w.Identity.DisableRobot(w.Admin, "ci", 0))
		code(t, w.Identity.DeleteTeam(w.Admin, "red", red.Version+1), "stale_version")
		w.Must(w.Identity.DeleteTeam(w.Admin, "red", red.Version))
		_, err = w.Identity.Team(w.Admin, red.ID)
		code(t, err, "not_found")
		if again := w.Team("red"); again.ID == red.ID {
			t.Error("the same team")
		}
		if me, err := w.Identity.Me(w.As("bob")); err != nil || len(me.User.Teams) != 0 {
			t.Errorf("bob owns a new team of an old name: %+v %v", me.User.Teams, err)
		}
	})
}
