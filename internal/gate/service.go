package gate

import (
	"context"
	"log/slog"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/sqldb"
)

// Rules are the guardrails.
type Rules interface {
	// Evaluate asks every active rule of the facts' stage whose scope they
	// are in, and gives the verdicts in a stable order with the digest of the
	// guardrails that are active. A rule that errs or runs past its limit is
	// a Deny verdict that says so; an error is the store's alone.
	Evaluate(ctx context.Context, f Facts) (verdicts []Verdict, policy string, err error)
}

// Limits are quotas and budgets.
type Limits interface {
	// Usage gives the limits that the facts fall under: Used without what the
	// facts' resource holds itself, Wanted with what it would hold.
	Usage(ctx context.Context, f Facts) ([]Use, error)
	// Reserve makes f's resource hold what f wants instead of what it held. It
	// fails with quota_exceeded or budget_exceeded (Denied) rather than
	// overshoot, also when many do it at once.
	Reserve(ctx context.Context, tx *sqldb.Tx, f Facts) error
	// Release frees what the resource holds. Nothing held is success.
	Release(ctx context.Context, tx *sqldb.Tx, resourceID string) error
}

// Prices know what things cost.
type Prices interface {
	// Estimate prices the facts by the table in force. A template without a
	// cost rule is Unpriced.
	Estimate(ctx context.Context, f Facts) (Cost, error)
	// Meter notes what a resource costs from now on; nil ends it.
	Meter(ctx context.Context, tx *sqldb.Tx, f Facts, c *Cost) error
}

// Calendar knows change windows and freezes.
type Calendar interface {
	// Window tells whether f may happen at f.Now.
	Window(ctx context.Context, f Facts) (Window, error)
}

// Leases say how long a resource may live.
type Leases interface {
	// Begin starts the lease that f asks for (f.Lease) or that the rules of
	// its class give it; for a resource that has one it changes nothing.
	Begin(ctx context.Context, tx *sqldb.Tx, f Facts) error
	// Check says what is wrong with the lease that f asks for, and gives the
	// one that it would get.
	Check(ctx context.Context, f Facts) (time.Duration, []Verdict, error)
	// End closes the lease of a resource that is gone.
	End(ctx context.Context, tx *sqldb.Tx, resourceID string) error
}

// Approvals are what people agreed to.
type Approvals interface {
	// Settle finds how it stands with what ask needs: it opens a request for
	// approval when there is none for ask's binding, and voids one for
	// another binding, saying what changed.
	Settle(ctx context.Context, tx *sqldb.Tx, ask Ask) (Answer, error)
	// Void ends what is still open for a resource.
	Void(ctx context.Context, tx *sqldb.Tx, resourceID, reason string) error
}

// Rollouts know what a run that a rollout asked for was planned to do.
type Rollouts interface {
	// Verdicts denies a planned run that is not what was agreed to.
	Verdicts(ctx context.Context, f Facts) ([]Verdict, error)
}

// Ask is what must be agreed to.
type Ask struct {
	Facts    Facts
	Verdicts []Verdict // those that need an approval; none: only voids what is open
	Binding  Binding
}

// Answer is how it stands.
type Answer struct {
	Approval string // id; "" when none was needed
	Status   string // "", pending, approved, rejected, expired, bypassed
	By       string // who rejected, or bypassed
	Comment  string
	Who      string    // a sentence: who can agree
	Until    time.Time // a pending one expires then
}

// Options says what a Service works with. All but Rollouts are needed.
type Options struct {
	DB        *sqldb.DB
	Access    access.Authorizer
	Rules     Rules
	Limits    Limits
	Prices    Prices
	Calendar  Calendar
	Leases    Leases
	Approvals Approvals
	Rollouts  Rollouts
	Log       *slog.Logger
}

// Service asks all gates. It is safe for concurrent use.
type Service struct {
	Options
	db    store
	turns turns
}

// New makes a Service.
func New(o Options) *Service { return &Service{Options: o, db: store{o.DB}} }
