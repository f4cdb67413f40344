package guardrail_test

import (
	"strings"
	"testing"

	"fairlead/internal/fault"
	"fairlead/internal/guardrail"
	"fairlead/internal/guardrail/guardrailtest"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

func save(t *testing.T, s *guardrail.Service, d guardrail.Draft) (guardrail.Pushed, error) {
	t.Helper()
	tar, err := s.Pack(as(t, ada), d)
	if err != nil {
		t.Fatal(err)
	}
	return s.PushOver(as(t, ada), tar, d.Name, d.Base)
}

// A draft is a bundle's next version: of two that are written at once the
// second is told.
func TestADraftBecomesTheNextVersion(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := newService(t, db)
		first, err := s.Draft(as(t, ada), "too-large", "")
		if err != nil || first.Base != "" || first.Version() != "1.0.0" || !strings.Contains(first.Files["policy.yaml"], "name: too-large") {
			t.Fatalf("%+v %v", first, err)
		}
		made, err := save(t, s, first)
		if err != nil || made.Version != "1.0.0" || !made.Tests.Passed() || len(made.Tests.Cases) != 2 {
			t.Fatalf("the example: %+v %v", made, err)
		}
		activate(t, s, bert, "too-large", "1.0.0")
		mine, err := s.Draft(as(t, ada), "too-large", "")
		if err != nil || mine.Base != "1.0.0" || mine.Version() != "1.0.1" {
			t.Fatalf("%+v %v", mine, err)
		}
		theirs, err := s.Draft(as(t, bert), "too-large", "")
		if err != nil {
			t.Fatal(err)
		}
		theirs.Files["README.md"] = "theirs"
		if _, err := save(t, s, theirs); err != nil {
			t.Fatal(err)
		}
		mine.Files["README.md"] = "mine"
		mine.Say("1.0.2")
		if _, err := save(t, s, mine); !fault.Is(err, fault.Stale) {
			t.Errorf("the second of two: %v", err)
		}
		mine.Base = "1.0.1"
		if _, err := save(t, s, mine); err != nil {
			t.Errorf("after the other: %v", err)
		}
		copied, err := s.Draft(as(t, ada), "copied", "too-large@1.0.1")
		if err != nil || copied.Files["README.md"] != "theirs" || copied.Version() != "1.0.0" {
			t.Errorf("%+v %v", copied, err)
		}
		if _, err := s.Draft(as(t, ada), "Not a name", ""); !fault.Is(err, fault.Invalid) {
			t.Errorf("%v", err)
		}
		if _, err := s.Draft(as(t, ada), "x", "nothing@1.0.0"); !fault.Is(err, fault.NotFound) {
			t.Errorf("%v", err)
		}
		if _, err := s.Pack(as(t, ada), guardrail.Draft{Name: "x", Files: map[string]string{"../a.rego": ""}}); !fault.Is(err, fault.Invalid) {
			t.Errorf("%v", err)
		}
		if _, err := s.Pack(as(t, ada), guardrail.Draft{Name: "x", Files: map[string]string{"a.rego": strings.Repeat("x", 20<<20)}}); !fault.Is(err, fault.TooLarge) {
			t.Errorf("%v", err)
		}
	})
}

// A file that is no text stays as it is.
func TestADraftKeepsWhatIsNoText(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := newService(t, db)
		files := guardrailtest.Sizes("1.0.0")
		files["logo.png"] = "\x89PNG\xff\xfe"
		push(t, s, ada, files)
		d, err := s.Draft(as(t, ada), "sizes", "")
		if err != nil || len(d.Others) != 1 || d.Files["logo.png"] != "" || d.Version() != "1.0.1" {
			t.Fatalf("%+v %v", d, err)
		}
		out, err := save(t, s, d)
		if err != nil {
			t.Fatal(err)
		}
		_, c, err := s.Content(as(t, ada), "sizes", out.Version)
		if raw, _ := c.File("logo.png"); err != nil || string(raw) != files["logo.png"] || len(c.Guards) != 1 {
			t.Errorf("%q %v", raw, err)
		}
	})
}

func TestVersionsAreRaised(t *testing.T) {
	t.Parallel()
	for from, want := range map[string]string{"": "1.0.0", "1.2.3": "1.2.4", "2.0.0-rc.1": "2.0.0", "0.0.0-abc": "0.0.0", "x": "1.0.0"} {
		if got := guardrail.NextVersion(from); got != want {
			t.Errorf("after %q comes %s, not %s", from, got, want)
		}
	}
	for text, want := range map[string]string{
		"metadata: {name: a, version: 1.0.0}\n":                             "metadata: {name: a, version: 9.9.9}\n",
		"metadata:\n  name: a\n  title: version: x\n  version: \"1.0.0\"\n": "metadata:\n  name: a\n  title: version: x\n  version: 9.9.9\n",
		"kind: version: 1.0.0\n":                                            "kind: version: 1.0.0\n",
	} {
		d := guardrail.Draft{Files: map[string]string{"policy.yaml": text}}
		if d.Say("9.9.9"); d.Files["policy.yaml"] != want {
			t.Errorf("%q became %q", text, d.Files["policy.yaml"])
		}
	}
}
