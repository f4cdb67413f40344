package state

import (
	"context"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/event"
	"fairlead/internal/fault"
	"fairlead/internal/resource"
	"fairlead/internal/sqldb"
)

// Resources finds resources.
type Resources interface {
	// Get finds one for the principal in ctx.
	Get(ctx context.Context, w resource.Where) (resource.Resource, error)
}

// Environments finds environments as they are now.
type Environments interface {
	Load(ctx context.Context, id string) (resource.Environment, error)
}

// Options is what a Service stands on. All are needed.
type Options struct {
	DB           *sqldb.DB
	Access       access.Authorizer
	Resources    Resources
	Environments Environments
	Keeper       Keeper
}

// Service is what people may do with states. It is safe for concurrent use.
type Service struct{ o Options }

// New makes a Service.
func New(o Options) *Service { return &Service{o} }

type located struct {
	resource.Resource
	target   access.Target
	decision access.Decision
}

// locate finds a resource that has a state, and asks whether the caller may.
func (s *Service) locate(ctx context.Context, w resource.Where, action access.Action) (located, error) {
	r, err := s.o.Resources.Get(ctx, w)
	if err != nil {
		return located{}, err
	}
	env, err := s.o.Environments.Load(ctx, r.EnvironmentID)
	if err != nil {
		return located{}, err
	}
	l := located{Resource: r, target: access.Target{
		Kind: "resource", ID: r.ID, Name: r.Name, TeamID: env.TeamID, ProjectID: env.ProjectID, EnvironmentID: env.ID,
		EnvironmentClass: env.Class, Template: r.Template, Attributes: env.Attributes,
	}}
	l.decision, err = s.o.Access.Check(ctx, action, l.target)
	return l, err
}

func noState(name string) error {
	return fault.New(fault.NotFound, "state_not_found", "%s has no state", name).
		WithHint("only resources of modules have one, from their first apply on until they are destroyed")
}

// Get tells of a resource's state. It needs state:view.
func (s *Service) Get(ctx context.Context, w resource.Where) (State, error) {
	l, err := s.locate(ctx, w, access.StateView)
	if err != nil {
		return State{}, err
	}
	st, err := s.o.Keeper.Current(ctx, l.ID)
	if err == nil && st.Version == 0 && st.Lock == nil {
		err = noState(l.Name)
	}
	return st, err
}

// Versions lists the versions that are kept, the newest first. It needs
// state:view.
func (s *Service) Versions(ctx context.Context, w resource.Where, p sqldb.Page) ([]Version, string, error) {
	l, err := s.locate(ctx, w, access.StateView)
	if err != nil {
		return nil, "", err
	}
	return s.o.Keeper.Versions(ctx, l.ID, p)
}

// Pull gives a version's content, the current one's when version is 0. It
// holds every secret that the module knows; who saw it is in the audit log
// before they do. It needs state:pull.
func (s *Service) Pull(ctx context.Context, w resource.Where, version int64) ([]byte, Version, error) {
	l, err := s.locate(ctx, w, access.StatePull)
	if err != nil {
		return nil, Version{}, err
	}
	if version == 0 {
		st, err := s.o.Keeper.Current(ctx, l.ID)
		if err != nil {
			return nil, Version{}, err
		}
		if version = st.Version; version == 0 {
			return nil, Version{}, noState(l.Name)
		}
	}
	body, v, err := s.o.Keeper.Read(ctx, l.ID, version)
	if err != nil {
		return nil, Version{}, err
	}
	err = s.o.DB.Write(ctx, "state.pull", func(tx *sqldb.Tx) error {
		audit.Append(ctx, tx, audit.Entry{Action: string(access.StatePull), Target: l.target, Decision: l.decision,
			Details: map[string]any{"version": v.Version, "serial": v.Serial}})
		return nil
	})
	if err != nil {
		return nil, Version{}, err
	}
	return body, v, nil
}

// Rollback makes an older version's content the current state. What exists is
// not touched by it; the next observation compares both. It needs
// state:rollback.
func (s *Service) Rollback(ctx context.Context, w resource.Where, to int64) (State, error) {
	l, err := s.locate(ctx, w, access.StateRollback)
	if err != nil {
		return State{}, err
	}
	if to < 1 {
		return State{}, fault.New(fault.Invalid, "state_version_invalid", "%d is no version", to).WithField("/version").
			WithHint("see those that are kept: fairlead state ls %s", l.Name)
	}
	return s.o.Keeper.Rollback(ctx, l.ID, to, func(tx *sqldb.Tx, made State) error {
		details := map[string]any{"to": to, "version": made.Version, "serial": made.Serial}
		audit.Append(ctx, tx, audit.Entry{Action: string(access.StateRollback), Target: l.target, Decision: l.decision, Details: details})
		return event.Emit(ctx, tx, event.Event{Type: "state.rolledback", Subject: l.ID, TeamID: l.target.TeamID, ProjectID: l.target.ProjectID,
			EnvironmentID: l.target.EnvironmentID, Data: map[string]any{"name": l.Name, "to": to, "version": made.Version}})
	})
}
