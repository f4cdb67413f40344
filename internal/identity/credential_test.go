package identity_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/audit/audittest"
	"fairlead/internal/fault"
	"fairlead/internal/identity"
	"fairlead/internal/identity/identitytest"
	"fairlead/internal/principal"
	"fairlead/internal/redact"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

const goodPassword = "three unrelated words here"

func each(t *testing.T, f func(t *testing.T, w *identitytest.World)) {
	t.Helper()
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) { f(t, identitytest.New(t, db)) })
}

// code fails the test unless err is a fault of that code.
func code(t *testing.T, err error, want string) {
	t.Helper()
	if !errors.Is(err, fault.New(fault.Internal, want, "")) {
		t.Errorf("got %v (%s), want %s", err, codeOf(err), want)
	}
}

func codeOf(err error) string {
	if err == nil {
		return "no error"
	}
	return fault.From(err).Code
}

// signIn lets a user in by link and gives them the good password.
func signIn(t *testing.T, w *identitytest.World, name string) (context.Context, identity.Issued[identity.Session]) {
	t.Helper()
	link, err := w.Identity.IssueLink(w.Admin, name)
	w.Must(err)
	session, err := w.Identity.SignIn(t.Context(), identity.SignIn{Link: link.Value, Agent: "test"})
	w.Must(err)
	p, err := w.Identity.AuthenticateSession(t.Context(), session.Value)
	w.Must(err)
	ctx := principal.With(t.Context(), p)
	w.Must(w.Identity.SetPassword(ctx, redact.Secret{}, redact.New(goodPassword)))
	return ctx, session
}

func TestALinkRacedGivesOneSession(t *testing.T) {
	each(t, func(t *testing.T, w *identitytest.World) {
		w.User("bob", "")
		link, err := w.Identity.IssueLink(w.Admin, "bob")
		w.Must(err)
		second, err := w.Identity.IssueLink(w.Admin, "bob")
		w.Must(err)
		replica := w.Replica(w.DB)
		var won atomic.Int64
		var wg sync.WaitGroup
		for i := range 20 {
			svc := w.Identity
			if i%2 == 1 {
				svc = replica
			}
			wg.Go(func() {
				_, err := svc.SignIn(t.Context(), identity.SignIn{Link: link.Value})
				if err == nil {
					won.Add(1)
				} else {
					code(t, err, "invalid_link")
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Errorf("%d sessions from one link", won.Load())
		}
		if n := len(audittest.Records(t, w.Log, "session:create")); n != 1 {
			t.Errorf("%d audit records of one sign-in", n)
		}
		_, err = w.Identity.SignIn(t.Context(), identity.SignIn{Link: second.Value})
		code(t, err, "invalid_link") // the first use voids the rest
	})
}

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

func eventually(t *testing.T, limit time.Duration, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(limit); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal("not within", limit)
		}
	}
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

func TestBruteForce(t *testing.T) {
	each(t, func(t *testing.T, w *identitytest.World) {
		w.User("bob", "")
		signIn(t, w, "bob")
		other := w.Replica(w.DB)
		try := func(s *identity.Service, name, password, address string) error {
			ctx := audit.WithOrigin(t.Context(), audit.Origin{Address: address})
			_, err := s.SignIn(ctx, identity.SignIn{Name: name, Password: redact.New(password)})
			return err
		}
		for _, name := range []string{"bob", "nobody-of-this-name"} {
			var tried atomic.Int64
			var wg sync.WaitGroup
			for i := range 40 { // at once, over two replicas, from many addresses
				s := w.Identity
				if i%2 == 0 {
					s = other
				}
				wg.Go(func() {
					switch err := try(s, name, "wrong password "+name, "10.0.0."+string(rune('1'+i%9))); codeOf(err) {
					case "wrong_password":
						tried.Add(1)
					case "too_many_sign_ins":
						if fault.From(err).RetryAfter < 1 {
							t.Error("no Retry-After")
						}
					default:
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if tried.Load() != 5 {
				t.Errorf("%s: %d guesses, want 5", name, tried.Load())
			}
		}
		code(t, try(w.Identity, "bob", goodPassword, "10.9.9.9"), "too_many_sign_ins") // even the right one waits
		link, err := w.Identity.IssueLink(w.Admin, "bob")
		w.Must(err)
		_, err = w.Identity.SignIn(t.Context(), identity.SignIn{Link: link.Value}) // but there is a way in
		w.Must(err)

		tried := 0
		for i := range 60 { // one address, many names
			if codeOf(try(w.Identity, "user-"+strings.Repeat("x", i%30)+"a", "wrong password", "10.7.7.7")) == "wrong_password" {
				tried++
			}
		}
		if tried != 30 {
			t.Errorf("%d guesses from one address, want 30", tried)
		}
		for _, bad := range []string{"", "\x00", "bob' --", "BOB", strings.Repeat("a", 10000), "b\xff"} {
			if bad == "" {
				continue
			}
			code(t, try(w.Identity, bad, "x", "10.5.5.5"), "wrong_password")
		}
	})
}

// Whoever has a session may guess its owner's password, and everybody else
// goes on changing theirs.
func TestGuessingOnesOwnPasswordMakesNobodyElseWait(t *testing.T) {
	each(t, func(t *testing.T, w *identitytest.World) {
		w.User("bob", "")
		w.User("eve", "")
		bob, _ := signIn(t, w, "bob")
		eve, _ := signIn(t, w, "eve")
		tried := 0
		for range 60 {
			switch err := w.Identity.SetPassword(eve, redact.New("not the password"), redact.New("other words entirely")); codeOf(err) {
			case "wrong_password":
				tried++
			case "too_many_sign_ins":
			default:
				t.Fatal(err)
			}
		}
		if tried != 5 {
			t.Errorf("%d guesses with one session, want 5", tried)
		}
		w.Must(w.Identity.SetPassword(bob, redact.New(goodPassword), redact.New("other words entirely")))
	})
}

// Every spelling of a name is counted, and no spelling but the one is anybody's.
func TestSpellingsEvadeNoCounter(t *testing.T) {
	t.Parallel()
	w := identitytest.New(t, sqldbtest.SQLite(t), func(o *identity.Options) {
		o.Throttle = identity.Throttle{Window: time.Hour, PerAccount: 5, PerAddress: 40, Block: time.Hour, Longest: time.Hour}
	})
	u, err := w.Identity.CreateUser(w.Admin, identity.NewUser{Name: "bob", Email: "bob@example.org"})
	w.Must(err)
	signIn(t, w, "bob")
	// With the right password: each of these would be one more guess if it
	// were bob's.
	for _, name := range []string{"BOB", "Bob", "bob ", " bob", "bob\t", "b\u00f6b", "ｂob", "bob\u200b", "bob@example.org", "b%6fb", "bob\x00", u.ID, "bo_", "bo%"} {
		ctx := audit.WithOrigin(t.Context(), audit.Origin{Address: "10.0.0.1"})
		_, err := w.Identity.SignIn(ctx, identity.SignIn{Name: name, Password: redact.New(goodPassword)})
		if codeOf(err) != "wrong_password" {
			t.Errorf("%q: %v", name, err)
		}
	}
	tried := 0
	for i := range 100 { // one person's addresses: a /64, with zones and ports, as IPv6-mapped IPv4
		address := []string{"2001:db8:1:2::%x", "[2001:db8:1:2:ffff::%x]:4711", "2001:db8:1:2:abcd::%x"}[i%3]
		ctx := audit.WithOrigin(t.Context(), audit.Origin{Address: fmt.Sprintf(address, i+1)})
		if _, err := w.Identity.SignIn(ctx, identity.SignIn{Name: fmt.Sprint("user-", i), Password: redact.New("x")}); codeOf(err) == "wrong_password" {
			tried++
		}
	}
	if tried != 40 {
		t.Errorf("%d guesses from one /64, want 40", tried)
	}
}

func TestUnknownNamesCostTheSameHash(t *testing.T) {
	t.Parallel()
	w := identitytest.New(t, sqldbtest.SQLite(t), func(o *identity.Options) {
		o.Argon2 = identity.Argon2{}
		o.Throttle.PerAccount = 1000
		o.Throttle.Window = time.Hour
		o.Throttle.PerAddress = 1000
	})
	w.User("bob", "")
	w.User("nopass", "")
	signIn(t, w, "bob")
	cost := func(name string) time.Duration {
		best := time.Hour
		for range 3 {
			start := time.Now()
			_, err := w.Identity.SignIn(t.Context(), identity.SignIn{Name: name, Password: redact.New("wrong password")})
			best = min(best, time.Since(start))
			code(t, err, "wrong_password")
		}
		return best
	}
	known := cost("bob")
	for _, name := range []string{"nobody", "nopass", "NOT A NAME"} {
		if c := cost(name); c < known/3 {
			t.Errorf("%s: %v, a known name %v: no hash was computed", name, c, known)
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

func TestNetworkGroupsAddresses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ a, b, why string }{
		{"2001:db8::1", "2001:db8::ffff:1", "one /64 is one person"},
		{"::ffff:10.0.0.1", "10.0.0.1", "mapped IPv4 is IPv4"},
		{"10.0.0.1:1234", "10.0.0.1:4321", "ports do not matter"},
		{"fe80::1%eth0", "fe80::1%eth1", "nor zones"},
	} {
		if identity.Network(c.a) != identity.Network(c.b) {
			t.Errorf("%s: %s, %s", c.why, identity.Network(c.a), identity.Network(c.b))
		}
	}
	if identity.Network("10.0.0.1") == identity.Network("10.0.0.2") {
		t.Error("two addresses are one")
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

func TestScopeActionsExist(t *testing.T) {
	t.Parallel()
	if !access.ScopeAllows([]string{"session:*"}, access.SessionRevoke) || !access.ScopeAllows([]string{"user:update"}, access.UserUpdate) {
		t.Error("the scopes that guard one's own account name no action")
	}
}
