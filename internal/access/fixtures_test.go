package access_test

import (
	"context"
	"slices"
	"sync"
	"testing"

	"fairlead/internal/access"
	"fairlead/internal/fault"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

// record is what a test's audit was told.
type record struct {
	action  access.Action
	by      string
	details map[string]any
}

type recorder struct {
	mu      sync.Mutex
	records []record
}

func (r *recorder) append(ctx context.Context, tx *sqldb.Tx, a access.Action, _ access.Target, _ access.Decision, details map[string]any) {
	rec := record{a, principal.From(ctx).ID, details}
	tx.After(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.records = append(r.records, rec)
	})
}

func (r *recorder) all() []record {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.records)
}

func newService(t testing.TB, db *sqldb.DB, o access.Options) (*access.Service, *recorder) {
	t.Helper()
	rec := &recorder{}
	o.DB, o.Audit = db, rec.append
	s, err := access.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s, rec
}

func sqliteService(t testing.TB) *access.Service {
	t.Helper()
	s, _ := newService(t, sqldbtest.SQLite(t), access.Options{})
	return s
}

// as is a context in which somebody acts.
func as(t testing.TB, p principal.Principal) context.Context {
	return principal.With(t.Context(), p)
}

func member(id, team string, roles ...principal.Role) principal.Principal {
	p := principal.Principal{Kind: principal.User, ID: id, Name: id}
	for _, r := range roles {
		p.Memberships = append(p.Memberships, principal.Membership{TeamID: team, Team: team, Role: r})
	}
	return p
}

func orgWide(id string, roles ...principal.Role) principal.Principal {
	return principal.Principal{Kind: principal.User, ID: id, Name: id, OrgRoles: roles}
}

var admin = orgWide("usr_admin", principal.PlatformAdmin)

func put(t *testing.T, s *access.Service, p principal.Principal, source string) {
	t.Helper()
	if _, err := s.Put(as(t, p), access.PutRequest{Source: source}); err != nil {
		t.Fatalf("put: %v %v", err, fault.From(err).Violations)
	}
}

func allowed(t testing.TB, s *access.Service, p principal.Principal, a access.Action, target access.Target) bool {
	t.Helper()
	d, err := s.Check(as(t, p), a, target)
	if (err == nil) != d.Allowed {
		t.Fatalf("%s: error %v, decision %+v", a, err, d)
	}
	if err != nil && fault.KindOf(err) == fault.Internal {
		t.Fatalf("%s on %s: %v", a, target.Kind, err)
	}
	return d.Allowed
}

// codeOf is the stable code of an error; "" for none.
func codeOf(err error) string {
	if err == nil {
		return ""
	}
	return fault.From(err).Code
}

// database is a resource in team a.
func database(class string) access.Target {
	return access.Target{
		Kind: "resource", ID: "res_1", Name: "orders", TeamID: "team_a", ProjectID: "prj_1", EnvironmentID: "env_1",
		EnvironmentClass: class, Template: "postgres",
	}
}
