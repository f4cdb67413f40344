package identity_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"fairlead/internal/identity"
	"fairlead/internal/identity/identitytest"
	"fairlead/internal/principal"
	"fairlead/internal/redact"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

func TestRevocationIsImmediate(t *testing.T) {
	each(t, func(t *testing.T, w *identitytest.World) {
		w.Team("red")
		w.User("bob", "red", principal.Developer)
		ctx, session := signIn(t, w, "bob")
		token, err := w.Identity.CreateToken(ctx, identity.NewToken{Name: "one"})
		w.Must(err)
		other := w.Replica(w.DB)
		running, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); _ = other.Run(running) }()
		defer func() { stop(); <-done }()

		recognise := func(s *identity.Service) error {
			_, err := s.AuthenticateToken(t.Context(), token.Value)
			return err
		}
		w.Must(recognise(w.Identity))
		w.Must(recognise(other))
		w.Must(w.Identity.RevokeToken(ctx, token.Credential.ID))
		code(t, recognise(w.Identity), "invalid_token")
		eventually(t, time.Second, func() bool { return codeOf(recognise(other)) == "invalid_token" })

		p, err := w.Identity.AuthenticateSession(t.Context(), session.Value)
		w.Must(err)
		if !p.HasTeamRole(p.Memberships[0].TeamID, principal.Developer) {
			t.Errorf("roles: %+v", p.Memberships)
		}
		w.Must(w.Identity.RevokeRole(w.Admin, identity.Grant{Team: "red", Member: "bob", Role: principal.Developer}))
		if p, err = w.Identity.AuthenticateSession(t.Context(), session.Value); err != nil || len(p.Memberships) != 0 {
			t.Errorf("a role outlives its revocation: %v %v", p.Memberships, err)
		}
		third, err := w.Identity.CreateToken(ctx, identity.NewToken{Name: "three"})
		w.Must(err)
		w.Must(w.Identity.DisableUser(w.Admin, "bob", 0))
		_, err = w.Identity.AuthenticateSession(t.Context(), session.Value)
		code(t, err, "invalid_session")
		_, err = w.Identity.AuthenticateToken(t.Context(), third.Value)
		code(t, err, "invalid_token")
		no := false
		_, err = w.Identity.UpdateUser(w.Admin, "bob", identity.UserChange{Disabled: &no}, 0)
		w.Must(err)
		_, err = w.Identity.AuthenticateToken(t.Context(), third.Value)
		code(t, err, "invalid_token") // enabled again, but its old credentials stay dead
	})
}

func TestSignInEndsTheSessionBefore(t *testing.T) {
	each(t, func(t *testing.T, w *identitytest.World) {
		w.User("bob", "")
		ctx, first := signIn(t, w, "bob")
		second, err := w.Identity.SignIn(ctx, identity.SignIn{Name: "bob", Password: redact.New(goodPassword)})
		w.Must(err)
		if second.Value.Equal(first.Value) || second.Credential.ID == first.Credential.ID {
			t.Error("not rotated")
		}
		_, err = w.Identity.AuthenticateSession(t.Context(), first.Value)
		code(t, err, "invalid_session")
		p, err := w.Identity.AuthenticateSession(t.Context(), second.Value)
		w.Must(err)
		ctx = principal.With(t.Context(), p)
		mine, _, err := w.Identity.Sessions(ctx, sqldb.Page{})
		w.Must(err)
		if len(mine) != 1 || !mine[0].Current {
			t.Errorf("%+v", mine)
		}
		w.Must(w.Identity.SignOut(ctx))
		_, err = w.Identity.AuthenticateSession(t.Context(), second.Value)
		code(t, err, "invalid_session")
	})
}

func TestSessionsAndTokensExpireByTheStoresClock(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64
	db := sqldbtest.Open(t, sqldb.Options{URL: "sqlite:" + t.TempDir() + "/s.db", Clock: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
	w := identitytest.New(t, db)
	w.User("bob", "")
	ctx, session := signIn(t, w, "bob")
	token, err := w.Identity.CreateToken(ctx, identity.NewToken{Name: "one", Lifetime: 24 * time.Hour})
	w.Must(err)
	recognise := func() error {
		_, err := w.Identity.AuthenticateSession(t.Context(), session.Value)
		return err
	}
	later := func(d time.Duration) { ahead.Add(int64(d)); w.Identity.Forget() }
	for range 3 { // in use it lives on
		later(11 * time.Hour)
		w.Must(recognise())
		w.Identity.Flush(t.Context())
	}
	_, err = w.Identity.AuthenticateToken(t.Context(), token.Value)
	code(t, err, "invalid_token")
	later(13 * time.Hour)
	code(t, recognise(), "invalid_session") // idle
	fresh, err := w.Identity.SignIn(t.Context(), identity.SignIn{Name: "bob", Password: redact.New(goodPassword)})
	w.Must(err)
	for range 16 {
		later(11 * time.Hour)
		_, err = w.Identity.AuthenticateSession(t.Context(), fresh.Value)
		w.Identity.Flush(t.Context())
	}
	code(t, err, "invalid_session") // a week is the end, however busy
	link, err := w.Identity.IssueLink(w.Admin, "bob")
	w.Must(err)
	later(16 * time.Minute)
	_, err = w.Identity.SignIn(t.Context(), identity.SignIn{Link: link.Value})
	code(t, err, "invalid_link")
}
