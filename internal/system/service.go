package system

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/backup"
	"fairlead/internal/conf"
	"fairlead/internal/drift"
	"fairlead/internal/engines"
	"fairlead/internal/ident"
	"fairlead/internal/principal"
	"fairlead/internal/queue"
	"fairlead/internal/resource"
	"fairlead/internal/sqldb"
)

// Engines tells of this server's engines; engines.Service does.
type Engines interface {
	List(ctx context.Context) ([]engines.Info, error)
}

// Chain is the audit log; audit.Log is.
type Chain interface {
	Status(ctx context.Context) (audit.Status, error)
}

// Brakes tells what the mass-drift brake holds; drift.Service does.
type Brakes interface {
	Brakes(ctx context.Context) ([]drift.HeldScope, error)
}

// Backups tells of the newest backup and the newest whole one; backup.Service does.
type Backups interface {
	Last(ctx context.Context) (newest, whole backup.Record, err error)
}

// Options is what a Service stands on.
type Options struct {
	DB       *sqldb.DB
	Access   access.Authorizer
	Engines  Engines
	Chain    Chain
	Brakes   Brakes
	Backups  Backups
	Settings func() []conf.Setting // in force on this server
	Version  string
	Host     string
	Address  string // that this server listens on
	Data     string // its data directory
	Holder   string // what the queue knows its workers as
	Workers  map[string]int
	Alone    bool // no other server can be on the store
	Observe  time.Duration
	Limits   conf.Health   // as by default when zero
	Beat     time.Duration // between two heartbeats; 10 s when 0
	Log      *slog.Logger
}

// Service tells how the installation is. It is safe for concurrent use.
type Service struct {
	Options
	store store
	id    string

	mu     sync.Mutex
	report Report
}

// New makes a Service. Run must run beside it.
func New(o Options) *Service {
	if o.Beat == 0 {
		o.Beat = 10 * time.Second
	}
	if o.Limits == (conf.Health{}) {
		o.Limits = conf.DefaultHealth()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{Options: o, store: store{o.DB}, id: ident.New("srv")}
}

var target = access.Target{Kind: "system"}

// Status tells how the installation is. It needs system:view.
func (s *Service) Status(ctx context.Context) (Status, error) {
	if _, err := s.Access.Check(ctx, access.SystemView, target); err != nil {
		return Status{}, err
	}
	ctx = principal.With(ctx, principal.System) // what follows is not anybody's, and is shown to who may see the system
	began := time.Now()
	now, err := s.store.now(ctx)
	if err != nil {
		return Status{}, err
	}
	st := Status{At: now, Version: s.Version, Server: s.id, Store: Store{Kind: s.DB.Dialect(), Read: time.Since(began)}}
	if st.Servers, err = s.servers(ctx, now); err != nil {
		return st, err
	}
	for _, r := range st.Servers {
		if !r.Lost {
			st.Store.Commit, st.Store.Bytes = max(st.Store.Commit, r.Commit), max(st.Store.Bytes, r.Store)
		}
	}
	if st.Queue, err = queue.Depths(ctx, s.DB); err != nil {
		return st, err
	}
	if st.Behind, err = resource.Backlogs(ctx, s.DB); err != nil {
		return st, err
	}
	st.Engines = overall(st.Servers, st.Queue)
	if st.Suspects, err = resource.CountSuspects(ctx, s.DB); err != nil {
		return st, err
	}
	if st.Held, err = s.Brakes.Brakes(ctx); err != nil {
		return st, err
	}
	st.Held = slices.DeleteFunc(st.Held, func(h drift.HeldScope) bool { return h.HeldAt.IsZero() })
	if st.Audit, err = s.Chain.Status(ctx); err != nil {
		return st, err
	}
	if st.Newest, st.Whole, err = s.Backups.Last(ctx); err != nil {
		return st, err
	}
	st.Checks = s.judge(st)
	st.Level = OK
	for _, c := range st.Checks {
		st.Level = worse(st.Level, c.Level)
	}
	return st, nil
}

// overall sums up how each engine is on the servers that are alive. Every
// living resource has its row in the queue, which so says what is used.
func overall(servers []Server, lanes []queue.Depth) []Engine {
	byName := map[string]*Engine{}
	var names []string
	for _, r := range servers {
		if r.Lost {
			continue
		}
		for _, e := range r.Engines {
			sum := byName[e.Name]
			if sum == nil {
				sum = &Engine{Name: e.Name, Used: slices.ContainsFunc(lanes, func(d queue.Depth) bool { return d.Lane == e.Name })}
				byName[e.Name] = sum
				names = append(names, e.Name)
			}
			sum.Of++
			sum.Workers += r.Workers[e.Name]
			if p := strings.TrimSpace(e.Program + " " + e.Version); p != "" && !slices.Contains(sum.Programs, p) {
				sum.Programs = append(sum.Programs, p)
			}
			if sum.Isolation == "" {
				sum.Isolation = e.Isolation
			}
			if e.Code == "" {
				sum.Ready++
			} else if sum.Problem == nil {
				sum.Problem, sum.On = &e, r.Host
			}
		}
	}
	slices.Sort(names)
	out := make([]Engine, 0, len(names))
	for _, name := range names {
		out = append(out, *byName[name])
	}
	return out
}

// Configuration gives the configuration in force on the server that answers,
// without secrets. It needs system:view.
func (s *Service) Configuration(ctx context.Context) ([]conf.Setting, error) {
	if _, err := s.Access.Check(ctx, access.SystemView, target); err != nil {
		return nil, err
	}
	return s.Settings(), nil
}

// CheckEngines asks the engines of the server that answers how they are, now.
// It needs system:view.
func (s *Service) CheckEngines(ctx context.Context) error {
	if _, err := s.Access.Check(ctx, access.SystemView, target); err != nil {
		return err
	}
	ctx = principal.With(ctx, principal.System)
	if err := s.askEngines(ctx); err != nil {
		return err
	}
	return s.beat(ctx)
}
