package identity_test

import (
	"sync"
	"testing"

	"fairlead/internal/identity"
	"fairlead/internal/identity/identitytest"
	"fairlead/internal/principal"
	"fairlead/internal/redact"
	"fairlead/internal/sqldb"
)

// TestALinkIsGoodForOnePassword: whoever finds the session that a link made
// must not be able to set one password after another.
func TestALinkIsGoodForOnePassword(t *testing.T) {
	each(t, func(t *testing.T, w *identitytest.World) {
		w.User("bob", "")
		l, err := w.Identity.IssueLink(w.Admin, "bob")
		w.Must(err)
		token, err := w.Identity.SignInForToken(t.Context(), identity.SignIn{Link: l.Value}, "cli", 0)
		w.Must(err)
		p, err := w.Identity.AuthenticateToken(t.Context(), token.Value)
		w.Must(err)
		byToken := principal.With(t.Context(), p)
		ctx, _ := signIn(t, w, "bob") // by a second link; it sets the good password

		next := redact.New("quite another phrase 7")
		code(t, w.Identity.SetPassword(ctx, redact.Secret{}, next), "current_password_needed")
		code(t, w.Identity.SetPassword(byToken, redact.Secret{}, next), "current_password_needed") // its link is older than the password
		w.Must(w.Identity.SetPassword(ctx, redact.New(goodPassword), next))
		code(t, w.Identity.SetPassword(ctx, redact.Secret{}, redact.New(goodPassword)), "current_password_needed")
		signIn(t, w, "bob") // a new link does

		l, err = w.Identity.IssueLink(w.Admin, "bob")
		w.Must(err)
		session, err := w.Identity.SignIn(t.Context(), identity.SignIn{Link: l.Value})
		w.Must(err)
		p, err = w.Identity.AuthenticateSession(t.Context(), session.Value)
		w.Must(err)
		errs := make(chan error, 4)
		var all sync.WaitGroup
		for range cap(errs) {
			all.Go(func() { errs <- w.Identity.SetPassword(principal.With(t.Context(), p), redact.Secret{}, next) })
		}
		all.Wait()
		close(errs)
		set := 0
		for err := range errs {
			if err == nil {
				set++
			}
		}
		if set != 1 {
			t.Errorf("%d of four at once set a password, want one", set)
		}
	})
}

// TestNobodyMakesATokenForAnotherUser: a token acts as its owner, so not even
// an administrator makes one for a person; they issue a link, which is audited
// and which the person sees.
func TestNobodyMakesATokenForAnotherUser(t *testing.T) {
	each(t, func(t *testing.T, w *identitytest.World) {
		w.Team("red")
		w.User("bob", "red", principal.Developer)
		owner := w.User("olga", "red", principal.TeamOwner)
		bob, err := w.Identity.User(w.Admin, "bob")
		w.Must(err)
		_, err = w.Identity.CreateRobot(owner, identity.NewRobot{Name: "bot", Team: "red"})
		w.Must(err)
		for _, who := range []string{"bob", bob.ID, identitytest.AdminName, "olga"} {
			if _, err := w.Identity.CreateToken(w.Admin, identity.NewToken{Name: "x", Robot: who}); codeOf(err) == "no error" {
				t.Errorf("an administrator has a token of %s", who)
			}
			if _, err := w.Identity.CreateToken(owner, identity.NewToken{Name: "x", Robot: who}); codeOf(err) == "no error" {
				t.Errorf("a team's owner has a token of %s", who)
			}
		}
		made, err := w.Identity.CreateToken(owner, identity.NewToken{Name: "x", Robot: "bot"})
		w.Must(err)
		p, err := w.Identity.AuthenticateToken(t.Context(), made.Value)
		w.Must(err)
		if p.Kind != principal.Robot || p.Name != "bot" {
			t.Errorf("a robot's token is %+v's", p)
		}
		if _, err := w.Identity.CreateToken(principal.With(t.Context(), p), identity.NewToken{Name: "y"}); codeOf(err) == "no error" {
			t.Errorf("a robot made itself a token: %v", err)
		}
		for _, name := range []string{"bob", "olga", identitytest.AdminName} {
			if list, _, err := w.Identity.Tokens(w.Admin, identity.TokenFilter{Owner: name}, sqldb.Page{}); err != nil || len(list) != 0 {
				t.Errorf("%s has %d tokens: %v", name, len(list), err)
			}
		}
	})
}
