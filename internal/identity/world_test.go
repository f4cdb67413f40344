package identity_test

import (
	"context"
	"errors"
	"testing"
	"time"

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
