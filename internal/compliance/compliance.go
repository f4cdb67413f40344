package compliance

import (
	"context"
	"log/slog"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/gate"
	"fairlead/internal/guardrail"
	"fairlead/internal/sqldb"
)

// Resources are what stands there.
type Resources interface {
	// Living gives the facts of each resource, in the order of their ids.
	Living(ctx context.Context, yield func(gate.Facts) error) error
}

// Rules are the guardrails.
type Rules interface {
	// Reload looks what is in force.
	Reload(ctx context.Context) error
	// Active gives it.
	Active(ctx context.Context) (*guardrail.Set, error)
}

// Gates know what facts lack.
type Gates interface {
	Complete(ctx context.Context, f gate.Facts) (gate.Facts, error)
}

// Options says what a Service works with. All but Log are needed.
type Options struct {
	DB        *sqldb.DB
	Access    access.Authorizer
	Resources Resources
	Rules     Rules
	Gates     Gates
	Log       *slog.Logger
}

// Service looks and keeps. It is safe for concurrent use.
type Service struct {
	Options
	db store
}

// New makes a Service.
func New(o Options) *Service {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{Options: o, db: store{o.DB}}
}

// Violation is one rule that one resource offends. What a rule says in several
// messages is one violation.
type Violation struct {
	ID            string
	ResourceID    string
	Resource      string
	Template      string
	EnvironmentID string
	Environment   string
	Class         string
	ProjectID     string
	Project       string
	TeamID        string
	Team          string
	Owner         string // who asked for the resource
	Bundle        string // name@version
	Rule          string
	Strength      gate.Strength // Deny: it would be refused today; Advise
	Message       string
	Remedy        string
	Docs          string
	Field         string
	Since         time.Time // when it was first seen
	SeenAt        time.Time // when it was last seen
	ClearedAt     time.Time // zero: it stands
}

// Run is one look at everything.
type Run struct {
	ID         string
	StartedAt  time.Time
	FinishedAt time.Time // zero: it is under way
	ByID       string
	ByName     string
	Policy     string // digest of the guardrails that were asked
	Resources  int64  // looked at
	Violations int64  // that stand at its end
	Opened     int64  // that were not there before
	Cleared    int64  // that are gone since
	Failure    string // code of why it ended early; "" when it did not
}

// Team is how one team stands.
type Team struct {
	TeamID     string
	Team       string
	Resources  int64 // with violations
	Violations int64
	Denied     int64 // of them, by rules that deny
	Since      time.Time
}

const (
	// dead is when a run that gave no sign of life is taken for gone.
	dead = 2 * time.Minute
	// night is the hour, in UTC, after which the nightly run is due.
	night = 2
	// kept is how long what was mended is kept, and runs.
	kept = 90 * 24 * time.Hour
	// batch is how many resources one transaction writes about.
	batch = 500
)
