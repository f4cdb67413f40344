package identity

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/fault"
	"fairlead/internal/ident"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// Options is what the service stands on.
type Options struct {
	DB     *sqldb.DB
	Access access.Authorizer
	Log    *slog.Logger

	SessionIdle time.Duration // a session unused for so long ends; 12 h by default
	SessionLife time.Duration // and after so long in any case; 7 d by default
	Throttle    Throttle      // of failed sign-ins
	Argon2      Argon2        // costs of new password hashes
	HashSlots   int           // password hashes computed at a time; 2 by default
}

// Service is who everybody is. It is safe for concurrent use.
type Service struct {
	db       *sqldb.DB
	store    store
	access   access.Authorizer
	log      *slog.Logger
	idle     time.Duration
	life     time.Duration
	throttle Throttle
	hasher   *hasher
	local    Provider
	cache    cache
	touched  touched
	failures failures
}

// New makes the service. Run must run beside it.
func New(o Options) *Service {
	s := &Service{
		db: o.DB, store: store{o.DB}, access: o.Access, log: o.Log, idle: o.SessionIdle, life: o.SessionLife,
		throttle: o.Throttle.orDefault(), hasher: newHasher(o.Argon2, o.HashSlots),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.idle <= 0 {
		s.idle = 12 * time.Hour
	}
	if s.life <= 0 {
		s.life = 7 * 24 * time.Hour
	}
	s.local = &localProvider{store: s.store, hasher: s.hasher}
	return s
}

const (
	topic        = "identity" // woken when a credential or a role of somebody changed
	touchEvery   = 5 * time.Second
	sweepEvery   = 15 * time.Minute
	maxTitle     = 120
	maxTokenName = 80
)

// Run forgets what other replicas changed, writes down when credentials were
// last used, records failed sign-ins and clears away what ended long ago, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	changed, unsubscribe := s.db.Subscribe(topic)
	defer unsubscribe()
	s.cache.clear() // what changed before the subscription
	touch, sweep, failed := time.NewTicker(touchEvery), time.NewTicker(sweepEvery), time.NewTicker(failuresEvery)
	defer touch.Stop()
	defer failed.Stop()
	defer sweep.Stop()
	for {
		select {
		case <-changed:
			s.cache.clear()
		case <-touch.C:
			s.flushTouched(ctx)
		case <-failed.C:
			s.recordFailures(ctx)
		case <-sweep.C:
			if err := s.db.Write(ctx, "identity.sweep", func(tx *sqldb.Tx) error { return s.store.sweep(ctx, tx) }); err != nil && ctx.Err() == nil {
				s.log.WarnContext(ctx, "ended sessions and links could not be cleared away", "error", err)
			}
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer cancel()
			s.flushTouched(last)
			s.recordFailures(last)
			return nil
		}
	}
}

// changed empties the caches everywhere once tx is committed: here before the
// caller has its answer, elsewhere as soon as the wake-up arrives.
func (s *Service) changed(tx *sqldb.Tx) {
	tx.After(s.cache.clear)
	tx.Notify(topic, "")
}

// check asks access; what the caller may not know of looks like what is not there.
func (s *Service) check(ctx context.Context, action access.Action, target access.Target) (access.Decision, error) {
	d, err := s.access.Check(ctx, action, target)
	if fault.Is(err, fault.NotFound) {
		return d, notFound(target.Kind)
	}
	return d, err
}

// known gives the caller, who must have been recognised.
func known(ctx context.Context) (principal.Principal, error) {
	p := principal.From(ctx)
	if p.Kind == principal.Anonymous || p.ID == "" {
		return p, unauthenticated()
	}
	return p, nil
}

// self gives the caller for something that concerns only themselves, and that
// a token with scopes is not for unless one names it.
func self(ctx context.Context, action access.Action) (principal.Principal, access.Decision, error) {
	p, err := known(ctx)
	if err != nil {
		return p, access.Decision{}, err
	}
	if p.Kind == principal.Internal {
		return p, access.Decision{}, notFound("user")
	}
	if !access.ScopeAllows(p.Scopes, action) {
		return p, access.Decision{}, fault.New(fault.Denied, "scope_too_narrow", "this token is not for that").
			WithHint("its scopes do not include %s; use another token or sign in", action)
	}
	return p, access.Decision{Allowed: true, Policies: []string{"self"}}, nil
}

func (s *Service) teamByRef(ctx context.Context, q sqldb.Querier, ref string, lock bool) (Team, error) {
	if !ident.IsRef(ref) {
		return Team{}, notFound("team")
	}
	t, err := s.store.team(ctx, q, ref, lock)
	if missing(err) {
		return Team{}, notFound("team")
	}
	return t, err
}

func (s *Service) accountByRef(ctx context.Context, q sqldb.Querier, ref string, kind principal.Kind) (account, error) {
	if !ident.IsRef(ref) {
		return account{}, notFound(string(kind))
	}
	a, err := s.store.account(ctx, q, ref, kind)
	if missing(err) {
		return account{}, notFound(string(kind))
	}
	return a, err
}

// lockAccount reads an account again inside the transaction that changes it.
func (s *Service) lockAccount(ctx context.Context, tx *sqldb.Tx, id, kind string, ifVersion int64) (account, error) {
	a, err := s.store.accountByID(ctx, tx, id, true)
	if missing(err) {
		return account{}, notFound(kind)
	}
	if err == nil && ifVersion != 0 && a.version != ifVersion {
		err = stale(kind)
	}
	return a, err
}

func (s *Service) record(ctx context.Context, tx *sqldb.Tx, action access.Action, t access.Target, d access.Decision, details map[string]any) {
	audit.Append(ctx, tx, audit.Entry{Action: string(action), Target: t, Decision: d, Details: details})
}

// powers is what a principal holds, as the transaction sees it: a snapshot in
// a request may be some seconds old, and that is too old to hand out power.
type powers struct {
	all      bool
	bindings []binding
}

func (s *Service) powersOf(ctx context.Context, tx *sqldb.Tx, p principal.Principal) (powers, error) {
	if p.Kind == principal.Internal {
		return powers{all: true}, nil
	}
	a, err := s.store.accountByID(ctx, tx, p.ID, false)
	if missing(err) || err == nil && !a.disabledAt.IsZero() {
		return powers{}, nil
	}
	if err != nil {
		return powers{}, err
	}
	bindings, err := s.store.bindings(ctx, tx, p.ID)
	if err != nil {
		return powers{}, err
	}
	if a.kind == principal.Robot {
		bindings = slices.DeleteFunc(bindings, func(b binding) bool { return b.teamID != a.teamID })
	}
	pw := powers{bindings: bindings}
	pw.all = pw.has("", principal.PlatformAdmin)
	return pw, nil
}

func (pw powers) has(teamID string, role principal.Role) bool {
	return slices.ContainsFunc(pw.bindings, func(b binding) bool { return b.teamID == teamID && b.role == role })
}

// covers tells whether whoever holds pw may hand out b: nobody grants what
// they do not hold. A team's owner holds every role of the team.
func (pw powers) covers(b binding) bool {
	return pw.all || pw.has(b.teamID, b.role) || b.teamID != "" && pw.has(b.teamID, principal.TeamOwner)
}

// outranks refuses when a principal holds anything that the caller does not:
// whoever makes a credential for somebody can do what that somebody can.
func (s *Service) outranks(ctx context.Context, tx *sqldb.Tx, id string) error {
	mine, err := s.powersOf(ctx, tx, principal.From(ctx))
	if err != nil || mine.all {
		return err
	}
	theirs, err := s.store.bindings(ctx, tx, id)
	if err != nil {
		return err
	}
	for _, b := range theirs {
		if !mine.covers(b) {
			return notHeld(b)
		}
	}
	return nil
}

func notHeld(b binding) error {
	where := "the organisation"
	if b.teamID != "" {
		where = "team " + b.team
	}
	return fault.New(fault.Denied, "role_not_held", "the role %s in %s is not yours to give or take", b.role, where).
		WithHint("only who holds a role, the team's owner or a platform administrator may")
}
