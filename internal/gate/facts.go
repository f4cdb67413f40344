package gate

import (
	"time"

	"fairlead/internal/access"
	"fairlead/internal/engine"
	"fairlead/internal/principal"
)

// Stage is when a rule is asked.
type Stage string

// The stages.
const (
	Request    Stage = "request"    // somebody asks for something; nothing has happened
	Plan       Stage = "plan"       // the engine has said what it would do
	Release    Stage = "release"    // something is about to run
	Activation Stage = "activation" // guardrails themselves are about to change
)

// Action is what somebody wants of a resource.
type Action string

// The actions.
const (
	Create  Action = "create"
	Update  Action = "update"
	Destroy Action = "destroy"
	Keep    Action = "keep" // nobody asks: heal, re-apply, compliance
)

// Facts is all that a decision may look at. Document gives it in the form that
// rules see and that is recorded; it is documented in docs/guardrails.md.
// Inputs hold no secret values.
type Facts struct {
	Stage     Stage
	Action    Action
	Principal principal.Principal // who asked, also when a worker asks later
	Author    string              // id of who made the revision; "" at the request: Principal
	RunID     string
	RunKind   string // apply, heal, rotate, destroy; "" at the request
	RequestID string
	First     bool      // no run of the resource ever got anywhere: no gate has asked, opened or begun anything for it
	Asked     time.Time // when; zero: now. Of a destroy a worker says since when it is wanted

	ResourceID string
	Resource   string // name
	Revision   int64
	Note       string
	Inputs     map[string]any
	Resolved   bool           // Inputs hold what references came to, which the request did not know
	Before     map[string]any // the inputs in use, of the revision applied last; nil when none was

	Environment Environment
	Template    Template

	Lease time.Duration // asked for or in force; 0: none

	Plan *engine.Plan // from Plan on; veiled

	// What the gates themselves fill in before the rules are asked.
	Now    time.Time // the database's clock
	Cost   Cost
	Usage  []Use
	Extra  map[string]any // further documents of a stage: "release", "bundle"
	Window Window
}

// Environment is where the resource is, or is to be.
type Environment struct {
	ID, Name, Class    string
	ProjectID, Project string
	TeamID, Team       string
	Attributes         map[string]string
}

// Template is what the resource is made from.
type Template struct {
	Name, Version, Digest, Engine string
	Stateful                      bool
	Attributes                    map[string]string
	Units                         map[string]float64 // cpu, memory, storage, … of these inputs
	Approval                      *Need              // that the template asks for itself
	CostRule                      []byte             // cost.rego beside the manifest; nil: none
	Deprecated, Instead           string             // what to say of a version that should not be used any more, and what to use; "" otherwise
	Lease                         *LeaseRule         // how long its resources live; nil: it does not say
}

// LeaseRule is how long a template lets its resources live; 0 does not say.
type LeaseRule struct{ Default, Max time.Duration }

// Target is what access decides on for these facts.
func (f Facts) Target() access.Target {
	return access.Target{Kind: "resource", ID: f.ResourceID, Name: f.Resource, TeamID: f.Environment.TeamID, ProjectID: f.Environment.ProjectID,
		EnvironmentID: f.Environment.ID, EnvironmentClass: f.Environment.Class, Template: f.Template.Name, Attributes: f.Environment.Attributes}
}

// Cost is what something costs by the price table in force.
type Cost struct {
	Currency string
	Monthly  float64 // of what is wanted
	Before   float64 // monthly, of what is in use
	Items    []CostItem
	Prices   string // digest of the price table; "" when there is none
	Unpriced bool   // the template has no cost rule
}

// CostItem is one line of a cost.
type CostItem struct {
	Item     string
	Quantity float64
	Monthly  float64
}

// Use is how much of one limit is taken.
type Use struct {
	Limit   string // id
	Scope   string // team, project, environment, class, template, organisation
	Name    string // of what the scope names
	Metric  string // count, cpu, memory, storage, monthly_cost, …
	Max     float64
	Used    float64 // by others
	Held    float64 // by the resource itself now
	Wanted  float64 // by it when the request is granted
	WarnAt  float64 // share of Max from which a warning is due; 0: never
	Enforce bool    // false: only warns
}

// Window is whether changes may happen now, and when they may otherwise.
type Window struct {
	Closed bool
	Name   string // of the freeze or the window
	Reason string
	Until  time.Time // zero: nobody knows
}
