package quota

import (
	"slices"
	"strings"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/ident"
	"fairlead/internal/regex"
)

// Count is the metric that every resource is one of.
const Count = "count"

// MonthlyCost is the metric of a budget.
const MonthlyCost = gate.MonthlyCost

// The scopes.
const (
	Organisation = "organisation"
	Team         = "team"
	Project      = "project"
	Environment  = "environment"
)

// Limit is how much of a metric may be taken in a place.
type Limit struct {
	ID                         string
	Scope                      string // organisation, team, project, environment
	TeamID, Team               string // of the place; "" for the organisation
	ProjectID, Project         string
	EnvironmentID, Environment string
	Class                      string // only in environments of this class; "" is any
	Template                   string // only resources of this template; "" is any
	Metric                     string
	Max, Used                  Amount
	WarnAt                     float64 // share of Max; 0: never
	Enforce                    bool    // false: it only warns
	Share                      int64   // used, in millionths of Max
	CreatedAt, UpdatedAt       time.Time
	CreatedBy                  string // id
	Version                    int64
}

// Place says where the limit holds, for people: "team payments, production".
func (l Limit) Place() string {
	scope, name := l.named()
	return strings.TrimSpace(scope + " " + name)
}

// named gives the scope and the name that verdicts show.
func (l Limit) named() (scope, name string) {
	switch l.Scope {
	case Team:
		name = l.Team
	case Project:
		name = l.Project
	case Environment:
		name = l.Project + "/" + l.Environment
	}
	return label(l.Scope, name, l.Class, l.Template)
}

// label puts class and template to a place's name. A limit of the organisation
// on one class or template is called by that.
func label(scope, name, class, template string) (string, string) {
	parts := slices.DeleteFunc([]string{name, class, template}, func(s string) bool { return s == "" })
	if scope == Organisation {
		switch {
		case class != "":
			scope = "class"
		case template != "":
			scope = "template"
		default:
			return scope, "as a whole"
		}
	}
	return scope, strings.Join(parts, ", ")
}

// Target says what an action on the limit is on.
func (l Limit) Target() access.Target {
	return access.Target{Kind: "quota", ID: l.ID, Name: l.Place() + ": " + l.Metric, TeamID: l.TeamID, ProjectID: l.ProjectID,
		EnvironmentID: l.EnvironmentID, EnvironmentClass: l.Class, Template: l.Template}
}

// Setting is a limit as somebody wants it. Place is the narrowest of Team,
// Project and Environment that is named; none is the organisation.
type Setting struct {
	Team        string // name or id
	Project     string
	Environment string // needs Project, unless it is an id
	Class       string
	Template    string
	Metric      string
	Max         float64
	WarnAt      float64 // share of Max
	Enforce     bool
}

var metricForm = regex.Late(`^[a-z][a-z0-9_]{0,31}$`)

// check finds what is wrong with a setting, apart from names that are not there.
func (s Setting) check() (most Amount, warn int64, err error) {
	bad := func(field, format string, args ...any) *fault.Error {
		return fault.New(fault.Invalid, "invalid_quota", format, args...).WithField(field)
	}
	if !metricForm().MatchString(s.Metric) {
		return 0, 0, bad("/metric", "a metric is made of a-z, 0-9 and _, and at most 32 of them").WithHint("count, monthly_cost, or a unit that templates declare, such as cpu")
	}
	if !slices.Contains([]string{"", "development", "staging", "production"}, s.Class) {
		return 0, 0, bad("/class", "there is no such class of environment").WithHint("the classes are development, staging and production")
	}
	if s.Template != "" && s.Template != "postgres" && s.Template != "null" { // as template.CheckTemplateName has it
		if err := ident.CheckName(s.Template); err != nil {
			return 0, 0, fault.From(err).WithField("/template")
		}
	}
	if !(s.WarnAt >= 0 && s.WarnAt <= 1) {
		return 0, 0, bad("/warnAt", "the share to warn at is between 0 and 1")
	}
	if most, err = ToAmount(s.Max); err != nil {
		return 0, 0, fault.From(err).WithField("/max")
	}
	return most, int64(s.WarnAt*unit + 0.5), nil
}
