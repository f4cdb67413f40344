package identity

import (
	"context"
	"time"

	"fairlead/internal/ident"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// Person gives a user or robot by id or name as q sees them, and whether they
// are enabled; a disabled one has no roles.
func (d *Directory) Person(ctx context.Context, q sqldb.Querier, ref string) (p principal.Principal, enabled bool, err error) {
	if !ident.IsRef(ref) {
		return principal.Nobody, false, notFound("user or robot")
	}
	a, err := scanAccount(q.QueryRowContext(ctx, `SELECT `+accountColumns+` FROM principals p WHERE p.id = $1 OR p.name = $1`, ref))
	if missing(err) {
		return principal.Nobody, false, notFound("user or robot")
	}
	if err != nil {
		return principal.Nobody, false, err
	}
	p, err = d.store.principal(ctx, q, a)
	return p, a.disabledAt.IsZero(), err
}

// Holders gives the enabled users with one of the roles in a team, or in the
// organisation (teamID ""), by name, at most limit.
func (d *Directory) Holders(ctx context.Context, q sqldb.Querier, teamID string, roles []principal.Role, limit int) ([]principal.Principal, error) {
	names := make([]string, len(roles))
	for i, r := range roles {
		names[i] = string(r)
	}
	accounts, err := sqldb.Collect(ctx, q, scanAccount, `SELECT `+accountColumns+` FROM principals p
		WHERE p.kind = 'user' AND p.disabled_at IS NULL AND EXISTS (SELECT 1 FROM role_bindings b
			WHERE b.principal_id = p.id AND b.team_id = $1 AND `+d.store.db.InArray("b.role", "$2")+`)
		ORDER BY p.name LIMIT $3`, teamID, sqldb.Strings(names), limit)
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(accounts))
	for i, a := range accounts {
		ids[i] = a.id
	}
	bindings, err := d.store.bindings(ctx, q, ids...)
	if err != nil {
		return nil, err
	}
	out := make([]principal.Principal, 0, len(accounts))
	for _, a := range accounts {
		var own []binding
		for _, b := range bindings {
			if b.principalID == a.id {
				own = append(own, b)
			}
		}
		out = append(out, a.principal(own))
	}
	return out, nil
}

// TeamByName gives a team by name or id.
func (d *Directory) TeamByName(ctx context.Context, q sqldb.Querier, ref string) (id, name string, err error) {
	if !ident.IsRef(ref) {
		return "", "", notFound("team")
	}
	t, err := d.store.team(ctx, q, ref, false)
	if missing(err) {
		return "", "", notFound("team")
	}
	return t.ID, t.Name, err
}

// Keepers gives the ids of who made the tokens by which a robot could act at a
// time, or since.
func (d *Directory) Keepers(ctx context.Context, q sqldb.Querier, robotID string, at time.Time) ([]string, error) {
	return sqldb.Collect(ctx, q, sqldb.Text, `SELECT DISTINCT t.created_by FROM tokens t
		WHERE t.principal_id = $1 AND t.expires_at > $2 AND (t.revoked_at IS NULL OR t.revoked_at > $2) ORDER BY t.created_by`, robotID, at.UnixMicro())
}
