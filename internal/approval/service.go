package approval

import (
	"context"
	"log/slog"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// Topic is woken when something waits for an approval, or does not any more.
const Topic = "approvals"

// People is who there is. All are asked on the querier given, so that within a
// transaction the answer is of that transaction.
type People interface {
	// Person gives a user or robot by id or name, and whether they are enabled;
	// a disabled one has no roles. NotFound when there is none.
	Person(ctx context.Context, q sqldb.Querier, ref string) (p principal.Principal, enabled bool, err error)
	// Holders gives the enabled users with one of the roles in a team, or in
	// the organisation (teamID ""), by name, at most limit.
	Holders(ctx context.Context, q sqldb.Querier, teamID string, roles []principal.Role, limit int) ([]principal.Principal, error)
	// TeamByName gives a team by name or id; NotFound when there is none.
	TeamByName(ctx context.Context, q sqldb.Querier, ref string) (id, name string, err error)
	// Keepers gives the ids of who made the tokens by which a robot could act at a time, or since.
	Keepers(ctx context.Context, q sqldb.Querier, robotID string, at time.Time) ([]string, error)
}

// Waker makes what waits for an approval look again.
type Waker interface {
	// Wake makes a resource's work due, in the transaction that decided.
	Wake(ctx context.Context, tx *sqldb.Tx, resourceID string) error
}

// Options says what a Service works with. All but Wake and Log are needed.
type Options struct {
	DB     *sqldb.DB
	Access access.Authorizer
	People People
	Wake   Waker
	Log    *slog.Logger
}

// Service keeps approvals. It is safe for concurrent use.
type Service struct {
	db     *sqldb.DB
	store  store
	access access.Authorizer
	people People
	waker  Waker
	log    *slog.Logger
}

var _ gate.Approvals = (*Service)(nil)

// New makes a Service.
func New(o Options) *Service {
	s := &Service{db: o.DB, store: store{o.DB}, access: o.Access, people: o.People, waker: o.Wake, log: o.Log}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	return s
}

// wake lets what waits for a look again.
func (s *Service) wake(ctx context.Context, tx *sqldb.Tx, a Approval) error {
	if a.Kind != KindResource || s.waker == nil {
		return nil
	}
	return s.waker.Wake(ctx, tx, a.SubjectID)
}

func known(ctx context.Context) (principal.Principal, error) {
	p := principal.From(ctx)
	if p.Kind == principal.Anonymous || p.ID == "" {
		return p, fault.New(fault.Unauthenticated, "unauthenticated", "sign in first").WithHint("use fairlead login, or send a token")
	}
	return p, nil
}

func notFound() error {
	return fault.New(fault.NotFound, "not_found", "no such approval").WithHint("list what you can see: fairlead approvals")
}
