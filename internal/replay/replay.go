package replay

import (
	"context"
	"io"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/gate"
	"fairlead/internal/guardrail"
	"fairlead/internal/sqldb"
)

// Bundles are the guardrails there are.
type Bundles interface {
	// Load gives a stored version; "" is the one in force, or else the newest.
	Load(ctx context.Context, name, version string) (*guardrail.Bundle, error)
	// Test compiles a folder that is not pushed, and runs its tests.
	Test(ctx context.Context, tar io.Reader, name string) (*guardrail.Bundle, guardrail.TestReport, error)
	// Active gives what is in force.
	Active(ctx context.Context) (*guardrail.Set, error)
}

// Decisions are the recorded ones.
type Decisions interface {
	// Replayed gives every record since a moment, oldest first, and how many
	// there are beforehand.
	Replayed(ctx context.Context, since time.Time, begin func(total int) error, yield func(gate.Kept) error) error
	// Complete fills in what the gates know of what stands there.
	Complete(ctx context.Context, f gate.Facts) (gate.Facts, error)
}

// Resources are what stands there.
type Resources interface {
	// Living gives the facts of each.
	Living(ctx context.Context, yield func(gate.Facts) error) error
}

// Options says what a Service works with. All are needed.
type Options struct {
	DB        *sqldb.DB
	Access    access.Authorizer
	Bundles   Bundles
	Decisions Decisions
	Resources Resources
}

// Service runs backtests. It is safe for concurrent use.
type Service struct {
	Options
	busy chan struct{} // has a place for each that runs
	jobs jobs
}

// New makes a Service.
func New(o Options) *Service { return &Service{Options: o, busy: make(chan struct{}, most)} }

const (
	// MaxShown is how many changes are given; all are counted.
	MaxShown = 10_000
	// maxRemembered bounds what is remembered of changed requests, to tell
	// those that their plan has not changed once more.
	maxRemembered = 1_000_000
	// maxSince is how far back may be asked for; records do not live longer.
	maxSince = 90 * 24 * time.Hour
	// most is how many may run at once: each takes every core.
	most = 2
)

// Ask is what to try.
type Ask struct {
	Name, Version string    // a stored version; Version "" is the one in force or the newest
	Archive       io.Reader // a folder that is not pushed, as a tar; nil: a stored one. Name is then for a folder without a manifest
	Since         time.Duration
}

// Progress is how far it is.
type Progress struct {
	Decisions, OfDecisions int // replayed, of how many
	Resources              int // looked at
	Changes                int
}

// Kind is what a change is about.
type Kind string

// The kinds.
const (
	Request  Kind = "request"  // a recorded decision
	Resource Kind = "resource" // something that stands there
)

// Change is one thing that would be decided differently.
type Change struct {
	Kind        Kind
	Decision    string // id of the record
	At          time.Time
	Stage       gate.Stage
	Action      gate.Action
	By          string // who asked; of a resource, who made its revision
	ResourceID  string // "" when it was refused before it was made
	Resource    string
	Template    string
	Team        string
	Project     string
	Environment string
	Was, Now    string         // allowed, approval, denied
	Verdicts    []gate.Verdict // of the bundle, as they would be
	Gone        []gate.Verdict // of the version that was asked then, which would not be said any more
}

// Summary is the whole in numbers.
type Summary struct {
	Bundle    string // label of what was tried
	Replaces  string // label of what is in force; "" for nothing
	Since     time.Time
	Decisions int            // replayed
	Resources int            // looked at
	Changed   int            // decisions and resources that would be decided differently
	Shown     int            // of them
	Kinds     map[string]int // "request allowed → denied" and so on: how many
	Advised   int            // with other advice alone; they are not among the changed
	Broken    int            // where a rule could not be evaluated, which denies
	Took      time.Duration
}

// Report is what a backtest found.
type Report struct {
	Summary
	Changes []Change // oldest first, resources last
}
