package template_test

import (
	"errors"
	"testing"
	"time"

	"fairlead/internal/fault"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
	"fairlead/internal/template"
	"fairlead/internal/template/templatetest"
)

func TestDeprecatedVersionsAreNotChosenAndStay(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := described(t, db)
		for _, version := range []string{"1.0.0", "1.1.0", "2.0.0-rc.1"} {
			if _, _, err := s.Push(admin(), templatetest.New("thing", version).Tar(t)); err != nil {
				t.Fatal(err)
			}
		}
		newest := func(constraint string) string {
			t.Helper()
			v, err := s.Get(admin(), "thing", constraint)
			if err != nil {
				t.Fatal(err)
			}
			return v.Version
		}
		end := time.Date(2030, 1, 2, 0, 0, 0, 0, time.UTC)
		d := template.Deprecation{Reason: "slow", EndOfLife: end, Successor: "1.0.0"}
		row, err := s.Deprecate(admin(), "thing", "1.1.0", d)
		if err != nil || !row.Deprecation.Deprecated() || row.Deprecation.By == "" {
			t.Fatalf("%+v %v", row, err)
		}
		again, err := s.Deprecate(admin(), "thing", "1.1.0", d)
		if err != nil || !again.Deprecation.At.Equal(row.Deprecation.At) {
			t.Errorf("said again: %+v %v", again.Deprecation, err)
		}
		if newest("") != "1.0.0" || newest("^1.0") != "1.0.0" || newest(">=1.1") != "1.1.0" || newest("1.1.0") != "1.1.0" {
			t.Errorf("chosen: %s %s %s", newest(""), newest("^1.0"), newest(">=1.1"))
		}
		v, err := s.Get(admin(), "thing", "1.1.0")
		if err != nil || v.Deprecation.Reason != "slow" || !v.Deprecation.EndOfLife.Equal(end) || v.Deprecation.Ended(end.Add(-time.Second)) || !v.Deprecation.Ended(end) {
			t.Errorf("%+v %v", v.Deprecation, err)
		}
		if list, err := s.List(admin(), template.Filter{}, sqldb.Page{}); err != nil || len(list.Items) != 1 || list.Items[0].Version != "1.0.0" || list.Items[0].Deprecation.Deprecated() {
			t.Errorf("%+v %v", list.Items, err)
		}
		if _, err := s.Deprecate(admin(), "thing", "1.0.0", template.Deprecation{Reason: "older"}); err != nil {
			t.Fatal(err)
		}
		if newest("") != "1.0.0" {
			t.Errorf("of deprecated ones that without an end is chosen, not %s", newest(""))
		}
		if _, err := s.Undeprecate(admin(), "thing", "1.1.0"); err != nil || newest("") != "1.1.0" {
			t.Error(newest(""), err)
		}
		if v, err := s.Get(admin(), "thing", "1.1.0"); err != nil || v.Deprecation.Deprecated() {
			t.Error(v.Deprecation, err)
		}
		var n int
		if err := db.Read().QueryRowContext(t.Context(), `SELECT count(*) FROM events WHERE type LIKE 'template.%deprecated'`).Scan(&n); err != nil || n != 3 {
			t.Errorf("%d events, %v", n, err)
		}
	})
}

func TestDeprecationsThatAreNone(t *testing.T) {
	t.Parallel()
	s := described(t, sqldbtest.SQLite(t))
	if _, _, err := s.Push(admin(), templatetest.New("thing", "1.0.0").Tar(t)); err != nil {
		t.Fatal(err)
	}
	for code, d := range map[string]template.Deprecation{
		"reason_required": {Reason: "  "}, "invalid_text": {Reason: "a\x00b"}, "invalid_time": {Reason: "x", EndOfLife: time.Date(1, 1, 2, 0, 0, 0, 0, time.UTC)}, "invalid_successor": {Reason: "x", Successor: "nothing"},
	} {
		if _, err := s.Deprecate(admin(), "thing", "1.0.0", d); fault.From(err).Code != code || !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", code, err)
		}
	}
	for _, ref := range []string{"1.0.0", "thing@1.0.0", "thing@9.0.0", "thing@", "@", "../x"} {
		if _, err := s.Deprecate(admin(), "thing", "1.0.0", template.Deprecation{Reason: "x", Successor: ref}); !errors.Is(err, code("invalid_successor")) {
			t.Errorf("%q: %v", ref, err)
		}
	}
	nobody := principal.With(t.Context(), principal.Nobody)
	if _, err := s.Deprecate(nobody, "thing", "1.0.0", template.Deprecation{Reason: "x"}); !fault.Is(err, fault.Unauthenticated) {
		t.Error(err)
	}
	if _, err := s.Undeprecate(nobody, "thing", "1.0.0"); !fault.Is(err, fault.Unauthenticated) {
		t.Error(err)
	}
}
