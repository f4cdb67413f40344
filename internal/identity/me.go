package identity

import (
	"context"
	"database/sql"

	"fairlead/internal/access"
	"fairlead/internal/fault"
	"fairlead/internal/ident"
	"fairlead/internal/principal"
	"fairlead/internal/redact"
	"fairlead/internal/sqldb"
)

// Me is the caller as they are now, and by which credential they came.
type Me struct {
	User    User // of a robot: its account in the same shape
	Kind    principal.Kind
	Scopes  []string
	Session string
	Token   string
}

// Me tells the caller who they are.
func (s *Service) Me(ctx context.Context) (Me, error) {
	p, err := known(ctx)
	if err != nil {
		return Me{}, err
	}
	if p.Kind == principal.Internal {
		return Me{}, notFound("user")
	}
	u, err := s.reread(ctx, s.db.Read(), p.ID)
	if missing(err) {
		return Me{}, unauthenticated()
	}
	return Me{User: u, Kind: p.Kind, Scopes: p.Scopes, Session: p.SessionID, Token: p.TokenID}, err
}

// Rename sets the caller's own display name. ifVersion 0 is any.
func (s *Service) Rename(ctx context.Context, displayName string, ifVersion int64) (User, error) {
	p, d, err := self(ctx, access.UserUpdate)
	if err != nil {
		return User{}, err
	}
	if err := ident.CheckText("/displayName", displayName, maxTitle); err != nil {
		return User{}, err
	}
	var out User
	err = s.db.Write(ctx, "user.rename", func(tx *sqldb.Tx) error {
		a, err := s.lockAccount(ctx, tx, p.ID, "user", ifVersion)
		if err != nil {
			return err
		}
		a.displayName = displayName
		if err := s.store.updateAccount(ctx, tx, a); err != nil {
			return err
		}
		s.record(ctx, tx, access.UserUpdate, a.target(), d, map[string]any{"displayName": displayName})
		out, err = s.reread(ctx, tx, a.id)
		return err
	})
	return out, err
}

// SetPassword sets the caller's own password. It takes the current one, or a
// sign-in by link less than an hour ago, which is good for one password: from
// then on the current one is known and asked for. Every other session and every link of
// theirs ends; tokens stay, they are revoked one by one.
func (s *Service) SetPassword(ctx context.Context, current, next redact.Secret) error {
	p, d, err := self(ctx, access.UserUpdate)
	if err != nil {
		return err
	}
	if p.Kind != principal.User {
		return fault.New(fault.Conflict, "no_password", "a robot has no password").WithHint("make a token for it instead")
	}
	a, err := s.store.accountByID(ctx, s.db.Read(), p.ID, false)
	if err != nil {
		return err
	}
	if err := checkPassword(a.name, a.displayName, next); err != nil {
		return err
	}
	// A stolen session must not try passwords either; and it makes nobody else wait.
	by := newAttempt(a.name, "own-password "+a.id)
	if current.Empty() {
		if err := s.freshLink(ctx, p); err != nil {
			return err
		}
	} else if err := s.proveCurrent(ctx, a, current, by); err != nil {
		return err
	}
	hash, err := s.hasher.hash(ctx, next)
	if err != nil {
		return err
	}
	before := a.passwordHash
	return s.db.Write(ctx, "user.set-password", func(tx *sqldb.Tx) error {
		a, err := s.lockAccount(ctx, tx, p.ID, "user", 0)
		if err != nil {
			return err
		}
		if a.passwordHash != before || !a.disabledAt.IsZero() {
			return stale("user")
		}
		a.passwordHash = hash
		if err := s.store.updateAccount(ctx, tx, a); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE principals SET password_set_at = $2 WHERE id = $1`, a.id, tx.Now().UnixMicro()); err != nil {
			return err
		}
		n, err := s.store.revokeSessions(ctx, tx, a.id, p.SessionID)
		if err != nil {
			return err
		}
		if err := s.store.voidLinks(ctx, tx, a.id); err != nil {
			return err
		}
		if !current.Empty() {
			if err := s.refund(ctx, tx, by); err != nil {
				return err
			}
		}
		s.record(ctx, tx, access.UserUpdate, a.target(), d, map[string]any{"change": "password", "sessionsEnded": n})
		s.changed(tx)
		return nil
	})
}

func (s *Service) proveCurrent(ctx context.Context, a account, current redact.Secret, by attempt) error {
	wrong := fault.New(fault.Denied, "wrong_password", "the current password is wrong").WithField("/current").
		WithHint("an administrator can issue a sign-in link, after which none is asked for")
	if len(current.Reveal()) > 4*maxPassword {
		return wrong
	}
	if err := s.charge(ctx, by); err != nil {
		return err
	}
	ok, _, err := s.hasher.verify(ctx, current, a.passwordHash)
	if err == nil && !ok {
		err = wrong
	}
	return err
}

// freshLink tells whether the caller's credential came from a sign-in link
// just now, and no password was set since.
func (s *Service) freshLink(ctx context.Context, p principal.Principal) error {
	method, made := "", p.ID
	now, err := s.db.Now(ctx)
	if err != nil {
		return err
	}
	since := now
	switch {
	case p.SessionID != "":
		v, err := s.store.session(ctx, s.db.Read(), p.SessionID)
		if err != nil && !missing(err) {
			return err
		}
		method, made, since = v.Method, v.PrincipalID, v.CreatedAt
	case p.TokenID != "":
		t, err := s.store.token(ctx, s.db.Read(), p.TokenID)
		if err != nil && !missing(err) {
			return err
		}
		method, made, since = t.method, t.OwnerID, t.CreatedAt
	}
	var set sql.NullInt64
	if err := s.db.Read().QueryRowContext(ctx, `SELECT password_set_at FROM principals WHERE id = $1`, p.ID).Scan(&set); err != nil {
		return err
	}
	unused := !set.Valid || since.UnixMicro() > set.Int64
	if method == byLink && made == p.ID && unused && now.Sub(since) < linkFreshness {
		return nil
	}
	return fault.New(fault.Denied, "current_password_needed", "the current password is needed").WithField("/current").
		WithHint("send it, or sign in with a link first: an administrator can issue one")
}
