package why

import (
	"context"
	"time"

	"fairlead/internal/gate"
	"fairlead/internal/queue"
	"fairlead/internal/resource"
	"fairlead/internal/rollout"
)

// State says what a link of the chain means for what comes after it.
type State string

// The states.
const (
	Done    State = "done"    // passed; nothing to do here
	Waiting State = "waiting" // goes on by itself, or once somebody has decided
	Failing State = "failing" // did not work
	Refused State = "refused" // somebody or something said no
	Coming  State = "coming"  // will happen at a known time
)

// Link is one link of the causal chain.
type Link struct {
	Of    string // the resource's name, when it is another one's
	Kind  string // request, gates, approval, window, reference, run, engine, verify, drift, rollout, pin, lease, destroy, observation
	State State
	Text  string
	Code  string // stable code; its page is /docs/errors/CODE
	Since time.Time
	Until time.Time // when it ends or happens by itself
	Who   string    // who can act
	Next  []string  // exact commands
	Ref   string    // id of the run, approval, decision
}

// Explanation is the chain, first cause first, and what it comes to.
type Explanation struct {
	Resource resource.Resource
	Summary  string
	Chain    []Link
}

// Resources is what package resource knows.
type Resources interface {
	Get(ctx context.Context, w resource.Where) (resource.Resource, error)
	ByID(ctx context.Context, id string) (resource.Resource, error)
	Run(ctx context.Context, id string) (resource.Run, error)
	EdgesByID(ctx context.Context, id string) (to, from []resource.Reference, err error)
	TurnByID(ctx context.Context, id string) (queue.Turn, error)
}

// Decisions is what package gate has recorded.
type Decisions interface {
	Latest(ctx context.Context, resourceID string) (gate.Record, bool, error)
}

// Approval is one that a resource waits for.
type Approval struct {
	ID, Who      string
	Since, Until time.Time
}

// Approvals is what package approval knows.
type Approvals interface {
	// Open gives what a resource waits for; ok is false when it does not.
	Open(ctx context.Context, resourceID string) (a Approval, ok bool, err error)
}

// Lease is how long something may live.
type Lease struct {
	Of    string // resource or environment
	Ends  time.Time
	Owner string
	Can   string // whether and how far it can be extended
	// Problem is what keeps an ending from its end. It is tried again by itself.
	Problem string
}

// Leases is what package lease knows.
type Leases interface {
	// Of gives the lease that ends a resource's life first; ok is false when
	// it has none.
	Of(ctx context.Context, r resource.Resource) (l Lease, ok bool, err error)
}

// Rollouts is what package rollout knows.
type Rollouts interface {
	// Holds tells how rollouts and pins bear on a resource.
	Holds(ctx context.Context, r resource.Resource) (rollout.Hold, error)
}

// Options says what a Service reads. All are needed.
type Options struct {
	Resources Resources
	Decisions Decisions
	Approvals Approvals
	Leases    Leases
	Rollouts  Rollouts
	Now       func(ctx context.Context) (time.Time, error)
}

// Service explains. It is safe for concurrent use.
type Service struct{ Options }

// New makes a Service.
func New(o Options) *Service { return &Service{o} }

// Explain tells why a resource is as it is, to whoever may see it.
func (s *Service) Explain(ctx context.Context, w resource.Where) (Explanation, error) {
	r, err := s.Resources.Get(ctx, w)
	if err != nil {
		return Explanation{}, err
	}
	now, err := s.Now(ctx)
	if err != nil {
		return Explanation{}, err
	}
	c := &chain{s: s, now: now, seen: map[string]bool{}}
	if err := c.resource(ctx, r, ""); err != nil {
		return Explanation{}, err
	}
	return Explanation{Resource: r, Summary: summary(r, c.links), Chain: c.links}, nil
}

// summary is the chain in a sentence: what it is, and the last cause.
func summary(r resource.Resource, links []Link) string {
	text := r.Name + " is " + string(r.Phase)
	for i := len(links) - 1; i >= 0; i-- {
		if l := links[i]; l.State == Failing || l.State == Refused || l.State == Waiting {
			return text + ": " + l.Text
		}
	}
	if r.Phase == resource.Ready {
		return text + ": as wanted, seen to be so"
	}
	return text
}
