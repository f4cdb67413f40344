package access

import (
	"strings"

	"fairlead/internal/sqldb"
)

// Target is what an action is on, with the attributes that policies may look
// at. Fill in what is known; an empty field is an absent attribute, and
// absence never grants.
type Target struct {
	Kind string // organisation, team, user, robot, token, session, project, environment, template, resource, run, access, audit, system, guardrail, quota, webhook, approval
	ID   string // "" for a thing still to be made, or for the organisation
	Name string

	TeamID           string // the team that owns it
	ProjectID        string
	EnvironmentID    string
	EnvironmentClass string // development, staging, production
	Template         string
	OwnerID          string            // the principal it belongs to (token, session, user)
	Attributes       map[string]string // of the thing itself
}

// Organisation is the target of actions on nothing smaller.
var Organisation = Target{Kind: "organisation", Name: "organisation"}

// Decision is the outcome of one question, and why.
type Decision struct {
	Allowed  bool
	Policies []string // ids of the policies that decided; empty: nothing allowed it
	Version  int64    // of the policy set
}

// Scope says which things the caller may see, for a list's SQL. When All is
// set nothing is filtered. Otherwise a thing is visible when its environment,
// project or team (whichever the list is about) is among the ids.
type Scope struct {
	All            bool
	TeamIDs        []string
	ProjectIDs     []string
	EnvironmentIDs []string
}

// Columns says where a list's rows have what a Scope speaks of; "" is a kind
// that the list has nothing of.
type Columns struct{ Team, Project, Environment string }

// Narrow lets through what the scope does: everything of some teams, of some
// projects, of some environments; nothing when it names none.
func (s Scope) Narrow(w *sqldb.Where, db *sqldb.DB, c Columns) { s.narrow(w, db, nil, c) }

// NarrowThose is Narrow for the rows that are of a kind, by a condition; it
// lets through all others.
func (s Scope) NarrowThose(w *sqldb.Where, db *sqldb.DB, kind string, c Columns) {
	s.narrow(w, db, []string{"NOT (" + kind + ")"}, c)
}

func (s Scope) narrow(w *sqldb.Where, db *sqldb.DB, conds []string, c Columns) {
	if s.All {
		return
	}
	var lists []any
	for _, part := range []struct {
		column string
		ids    []string
	}{{c.Environment, s.EnvironmentIDs}, {c.Project, s.ProjectIDs}, {c.Team, s.TeamIDs}} {
		if part.column != "" && len(part.ids) > 0 {
			conds = append(conds, db.InArray(part.column, "?"))
			lists = append(lists, sqldb.Strings(part.ids))
		}
	}
	if len(conds) == 0 {
		w.And("1 = 0")
		return
	}
	w.And("("+strings.Join(conds, " OR ")+")", lists...)
}
