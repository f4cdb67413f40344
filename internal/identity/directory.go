package identity

import (
	"context"

	"fairlead/internal/access"
	"fairlead/internal/ident"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// directoryTopic is woken when a team, project or environment changes.
const directoryTopic = "directory"

// Directory tells access what there is, and approvals who is there, whoever
// asks: it stands below the decisions and is asked by nobody else.
type Directory struct{ store store }

// NewDirectory makes the directory of teams and principals.
func NewDirectory(db *sqldb.DB) *Directory { return &Directory{store{db}} }

// Teams gives every team.
func (d *Directory) Teams(ctx context.Context) ([]access.Target, error) {
	return sqldb.Collect(ctx, d.store.db.Read(), func(r sqldb.Row) (access.Target, error) {
		t, err := scanTeam(r)
		return t.Target(), err
	}, `SELECT `+teamColumns+` FROM teams t WHERE t.deleted_at IS NULL ORDER BY t.id`)
}

// Lookup gives the principal that a user or robot would be, by id or name. A
// disabled one has no roles.
func (d *Directory) Lookup(ctx context.Context, idOrName string) (principal.Principal, error) {
	if !ident.IsRef(idOrName) {
		return principal.Nobody, notFound("user or robot")
	}
	q := d.store.db.Read()
	a, err := scanAccount(q.QueryRowContext(ctx, `SELECT `+accountColumns+` FROM principals p WHERE p.id = $1 OR p.name = $1`, idOrName))
	if missing(err) {
		return principal.Nobody, notFound("user or robot")
	}
	if err != nil {
		return principal.Nobody, err
	}
	return d.store.principal(ctx, q, a)
}

// principal makes the snapshot of an account. Who is disabled has no roles.
func (s store) principal(ctx context.Context, q sqldb.Querier, a account) (principal.Principal, error) {
	if !a.disabledAt.IsZero() {
		return a.principal(nil), nil
	}
	bindings, err := s.bindings(ctx, q, a.id)
	return a.principal(bindings), err
}

// principal is the snapshot of an account with its roles. Robots have roles in
// their own team alone, whatever the table says.
func (a account) principal(roles []binding) principal.Principal {
	p := principal.Principal{Kind: a.kind, ID: a.id, Name: a.name, Attributes: a.attributes}
	for _, b := range roles {
		switch {
		case a.kind == principal.Robot && b.teamID != a.teamID:
		case b.teamID == "":
			p.OrgRoles = append(p.OrgRoles, b.role)
		default:
			p.Memberships = append(p.Memberships, principal.Membership{TeamID: b.teamID, Team: b.team, Role: b.role})
		}
	}
	return p
}

// Address gives what an enabled user is called and where they get mail; both
// are empty for anybody else, and the address for whoever has none.
func (d *Directory) Address(ctx context.Context, q sqldb.Querier, id string) (name, email string, err error) {
	if !ident.IsRef(id) {
		return "", "", notFound("user")
	}
	a, err := scanAccount(q.QueryRowContext(ctx, `SELECT `+accountColumns+` FROM principals p WHERE p.id = $1`, id))
	switch {
	case missing(err):
		return "", "", notFound("user")
	case err != nil:
		return "", "", err
	case a.kind != principal.User || !a.disabledAt.IsZero():
		return "", "", nil
	case a.displayName != "":
		return a.displayName, a.email, nil
	}
	return a.name, a.email, nil
}
