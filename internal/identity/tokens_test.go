package identity_test

import (
	"strings"
	"testing"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/identity"
	"fairlead/internal/identity/identitytest"
	"fairlead/internal/principal"
	"fairlead/internal/redact"
	"fairlead/internal/sqldb"
)

func TestForgedTokensAreNobody(t *testing.T) {
	each(t, func(t *testing.T, w *identitytest.World) {
		w.User("bob", "")
		_, session := signIn(t, w, "bob")
		link, err := w.Identity.IssueLink(w.Admin, "bob")
		w.Must(err)
		good, err := w.Identity.CreateToken(w.As("bob"), identity.NewToken{Name: "ci"})
		w.Must(err)
		if _, err := w.Identity.AuthenticateToken(t.Context(), good.Value); err != nil {
			t.Fatal(err)
		}
		v := good.Value.Reveal()
		if !strings.HasPrefix(v, "fl_pat_") || len(v) != len("fl_pat_")+49 {
			t.Errorf("%d characters", len(v))
		}
		for _, c := range []struct{ value, why string }{
			{"", "nothing"},
			{"fl_pat_", "only the prefix"},
			{v[:len(v)-1], "truncated"},
			{v + "A", "longer"},
			{strings.Replace(v, "fl_pat_", "fl_bot_", 1), "posing as a robot's: the checksum covers the prefix"},
			{strings.ToLower(v), "folded"},
			{v[:20] + "x" + v[21:], "one character of the body"},
			{v[:len(v)-1] + "_", "not base 62"},
			{identity.Mint("fl_pat_").Reveal(), "well-formed, but nobody's"},
			{session.Value.Reveal(), "a session is no token"},
			{link.Value.Reveal(), "a link is no token"},
			{"eyJhbGciOiJub25lIn0.e30.", "a JWT without a signature"},
			{"' OR 1=1 --", "SQL"},
		} {
			p, err := w.Identity.AuthenticateToken(t.Context(), redact.New(c.value))
			if code(t, err, "invalid_token"); p.Kind != principal.Anonymous {
				t.Errorf("%s: recognised as %v", c.why, p)
			}
		}
		for _, c := range []struct {
			value redact.Secret
			why   string
		}{{good.Value, "a token is no session"}, {link.Value, "a link is no session"}, {identity.Mint("fl_ses_"), "nobody's"}} {
			if _, err := w.Identity.AuthenticateSession(t.Context(), c.value); codeOf(err) != "invalid_session" {
				t.Errorf("%s: %v", c.why, err)
			}
		}
		_, err = w.Identity.SignIn(t.Context(), identity.SignIn{Link: good.Value})
		code(t, err, "invalid_link")
	})
}

func TestTokensNeverWiden(t *testing.T) {
	each(t, func(t *testing.T, w *identitytest.World) {
		w.Team("red")
		w.User("bob", "red", principal.Developer)
		ctx, _ := signIn(t, w, "bob")
		narrow, err := w.Identity.CreateToken(ctx, identity.NewToken{Name: "n", Scopes: []string{"resource:view", "token:*"}, Lifetime: time.Hour})
		w.Must(err)
		p, err := w.Identity.AuthenticateToken(t.Context(), narrow.Value)
		w.Must(err)
		with := principal.With(t.Context(), p)
		_, err = w.Identity.CreateToken(with, identity.NewToken{Name: "x", Scopes: []string{"resource:*"}})
		code(t, err, "scope_too_wide")
		_, err = w.Identity.CreateToken(with, identity.NewToken{Name: "x", Lifetime: 2 * time.Hour})
		code(t, err, "token_outlives_creator")
		child, err := w.Identity.CreateToken(with, identity.NewToken{Name: "x"})
		w.Must(err)
		if len(child.Credential.Scopes) != 2 || child.Credential.ExpiresAt.After(narrow.Credential.ExpiresAt) {
			t.Errorf("%+v", child.Credential)
		}
		code(t, w.Identity.SetPassword(with, redact.New(goodPassword), redact.New("other words entirely")), "scope_too_narrow")
		_, _, err = w.Identity.Sessions(with, sqldb.Page{})
		code(t, err, "scope_too_narrow")
		for _, c := range []struct {
			in        identity.NewToken
			code, why string
		}{
			{identity.NewToken{}, "token_name_missing", "no name"},
			{identity.NewToken{Name: "a\x00b"}, "invalid_text", "a NUL"},
			{identity.NewToken{Name: "a", Scopes: []string{"resource:viwe"}}, "unknown_scope", "a typing mistake must not look like a scope"},
			{identity.NewToken{Name: "a", Lifetime: time.Second}, "invalid_lifetime", "too short"},
			{identity.NewToken{Name: "a", Lifetime: 367 * 24 * time.Hour}, "invalid_lifetime", "too long"},
			{identity.NewToken{Name: "a", Lifetime: -1}, "invalid_lifetime", "in the past"},
		} {
			if _, err := w.Identity.CreateToken(ctx, c.in); codeOf(err) != c.code {
				t.Errorf("%s: %v", c.why, err)
			}
		}
	})
}

func TestLastUseIsWrittenDown(t *testing.T) {
	each(t, func(t *testing.T, w *identitytest.World) {
		w.User("bob", "")
		token, err := w.Identity.CreateToken(w.As("bob"), identity.NewToken{Name: "one"})
		w.Must(err)
		_, err = w.Identity.AuthenticateToken(t.Context(), token.Value)
		w.Must(err)
		w.Identity.Flush(t.Context())
		got, err := w.Identity.Token(w.As("bob"), token.Credential.ID)
		w.Must(err)
		if got.LastUsed.IsZero() {
			t.Error("never used")
		}
		w.Identity.Forget()
		_, err = w.Identity.AuthenticateToken(t.Context(), token.Value)
		w.Must(err)
		w.Identity.Flush(t.Context())
		again, err := w.Identity.Token(w.As("bob"), token.Credential.ID)
		w.Must(err)
		if !again.LastUsed.Equal(got.LastUsed) {
			t.Error("written twice within a minute")
		}
	})
}

func TestScopeActionsExist(t *testing.T) {
	t.Parallel()
	if !access.ScopeAllows([]string{"session:*"}, access.SessionRevoke) || !access.ScopeAllows([]string{"user:update"}, access.UserUpdate) {
		t.Error("the scopes that guard one's own account name no action")
	}
}
