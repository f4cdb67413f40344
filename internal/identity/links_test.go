package identity_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"fairlead/internal/audit/audittest"
	"fairlead/internal/identity"
	"fairlead/internal/identity/identitytest"
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
