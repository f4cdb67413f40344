package identity

import (
	"context"
	"net/mail"
	"strings"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/fault"
	"fairlead/internal/ident"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// NewUser is what a user is made of. A new user has no role and no password:
// a sign-in link lets them in.
type NewUser struct {
	Name, DisplayName, Email string
	Attributes               map[string]string
}

// CreateUser makes a user. A name stays its user's for ever.
func (s *Service) CreateUser(ctx context.Context, in NewUser) (User, error) {
	d, err := s.check(ctx, access.UserCreate, access.Organisation)
	if err != nil {
		return User{}, err
	}
	if err := checkAccount(in.Name, in.DisplayName, in.Email, in.Attributes); err != nil {
		return User{}, err
	}
	var a account
	err = s.db.Write(ctx, "user.create", func(tx *sqldb.Tx) error {
		a = account{id: ident.New("usr"), kind: principal.User, name: in.Name, displayName: in.DisplayName, email: in.Email,
			attributes: in.Attributes, createdAt: tx.Now(), updatedAt: tx.Now(), version: 1}
		if err := s.store.insertAccount(ctx, tx, a); err != nil {
			return taken(err, "user", in.Name)
		}
		s.record(ctx, tx, access.UserCreate, a.target(), d, map[string]any{"attributes": in.Attributes})
		return nil
	})
	if err != nil {
		return User{}, err
	}
	return a.user(nil), nil
}

// User gives a user by name or id.
func (s *Service) User(ctx context.Context, ref string) (User, error) {
	if _, err := known(ctx); err != nil {
		return User{}, err
	}
	a, err := s.accountByRef(ctx, s.db.Read(), ref, principal.User)
	if err != nil {
		return User{}, err
	}
	if _, err := s.check(ctx, access.UserView, a.target()); err != nil {
		return User{}, err
	}
	return s.withRoles(ctx, s.db.Read(), a)
}

// UserFilter narrows a list of users; the zero value is all.
type UserFilter struct {
	Search   string // part of the name or the display name
	Team     string // name or id
	Role     principal.Role
	Disabled *bool
	Sort     string // name, created or updated; with - before it the other way round
}

// Users lists what the caller may see, themselves always.
func (s *Service) Users(ctx context.Context, f UserFilter, page sqldb.Page) (items []User, next string, err error) {
	p, err := known(ctx)
	if err != nil {
		return nil, "", err
	}
	scope, err := s.access.Scope(ctx, access.UserView)
	if err != nil {
		return nil, "", err
	}
	var w sqldb.Where
	w.And(`p.kind = ?`, string(principal.User))
	if !scope.All {
		// One value for both halves: the caller's own id among the teams' harms nothing.
		visible := sqldb.Strings(append([]string{p.ID}, scope.TeamIDs...))
		w.And(`(`+s.db.InArray("p.id", "?")+` OR EXISTS (SELECT 1 FROM role_bindings v
			WHERE v.principal_id = p.id AND `+s.db.InArray("v.team_id", "?")+`))`, visible)
	}
	narrow(&w, f.Search, f.Disabled)
	if f.Team != "" {
		w.And(`EXISTS (SELECT 1 FROM role_bindings m JOIN teams t ON t.id = m.team_id WHERE m.principal_id = p.id AND t.deleted_at IS NULL AND (t.id = ? OR t.name = ?))`, clip(f.Team, 64))
	}
	if f.Role != "" {
		w.And(`EXISTS (SELECT 1 FROM role_bindings r WHERE r.principal_id = p.id AND r.role = ?)`, clip(string(f.Role), 64))
	}
	accounts, next, err := accounts.Page(ctx, s.db.Read(), w, f.Sort, page)
	if err != nil {
		return nil, "", err
	}
	items = []User{}
	roles, err := s.store.bindings(ctx, s.db.Read(), accountIDs(accounts)...)
	for _, a := range accounts {
		items = append(items, a.user(roles))
	}
	return items, next, err
}

func narrow(w *sqldb.Where, search string, disabled *bool) {
	if search != "" {
		w.And(`(p.name LIKE ? ESCAPE '\' OR lower(p.display_name) LIKE ? ESCAPE '\')`, sqldb.Contains(clip(search, 80)))
	}
	if disabled != nil && *disabled {
		w.And(`p.disabled_at IS NOT NULL`)
	} else if disabled != nil {
		w.And(`p.disabled_at IS NULL`)
	}
}

// UserChange says what to change of a user; nil leaves it.
type UserChange struct {
	DisplayName, Email *string
	Attributes         *map[string]string // policies look at them: only who manages users
	Disabled           *bool              // likewise
}

// UpdateUser changes a user. Everyone may change how they are called; what
// gives or takes power needs the right to manage users. Disabling ends every
// session and token at once. The last platform administrator stays.
// ifVersion 0 is any.
func (s *Service) UpdateUser(ctx context.Context, ref string, change UserChange, ifVersion int64) (User, error) {
	if _, err := known(ctx); err != nil {
		return User{}, err
	}
	a, err := s.accountByRef(ctx, s.db.Read(), ref, principal.User)
	if err != nil {
		return User{}, err
	}
	d, err := s.check(ctx, access.UserUpdate, a.target())
	if err != nil {
		return User{}, err
	}
	if change.Attributes != nil || change.Disabled != nil {
		if d, err = s.check(ctx, access.UserCreate, access.Organisation); err != nil {
			return User{}, err
		}
	}
	var out User
	err = s.db.Write(ctx, "user.update", func(tx *sqldb.Tx) error {
		a, err := s.lockAccount(ctx, tx, a.id, "user", ifVersion)
		if err != nil {
			return err
		}
		changed, err := s.applyUser(ctx, tx, &a, change)
		if err != nil {
			return err
		}
		if err := s.store.updateAccount(ctx, tx, a); err != nil {
			return err
		}
		s.record(ctx, tx, access.UserUpdate, a.target(), d, changed)
		s.changed(tx)
		out, err = s.reread(ctx, tx, a.id)
		return err
	})
	return out, err
}

func (s *Service) applyUser(ctx context.Context, tx *sqldb.Tx, a *account, c UserChange) (map[string]any, error) {
	changed := map[string]any{}
	if c.DisplayName != nil {
		a.displayName, changed["displayName"] = *c.DisplayName, *c.DisplayName
	}
	if c.Email != nil {
		a.email, changed["email"] = *c.Email, *c.Email
	}
	if c.Attributes != nil {
		a.attributes, changed["attributes"] = *c.Attributes, *c.Attributes
	}
	if err := checkAccount("x", a.displayName, a.email, a.attributes); err != nil {
		return nil, err
	}
	if c.Attributes != nil || c.Disabled != nil {
		if err := s.outranks(ctx, tx, a.id); err != nil {
			return nil, err
		}
	}
	switch {
	case c.Disabled == nil || *c.Disabled == !a.disabledAt.IsZero():
	case *c.Disabled:
		changed["disabled"] = true
		return changed, s.disable(ctx, tx, a)
	default:
		changed["disabled"] = false
		a.disabledAt = time.Time{}
	}
	return changed, nil
}

// DisableUser is what deleting a user means: the account stays for the audit
// log, everything that it could be used with is dead at once.
func (s *Service) DisableUser(ctx context.Context, ref string, ifVersion int64) error {
	yes := true
	_, err := s.UpdateUser(ctx, ref, UserChange{Disabled: &yes}, ifVersion)
	return err
}

// disable ends what a can be used with; the caller writes the account.
func (s *Service) disable(ctx context.Context, tx *sqldb.Tx, a *account) error {
	admins, err := s.store.holders(ctx, tx, "", principal.PlatformAdmin)
	if err != nil {
		return err
	}
	if len(admins) == 1 && admins[0] == a.id {
		return lastAdmin()
	}
	a.disabledAt = tx.Now()
	if _, err := s.store.revokeSessions(ctx, tx, a.id, ""); err != nil {
		return err
	}
	if err := s.store.revokeTokens(ctx, tx, a.id); err != nil {
		return err
	}
	return s.store.voidLinks(ctx, tx, a.id)
}

func lastAdmin() error {
	return fault.New(fault.Conflict, "last_platform_admin", "this is the last platform administrator").
		WithHint("make somebody else a platform-admin first")
}

func (s *Service) reread(ctx context.Context, q sqldb.Querier, id string) (User, error) {
	a, err := s.store.accountByID(ctx, q, id, false)
	if err != nil {
		return User{}, err
	}
	return s.withRoles(ctx, q, a)
}

func (s *Service) withRoles(ctx context.Context, q sqldb.Querier, a account) (User, error) {
	b, err := s.store.bindings(ctx, q, a.id)
	return a.user(b), err
}

// user picks its own among the bindings.
func (a account) user(bindings []binding) User {
	u := User{
		ID: a.id, Name: a.name, DisplayName: a.displayName, Email: a.email, Attributes: a.attributes,
		OrgRoles: []principal.Role{}, Teams: []principal.Membership{}, HasPassword: a.passwordHash != "",
		DisabledAt: a.disabledAt, SignedInAt: a.signedInAt, CreatedAt: a.createdAt, UpdatedAt: a.updatedAt, Version: a.version,
	}
	for _, b := range bindings {
		switch {
		case b.principalID != a.id:
		case b.teamID == "":
			u.OrgRoles = append(u.OrgRoles, b.role)
		default:
			u.Teams = append(u.Teams, principal.Membership{TeamID: b.teamID, Team: b.team, Role: b.role})
		}
	}
	return u
}

func checkAccount(name, displayName, email string, attributes map[string]string) error {
	if err := checkName(name); err != nil {
		return err
	}
	if err := ident.CheckText("/displayName", displayName, maxTitle); err != nil {
		return err
	}
	if email != "" {
		a, err := mail.ParseAddress(email)
		if err != nil || a.Address != email || len(email) > 254 || strings.ContainsAny(email, "\r\n") {
			return fault.New(fault.Invalid, "invalid_email", "that is not an e-mail address").WithField("/email").WithHint("it looks like name@example.org")
		}
	}
	return ident.CheckAttributes("/attributes", attributes)
}

func checkName(name string) error {
	if err := ident.CheckName(name); err != nil {
		return fault.From(err).WithField("/name")
	}
	return nil
}

// taken turns a violated unique index into what it means.
func taken(err error, kind, name string) error {
	if sqldb.IsUnique(err) {
		return fault.New(fault.Conflict, "name_taken", "the name %s is taken", name).WithField("/name").
			WithHint("choose another name for the %s; users and robots share their names, and a disabled one keeps it", kind)
	}
	return err
}

func accountIDs(accounts []account) []string {
	ids := make([]string, len(accounts))
	for i, a := range accounts {
		ids[i] = a.id
	}
	return ids
}
