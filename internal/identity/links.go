package identity

import (
	"context"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/fault"
	"fairlead/internal/ident"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

const (
	linkLife      = 15 * time.Minute
	firstLinkLife = 24 * time.Hour
)

// IssueLink makes a one-time sign-in link for a user, good for 15 minutes, and
// gives its value, this once. Whoever has it becomes the user, so only who
// manages users and holds all that the user holds may make one.
func (s *Service) IssueLink(ctx context.Context, userRef string) (Issued[Link], error) {
	var out Issued[Link]
	if _, err := known(ctx); err != nil {
		return out, err
	}
	a, err := s.accountByRef(ctx, s.db.Read(), userRef, principal.User)
	if err != nil {
		return out, err
	}
	if _, err := s.check(ctx, access.UserUpdate, a.target()); err != nil {
		return out, err
	}
	d, err := s.check(ctx, access.UserCreate, access.Organisation)
	if err != nil {
		return out, err
	}
	err = s.db.Write(ctx, "link.create", func(tx *sqldb.Tx) error {
		a, err := s.lockAccount(ctx, tx, a.id, "user", 0)
		if err != nil {
			return err
		}
		if !a.disabledAt.IsZero() {
			return fault.New(fault.Conflict, "principal_disabled", "%s is disabled", a.name).WithHint("enable the account first")
		}
		if err := s.outranks(ctx, tx, a.id); err != nil {
			return err
		}
		out, err = s.link(ctx, tx, a, linkLife, d)
		return err
	})
	return out, err
}

func (s *Service) link(ctx context.Context, tx *sqldb.Tx, a account, life time.Duration, d access.Decision) (Issued[Link], error) {
	value, digest, _ := mint(signInLink)
	l := Link{ID: ident.New("lnk"), User: a.name, ExpiresAt: tx.Now().Add(life)}
	if err := s.store.insertLink(ctx, tx, l, a.id, principal.From(ctx).ID, digest); err != nil {
		return Issued[Link]{}, err
	}
	s.record(ctx, tx, access.UserUpdate, a.target(), d, map[string]any{"change": "link", "link": l.ID, "expiresAt": l.ExpiresAt})
	return Issued[Link]{Credential: l, Value: value}, nil
}
