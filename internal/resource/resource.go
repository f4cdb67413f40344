package resource

import (
	"encoding/json"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/drift"
	"fairlead/internal/engine"
	"fairlead/internal/gate"
)

// Phase is where a resource is on its way.
type Phase string

// The phases.
const (
	Pending    Phase = "pending"    // accepted, not yet looked at
	Waiting    Phase = "waiting"    // for a resource that it refers to
	Planning   Phase = "planning"   //
	Applying   Phase = "applying"   //
	Retrying   Phase = "retrying"   // something it depends on failed; tried again by itself
	Ready      Phase = "ready"      // as wanted, seen to be so
	Failed     Phase = "failed"     // cannot work as wanted; needs a change or a retry
	Canceled   Phase = "canceled"   // stopped on request
	Lost       Phase = "lost"       // its data is gone from outside; needs a person
	Destroying Phase = "destroying" //
	Destroyed  Phase = "destroyed"  // looked for and not found
	Releasing  Phase = "releasing"  // being let go of
	Released   Phase = "released"   // let go of: all that it made is where it was, and nobody's here
)

// Settled tells whether nothing will change by itself: the end of a wait.
func (p Phase) Settled() bool {
	switch p {
	case Ready, Failed, Canceled, Lost, Destroyed, Released:
		return true
	}
	return false
}

// Resource is one instance of a template version in an environment.
type Resource struct {
	ID              string
	Name            string
	EnvironmentID   string
	Environment     string // its name
	Class           string // of the environment
	ProjectID       string
	Project         string
	TeamID          string
	Team            string
	Template        string
	TemplateVersion string // of the wanted revision
	Engine          string
	Phase           Phase
	Reason          string // stable code of why
	Message         string
	Hint            string
	Revision        int64          // wanted
	AppliedRevision int64          // last made real; 0 before the first
	Inputs          map[string]any // secret ones masked, references unresolved
	Outputs         map[string]Output
	Objects         []engine.Object
	Drift           []engine.Drift
	ObservedAt      time.Time
	RetireAt        time.Time // when the credentials before the last rotation end
	Paused          bool      // wanted to be there, and stopped
	Adopted         string    // what it took over when it was made: KIND/NAME; "" for nothing
	DestroyWantedAt time.Time
	DestroyedAt     time.Time // or let go of
	CreatedAt       time.Time
	CreatedBy       string
	CreatedByName   string
	UpdatedAt       time.Time
	Version         int64          // changes with every write; the ETag
	RunID           string         // the newest run
	Verdicts        []gate.Verdict // what the gates said of the request that gave this; empty when read

	state           string
	rotation        string
	appliedRotation string
	templateDigest  string
	author          string    // who made the wanted revision
	attributes      string    // of the environment, JSON
	sealed          []string  // pointers of the inputs whose values are secrets
	lettingGo       bool      // its end leaves all that it made
	wantedVersion   int64     // the version with which somebody last changed what is wanted
	observeAt       time.Time // for update: when the observer looks next; zero leaves it
}

// environment is where r is, as it was when r was read.
func (r Resource) environment() (Environment, error) {
	e := Environment{ID: r.EnvironmentID, Name: r.Environment, Class: r.Class, ProjectID: r.ProjectID, Project: r.Project, TeamID: r.TeamID, Team: r.Team}
	return e, json.Unmarshal([]byte(r.attributes), &e.Attributes)
}

// target is r as its own records have it, for what the system does to it.
func (r Resource) target() access.Target {
	return access.Target{
		Kind: "resource", ID: r.ID, Name: r.Name, TeamID: r.TeamID, ProjectID: r.ProjectID, EnvironmentID: r.EnvironmentID,
		EnvironmentClass: r.Class, Template: r.Template,
	}
}

// Output is one result as it may be shown: a sensitive one has no value here.
type Output struct {
	Value     any  `json:"value,omitempty"`
	Sensitive bool `json:"sensitive,omitempty"`
}

// Revision is one state that was wanted: who wanted it, and why.
type Revision struct {
	Number          int64
	Template        string
	TemplateVersion string
	TemplateDigest  string
	Inputs          map[string]any
	Note            string
	RolledBackTo    int64 // the revision whose content this one repeats; 0 for none
	CreatedAt       time.Time
	CreatedBy       string
	CreatedByName   string

	sealed []string
}

// Reference is an input that takes another resource's output.
type Reference struct {
	Input    string // JSON pointer
	Resource string // name, in the same environment
	TargetID string
	Output   string
}

// RunKind says what a run is for.
type RunKind string

// The kinds of run.
const (
	RunApply   RunKind = "apply"
	RunHeal    RunKind = "heal"
	RunRotate  RunKind = "rotate"
	RunDestroy RunKind = "destroy"
)

// RunStatus is how a run stands.
type RunStatus string

// The states of a run.
const (
	RunRunning    RunStatus = "running"
	RunSucceeded  RunStatus = "succeeded"
	RunFailed     RunStatus = "failed"
	RunCanceled   RunStatus = "canceled"
	RunSuperseded RunStatus = "superseded" // a newer request took its place
)

// Run is one attempt to bring a resource from what is there to what is wanted.
type Run struct {
	ID              string
	Number          int64 // 1, 2, … of the resource
	ResourceID      string
	Resource        string
	EnvironmentID   string
	Kind            RunKind
	Revision        int64
	Phase           string // queued, waiting (at a gate), applying, destroying, done
	Status          RunStatus
	Plan            *engine.Plan
	PlanDigest      string
	ErrorCode       string
	ErrorMessage    string
	ErrorHint       string
	Attempts        int64
	RequestedBy     string
	RequestedByName string
	RequestID       string // of the request that asked for it
	CreatedAt       time.Time
	StartedAt       time.Time
	FinishedAt      time.Time
	CancelAsked     bool

	passed gate.Binding // what an attempt passed the gates with; nil before
}

// LogLine is one line of a run's log.
type LogLine struct {
	Seq     int64
	At      time.Time
	Phase   string
	Level   string // info, warn, error
	Message string
}

// Environment is where a resource lives, with all that access and engines need.
type Environment struct {
	ID         string
	Name       string
	Class      string
	ProjectID  string
	Project    string
	TeamID     string
	Team       string
	Attributes map[string]string
}

// target is what access decides on for something in env.
func (e Environment) target(kind, id, name, template string) access.Target {
	return access.Target{
		Kind: kind, ID: id, Name: name, TeamID: e.TeamID, ProjectID: e.ProjectID, EnvironmentID: e.ID,
		EnvironmentClass: e.Class, Template: template, Attributes: e.Attributes,
	}
}

// Template is a template version as resources use it.
type Template interface {
	Info() TemplateInfo
	// Check validates inputs, references unresolved, and fills in defaults; it
	// gives a copy. The fault lists every violation.
	Check(inputs map[string]any) (map[string]any, error)
	// CheckResolved validates inputs whose references are resolved.
	CheckResolved(inputs map[string]any) error
	// SecretInputs gives the JSON pointers of the values in inputs that are secrets.
	SecretInputs(inputs map[string]any) []string
	// Render gives the engine's view for these inputs and names.
	Render(inputs map[string]any, ref engine.Ref, class string) (engine.Template, engine.LifeCycle, error)
}

// TemplateInfo is what is fixed about a template version.
type TemplateInfo struct {
	Name         string
	Version      string
	Digest       string
	Engine       string
	ObserveEvery time.Duration // 0 is the engine's, or the service's default
	Drift        drift.Policy
	Outputs      map[string]bool // name -> sensitive
	OutputTypes  map[string]string
	Attributes   map[string]string
	EndOfLife    time.Time // from then on nothing new is made from it; zero: never
	Instead      string    // what to use then

	// Gate gives what the gates know of it with these inputs.
	Gate func(inputs map[string]any) gate.Template
}
