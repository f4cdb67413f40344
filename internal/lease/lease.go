package lease

import (
	"slices"
	"strings"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/fault"
)

// Kind is what a lease is of.
type Kind string

// The kinds.
const (
	Resource    Kind = "resource"
	Environment Kind = "environment"
)

// State is where a lease is on its way.
type State string

// The states.
const (
	Active State = "active"
	Ending State = "ending" // its time is over; what it is of is being taken away
	Ended  State = "ended"
)

// How a lease ended.
const (
	Expired = "expired" // its time was over
	Gone    = "gone"    // somebody had destroyed what it was of
	Removed = "removed" // somebody took the lease away
)

// Lease is how long one thing may live.
type Lease struct {
	ID                         string
	Kind                       Kind
	SubjectID, Subject         string // what it is of, and its name
	EnvironmentID, Environment string
	Class                      string
	ProjectID, Project         string
	TeamID, Team               string
	Template                   string        // of a resource
	Max                        time.Duration // that its template sets; 0: none
	OwnerID, Owner             string
	BeginsAt, EndsAt           time.Time
	Extensions                 int64
	WarnAt                     []time.Time // when its owner is still to be warned
	Warned                     []time.Time // when they were
	State                      State
	Reason                     string // how it ended
	Problem                    string // what keeps an ending from its end; it is tried again by itself
	Attempts                   int64
	EndingAt, EndedAt          time.Time
	Version                    int64
}

// Length is the whole of it, extensions included.
func (l Lease) Length() time.Duration { return l.EndsAt.Sub(l.BeginsAt) }

// Target says what an action on the lease is on: what it is of.
func (l Lease) Target() access.Target {
	t := access.Target{Kind: string(l.Kind), ID: l.SubjectID, Name: l.Subject, TeamID: l.TeamID, ProjectID: l.ProjectID,
		EnvironmentID: l.EnvironmentID, EnvironmentClass: l.Class, Template: l.Template}
	return t
}

// place is the environment, for those who manage the calendar there.
func (l Lease) place() access.Target {
	return access.Target{Kind: "environment", ID: l.EnvironmentID, Name: l.Environment, TeamID: l.TeamID, ProjectID: l.ProjectID,
		EnvironmentID: l.EnvironmentID, EnvironmentClass: l.Class}
}

// what names the lease's subject in a command.
func (l Lease) what() string {
	if l.Kind == Environment {
		return "-e " + l.Project + "/" + l.Environment
	}
	return l.Subject + " -e " + l.Project + "/" + l.Environment
}

func (l Lease) view() access.Action {
	if l.Kind == Environment {
		return access.EnvironmentView
	}
	return access.ResourceView
}

// due is when there is something to do about an active lease.
func (l Lease) due() time.Time {
	due := l.EndsAt
	for _, w := range l.WarnAt {
		if w.Before(due) {
			due = w
		}
	}
	return due
}

// warnings are the times to warn at, of a lease that ends then: those that are
// still to come. A lease too short for any of them is warned of in its last
// quarter.
func warnings(now, ends time.Time, before []time.Duration) []time.Time {
	out := []time.Time{}
	for _, b := range before {
		if at := ends.Add(-b); at.After(now) {
			out = append(out, at)
		}
	}
	if len(out) == 0 && len(before) > 0 && ends.After(now) {
		out = append(out, ends.Add(-ends.Sub(now)/4).Truncate(time.Microsecond))
	}
	slices.SortFunc(out, time.Time.Compare)
	return out
}

// Text says a length as people write it: "8h", "7d", "1h30m".
func Text(d time.Duration) string {
	d = d.Round(time.Second)
	if d >= 24*time.Hour && d%(24*time.Hour) == 0 {
		return (d / 24).String()[:strings.IndexByte((d/24).String(), 'h')] + "d"
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func notFound() error {
	return fault.New(fault.NotFound, "not_found", "there is no such lease, or none that you may know of").
		WithHint("list what there is: fairlead lease ls")
}
