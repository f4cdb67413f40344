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
	return s.letIn(ctx, userRef, "link.create", func(*sqldb.Tx, *account) (map[string]any, error) {
		return map[string]any{"change": "link"}, nil
	})
}

// Reset takes a user's password, ends their sessions and makes the links that
// they were given void, and gives a new one: for who forgot the password, or
// lost what they were signed in with. Tokens of theirs go on; it needs what
// IssueLink needs.
func (s *Service) Reset(ctx context.Context, userRef string) (Issued[Link], error) {
	p := principal.From(ctx)
	return s.letIn(ctx, userRef, "user.reset", func(tx *sqldb.Tx, a *account) (map[string]any, error) {
		but := ""
		if a.id == p.ID {
			but = p.SessionID
		}
		a.passwordHash = ""
		if err := s.store.updateAccount(ctx, tx, *a); err != nil {
			return nil, err
		}
		n, err := s.store.revokeSessions(ctx, tx, a.id, but)
		if err != nil {
			return nil, err
		}
		if err := s.store.voidLinks(ctx, tx, a.id); err != nil {
			return nil, err
		}
		s.changed(tx)
		return map[string]any{"change": "reset", "sessions": n}, nil
	})
}

// letIn gives a link after first, in one transaction and one audit record, of
// which first says what it is about.
func (s *Service) letIn(ctx context.Context, userRef, op string, first func(*sqldb.Tx, *account) (map[string]any, error)) (Issued[Link], error) {
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
	err = s.db.Write(ctx, op, func(tx *sqldb.Tx) error {
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
		about, err := first(tx, &a)
		if err != nil {
			return err
		}
		out, err = s.link(ctx, tx, a, linkLife, d, about)
		return err
	})
	return out, err
}

func (s *Service) link(ctx context.Context, tx *sqldb.Tx, a account, life time.Duration, d access.Decision, about map[string]any) (Issued[Link], error) {
	value, digest, _ := mint(signInLink)
	l := Link{ID: ident.New("lnk"), User: a.name, ExpiresAt: tx.Now().Add(life)}
	if err := s.store.insertLink(ctx, tx, l, a.id, principal.From(ctx).ID, digest); err != nil {
		return Issued[Link]{}, err
	}
	about["link"], about["expiresAt"] = l.ID, l.ExpiresAt
	s.record(ctx, tx, access.UserUpdate, a.target(), d, about)
	return Issued[Link]{Credential: l, Value: value}, nil
}
