package identity

import (
	"context"
	"fmt"
	"strings"

	"fairlead/internal/access"
	"fairlead/internal/ident"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// FirstAdmin is the name of the account that the first start makes.
const FirstAdmin = "administrator"

// Bootstrap sees to it that somebody can administer: when there is no enabled
// platform administrator it makes one and gives a sign-in link for them, and
// while no administrator has ever used what a sign-in gave each call gives one
// more link, so that every replica can print its own, and so that nobody is
// locked out by a server that died between a sign-in and its reply. The first
// use of one voids the rest.
// The value is empty when there is nothing to do. No account has a default
// password.
func (s *Service) Bootstrap(ctx context.Context) (Issued[Link], error) {
	ctx = principal.With(ctx, principal.System)
	var out Issued[Link]
	for attempt := 0; ; attempt++ {
		err := s.db.Write(ctx, "identity.bootstrap", func(tx *sqldb.Tx) error {
			out = Issued[Link]{}
			a, err := s.firstAdmin(ctx, tx)
			if err != nil || a.id == "" {
				return err
			}
			out, err = s.link(ctx, tx, a, firstLinkLife, bySystem, map[string]any{"change": "link"})
			return err
		})
		if err == nil || !sqldb.IsUnique(err) || attempt == 3 {
			return out, err
		}
		// Another replica made the account in this moment; look again.
	}
}

var bySystem = access.Decision{Allowed: true, Policies: []string{"system"}}

// firstAdmin gives the administrator who needs a link, made if need be; none
// when an administrator has come in before.
func (s *Service) firstAdmin(ctx context.Context, tx *sqldb.Tx) (account, error) {
	admins, err := s.store.holders(ctx, tx, "", principal.PlatformAdmin)
	if err != nil {
		return account{}, err
	}
	var waiting account
	for _, id := range admins {
		a, err := s.store.accountByID(ctx, tx, id, false)
		if err != nil || a.passwordHash != "" {
			return account{}, err
		}
		if !a.signedInAt.IsZero() {
			if used, err := credentialUsed(ctx, tx, a.id); err != nil || used {
				return account{}, err
			}
		}
		if waiting.id == "" {
			waiting = a
		}
	}
	if waiting.id != "" {
		return waiting, nil
	}
	return s.makeAdmin(ctx, tx)
}

// credentialUsed tells whether anybody ever came back with a token or session
// of the account.
func credentialUsed(ctx context.Context, tx *sqldb.Tx, id string) (bool, error) {
	var n int
	err := tx.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM tokens WHERE principal_id = $1 AND last_used_at IS NOT NULL)
		+ (SELECT count(*) FROM sessions WHERE principal_id = $1 AND last_seen_at > created_at)`, id).Scan(&n)
	return n > 0, err
}

func (s *Service) makeAdmin(ctx context.Context, tx *sqldb.Tx) (account, error) {
	a := account{id: ident.New("usr"), kind: principal.User, name: FirstAdmin, displayName: "Administrator", createdAt: tx.Now()}
	var there int
	if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM principals WHERE name = $1`, a.name).Scan(&there); err != nil {
		return account{}, err
	}
	if there > 0 { // somebody's, and no administrator: nobody becomes one by a name
		a.name = fmt.Sprintf("%s-%s", FirstAdmin, strings.ToLower(a.id[len(a.id)-6:]))
	}
	if err := s.store.insertAccount(ctx, tx, a); err != nil {
		return account{}, err
	}
	if _, err := s.store.bind(ctx, tx, binding{principalID: a.id, role: principal.PlatformAdmin}, principal.System.ID); err != nil {
		return account{}, err
	}
	s.record(ctx, tx, access.UserCreate, a.target(), bySystem, map[string]any{"change": "first-administrator", "role": string(principal.PlatformAdmin)})
	return a, nil
}
