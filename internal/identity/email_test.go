package identity_test

import (
	"testing"

	"fairlead/internal/identity"
	"fairlead/internal/identity/identitytest"
	"fairlead/internal/principal"
	"fairlead/internal/redact"
	"fairlead/internal/sqldb"
)

// Whoever says that they have somebody else's address is not somebody else.
func TestAnEmailIsNobodysIdentity(t *testing.T) {
	each(t, func(t *testing.T, w *identitytest.World) {
		const address = "boss@example.org"
		boss, err := w.Identity.CreateUser(w.Admin, identity.NewUser{Name: "boss", Email: address})
		w.Must(err)
		w.Must(w.Identity.GrantRole(w.Admin, identity.Grant{Member: "boss", Role: principal.PlatformAdmin}))
		signIn(t, w, "boss")
		w.User("eve", "")
		eve, _ := signIn(t, w, "eve")
		claimed := address
		if _, err := w.Identity.UpdateUser(eve, "eve", identity.UserChange{Email: &claimed}, 0); err != nil {
			code(t, err, "email_taken")
		}
		me, err := w.Identity.Me(eve)
		w.Must(err)
		if me.User.ID == boss.ID || len(me.User.OrgRoles) != 0 {
			t.Errorf("eve became %+v", me.User)
		}
		// The address opens, finds and grants nothing.
		_, err = w.Identity.SignIn(t.Context(), identity.SignIn{Name: address, Password: redact.New(goodPassword)})
		code(t, err, "wrong_password")
		_, err = w.Identity.IssueLink(w.Admin, address)
		code(t, err, "not_found")
		_, err = w.Identity.User(w.Admin, address)
		code(t, err, "not_found")
		if err := w.Identity.GrantRole(w.Admin, identity.Grant{Member: address, Role: principal.PlatformAdmin}); err == nil {
			t.Error("a role was granted to an address")
		}
		if mine, _, err := w.Identity.Users(w.Admin, identity.UserFilter{Role: principal.PlatformAdmin}, sqldb.Page{}); err != nil || len(mine) != 2 {
			t.Errorf("%d administrators, %v", len(mine), err)
		}
	})
}
