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
	defaultTokenLife = 90 * 24 * time.Hour
	maxTokenLife     = 366 * 24 * time.Hour
	minTokenLife     = time.Minute
	maxScopes        = 64
)

// NewToken is what an API token is made of.
type NewToken struct {
	Name     string
	Robot    string        // whose it is, name or id; "" is the caller
	Scopes   []string      // empty: all that the owner may
	Lifetime time.Duration // 0: 90 days, at most 366
}

// CreateToken makes an API token and gives its value, this once. A token made
// with a token is never wider than that one and, for the same owner, never
// outlives it: a stolen one cannot make itself last.
func (s *Service) CreateToken(ctx context.Context, in NewToken) (Issued[Token], error) {
	var out Issued[Token]
	p, err := known(ctx)
	if err != nil {
		return out, err
	}
	ownerID, kind, target := p.ID, userToken, access.Target{Kind: "token", Name: clip(in.Name, maxTokenName), OwnerID: p.ID}
	if in.Robot != "" {
		robot, err := s.robotFor(ctx, in.Robot, access.RobotView)
		if err != nil {
			return out, err
		}
		ownerID, kind = robot.id, robotToken
		target.OwnerID, target.TeamID = robot.id, robot.teamID
	}
	d, err := s.check(ctx, access.TokenCreate, target)
	if err != nil {
		return out, err
	}
	if in.Robot == "" && p.Kind != principal.User {
		return out, fault.New(fault.Denied, "token_not_yours", "only people make tokens for themselves").WithHint("name the robot that the token is for")
	}
	asked := in.Lifetime
	lifetime, err := checkToken(in.Name, in.Scopes, in.Lifetime)
	if err != nil {
		return out, err
	}
	scopes, err := narrower(p.Scopes, in.Scopes)
	if err != nil {
		return out, err
	}
	value, digest, hint := mint(kind)
	err = s.db.Write(ctx, "token.create", func(tx *sqldb.Tx) error {
		a, err := s.store.accountByID(ctx, tx, ownerID, true)
		if missing(err) || err == nil && !a.disabledAt.IsZero() {
			return fault.New(fault.Conflict, "principal_disabled", "the account is disabled").WithHint("enable it first")
		}
		if err != nil {
			return err
		}
		if a.id != p.ID {
			if err := s.outranks(ctx, tx, a.id); err != nil {
				return err
			}
		}
		expires := tx.Now().Add(lifetime)
		if p.TokenID != "" && a.id == p.ID {
			if expires, err = s.capped(ctx, tx, p.TokenID, expires, asked); err != nil {
				return err
			}
		}
		t := Token{ID: ident.New("tok"), Name: in.Name, Hint: hint, OwnerID: a.id, Owner: a.name, OwnerKind: a.kind, Scopes: scopes,
			CreatedBy: p.ID, CreatedAt: tx.Now(), ExpiresAt: expires}
		if err := s.store.insertToken(ctx, tx, tokenRow{t, ""}, digest); err != nil {
			return err
		}
		target := target
		target.ID = t.ID
		s.record(ctx, tx, access.TokenCreate, target, d, map[string]any{"owner": a.name, "scopes": scopes, "expiresAt": expires, "hint": hint})
		out = Issued[Token]{Credential: t, Value: value}
		return nil
	})
	return out, err
}

// capped gives the end of a token made with another: by default the other's.
func (s *Service) capped(ctx context.Context, tx *sqldb.Tx, parent string, expires time.Time, asked time.Duration) (time.Time, error) {
	with, err := s.store.token(ctx, tx, parent)
	if missing(err) || err == nil && !with.RevokedAt.IsZero() {
		return time.Time{}, badToken()
	}
	if err != nil || !expires.After(with.ExpiresAt) {
		return expires, err
	}
	if asked != 0 {
		return time.Time{}, fault.New(fault.Denied, "token_outlives_creator", "a token does not outlive the one that makes it").
			WithField("/expiresInSeconds").WithHint("sign in again first, or ask for an end before %s", with.ExpiresAt.Format(time.RFC3339))
	}
	return with.ExpiresAt, nil
}

// narrower gives the scopes of a new token: none that the caller's own token lacks.
func narrower(have, want []string) ([]string, error) {
	if len(have) == 0 {
		return want, nil
	}
	if len(want) == 0 {
		return have, nil
	}
	for _, a := range access.Actions() {
		if access.ScopeAllows(want, a) && !access.ScopeAllows(have, a) {
			return nil, fault.New(fault.Denied, "scope_too_wide", "the token that you use does not hold %s itself", a).
				WithField("/scopes").WithHint("ask for less, or sign in")
		}
	}
	return want, nil
}

func checkToken(name string, scopes []string, lifetime time.Duration) (time.Duration, error) {
	if name == "" {
		return 0, fault.New(fault.Invalid, "token_name_missing", "a token needs a name").WithField("/name").WithHint("say what it is for, such as ci-deploy")
	}
	if err := ident.CheckText("/name", name, maxTokenName); err != nil {
		return 0, err
	}
	if len(scopes) > maxScopes {
		return 0, fault.New(fault.Invalid, "too_many_scopes", "%d scopes are too many", len(scopes)).WithField("/scopes").WithHint("use kind:* for a whole kind")
	}
	if err := access.CheckScopes(scopes); err != nil {
		return 0, err
	}
	if lifetime == 0 {
		lifetime = defaultTokenLife
	}
	if lifetime < minTokenLife || lifetime > maxTokenLife {
		return 0, fault.New(fault.Invalid, "invalid_lifetime", "a token lives between a minute and 366 days").WithField("/expiresInSeconds").
			WithHint("leave it out for 90 days")
	}
	return lifetime, nil
}

// tokenFor finds a token that the caller may do action on: their own, or by access.
func (s *Service) tokenFor(ctx context.Context, q sqldb.Querier, id string, action access.Action) (tokenRow, access.Target, access.Decision, error) {
	var none tokenRow
	if _, err := known(ctx); err != nil {
		return none, access.Target{}, access.Decision{}, err
	}
	if !ident.IsRef(id) {
		return none, access.Target{}, access.Decision{}, notFound("token")
	}
	t, err := s.store.token(ctx, q, id)
	if missing(err) {
		return none, access.Target{}, access.Decision{}, notFound("token")
	}
	if err != nil {
		return none, access.Target{}, access.Decision{}, err
	}
	owner, err := s.store.accountByID(ctx, q, t.OwnerID, false)
	if err != nil {
		return none, access.Target{}, access.Decision{}, err
	}
	target := access.Target{Kind: "token", ID: t.ID, Name: t.Name, TeamID: owner.teamID, OwnerID: t.OwnerID}
	d, err := s.check(ctx, action, target)
	return t, target, d, err
}

// Token gives a token by id, without its value.
func (s *Service) Token(ctx context.Context, id string) (Token, error) {
	t, _, _, err := s.tokenFor(ctx, s.db.Read(), id, access.TokenView)
	if err != nil {
		return Token{}, err
	}
	return t.Token, nil
}

// RevokeToken ends a token at once. Ending one that has ended is no error.
func (s *Service) RevokeToken(ctx context.Context, id string) error {
	t, target, d, err := s.tokenFor(ctx, s.db.Read(), id, access.TokenRevoke)
	if err != nil {
		return err
	}
	return s.db.Write(ctx, "token.revoke", func(tx *sqldb.Tx) error {
		revoked, err := s.store.revokeToken(ctx, tx, t.ID)
		if err != nil || !revoked {
			return err
		}
		s.record(ctx, tx, access.TokenRevoke, target, d, map[string]any{"owner": t.Owner})
		s.changed(tx)
		return nil
	})
}

// TokenFilter narrows a list of tokens. The zero value is the caller's own
// that still work.
type TokenFilter struct {
	Owner string // user or robot, name or id
	All   bool   // of everybody that the caller may see
	Ended bool   // also revoked and expired ones
	Sort  string // name or created; with - before it the other way round; "" is the newest first
}

// Tokens lists tokens.
func (s *Service) Tokens(ctx context.Context, f TokenFilter, page sqldb.Page) (items []Token, next string, err error) {
	p, err := known(ctx)
	if err != nil {
		return nil, "", err
	}
	var w sqldb.Where
	if f.Owner == "" && !f.All {
		if _, _, err := self(ctx, access.TokenView); err != nil {
			return nil, "", err
		}
		w.And(`k.principal_id = ?`, p.ID)
	} else {
		scope, err := s.access.Scope(ctx, access.TokenView)
		if err != nil {
			return nil, "", err
		}
		if !scope.All {
			visible := append([]string{}, scope.TeamIDs...)
			if access.ScopeAllows(p.Scopes, access.TokenView) {
				visible = append(visible, p.ID)
			}
			w.And(`(`+s.db.InArray("k.principal_id", "?")+` OR `+s.db.InArray("p.team_id", "?")+`)`, sqldb.Strings(visible))
		}
	}
	if f.Owner != "" {
		w.And(`(p.name = ? OR p.id = ?)`, clip(f.Owner, 64))
	}
	if !f.Ended {
		now, err := s.db.Now(ctx)
		if err != nil {
			return nil, "", err
		}
		w.And(`k.revoked_at IS NULL AND k.expires_at > ?`, now.UnixMicro())
	}
	rows, next, err := tokens.Page(ctx, s.db.Read(), w, f.Sort, page)
	items = make([]Token, len(rows))
	for i, t := range rows {
		items[i] = t.Token
	}
	return items, next, err
}
