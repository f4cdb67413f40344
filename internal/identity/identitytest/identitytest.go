package identitytest

import (
	"context"
	"testing"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/audit/audittest"
	"fairlead/internal/identity"
	"fairlead/internal/principal"
	"fairlead/internal/project"
	"fairlead/internal/sqldb"
)

// World is an installation with an administrator, root-ada.
type World struct {
	DB       *sqldb.DB
	Log      *audit.Log
	Access   *access.Service
	Identity *identity.Service
	Projects *project.Service
	Admin    context.Context

	t         testing.TB
	directory *identity.Directory
}

// AdminName is the administrator's.
const AdminName = "root-ada"

// New makes a World on an empty database. Password hashes are cheap in it.
// Options set what a test needs different.
func New(t testing.TB, db *sqldb.DB, options ...func(*identity.Options)) *World {
	t.Helper()
	w := &World{DB: db, Log: audittest.New(t, db), t: t, directory: identity.NewDirectory(db)}
	var err error
	w.Access, err = access.New(t.Context(), access.Options{
		DB: db, Directory: project.NewDirectory(db, w.directory), Principals: w.directory,
		Audit: func(ctx context.Context, tx *sqldb.Tx, a access.Action, target access.Target, d access.Decision, details map[string]any) {
			audit.Append(ctx, tx, audit.Entry{Action: string(a), Target: target, Decision: d, Details: details})
		},
	})
	if err != nil {
		t.Fatalf("open access: %v", err)
	}
	w.Identity = w.Replica(db, options...)
	w.Projects = project.New(project.Options{DB: db, Access: w.Access})
	system := principal.With(context.WithoutCancel(t.Context()), principal.System)
	if _, err := w.Identity.CreateUser(system, identity.NewUser{Name: AdminName}); err != nil {
		t.Fatalf("make the administrator: %v", err)
	}
	w.Must(w.Identity.GrantRole(system, identity.Grant{Member: AdminName, Role: principal.PlatformAdmin}))
	w.Admin = w.As(AdminName)
	return w
}

// Replica makes another identity service on a database with the same policies.
func (w *World) Replica(db *sqldb.DB, options ...func(*identity.Options)) *identity.Service {
	o := identity.Options{DB: db, Access: w.Access, Argon2: identity.Argon2{MemoryKiB: 64, Passes: 1, Lanes: 1}, HashSlots: 4}
	for _, set := range options {
		set(&o)
	}
	return identity.New(o)
}

// Must fails the test on an error.
func (w *World) Must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// As gives a context in which a user or robot acts, with the roles that they
// have now.
func (w *World) As(name string) context.Context {
	w.t.Helper()
	p, err := w.directory.Lookup(w.t.Context(), name)
	w.Must(err)
	return principal.With(context.WithoutCancel(w.t.Context()), p)
}

// Team makes a team.
func (w *World) Team(name string) identity.Team {
	w.t.Helper()
	t, err := w.Identity.CreateTeam(w.Admin, identity.NewTeam{Name: name})
	w.Must(err)
	return t
}

// User makes a user with a role in a team (none when team is empty) and gives
// a context in which they act.
func (w *World) User(name, team string, roles ...principal.Role) context.Context {
	w.t.Helper()
	_, err := w.Identity.CreateUser(w.Admin, identity.NewUser{Name: name})
	w.Must(err)
	for _, r := range roles {
		w.Must(w.Identity.GrantRole(w.Admin, identity.Grant{Team: team, Member: name, Role: r}))
	}
	return w.As(name)
}

// Environment makes a project of a team with one environment.
func (w *World) Environment(team, projectName, name string, class project.Class) project.Environment {
	w.t.Helper()
	_, err := w.Projects.Create(w.Admin, project.NewProject{Team: team, Name: projectName})
	w.Must(err)
	e, err := w.Projects.CreateEnvironment(w.Admin, projectName, project.NewEnvironment{Name: name, Class: class})
	w.Must(err)
	return e
}
