package project_test

import (
	"testing"

	"fairlead/internal/fault"
	"fairlead/internal/identity/identitytest"
	"fairlead/internal/principal"
	"fairlead/internal/project"
)

// TestAnAnsweredChangeIsSeenAtOnce: an environment is kept in memory, and yet
// no read that begins after a change was answered sees what was before it.
func TestAnAnsweredChangeIsSeenAtOnce(t *testing.T) {
	each(t, func(t *testing.T, w *identitytest.World) {
		w.Team("red")
		w.Team("blue")
		w.Environment("red", "shop", "dev", project.Development)
		red := w.User("olga", "red", principal.TeamOwner)
		know := func(want string) project.Environment {
			t.Helper()
			e, err := w.Projects.Resolve(red, "shop", "dev")
			w.Must(err)
			for range 2 { // the second from memory
				if e, err = w.Projects.Resolve(red, "shop", "dev"); err != nil || string(e.Class) != want {
					t.Fatalf("%s, not %s, %v", e.Class, want, err)
				}
			}
			return e
		}
		know("development")
		class := project.Staging
		_, err := w.Projects.UpdateEnvironment(w.Admin, "shop", "dev", project.EnvironmentChange{Class: &class}, 0)
		w.Must(err)
		know("staging")

		_, err = w.Projects.Update(w.Admin, "shop", project.Change{Team: ptr("blue")}, 0)
		w.Must(err)
		_, err = w.Projects.Resolve(red, "shop", "dev")
		code(t, err, "not_found")
		_, err = w.Projects.Update(w.Admin, "shop", project.Change{Team: ptr("red")}, 0)
		w.Must(err)
		e := know("staging")

		w.Must(w.Projects.DeleteEnvironment(w.Admin, "shop", "dev", e.Version))
		_, err = w.Projects.Resolve(red, "shop", "dev")
		code(t, err, "not_found")
		again, err := w.Projects.CreateEnvironment(red, "shop", project.NewEnvironment{Name: "dev", Class: project.Development})
		w.Must(err)
		if got := know("development"); got.ID != again.ID {
			t.Errorf("%s, not %s", got.ID, again.ID)
		}
	})
}

// TestWhatIsInMemoryIsAskedFor: each caller is asked about, whoever it was
// read for.
func TestWhatIsInMemoryIsAskedFor(t *testing.T) {
	each(t, func(t *testing.T, w *identitytest.World) {
		w.Team("red")
		w.Team("blue")
		w.Environment("red", "shop", "dev", project.Development)
		_, err := w.Projects.Resolve(w.Admin, "shop", "dev")
		w.Must(err)
		_, err = w.Projects.Resolve(w.User("mallory", "blue", principal.Developer), "shop", "dev")
		code(t, err, "not_found")
		if _, err = w.Projects.Resolve(t.Context(), "shop", "dev"); !fault.Is(err, fault.Unauthenticated) {
			t.Error(err)
		}
	})
}
