package lease

import (
	"context"
	"log/slog"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/gate"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// Topic is woken when the loop has something to do at once.
const Topic = "leases"

// Resources takes resources away.
type Resources interface {
	// End asks, as the system, for the end of a resource, with a last snapshot
	// where its engine can keep one. It fails with the code in_use while
	// something that stays refers to it. Asking again is success.
	End(ctx context.Context, projectID, environmentID, resourceID string) error
}

// Environments finds and deletes environments.
type Environments interface {
	// Resolve finds one by names or ids for the principal in ctx.
	Resolve(ctx context.Context, project, environment string) (gate.Environment, error)
	// Delete deletes one in which everything is seen to be gone; NotFound when
	// it is deleted already.
	Delete(ctx context.Context, projectID, environmentID string) error
}

// Costs knows what things have cost.
type Costs interface {
	// CostSoFar is what a resource, or all of an environment, has cost until
	// now; 0 and "" when nobody knows.
	CostSoFar(ctx context.Context, id string) (amount float64, currency string, err error)
}

// People finds who may own a lease, with the roles that they have now.
type People interface {
	Lookup(ctx context.Context, idOrName string) (principal.Principal, error)
}

// Records is the audit log, where the evidence of destruction is.
type Records interface {
	Search(ctx context.Context, f audit.Filter, p sqldb.Page) ([]audit.Record, string, error)
}

// Options is what the service stands on. All are needed.
type Options struct {
	DB           *sqldb.DB
	Access       access.Authorizer
	Resources    Resources
	Environments Environments
	Costs        Costs
	People       People
	Records      Records
	Log          *slog.Logger
}

// Service keeps leases. It is safe for concurrent use.
type Service struct {
	Options
	store store
	rules inForce
}

// New makes the service.
func New(o Options) *Service {
	s := &Service{Options: o, store: store{o.DB}}
	s.rules.changed, _ = o.DB.Subscribe(rulesTopic)
	return s
}

type decision = access.Decision
