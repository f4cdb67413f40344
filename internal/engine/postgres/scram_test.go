package postgres

import (
	"encoding/base64"
	"strings"
	"testing"

	"fairlead/internal/engine"
	"fairlead/internal/redact"
)

// TestVerifierOfTheStandard checks against the exchange of RFC 7677, section 3:
// with its password, salt and count, StoredKey must verify its client proof.
func TestVerifierOfTheStandard(t *testing.T) {
	t.Parallel()
	salt, err := base64.StdEncoding.DecodeString("W22ZaJ0SNY7soEsUEjb6gQ==")
	if err != nil {
		t.Fatal(err)
	}
	got, err := verifierWith(redact.New("pencil"), salt, 4096)
	if err != nil {
		t.Fatal(err)
	}
	const want = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
	if got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
}

func TestNamesAreStableAndApart(t *testing.T) {
	t.Parallel()
	ref := engine.Ref{Installation: "a", ID: "res_1", Name: "orders"}
	if first, again := namesOf(ref), namesOf(ref); first != again {
		t.Fatal("not stable")
	}
	other := ref
	other.Installation = "b"
	if namesOf(ref) == namesOf(other) {
		t.Fatal("two installations share a name")
	}
	moved := ref
	moved.Team, moved.Project = "x", "y"
	if namesOf(ref) != namesOf(moved) {
		t.Fatal("a team's new name moves the database")
	}
	if f := fingerprint("a", "res_1"); f < 1<<30 {
		t.Fatalf("fingerprint %d could be somebody's limit", f)
	}
}

func FuzzReadMarker(f *testing.F) {
	f.Add([]byte(`{"fairlead":"i","resource":"r"}`))
	f.Add([]byte(`{"fairlead":"i","resource":"r","pool":"p"}`))
	f.Add([]byte("\xff{"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, ok := readMarker(raw)
		if ok && (m.Installation == "" || (m.Resource == "") == (m.Pool == "")) {
			t.Fatalf("%q is no marker", raw)
		}
	})
}

func FuzzSlug(f *testing.F) {
	f.Add("orders")
	f.Add(`"; DROP`)
	f.Fuzz(func(t *testing.T, name string) {
		s := slug(name)
		if s == "" || len(s) > 40 || s[0] < 'a' || s[0] > 'z' || strings.HasPrefix(s, "pg_") || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
			t.Fatalf("%q -> %q", name, s)
		}
	})
}
