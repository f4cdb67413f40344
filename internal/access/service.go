package access

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"fairlead/internal/fault"
	"fairlead/internal/loop"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// Topics of wake-ups.
const (
	topicPolicies  = "access"    // a new version of the policies
	topicDirectory = "directory" // a team, project or environment came, went or changed
)

// Directory lists all teams, projects and environments, whoever asks, for
// Scope and for names in Why. Targets carry TeamID, ProjectID, class and
// attributes. It notifies the topic "directory" when any of them changes.
type Directory interface {
	Teams(ctx context.Context) ([]Target, error)
	Projects(ctx context.Context) ([]Target, error)
	Environments(ctx context.Context) ([]Target, error)
}

// Principals looks up somebody else for Why, by id or name; NotFound else.
type Principals interface {
	Lookup(ctx context.Context, idOrName string) (principal.Principal, error)
}

// AuditFunc appends to the audit log in the transaction of the mutation; it is
// audit.Append, which this package cannot import.
type AuditFunc func(ctx context.Context, tx *sqldb.Tx, action Action, target Target, d Decision, details map[string]any)

// Options are a Service's dependencies.
type Options struct {
	DB    *sqldb.DB
	Audit AuditFunc
	// Keep gives a context with who asks and from where, and nothing else of
	// the request; without it denials are not recorded.
	Keep       func(ctx context.Context) context.Context
	Directory  Directory  // may be set later with SetDirectory, before the first Scope
	Principals Principals // may be set later with SetPrincipals, before the first Why
	Log        *slog.Logger
}

// Service decides, and keeps the policies that it decides by. It is safe for
// concurrent use.
type Service struct {
	store      store
	audit      AuditFunc
	keep       func(ctx context.Context) context.Context
	directory  Directory
	principals Principals
	log        *slog.Logger

	current atomic.Pointer[Set]
	reload  sync.Mutex // one reload at a time
	lists   listCache
	denials denials
	stats   struct{ allowed, denied, errors atomic.Int64 }
}

var _ Authorizer = (*Service)(nil)

// New loads the policies in force; on the first start it stores the embedded
// ones as version 1. Loop keeps up with later versions.
func New(ctx context.Context, o Options) (*Service, error) {
	s := &Service{
		store: store{o.DB}, audit: o.Audit, keep: o.Keep, directory: o.Directory, principals: o.Principals,
		log: o.Log,
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.audit == nil {
		return nil, fmt.Errorf("access: no audit")
	}
	s.lists.init(o.DB)
	if err := s.firstStart(ctx); err != nil {
		return nil, err
	}
	if err := s.Reload(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// SetDirectory completes the wiring: projects authorise through this service
// and are in turn its directory.
func (s *Service) SetDirectory(d Directory) { s.directory = d }

// SetPrincipals completes the wiring, for the same reason.
func (s *Service) SetPrincipals(p Principals) { s.principals = p }

func (s *Service) firstStart(ctx context.Context) error {
	if n, err := s.store.newestNumber(ctx, s.store.db.Read()); err != nil || n > 0 {
		return err
	}
	ctx = principal.With(ctx, principal.System)
	err := s.store.db.Write(ctx, "access.first", func(tx *sqldb.Tx) error {
		if n, err := s.store.newestNumber(ctx, tx); err != nil || n > 0 {
			return err
		}
		v := Version{
			Version: 1, Digest: digestOf(defaultSource), Source: defaultSource, Note: "the default policies",
			CreatedAt: tx.Now(), CreatedBy: principal.System.ID,
		}
		if err := s.store.insert(ctx, tx, v); err != nil {
			return err
		}
		s.audit(ctx, tx, AccessUpdate, policiesTarget(v.Version), Decision{Allowed: true, Policies: []string{systemPolicy}},
			map[string]any{"version": v.Version, "digest": v.Digest, "note": v.Note})
		return nil
	})
	if sqldb.IsUnique(err) {
		return nil // another replica was quicker
	}
	return err
}

func policiesTarget(version int64) Target {
	return Target{Kind: "access", ID: fmt.Sprint(version), Name: "policies"}
}

// Loop keeps the policies current: woken by other replicas, and by a slow poll
// because wake-ups get lost. When a pass fails, what is in memory stays in
// force.
func (s *Service) Loop() loop.Loop {
	return loop.Loop{Name: "access.reload", Every: 10 * time.Second, Wake: topicPolicies, Do: s.Reload}
}

// Reload puts the newest stored version in force in this process.
func (s *Service) Reload(ctx context.Context) error {
	s.reload.Lock()
	defer s.reload.Unlock()
	n, err := s.store.newestNumber(ctx, s.store.db.Read())
	if err != nil {
		return err
	}
	if cur := s.current.Load(); cur != nil && cur.version >= n {
		return nil
	}
	v, err := s.store.newest(ctx, s.store.db.Read())
	if err != nil {
		return err
	}
	// Stored text was checked when it was written. It is parsed, not checked
	// again: a stricter schema in a later release must not lock everyone out.
	set, err := Parse(v.Source)
	if err != nil {
		return fmt.Errorf("policies version %d: %w", v.Version, err)
	}
	set.version = v.Version
	s.adopt(set)
	return nil
}

// adopt puts a stored set in force here, unless a newer one is already.
func (s *Service) adopt(set *Set) {
	for {
		cur := s.current.Load()
		if cur != nil && cur.version >= set.version {
			return
		}
		if s.current.CompareAndSwap(cur, set) {
			s.log.Info("access policies in force", "version", set.version, "policies", len(set.rules), "digest", set.digest)
			return
		}
	}
}

// Check implements Authorizer. A denied request has no side effect: a denial
// is logged and counted, and the sums go to the audit log apart from it (see
// denials).
func (s *Service) Check(ctx context.Context, a Action, t Target) (Decision, error) {
	p := principal.From(ctx)
	set := s.current.Load()
	v, err := set.ask(p, a, t)
	if err != nil {
		s.stats.errors.Add(1)
		return v.Decision, err
	}
	if len(v.errors) > 0 {
		s.stats.errors.Add(1)
		s.log.ErrorContext(ctx, "a policy could not be evaluated", "policy", v.errors[0].PolicyID, "action", a, "target", t.Kind, "id", t.ID, "error", v.errors[0].Message)
	}
	if v.Allowed {
		s.stats.allowed.Add(1)
		return v.Decision, nil
	}
	f := set.refusal(p, a, t)
	if wondering(ctx) {
		return v.Decision, f
	}
	s.stats.denied.Add(1)
	if f.Kind != fault.Unauthenticated {
		s.log.InfoContext(ctx, "denied", "code", f.Code, "principal", p.ID, "action", a, "target", t.Kind, "id", t.ID, "team", t.TeamID,
			"policies", v.Policies, "version", v.Version)
		s.noteDenial(ctx, p, a, t, v.Decision, f.Code)
	}
	return v.Decision, f
}

// Stats counts decisions since the start: allowed, denied, and those in which
// something could not be evaluated.
func (s *Service) Stats() (allowed, denied, errors int64) {
	return s.stats.allowed.Load(), s.stats.denied.Load(), s.stats.errors.Load()
}
