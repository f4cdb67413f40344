package identity

import (
	"context"
	"strings"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/fault"
	"fairlead/internal/ident"
	"fairlead/internal/principal"
	"fairlead/internal/redact"
	"fairlead/internal/sqldb"
)

// SignIn is how somebody says who they are: by name and password, or by a
// one-time link.
type SignIn struct {
	Name     string
	Password redact.Secret
	Link     redact.Secret
	Agent    string // the program they use, in its own words
}

// How a session or a token came about.
const (
	byPassword = "password"
	byLink     = "link"
)

// linkFreshness is for how long a sign-in by link may set a password without
// the current one.
const linkFreshness = time.Hour

// SignIn makes a session. The one that ctx came with, if any, ends: a session
// from before a sign-in never survives it.
func (s *Service) SignIn(ctx context.Context, in SignIn) (out Issued[Session], err error) {
	defer func() { s.noteFailure(ctx, in, err) }()
	c, err := s.prove(ctx, in)
	if err != nil {
		return out, err
	}
	before := principal.From(ctx)
	value, digest, _ := mint(sessionValue)
	err = s.db.Write(ctx, "session.create", func(tx *sqldb.Tx) error {
		a, err := c.claim(ctx, tx)
		if err != nil {
			return err
		}
		if before.SessionID != "" {
			if _, err := s.store.revokeSession(ctx, tx, before.SessionID, before.ID); err != nil {
				return err
			}
			s.changed(tx)
		}
		v := Session{
			ID: ident.New("ses"), PrincipalID: a.id, Method: c.method, CreatedAt: tx.Now(), LastSeenAt: tx.Now(), Current: true,
			ExpiresAt: tx.Now().Add(s.life), Address: audit.OriginFrom(ctx).Address, Agent: clip(in.Agent, 200),
		}
		if err := s.store.insertSession(ctx, tx, v, digest); err != nil {
			return err
		}
		s.recordSignIn(ctx, tx, "session:create", a, access.Target{Kind: "session", ID: v.ID, OwnerID: a.id}, c.method)
		out = Issued[Session]{Credential: v, Value: value}
		return nil
	})
	return out, err
}

// SignInForToken makes an API token instead of a session, for a program such
// as the CLI. lifetime 0 is the default.
func (s *Service) SignInForToken(ctx context.Context, in SignIn, tokenName string, lifetime time.Duration) (out Issued[Token], err error) {
	defer func() { s.noteFailure(ctx, in, err) }()
	if tokenName == "" {
		tokenName = "sign-in"
	}
	lifetime, err = checkToken(tokenName, nil, lifetime)
	if err != nil {
		return out, err
	}
	c, err := s.prove(ctx, in)
	if err != nil {
		return out, err
	}
	value, digest, hint := mint(userToken)
	err = s.db.Write(ctx, "token.sign-in", func(tx *sqldb.Tx) error {
		a, err := c.claim(ctx, tx)
		if err != nil {
			return err
		}
		t := Token{
			ID: ident.New("tok"), Name: tokenName, Hint: hint, OwnerID: a.id, Owner: a.name, OwnerKind: a.kind,
			CreatedBy: a.id, CreatedAt: tx.Now(), ExpiresAt: tx.Now().Add(lifetime),
		}
		if err := s.store.insertToken(ctx, tx, tokenRow{t, c.method}, digest); err != nil {
			return err
		}
		s.recordSignIn(ctx, tx, string(access.TokenCreate), a, access.Target{Kind: "token", ID: t.ID, Name: t.Name, OwnerID: a.id}, c.method)
		out = Issued[Token]{Credential: t, Value: value}
		return nil
	})
	return out, err
}

// recordSignIn writes the audit record in the name of who signed in.
func (s *Service) recordSignIn(ctx context.Context, tx *sqldb.Tx, action string, a account, t access.Target, method string) {
	ctx = principal.With(ctx, principal.Principal{Kind: a.kind, ID: a.id, Name: a.name})
	audit.Append(ctx, tx, audit.Entry{Action: action, Target: t,
		Decision: access.Decision{Allowed: true, Policies: []string{"sign-in"}}, Details: map[string]any{"method": method}})
}

// claim is a sign-in that is as good as done: its closure turns it into the
// account inside the transaction that makes the credential.
type claim struct {
	method string
	claim  func(context.Context, *sqldb.Tx) (account, error)
}

func (s *Service) prove(ctx context.Context, in SignIn) (claim, error) {
	byLinkToo := !in.Link.Empty()
	if byLinkToo == (in.Name != "" || !in.Password.Empty()) {
		return claim{}, fault.New(fault.Invalid, "invalid_sign_in", "a sign-in has either a name and a password or a link").
			WithHint("send name and password, or link")
	}
	if byLinkToo {
		return s.proveLink(ctx, in)
	}
	if len(in.Password.Reveal()) > 4*maxPassword {
		return claim{}, wrongPassword() // whoever has such a password could not have set it
	}
	a := newAttempt(in.Name, audit.OriginFrom(ctx).Address)
	if err := s.charge(ctx, a); err != nil {
		return claim{}, err
	}
	proof, err := s.local.Prove(ctx, Presented{Name: in.Name, Secret: in.Password})
	if err != nil {
		return claim{}, err
	}
	if proof.Subject == "" || proof.Provider != s.local.Name() {
		return claim{}, wrongPassword()
	}
	return claim{byPassword, func(ctx context.Context, tx *sqldb.Tx) (account, error) {
		acc, err := s.store.accountByID(ctx, tx, proof.Subject, true)
		if missing(err) || err == nil && (acc.passwordHash != proof.State || !acc.disabledAt.IsZero()) {
			return account{}, wrongPassword() // changed between the proof and now
		}
		if err != nil {
			return account{}, err
		}
		if proof.Renew != "" {
			acc.passwordHash = proof.Renew
		}
		return acc, s.signedIn(ctx, tx, acc, a)
	}}, nil
}

func (s *Service) proveLink(ctx context.Context, in SignIn) (claim, error) {
	a := newAttempt("", audit.OriginFrom(ctx).Address)
	if err := s.charge(ctx, a); err != nil {
		return claim{}, err
	}
	digest, ok := parse(in.Link.Reveal(), signInLink)
	if !ok {
		return claim{}, badLink()
	}
	return claim{byLink, func(ctx context.Context, tx *sqldb.Tx) (account, error) {
		_, owner, err := s.store.useLink(ctx, tx, digest)
		if missing(err) {
			return account{}, badLink()
		}
		if err != nil {
			return account{}, err
		}
		acc, err := s.store.accountByID(ctx, tx, owner, true)
		if missing(err) || err == nil && (!acc.disabledAt.IsZero() || acc.kind != principal.User) {
			return account{}, badLink()
		}
		if err != nil {
			return account{}, err
		}
		if err := s.store.voidLinks(ctx, tx, owner); err != nil {
			return account{}, err
		}
		return acc, s.signedIn(ctx, tx, acc, a)
	}}, nil
}

func (s *Service) signedIn(ctx context.Context, tx *sqldb.Tx, a account, by attempt) error {
	if err := s.refund(ctx, tx, by); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `UPDATE principals SET signed_in_at = $2, password_hash = $3 WHERE id = $1`, a.id, tx.Now().UnixMicro(), a.passwordHash)
	return err
}

func badLink() error {
	return fault.New(fault.Unauthenticated, "invalid_link", "the sign-in link is unknown, used or expired").
		WithHint("a link works once; ask an administrator for a new one")
}

// SignOut ends the session that ctx came with. It is no error when there is none.
func (s *Service) SignOut(ctx context.Context) error {
	p := principal.From(ctx)
	if p.SessionID == "" {
		return nil
	}
	return s.RevokeSession(ctx, p.SessionID)
}

// lookupName keeps what no name can be out of the SQL, but not out of the time it takes.
func lookupName(name string) string {
	if !ident.IsRef(name) {
		return "-"
	}
	return name
}

// clip shortens what others send about themselves to something that can be stored.
func clip(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "")
	}
	return s
}
