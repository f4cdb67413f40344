package project

import (
	"time"

	"fairlead/internal/access"
	"fairlead/internal/fault"
)

// Class says how much an environment matters; policies and guardrails look at it.
type Class string

// The classes.
const (
	Development Class = "development"
	Staging     Class = "staging"
	Production  Class = "production"
)

// Project is a product, owned by a team.
type Project struct {
	ID, Name, Title string
	TeamID, Team    string
	Attributes      map[string]string
	CreatedAt       time.Time
	UpdatedAt       time.Time
	Version         int64
}

// Target says what an action on the project is on.
func (p Project) Target() access.Target {
	return access.Target{Kind: "project", ID: p.ID, Name: p.Name, TeamID: p.TeamID, ProjectID: p.ID, Attributes: p.Attributes}
}

// Environment is a named space of a project.
type Environment struct {
	ID, Name, Title    string
	Class              Class
	ProjectID, Project string
	TeamID, Team       string // of the project
	Attributes         map[string]string
	CreatedAt          time.Time
	UpdatedAt          time.Time
	Version            int64
}

// Target says what an action on the environment is on.
func (e Environment) Target() access.Target {
	return access.Target{Kind: "environment", ID: e.ID, Name: e.Name, TeamID: e.TeamID, ProjectID: e.ProjectID,
		EnvironmentID: e.ID, EnvironmentClass: string(e.Class), Attributes: e.Attributes}
}

func notFound(kind string) error {
	return access.Missing(kind)
}

func stale(kind string) error {
	return fault.New(fault.Stale, "stale_version", "the %s was changed by somebody else meanwhile", kind).
		WithHint("read it again, then repeat the change")
}

func checkClass(c Class) error {
	switch c {
	case Development, Staging, Production:
		return nil
	}
	return fault.New(fault.Invalid, "unknown_class", "there is no such class of environment").WithField("/class").
		WithHint("the classes are development, staging and production")
}
