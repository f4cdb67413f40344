package identity_test

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"fairlead/internal/identity"
	"fairlead/internal/identity/identitytest"
	"fairlead/internal/principal"
	"fairlead/internal/redact"
	"fairlead/internal/sqldb/sqldbtest"
)

// What a sign-in costs is seen by the memory that its hash takes, which no load
// changes. It runs alone: others allocate, too.
func TestUnknownNamesCostTheSameHash(t *testing.T) {
	w := identitytest.New(t, sqldbtest.SQLite(t), func(o *identity.Options) {
		o.Argon2 = identity.Argon2{}
		o.Throttle.PerAccount = 1000
		o.Throttle.Window = time.Hour
		o.Throttle.PerAddress = 1000
	})
	w.User("bob", "")
	w.User("nopass", "")
	signIn(t, w, "bob")
	cost := func(name string) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := w.Identity.SignIn(t.Context(), identity.SignIn{Name: name, Password: redact.New("wrong password")})
		runtime.ReadMemStats(&after)
		code(t, err, "wrong_password")
		return after.TotalAlloc - before.TotalAlloc
	}
	known := cost("bob")
	if known < 8<<20 {
		t.Fatalf("a sign-in takes %d bytes: that is no argon2id", known)
	}
	for _, name := range []string{"nobody", "nopass", "NOT A NAME"} {
		if c := cost(name); c < known/10*9 {
			t.Errorf("%s: %d bytes, a known name %d: no hash was computed", name, c, known)
		}
	}
}

func TestPasswordRules(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ password, code, why string }{
		{goodPassword, "", "a phrase"},
		{"пароль-длинный-очень", "", "another script"},
		{"short", "password_too_short", "too short"},
		{"elevenchars", "password_too_short", "eleven"},
		{strings.Repeat("ab c", 65), "password_too_long", "too long"},
		{"PassWord12345!", "password_too_common", "a stem with digits"},
		{"password!password", "password_too_common", "twice"},
		{"aaaaaaaaaaaaaaa", "password_too_common", "one letter"},
		{"123412341234", "password_too_common", "a short run repeated"},
		{"abcdefghijklmnop", "password_too_common", "the alphabet"},
		{"qwertyuiop[]asdf", "password_too_common", "the keyboard"},
		{"correct horse battery staple", "password_too_common", "the famous one"},
		{"Bob-the-builder-1", "password_is_name", "the name"},
		{"with\x00nul and more", "invalid_password", "a NUL"},
		{"invalid \xff utf-8 bytes", "invalid_password", "no UTF-8"},
	} {
		err := identity.CheckPassword("bob-the-builder", c.password)
		if (err == nil) != (c.code == "") || err != nil && codeOf(err) != c.code {
			t.Errorf("%s: %v", c.why, err)
		}
	}
}

func TestSetPassword(t *testing.T) {
	each(t, func(t *testing.T, w *identitytest.World) {
		w.User("bob", "")
		ctx, link := signIn(t, w, "bob")
		byPassword, err := w.Identity.SignIn(t.Context(), identity.SignIn{Name: "bob", Password: redact.New(goodPassword)})
		w.Must(err)
		p, err := w.Identity.AuthenticateSession(t.Context(), byPassword.Value)
		w.Must(err)
		other := principal.With(t.Context(), p)
		next := redact.New("quite another phrase 7")
		code(t, w.Identity.SetPassword(other, redact.Secret{}, next), "current_password_needed")
		code(t, w.Identity.SetPassword(other, redact.New("not the current"), next), "wrong_password")
		code(t, w.Identity.SetPassword(other, redact.New(goodPassword), redact.New("bob")), "password_too_short")
		pending, err := w.Identity.IssueLink(w.Admin, "bob")
		w.Must(err)
		w.Must(w.Identity.SetPassword(other, redact.New(goodPassword), next))
		_, err = w.Identity.AuthenticateSession(t.Context(), link.Value)
		code(t, err, "invalid_session") // every other session ends
		_, err = w.Identity.SignIn(t.Context(), identity.SignIn{Link: pending.Value})
		code(t, err, "invalid_link")
		_, err = w.Identity.SignIn(t.Context(), identity.SignIn{Name: "bob", Password: redact.New(goodPassword)})
		code(t, err, "wrong_password")
		_, err = w.Identity.SignIn(t.Context(), identity.SignIn{Name: "bob", Password: next})
		w.Must(err)
		code(t, w.Identity.SetPassword(t.Context(), next, next), "unauthenticated")
		_ = ctx
		token, err := w.Identity.SignInForToken(t.Context(), identity.SignIn{Name: "bob", Password: next}, "cli", 0)
		w.Must(err)
		if d := token.Credential.ExpiresAt.Sub(token.Credential.CreatedAt); d != 90*24*time.Hour {
			t.Error(d)
		}
	})
}
