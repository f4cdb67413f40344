package access_test

import (
	"slices"
	"testing"

	"fairlead/internal/access"
	"fairlead/internal/access/accesstest"
	"fairlead/internal/fault"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb/sqldbtest"
)

// TestPoliciesAreListedAsPeopleReadThem: whom each is for, what it is about.
func TestPoliciesAreListedAsPeopleReadThem(t *testing.T) {
	t.Parallel()
	s := accesstest.Service(t, sqldbtest.SQLite(t))
	admin := principal.With(t.Context(), principal.Principal{ID: "usr_1", Kind: principal.User, OrgRoles: []principal.Role{principal.PlatformAdmin}})
	v, list, err := s.Listing(admin, 0)
	if err != nil || v.Version != 1 {
		t.Fatal(v.Version, err)
	}
	find := func(id string) access.Listed {
		i := slices.IndexFunc(list, func(l access.Listed) bool { return l.ID == id })
		if i < 0 {
			t.Fatalf("no policy %s", id)
		}
		return list[i]
	}
	if l := find("platform-admin"); l.Effect != "permit" || l.Role != principal.PlatformAdmin || len(l.Actions) != 0 || l.When || l.Text == "" {
		t.Errorf("%+v", l)
	}
	if l := find("robots-never-grant"); l.Effect != "forbid" || l.Role != "" || !slices.Contains(l.Actions, access.TokenCreate) {
		t.Errorf("%+v", l)
	}
	if l := find("auditor-views"); l.Role != principal.Auditor || slices.Contains(l.Actions, access.ResourceReveal) {
		t.Errorf("%+v", l)
	}
	viewer := principal.With(t.Context(), principal.Principal{ID: "usr_2", Kind: principal.User})
	if _, _, err := s.Listing(viewer, 0); !fault.Is(err, fault.Denied) && !fault.Is(err, fault.NotFound) {
		t.Errorf("a stranger: %v", err)
	}
	if _, _, err := s.Listing(admin, 99); !fault.Is(err, fault.NotFound) {
		t.Errorf("no such version: %v", err)
	}
}
