package identity_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"fairlead/internal/audit"
	"fairlead/internal/audit/audittest"
	"fairlead/internal/identity"
	"fairlead/internal/identity/identitytest"
	"fairlead/internal/redact"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

// TestFailedSignInsAreRecordedInSums: an auditor finds them, and a flood of
// them is still a handful of records.
func TestFailedSignInsAreRecordedInSums(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := identitytest.New(t, db, func(o *identity.Options) {
			o.Throttle = identity.Throttle{Window: time.Hour, PerAccount: 1000, PerAddress: 1000, Block: time.Hour, Longest: time.Hour}
		})
		bob, err := w.Identity.CreateUser(w.Admin, identity.NewUser{Name: "bob"})
		w.Must(err)
		l, err := w.Identity.IssueLink(w.Admin, "bob")
		w.Must(err)
		failed := func() (out []audit.Record) {
			for _, r := range audittest.Records(t, w.Log, "session:create") {
				if r.Decision == audit.Denied {
					out = append(out, r)
				}
			}
			return out
		}
		try := func(in identity.SignIn, from string) {
			t.Helper()
			ctx := audit.WithOrigin(t.Context(), audit.Origin{Address: from, RequestID: "req"})
			if _, err := w.Identity.SignIn(ctx, in); codeOf(err) != "wrong_password" && codeOf(err) != "invalid_link" {
				t.Fatal(err)
			}
		}
		for i := range 30 {
			try(identity.SignIn{Name: "bob", Password: redact.New("guess")}, fmt.Sprintf("10.0.0.%d", i%15))
			try(identity.SignIn{Name: fmt.Sprint("my-secret-passphrase-", i), Password: redact.New("guess")}, "10.0.1.1")
			try(identity.SignIn{Name: strings.Repeat("x", 1<<20), Password: redact.New("guess")}, "10.0.1.1")
		}
		try(identity.SignIn{Name: bob.ID, Password: redact.New("guess")}, "10.0.1.1") // an id is nobody's name
		try(identity.SignIn{Link: redact.New("fl_link_no")}, "10.0.2.1")
		try(identity.SignIn{Link: identity.Mint("fl_link_")}, "10.0.2.2")
		if n := failed(); len(n) != 0 {
			t.Fatalf("written on the way of the request: %d", len(n))
		}
		w.Identity.RecordFailures(t.Context())
		w.Identity.RecordFailures(t.Context()) // nothing is left to say
		got := failed()
		if len(got) != 3 || w.Identity.FailedSignIns() != 93 {
			t.Fatalf("%d records, %d failures", len(got), w.Identity.FailedSignIns())
		}
		for _, r := range got {
			var d struct {
				Method    string
				Failures  int
				Addresses []string
				More      bool `json:"moreAddresses"`
			}
			w.Must(json.Unmarshal(r.Details, &d))
			want := map[string]int{"password": 30, "unknown names": 61, "link": 2}[d.Method]
			if d.Failures != want || len(d.Addresses) > 10 || d.More != (d.Method == "password") || (r.TargetID == bob.ID) != (d.Method == "password") || r.ActorKind != "anonymous" {
				t.Errorf("%+v %s", r, r.Details)
			}
			if strings.Contains(string(r.Details)+r.TargetName, "passphrase") {
				t.Errorf("what somebody typed as a name is kept: %s", r.Details)
			}
		}
		if _, err := w.Identity.SignIn(t.Context(), identity.SignIn{Link: l.Value}); err != nil {
			t.Fatal(err)
		}
		w.Identity.RecordFailures(t.Context())
		if n := failed(); len(n) != 3 {
			t.Errorf("a sign-in that worked is among them: %d", len(n))
		}
	})
}
