package engine

import (
	"context"
	"encoding/json"
	"io/fs"
	"time"

	"fairlead/internal/redact"
)

// Engine makes resources of one kind real. Every method is safe for
// concurrent use by calls for different resources, honours ctx promptly, and
// returns a *fault.Error: Invalid when the inputs can never work, Unavailable
// when trying again may help, Conflict when an object that is not ours is in
// the way, NotFound only where a method says so, Internal otherwise. No error
// text and no log line carries a secret value.
type Engine interface {
	// Plan says what Apply would do to bring the resource from what is there
	// to what is wanted. It changes nothing. Equal requests against an equal
	// world give an equal plan, byte for byte.
	Plan(ctx context.Context, req Request) (Plan, error)

	// Apply brings the resource to what req wants, whatever is there now: it
	// may find nothing, everything, or the half-done work of a call that was
	// killed. It creates an object only after it looked for one carrying
	// req.Ref's ownership marker, and adopts that one. Called again with the
	// same request it changes nothing and gives the same outputs; a secret
	// output that can no longer be read back is taken from req.Previous, and
	// made anew only when it is not there either. It never destroys data: when
	// a stateful object that req.Previous says existed is missing, it returns
	// a Conflict with code "resource_lost".
	Apply(ctx context.Context, req Request, plan Plan, p Progress) (Result, error)

	// Observe looks at many resources at once, with as few calls to the
	// provider as it can (one query a server, not one a resource), and changes
	// nothing. It returns exactly one Observation a target, in the targets'
	// order. A target that cannot be looked at (poisoned, or its server down)
	// gives an Observation with Err set and never an error for its neighbours.
	//
	// Previous says whether the resource should exist. With it a stateful
	// resource of which nothing is found is Lost; without it, Absent. So after
	// Destroy the caller observes with Previous nil: else the absence that it
	// hopes to see is reported as a loss.
	Observe(ctx context.Context, targets []Request) ([]Observation, error)

	// Destroy removes all that Apply made for req.Ref, also after a half-done
	// Apply or Destroy. Nothing there is success. It removes only what carries
	// the ownership marker. It takes a last snapshot first when
	// req.LifeCycle.SnapshotOnDestroy says so, and fails rather than drop
	// without it. The caller asks Observe for absence before it reports
	// "destroyed".
	Destroy(ctx context.Context, req Request, p Progress) error
}

// Rotator is an Engine that can change a resource's credentials with an
// overlap in which the old and the new ones both work.
type Rotator interface {
	// Rotate makes new credentials and leaves the previous ones working. It is
	// idempotent for one rotation id. Outputs are complete, as Apply's.
	Rotate(ctx context.Context, req Request, rotation string, p Progress) (Result, error)
	// Retire ends the credentials that the last Rotate left working.
	Retire(ctx context.Context, req Request) error
}

// Validator is an Engine that can say at push time whether a template's files
// and spec are sound.
type Validator interface {
	// Validate returns an Invalid fault that names file and field.
	Validate(ctx context.Context, t Template) error
}

// Describer is an Engine whose templates say by themselves what they take and
// give: a module has variables and outputs. So its files are a template without
// a manifest, or with one that says only what is to be otherwise.
type Describer interface {
	// Describes tells whether the files are something of this engine.
	Describes(files fs.FS) bool
	// Describe reads them. It runs nothing and makes no connection. The fault
	// is Invalid and names file and line.
	Describe(ctx context.Context, d Draft) (Description, error)
}

// Draft is a template as its author pushed it.
type Draft struct {
	Files  fs.FS
	Spec   map[string]any // of its manifest, expressions and all; nil when there is none
	Inputs map[string]any // the manifest's; nil when it says none
}

// Description is what a template says by itself.
type Description struct {
	Title   string
	Summary string
	Inputs  map[string]any // JSON Schema of what the spec does not set; nil when the manifest's are all there are
	Outputs map[string]DescribedOutput
	Spec    func(inputs []string) map[string]any // the spec, completed, when these inputs are offered of those
	Docs    string                               // the path of its docs page; "" for none
	Needs   []Need                               // what it is built on
}

// Need is something of others that a template is built on.
type Need struct {
	Kind    string // "program", "provider" or "module"
	Name    string
	Source  string
	Version string // a range; "" for any
}

// DescribedOutput is one output that a template says it has.
type DescribedOutput struct {
	Description string
	Sensitive   bool
}

// DryPlanner is an Engine that can plan without looking at anything, so that a
// template's tests run in CI and touch nothing real.
type DryPlanner interface {
	// PlanNew gives the plan that Plan gives in a world in which nothing of
	// the resource exists; it does not look at req.Previous. It makes no
	// connection, reads no file but the template's, and is deterministic.
	// Errors are as Plan's, but for what only the world can tell. A Runner's
	// program plans as it does for real, on no state: what it may reach is up
	// to the configuration, and it changes nothing.
	PlanNew(ctx context.Context, req Request) (Plan, error)
}

// Looker is an Engine of which each look has a price, such as a program that
// is started. Observing is then spread.
type Looker interface {
	// ObserveAtOnce is how many targets one call of Observe is handed at most,
	// so that what was seen is soon recorded.
	ObserveAtOnce() int
	// ObserveEvery is how often a resource is looked at whose template says
	// nothing; 0 is the server's own interval.
	ObserveEvery() time.Duration
}

// Snapshotter is an Engine whose Destroy can keep a last snapshot.
type Snapshotter interface {
	// CanSnapshot tells whether it can keep one of this resource, as it is
	// configured.
	CanSnapshot(req Request) bool
	// LastSnapshot says where the last one is, for people; "" when there is
	// none, such as of what was never wholly made.
	LastSnapshot(ctx context.Context, req Request) (location string, err error)
}

// Pauser is an Engine that can stop a resource and start it again. Apply of a
// request that is Paused leaves all its data and its outputs as they are, and
// lets nobody use it; Observe of one expects that, and reports it as no drift.
// Apply of the same request that is not Paused makes it usable with the same
// outputs again.
type Pauser interface {
	// CanPause tells whether resources of this template can be stopped.
	CanPause(t Template) bool
}

// Asker is an Engine whose Apply may be called before its caller has recorded
// that it is: until the request's Fenced has answered, Apply takes what keeps
// others out and looks, changes nothing, and says nothing to Progress. The
// caller's Fenced answers when the record is durable.
type Asker interface {
	AsksBeforeItActs()
}

// Runner is an Engine that works with a program: one that it runs, or a server.
type Runner interface {
	// Program tells of it, as far as it can: an error says why the engine
	// cannot work on this server, or not now. It takes no longer than a person
	// waits.
	Program(ctx context.Context) (Program, error)
}

// Program is what a Runner works with.
type Program struct {
	Name      string // as "tofu", "PostgreSQL"
	Version   string
	Isolation string // how what it runs is kept apart from the server
}

// Ref names one resource for ever. External names and ownership markers are
// derived from it and from nothing else, but for the name of an object that was
// adopted.
type Ref struct {
	Installation string // this control plane, so that two may share a server
	ID           string // the resource's id; never reused
	Name         string // the developer's name for it, for readable object names
	Team         string
	Project      string
	Environment  string
}

// Template is the part of a template version that an engine may read.
type Template struct {
	Name    string
	Version string
	Digest  string
	Spec    json.RawMessage // the engine's section of template.yaml
	Files   fs.FS           // the template's files; untrusted, read-only, bounded
}

// LifeCycle is what the template says about the end of a resource's life.
type LifeCycle struct {
	Stateful          bool          // holds data: never recreated silently
	SnapshotOnDestroy bool          // keep a last dump
	RotationOverlap   time.Duration // how long old credentials work after a rotation
}

// Request is one resource as it is wanted.
type Request struct {
	Ref       Ref
	Revision  int64
	Template  Template
	Inputs    map[string]any // validated against the template's schema, defaults filled in, references resolved
	LifeCycle LifeCycle
	Previous  *Result // what the last successful Apply or Rotate gave; nil before the first
	Paused    bool    // wanted to be there with all its data, and stopped; only of a Pauser
	Adopted   string  // KIND/NAME of the object that the resource adopted; only of an Adopter

	// Background says that nobody waits for the answer of an Observe: an engine
	// that has only so much room leaves enough of it to others.
	Background bool

	// Fenced tells whether the caller still has the right to act: nil as long
	// as it does, an error that is to be returned as it is from then on. An
	// engine asks once it holds what keeps others out, before its first
	// change: a worker that slept past its claim and wakes up inside a call
	// must not undo what its successor made. Nil asks nothing.
	Fenced func(ctx context.Context) error
}

// Check asks Fenced, when there is one.
func (r Request) Check(ctx context.Context) error {
	if r.Fenced == nil {
		return nil
	}
	return r.Fenced(ctx)
}

// Action is what a plan does to one object.
type Action string

// The actions, in the order of their severity.
const (
	NoOp    Action = "no-op"
	Read    Action = "read"
	Create  Action = "create"
	Update  Action = "update"
	Replace Action = "replace"
	Delete  Action = "delete"
)

// Change is one object of a plan. Before and After hold no secret values: a
// secret is shown as redact.Shown.
type Change struct {
	Address string         `json:"address"` // e.g. "database.orders_x7"
	Kind    string         `json:"kind"`    // e.g. "database", "role", "grant"
	Action  Action         `json:"action"`
	Reason  string         `json:"reason,omitempty"`
	Before  map[string]any `json:"before,omitempty"`
	After   map[string]any `json:"after,omitempty"`
}

// Plan is what Apply would do.
type Plan struct {
	Changes []Change        `json:"changes"`
	Engine  json.RawMessage `json:"engine,omitempty"` // the engine's own form, for policies
}

// Empty tells whether the plan changes nothing.
func (p Plan) Empty() bool {
	for _, c := range p.Changes {
		if c.Action != NoOp && c.Action != Read {
			return false
		}
	}
	return true
}

// Destructive tells whether the plan deletes or replaces an object.
func (p Plan) Destructive() bool {
	for _, c := range p.Changes {
		if c.Action == Delete || c.Action == Replace {
			return true
		}
	}
	return false
}

// Output is one typed result of a resource. Exactly one of Value and Secret is
// set.
type Output struct {
	Value     any
	Secret    redact.Secret
	Sensitive bool
}

// Result is what an Apply or a Rotate gave.
type Result struct {
	Outputs map[string]Output
	Objects []Object        // every external object that belongs to the resource
	State   json.RawMessage // the engine's own notes, given back in Request.Previous; no secrets
	// Confirmed says that this is what the provider itself read back after it
	// had made it. The caller need not look again before it believes it, and
	// does so soon after.
	Confirmed bool
}

// Object is one external object, for the catalog and for invariant I1.
type Object struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
	Host string `json:"host,omitempty"`
}

// Presence is what an observation found.
type Presence string

// What an observation may find.
const (
	Present Presence = "present" // as wanted, or Drift says how not
	Absent  Presence = "absent"  // looked for, all of it, and nothing found
	Partial Presence = "partial" // some objects are there: half made or half gone
	Lost    Presence = "lost"    // a stateful object that existed is gone: never recreated silently
)

// Severity says what may be done about a drift.
type Severity string

// Drift heals by the next Apply, needs a person, or is none.
const (
	Heal   Severity = "heal"
	Alert  Severity = "alert"
	Ignore Severity = "ignore" // noise: nothing is to be done, unless somebody says otherwise
)

// Cause says why something is not as it is wanted. An engine names one for
// every drift that it reports.
type Cause string

// The causes.
const (
	CauseNoise   Cause = "noise"   // another way to write the same
	CausePerson  Cause = "person"  // somebody else changed it
	CauseDeleted Cause = "deleted" // somebody else deleted it
	CauseDesired Cause = "desired" // it is as the last Apply made it, and something else is wanted now
)

// Causes lists them, the one that says least first.
func Causes() []Cause { return []Cause{CauseNoise, CauseDesired, CausePerson, CauseDeleted} }

// Drift is one difference between what is wanted and what is there. Want and
// Got hold no secret values: a secret is shown as redact.Shown.
type Drift struct {
	Address  string   `json:"address"`
	Field    string   `json:"field"`
	Want     any      `json:"want"`
	Got      any      `json:"got"`
	Severity Severity `json:"severity"`
	Cause    Cause    `json:"cause,omitempty"`
	Noise    Noise    `json:"noise,omitempty"` // of CauseNoise: why it counts for nothing
	Data     bool     `json:"data,omitempty"`  // of an object that holds data: putting it right may harm that
	Print    string   `json:"print,omitempty"` // tells two values of Got apart also where they are not shown; says nothing of a secret
}

// Observation is what was seen of one resource.
type Observation struct {
	Presence Presence
	Drift    []Drift
	Objects  []Object
	Err      error // this target could not be looked at; the rest of the fields are empty
}

// Progress receives what an engine does, for the run's live log. Messages are
// short, human, and free of secrets. Calls are cheap and never block for long.
type Progress interface {
	Step(format string, args ...any)
}

// Discard is a Progress that drops everything.
var Discard Progress = discard{}

type discard struct{}

func (discard) Step(string, ...any) {}
