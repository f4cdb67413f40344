package setup

import (
	"context"
	"slices"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/fault"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// Options is what the service stands on.
type Options struct {
	DB     *sqldb.DB
	Access access.Authorizer
}

// Service tells of first steps. It is safe for concurrent use.
type Service struct {
	Options
	store store
}

// New makes the service.
func New(o Options) *Service { return &Service{Options: o, store: store{o.DB}} }

// self is the person who asks, and the right to change what is their own.
func (s *Service) self(ctx context.Context) (principal.Principal, access.Target, access.Decision, error) {
	p := principal.From(ctx)
	t := access.Target{Kind: "user", ID: p.ID, Name: p.Name, OwnerID: p.ID}
	if p.Kind == principal.Robot {
		return p, t, access.Decision{}, fault.New(fault.Denied, "not_a_user", "first steps are for people").WithHint("sign in as a person")
	}
	d, err := s.Access.Check(ctx, access.UserUpdate, t)
	return p, t, d, err
}

// List gives the caller's first steps: those of the installation to who looks
// after it, a short way to a first resource to everybody else.
func (s *Service) List(ctx context.Context) (List, error) {
	p, _, _, err := s.self(ctx)
	if err != nil {
		return List{}, err
	}
	dismissed, err := s.store.dismissed(ctx, p.ID)
	if err != nil {
		return List{}, err
	}
	if dismissed {
		// Nobody sees it: what is done is not looked up at every visit.
		return List{Kind: kindOf(p), Steps: []Step{}, Dismissed: true}, nil
	}
	return s.Whole(ctx)
}

func kindOf(p principal.Principal) Kind {
	if p.HasOrgRole(principal.PlatformAdmin) {
		return Platform
	}
	return Developer
}

// Whole is List for who wants to see the steps also when they once said that
// they do not.
func (s *Service) Whole(ctx context.Context) (List, error) {
	p, _, _, err := s.self(ctx)
	if err != nil {
		return List{}, err
	}
	l := List{Kind: kindOf(p)}
	var done map[string]bool
	if l.Kind == Platform {
		// What there is in the installation, whoever's: it is for who sees all.
		if _, err := s.Access.Check(ctx, access.SystemView, access.Target{Kind: "system"}); err != nil {
			return List{}, err
		}
		l.Steps = slices.Clone(platformSteps)
		done, err = s.store.platform(ctx, p.ID)
	} else {
		l.Steps = slices.Clone(developerSteps)
		done, err = s.developer(ctx, p)
	}
	if err != nil {
		return List{}, err
	}
	for i := range l.Steps {
		l.Steps[i].Done = done[l.Steps[i].Name]
	}
	l.Dismissed, err = s.store.dismissed(ctx, p.ID)
	return l, err
}

func (s *Service) developer(ctx context.Context, p principal.Principal) (map[string]bool, error) {
	scope, err := s.Access.Scope(ctx, access.EnvironmentView)
	if err != nil {
		return nil, err
	}
	done := map[string]bool{Membership: len(p.Memberships) > 0}
	if done[Environment], err = s.store.anyEnvironment(ctx, scope); err != nil {
		return nil, err
	}
	done[Request], err = s.store.asked(ctx, p.ID)
	return done, err
}

// Dismiss says whether the caller wants to see the list no more, or again.
func (s *Service) Dismiss(ctx context.Context, dismissed bool) error {
	p, t, d, err := s.self(ctx)
	if err != nil {
		return err
	}
	return s.DB.Write(ctx, "setup.dismiss", func(tx *sqldb.Tx) error {
		changed, err := s.store.dismiss(ctx, tx, p.ID, dismissed)
		if err != nil || !changed {
			return err
		}
		audit.Append(ctx, tx, audit.Entry{Action: "user:dismiss-first-steps", Target: t, Decision: d, Details: map[string]any{"dismissed": dismissed}})
		return nil
	})
}
