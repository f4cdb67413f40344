package resource

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/engine"
	"fairlead/internal/fault"
	"fairlead/internal/principal"
	"fairlead/internal/queue"
	"fairlead/internal/redact"
	"fairlead/internal/sqldb"
)

// Environments finds where resources live.
type Environments interface {
	// Resolve finds an environment by names or ids for the principal in ctx;
	// NotFound when it is not there or not theirs to know. It may be a moment
	// behind: a change looks again (Load, or in its transaction).
	Resolve(ctx context.Context, project, environment string) (Environment, error)
	// Load finds it by id as it is now, for a worker or a change.
	Load(ctx context.Context, id string) (Environment, error)
}

// Templates finds what resources are made from.
type Templates interface {
	// Find gives a version by number or constraint; "" is the newest stable.
	Find(ctx context.Context, name, version string) (Template, error)
	// Load gives exactly this version, for a worker.
	Load(ctx context.Context, name, version string) (Template, error)
	// References lists the references in inputs: JSON pointer to resource and output.
	References(inputs map[string]any) ([]Reference, error)
	// Resolve gives a copy of inputs with each reference replaced.
	Resolve(inputs map[string]any, value func(resource, output string) (any, error)) (map[string]any, error)
}

// Secrets keeps the sensitive outputs.
type Secrets interface {
	Put(ctx context.Context, tx *sqldb.Tx, owner, name string, value redact.Secret) error
	Get(ctx context.Context, owner, name string) (redact.Secret, error)
	Delete(ctx context.Context, tx *sqldb.Tx, owner string) error
}

// Queue takes work, in the transaction that asks for it.
type Queue interface {
	Enqueue(ctx context.Context, tx *sqldb.Tx, w queue.Work) error
}

// Options says what a Service works with. All but Queue and ObserveEvery are
// needed.
type Options struct {
	DB           *sqldb.DB
	Access       access.Authorizer
	Environments Environments
	Templates    Templates
	Secrets      Secrets
	Gates        Gates
	Drifts       Drifts
	Acceptances  Acceptances
	Checks       Checks
	Queue        Queue // nil: work waits in the queue for whoever looks first
	Engines      map[string]engine.Engine
	Inventories  map[string]Inventory // of the engines that can list what they made
	Installation string               // this control plane's id
	ObserveEvery time.Duration        // default 60 s; a template may say otherwise
	Log          *slog.Logger
}

// Service is what people may do with resources and runs, and the handler that
// makes it real. It is safe for concurrent use.
type Service struct {
	Options
	db store
}

// New makes a Service.
func New(o Options) *Service {
	if o.ObserveEvery <= 0 {
		o.ObserveEvery = time.Minute
	}
	return &Service{Options: o, db: store{o.DB}}
}

// Where names a resource: its environment and its name or id.
type Where struct {
	Project     string
	Environment string
	Name        string
}

// located is a resource with where it lives, after the caller was authorised.
type located struct {
	Resource
	env      Environment
	decision access.Decision
}

// locate finds a resource and asks whether the caller may do action on it.
func (s *Service) locate(ctx context.Context, w Where, action access.Action) (located, error) {
	env, err := s.Environments.Resolve(ctx, w.Project, w.Environment)
	if err == nil && action != access.ResourceView {
		env, err = s.Environments.Load(ctx, env.ID)
	}
	if err != nil {
		return located{}, err
	}
	r, err := s.db.find(ctx, s.DB.Read(), env.ID, w.Name)
	if err != nil {
		if errors.Is(err, sql.ErrNoRows) {
			// Whoever may not view resources here learns nothing by asking.
			if _, aerr := s.Access.Check(ctx, access.ResourceView, env.target("resource", "", w.Name, "")); aerr != nil {
				return located{}, aerr
			}
			return located{}, noResource(w.Name, env)
		}
		return located{}, err
	}
	return s.authorise(ctx, r, env, action)
}

// locateID is locate by the resource's id alone.
func (s *Service) locateID(ctx context.Context, id string, action access.Action) (located, error) {
	notFound := fault.New(fault.NotFound, "resource_not_found", "no resource with this id").
		WithHint("list what is there: fairlead get resources")
	r, err := s.db.byID(ctx, s.DB.Read(), id)
	if errors.Is(err, sql.ErrNoRows) {
		if err := signedIn(ctx); err != nil {
			return located{}, err
		}
		return located{}, notFound
	}
	if err != nil {
		return located{}, err
	}
	env, err := s.Environments.Load(ctx, r.EnvironmentID)
	if err != nil {
		return located{}, err
	}
	l, err := s.authorise(ctx, r, env, action)
	if fault.Is(err, fault.NotFound) {
		return located{}, notFound
	}
	return l, err
}

func (s *Service) authorise(ctx context.Context, r Resource, env Environment, action access.Action) (located, error) {
	d, err := s.Access.Check(ctx, action, env.target("resource", r.ID, r.Name, r.Template))
	if err != nil {
		return located{}, err
	}
	return located{Resource: r, env: env, decision: d}, nil
}

func noResource(name string, env Environment) error {
	return fault.New(fault.NotFound, "resource_not_found", "no resource %q in %s/%s", clip(name), env.Project, env.Name).
		WithHint("list what is there: fairlead get resources -e %s/%s", env.Project, env.Name)
}

func clip(s string) string {
	if len(s) > 60 {
		return s[:60] + "…"
	}
	return s
}

// Get gives one resource. Its sensitive outputs have no values.
func (s *Service) Get(ctx context.Context, w Where) (Resource, error) {
	l, err := s.locate(ctx, w, access.ResourceView)
	return l.Resource, err
}

// ByID is Get by id.
func (s *Service) ByID(ctx context.Context, id string) (Resource, error) {
	l, err := s.locateID(ctx, id, access.ResourceView)
	return l.Resource, err
}

// Filter narrows a list; empty fields do not.
type Filter struct {
	Project     string
	Environment string // with Project it must be one that the caller knows
	Template    string
	Version     string // of the template
	Phase       Phase
	Attention   bool   // only those that may need somebody: failed, lost, waiting, retrying, canceled
	Search      string // part of the name
	Destroyed   bool   // also those that are gone
	Sort        string // name, created or updated; with - before it the other way round
}

// List gives the resources that the caller may see, and the key of the
// next page ("" on the last).
func (s *Service) List(ctx context.Context, f Filter, p sqldb.Page) ([]Resource, string, error) {
	if err := signedIn(ctx); err != nil {
		return nil, "", err
	}
	var envID string
	if f.Environment != "" && f.Project != "" {
		env, err := s.Environments.Resolve(ctx, f.Project, f.Environment)
		if err != nil {
			return nil, "", err
		}
		if _, err := s.Access.Check(ctx, access.ResourceView, env.target("resource", "", "", "")); err != nil {
			return nil, "", err
		}
		envID = env.ID
	}
	scope, err := s.Access.Scope(ctx, access.ResourceView)
	if err != nil {
		return nil, "", err
	}
	return s.db.list(ctx, f, envID, scope, p)
}

func signedIn(ctx context.Context) error {
	if principal.From(ctx).Kind == principal.Anonymous {
		return fault.New(fault.Unauthenticated, "unauthenticated", "sign in first")
	}
	return nil
}

// Revisions gives a resource's revisions, newest first.
func (s *Service) Revisions(ctx context.Context, w Where, p sqldb.Page) ([]Revision, string, error) {
	l, err := s.locate(ctx, w, access.ResourceView)
	if err != nil {
		return nil, "", err
	}
	return s.db.revisions(ctx, l.ID, p)
}

// Revision gives one revision of a resource.
func (s *Service) Revision(ctx context.Context, w Where, number int64) (Revision, error) {
	l, err := s.locate(ctx, w, access.ResourceView)
	if err != nil {
		return Revision{}, err
	}
	v, err := s.db.revision(ctx, s.DB.Read(), l.ID, number)
	if errors.Is(err, sql.ErrNoRows) {
		return v, fault.New(fault.NotFound, "no_such_revision", "%s has no revision %d", l.Name, number).WithHint("%s", l.Pasted("see them with: fairlead describe RESOURCE"))
	}
	return v, err
}

// References gives both directions of a resource's edges: what it refers to,
// and what refers to it (there Resource and TargetID are the one that refers).
func (s *Service) References(ctx context.Context, w Where) (to, from []Reference, err error) {
	l, err := s.locate(ctx, w, access.ResourceView)
	if err != nil {
		return nil, nil, err
	}
	if to, err = s.db.references(ctx, l.ID); err != nil {
		return nil, nil, err
	}
	from, err = s.db.referredBy(ctx, s.DB.Read(), l.ID)
	return to, from, err
}

// EdgesByID is References by id.
func (s *Service) EdgesByID(ctx context.Context, id string) (to, from []Reference, err error) {
	l, err := s.locateID(ctx, id, access.ResourceView)
	if err != nil {
		return nil, nil, err
	}
	if to, err = s.db.references(ctx, l.ID); err != nil {
		return nil, nil, err
	}
	from, err = s.db.referredBy(ctx, s.DB.Read(), l.ID)
	return to, from, err
}

// TurnByID tells how it stands with the work on a resource.
func (s *Service) TurnByID(ctx context.Context, id string) (queue.Turn, error) {
	l, err := s.locateID(ctx, id, access.ResourceView)
	if err != nil {
		return queue.Turn{}, err
	}
	return queue.Look(ctx, s.DB, l.ID)
}

// Until says what a wait is for.
type Until struct {
	Settled bool  // nothing less: not each change on the way
	Known   int64 // else a change of the version that the caller has; 0 is the one there is now
}

// reached tells whether r is what was waited for.
func (u Until) reached(r Resource) bool {
	return r.Phase.Settled() || !u.Settled && r.Version != u.Known
}

// Wait returns the resource once it is what was waited for or has settled, and
// after at most limit as it is then.
func (s *Service) Wait(ctx context.Context, w Where, until Until, limit time.Duration) (Resource, error) {
	l, err := s.locate(ctx, w, access.ResourceView)
	if err != nil {
		return Resource{}, err
	}
	return s.wait(ctx, l, until, limit)
}

// WaitID is Wait by id.
func (s *Service) WaitID(ctx context.Context, id string, until Until, limit time.Duration) (Resource, error) {
	l, err := s.locateID(ctx, id, access.ResourceView)
	if err != nil {
		return Resource{}, err
	}
	return s.wait(ctx, l, until, limit)
}

func (s *Service) wait(ctx context.Context, l located, until Until, limit time.Duration) (Resource, error) {
	if until.Known == 0 {
		until.Known = l.Version
	}
	if limit <= 0 || until.reached(l.Resource) {
		return l.Resource, nil
	}
	wake, stop := s.DB.Subscribe(topic(l.ID))
	defer stop()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	for {
		r, err := s.db.byID(ctx, s.DB.Read(), l.ID)
		if err != nil || until.reached(r) {
			return r, err
		}
		poll := time.NewTimer(2 * time.Second) // wake-ups can get lost
		select {
		case <-wake:
		case <-poll.C:
		case <-deadline.C:
			poll.Stop()
			return r, nil
		case <-ctx.Done():
			poll.Stop()
			return r, nil
		}
		poll.Stop()
	}
}

// topic is what is notified when a resource or its run changes.
func topic(resourceID string) string { return "resource:" + resourceID }

// enqueue makes r due now or later, with the wake-up for whoever watches it.
func (s *Service) enqueue(ctx context.Context, tx *sqldb.Tx, r Resource, after time.Duration) error {
	tx.Notify(topic(r.ID), "")
	w := queue.Work{Key: r.ID, Lane: r.Engine, Team: r.TeamID, After: after}
	if s.Queue != nil {
		return s.Queue.Enqueue(ctx, tx, w)
	}
	return queue.Enqueue(ctx, tx, w)
}
