package calendar

import (
	"slices"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/ident"
)

// The scopes.
const (
	Organisation = "organisation"
	Team         = "team"
	Project      = "project"
	Environment  = "environment"
)

// Place is where a window or a freeze holds: the narrowest that is named.
type Place struct {
	Scope                      string
	TeamID, Team               string
	ProjectID, Project         string
	EnvironmentID, Environment string
	Class                      string // only environments of this class; "" is any
}

// id is that of what the scope names.
func (p Place) id() string {
	switch p.Scope {
	case Team:
		return p.TeamID
	case Project:
		return p.ProjectID
	case Environment:
		return p.EnvironmentID
	}
	return ""
}

// Target says what an action on what holds there is on.
func (p Place) Target() access.Target {
	switch p.Scope {
	case Team:
		return access.Target{Kind: "team", ID: p.TeamID, Name: p.Team, TeamID: p.TeamID}
	case Project:
		return access.Target{Kind: "project", ID: p.ProjectID, Name: p.Project, TeamID: p.TeamID, ProjectID: p.ProjectID}
	case Environment:
		return access.Target{Kind: "environment", ID: p.EnvironmentID, Name: p.Environment, TeamID: p.TeamID, ProjectID: p.ProjectID, EnvironmentID: p.EnvironmentID}
	}
	return access.Organisation
}

func (p Place) view() access.Action {
	switch p.Scope {
	case Team:
		return access.TeamView
	case Project:
		return access.ProjectView
	}
	return access.EnvironmentView
}

// holds tells whether an environment lies there.
func (p Place) holds(e gate.Environment) bool {
	if p.Class != "" && p.Class != e.Class {
		return false
	}
	switch p.Scope {
	case Team:
		return p.TeamID == e.TeamID
	case Project:
		return p.ProjectID == e.ProjectID
	case Environment:
		return p.EnvironmentID == e.ID
	}
	return true
}

// rank is how narrow a place is: the narrowest windows decide alone.
func (p Place) rank() int {
	rank := 2 * slices.Index([]string{Organisation, Team, Project, Environment}, p.Scope)
	if p.Class != "" {
		rank++
	}
	return rank
}

// Window is a time of the week in which changes may happen.
type Window struct {
	ID, Name string
	Place
	Weekdays  []time.Weekday
	Opens     int // minute of the day
	Closes    int // minute of the day, up to 1440; not after Opens: on the next day
	Zone      string
	CreatedAt time.Time
	CreatedBy string
	Version   int64

	location *time.Location
}

// Freeze is a time in which no change happens.
type Freeze struct {
	ID, Name string
	Place
	Reason      string
	From, Until time.Time
	Except      []string // ids of teams that it does not hold for
	ExceptNames []string
	CreatedAt   time.Time
	CreatedBy   string
	Version     int64
}

const day = 24 * 60 // minutes

func checkPlace(p Place) error {
	if !slices.Contains([]string{"", "development", "staging", "production"}, p.Class) {
		return fault.New(fault.Invalid, "unknown_class", "there is no such class of environment").WithField("/class").
			WithHint("the classes are development, staging and production")
	}
	return nil
}

func (w *Window) check() error {
	bad := func(field, format string, args ...any) *fault.Error {
		return fault.New(fault.Invalid, "invalid_window", format, args...).WithField(field)
	}
	if err := ident.CheckName(w.Name); err != nil {
		return fault.From(err).WithField("/name")
	}
	if err := checkPlace(w.Place); err != nil {
		return err
	}
	if len(w.Weekdays) == 0 {
		return bad("/weekdays", "a window is open on some day of the week").WithHint("as mon,tue or mon-fri")
	}
	if w.Opens < 0 || w.Opens >= day || w.Closes < 0 || w.Closes > day || w.Opens == w.Closes {
		return bad("/opens", "a window opens and closes at different times of the day").WithHint("as 09:00 and 17:30; 00:00 and 24:00 is the whole day")
	}
	var err error
	if w.location, err = zone(w.Zone); err != nil {
		return err
	}
	slices.Sort(w.Weekdays)
	w.Weekdays = slices.Compact(w.Weekdays)
	return nil
}

// zone finds a time zone by its name in the IANA database, which is built in.
func zone(name string) (*time.Location, error) {
	if name == "" || name == "Local" {
		return nil, fault.New(fault.Invalid, "unknown_time_zone", "a time zone must be named").WithField("/zone").WithHint("as Europe/Berlin or UTC")
	}
	l, err := time.LoadLocation(name)
	if err != nil {
		return nil, fault.New(fault.Invalid, "unknown_time_zone", "there is no such time zone").WithField("/zone").WithHint("as Europe/Berlin or UTC").WithCause(err)
	}
	return l, nil
}

func (f Freeze) check() error {
	if err := ident.CheckName(f.Name); err != nil {
		return fault.From(err).WithField("/name")
	}
	if err := checkPlace(f.Place); err != nil {
		return err
	}
	if !f.From.Before(f.Until) || f.Until.Sub(f.From) > 366*24*time.Hour {
		return fault.New(fault.Invalid, "invalid_freeze", "a freeze ends after it begins, and within a year").WithField("/until").
			WithHint("without a beginning it begins now: give an end that is still to come")
	}
	return ident.CheckText("/reason", f.Reason, 500)
}

func (f Freeze) covers(e gate.Environment, t time.Time) bool {
	return f.holds(e) && !t.Before(f.From) && t.Before(f.Until) && !slices.Contains(f.Except, e.TeamID)
}
