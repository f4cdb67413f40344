package identity

import (
	"context"

	"fairlead/internal/access"
	"fairlead/internal/ident"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// Sessions lists the caller's own live sessions, the newest first.
func (s *Service) Sessions(ctx context.Context, page sqldb.Page) (items []Session, next string, err error) {
	p, _, err := self(ctx, access.SessionRevoke)
	if err != nil {
		return nil, "", err
	}
	return s.liveSessions(ctx, p, p.ID, page)
}

// UserSessions lists a user's live sessions, the newest first, for who may end
// them.
func (s *Service) UserSessions(ctx context.Context, userRef string, page sqldb.Page) (items []Session, next string, err error) {
	p, err := known(ctx)
	if err != nil {
		return nil, "", err
	}
	a, err := s.accountByRef(ctx, s.db.Read(), userRef, principal.User)
	if err != nil {
		return nil, "", err
	}
	if _, err := s.check(ctx, access.UserView, a.target()); err != nil {
		return nil, "", err
	}
	if _, err := s.check(ctx, access.SessionRevoke, access.Target{Kind: "session", Name: a.name, OwnerID: a.id}); err != nil {
		return nil, "", err
	}
	return s.liveSessions(ctx, p, a.id, page)
}

func (s *Service) liveSessions(ctx context.Context, asks principal.Principal, of string, page sqldb.Page) (items []Session, next string, err error) {
	now, err := s.db.Now(ctx)
	if err != nil {
		return nil, "", err
	}
	var w sqldb.Where
	w.And(`s.revoked_at IS NULL`)
	w.And(`s.principal_id = ?`, of)
	w.And(`s.expires_at > ?`, now.UnixMicro())
	w.And(`s.last_seen_at > ?`, now.Add(-s.idle).UnixMicro())
	rows, next, err := sessions.Page(ctx, s.db.Read(), w, "", page)
	items = make([]Session, len(rows))
	for i, v := range rows {
		items[i] = v.Session
		items[i].Current = v.ID == asks.SessionID
	}
	return items, next, err
}

// RevokeSession ends one of the caller's own sessions at once. Ending one that
// has ended is no error.
func (s *Service) RevokeSession(ctx context.Context, id string) error {
	p, d, err := self(ctx, access.SessionRevoke)
	if err != nil {
		return err
	}
	if !ident.IsRef(id) {
		return notFound("session")
	}
	return s.db.Write(ctx, "session.revoke", func(tx *sqldb.Tx) error {
		v, err := s.store.session(ctx, tx, id)
		if missing(err) || err == nil && v.PrincipalID != p.ID {
			return notFound("session")
		}
		if err != nil {
			return err
		}
		revoked, err := s.store.revokeSession(ctx, tx, id, p.ID)
		if err != nil || !revoked {
			return err
		}
		s.record(ctx, tx, access.SessionRevoke, access.Target{Kind: "session", ID: id, OwnerID: p.ID}, d, nil)
		s.changed(tx)
		return nil
	})
}

// RevokeSessions ends all sessions of a user at once; of the caller all but
// the one that asks.
func (s *Service) RevokeSessions(ctx context.Context, userRef string) error {
	p, err := known(ctx)
	if err != nil {
		return err
	}
	a, err := s.accountByRef(ctx, s.db.Read(), userRef, principal.User)
	if err != nil {
		return err
	}
	if _, err := s.check(ctx, access.UserView, a.target()); err != nil {
		return err // who may not know of the user learns nothing here either
	}
	d, err := s.check(ctx, access.SessionRevoke, access.Target{Kind: "session", Name: a.name, OwnerID: a.id})
	if err != nil {
		return err
	}
	return s.db.Write(ctx, "session.revoke-all", func(tx *sqldb.Tx) error {
		but := ""
		if a.id == p.ID {
			but = p.SessionID
		}
		n, err := s.store.revokeSessions(ctx, tx, a.id, but)
		if err != nil {
			return err
		}
		s.record(ctx, tx, access.SessionRevoke, access.Target{Kind: "session", Name: a.name, OwnerID: a.id}, d, map[string]any{"sessions": n})
		s.changed(tx)
		return nil
	})
}
