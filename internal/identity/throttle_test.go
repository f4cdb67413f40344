package identity_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"fairlead/internal/audit"
	"fairlead/internal/fault"
	"fairlead/internal/identity"
	"fairlead/internal/identity/identitytest"
	"fairlead/internal/redact"
	"fairlead/internal/sqldb/sqldbtest"
)

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
