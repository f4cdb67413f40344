package identity_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"fairlead/internal/audit/audittest"
	"fairlead/internal/identity"
	"fairlead/internal/identity/identitytest"
	"fairlead/internal/principal"
	"fairlead/internal/redact"
	"fairlead/internal/sqldb"
)

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

// TestAResetLeavesOneWayIn: neither the password, nor a session, nor a link of
// before is good for anything after it; the new link is.
func TestAResetLeavesOneWayIn(t *testing.T) {
	each(t, func(t *testing.T, w *identitytest.World) {
		w.User("bob", "")
		_, session := signIn(t, w, "bob")
		old, err := w.Identity.IssueLink(w.Admin, "bob")
		w.Must(err)
		auditor := w.User("olga", "")
		_, err = w.Identity.Reset(auditor, "bob")
		code(t, err, "not_found")
		list, _, err := w.Identity.UserSessions(w.Admin, "bob", sqldb.Page{})
		w.Must(err)
		if len(list) != 1 || list[0].Current {
			t.Errorf("sessions before: %+v", list)
		}
		made, err := w.Identity.Reset(w.Admin, "bob")
		w.Must(err)
		_, err = w.Identity.AuthenticateSession(t.Context(), session.Value)
		code(t, err, "invalid_session")
		_, err = w.Identity.SignIn(t.Context(), identity.SignIn{Link: old.Value})
		code(t, err, "invalid_link")
		_, err = w.Identity.SignIn(t.Context(), identity.SignIn{Name: "bob", Password: redact.New(goodPassword)})
		code(t, err, "wrong_password")
		in, err := w.Identity.SignIn(t.Context(), identity.SignIn{Link: made.Value})
		w.Must(err)
		p, err := w.Identity.AuthenticateSession(t.Context(), in.Value)
		w.Must(err)
		w.Must(w.Identity.SetPassword(principal.With(t.Context(), p), redact.Secret{}, redact.New(goodPassword)))
	})
}
