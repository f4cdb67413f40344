package cost

import (
	"context"
	"log/slog"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/event"
	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// topic is woken when the prices change.
const topic = "prices"

// Request is what somebody would ask for.
type Request struct {
	Project, Environment string // names or ids
	Template, Version    string // version "" is the newest
	Inputs               map[string]any
}

// Requests gives what would be judged of a request: the caller sees the
// environment and the template, and the inputs are valid, or the error says
// what is wrong.
type Requests interface {
	Facts(ctx context.Context, r Request) (gate.Facts, error)
}

// Usage tells which limits a request falls under.
type Usage interface {
	Usage(ctx context.Context, f gate.Facts) ([]gate.Use, error)
}

// Options is what the service stands on. All are needed.
type Options struct {
	DB       *sqldb.DB
	Access   access.Authorizer
	Requests Requests
	Usage    Usage
	Living   Living
	Holdings Holdings
	Log      *slog.Logger
}

// Service knows prices, costs and what was spent. It is safe for concurrent use.
type Service struct {
	db       *sqldb.DB
	store    store
	access   access.Authorizer
	requests Requests
	usage    Usage
	living   Living
	holdings Holdings
	log      *slog.Logger
	active   inForce
	rules    memo[ruleKey, *rule]
	costs    memo[costKey, gate.Cost]
}

// New makes the service.
func New(o Options) *Service {
	s := &Service{db: o.DB, store: store{o.DB}, access: o.Access, requests: o.Requests, usage: o.Usage, living: o.Living, holdings: o.Holdings, log: o.Log}
	s.rules.most, s.costs.most = 200, 5000
	s.active.changed, _ = o.DB.Subscribe(topic) // for the life of the DB
	return s
}

// priceTable is what actions on prices are on.
var priceTable = access.Target{Kind: "quota", Name: "price table"}

// Put makes a document the price table in force. The same prices again change
// nothing and give the version that is there.
func (s *Service) Put(ctx context.Context, document string) (t Table, created bool, err error) {
	if err := known(ctx); err != nil {
		return Table{}, false, err
	}
	d, err := s.access.Check(ctx, access.QuotaManage, priceTable)
	if err != nil {
		return Table{}, false, err
	}
	p, err := ParsePrices([]byte(document))
	if err != nil {
		return Table{}, false, err
	}
	err = s.db.Write(ctx, "cost.prices", func(tx *sqldb.Tx) error {
		created = false
		if err := s.store.lockPrices(ctx, tx); err != nil {
			return err
		}
		last, err := s.store.newest(ctx, tx)
		if err != nil {
			return err
		}
		if t = last; last.Version > 0 && last.Digest == p.Digest {
			t.Prices = p
			return nil
		}
		t = Table{Prices: p, Version: last.Version + 1, Count: len(p.Items), Document: document, CreatedAt: tx.Now(), CreatedBy: principal.From(ctx).ID}
		if err := s.store.put(ctx, tx, t); err != nil {
			return err
		}
		created = true
		details := map[string]any{"version": t.Version, "digest": p.Digest, "currency": p.Currency, "items": len(p.Items)}
		audit.Append(ctx, tx, audit.Entry{Action: string(access.QuotaManage), Target: priceTable, Decision: d, Details: details})
		tx.Notify(topic, "")
		return event.Emit(ctx, tx, event.Event{Type: "prices.changed", Subject: p.Digest, Data: details})
	})
	return t, created, err
}

// Table gives a version of the price table; 0 is the one in force.
func (s *Service) Table(ctx context.Context, version int64) (Table, error) {
	if err := s.mayRead(ctx); err != nil {
		return Table{}, err
	}
	t, err := s.store.newest(ctx, s.db.Read())
	if version != 0 && err == nil {
		t, err = s.store.version(ctx, version)
	}
	if err != nil {
		return Table{}, err
	}
	if t.Version == 0 {
		return Table{}, fault.New(fault.NotFound, "no_prices", "there is no such price table").
			WithHint("see which there are: fairlead cost prices history; or put one: fairlead cost prices put FILE")
	}
	t.Prices, err = ParsePrices([]byte(t.Document))
	return t, err
}

// History lists the versions of the price table, the newest first.
func (s *Service) History(ctx context.Context, page sqldb.Page) (items []Table, next string, err error) {
	if err := s.mayRead(ctx); err != nil {
		return nil, "", err
	}
	return tables.Page(ctx, s.db.Read(), sqldb.Where{}, "", page)
}

// mayRead lets everyone read prices who may see what anything costs.
func (s *Service) mayRead(ctx context.Context) error {
	if err := known(ctx); err != nil {
		return err
	}
	scope, err := s.access.Scope(ctx, access.QuotaView)
	if err != nil {
		return err
	}
	if scope.All || len(scope.TeamIDs) > 0 {
		return nil
	}
	_, err = s.access.Check(ctx, access.QuotaView, priceTable)
	return err
}

// Preview is what a request would cost, and what it would take of which limit.
type Preview struct {
	Cost  gate.Cost
	Units map[string]float64
	Usage []gate.Use
}

// Preview tells what a request would cost before it is made. Nothing is
// created, reserved or recorded.
func (s *Service) Preview(ctx context.Context, r Request) (Preview, error) {
	if err := known(ctx); err != nil {
		return Preview{}, err
	}
	f, err := s.requests.Facts(ctx, r)
	if err != nil {
		return Preview{}, err
	}
	if _, err := s.access.Check(ctx, access.QuotaView, within(f.Environment)); err != nil {
		return Preview{}, err
	}
	if f.Cost, err = s.Estimate(ctx, f); err != nil {
		return Preview{}, err
	}
	p := Preview{Cost: f.Cost, Units: f.Template.Units}
	p.Usage, err = s.usage.Usage(ctx, f)
	return p, err
}

func within(e gate.Environment) access.Target {
	return access.Target{Kind: "quota", Name: e.Name, TeamID: e.TeamID, ProjectID: e.ProjectID, EnvironmentID: e.ID, EnvironmentClass: e.Class}
}

func known(ctx context.Context) error {
	if p := principal.From(ctx); p.Kind == principal.Anonymous || p.ID == "" {
		return fault.New(fault.Unauthenticated, "unauthenticated", "sign in first").WithHint("use fairlead login, or send a token")
	}
	return nil
}
