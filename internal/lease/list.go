package lease

import (
	"context"

	"fairlead/internal/access"
	"fairlead/internal/ident"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// Filter narrows a list of leases; the zero value is all that are not over.
type Filter struct {
	Mine, Others         bool // whose the caller is, or is not
	Kind                 Kind
	Project, Environment string // names or ids
	Resource             string
	State                State
	Over                 bool   // also those that are over
	Sort                 string // ends or created; with - before it the other way round
}

// List lists the leases of what the caller may see.
func (s *Service) List(ctx context.Context, f Filter, page sqldb.Page) (items []Lease, next string, err error) {
	if err := known(ctx); err != nil {
		return nil, "", err
	}
	var w sqldb.Where
	for _, view := range []struct {
		action access.Action
		not    Kind
	}{{access.EnvironmentView, Resource}, {access.ResourceView, Environment}} {
		if f.Kind == view.not {
			continue
		}
		scope, err := s.Access.Scope(ctx, view.action)
		if err != nil {
			return nil, "", err
		}
		scope.Narrow(&w, s.DB, access.Columns{Team: "t.id", Project: "p.id", Environment: "e.id"})
	}
	if f.Mine {
		w.And(`l.owner_id = ?`, principal.From(ctx).ID)
	}
	if f.Others {
		w.And(`l.owner_id <> ?`, principal.From(ctx).ID)
	}
	if f.Kind != "" {
		w.And(`l.kind = ?`, string(f.Kind))
	}
	switch {
	case f.State != "":
		w.And(`l.state = ?`, string(f.State))
	case !f.Over:
		w.And(`l.state <> 'ended'`)
	}
	for _, part := range []struct{ cond, ref string }{{`(p.id = ? OR p.name = ?)`, f.Project}, {`(e.id = ? OR e.name = ?)`, f.Environment}, {`(r.id = ? OR r.name = ?)`, f.Resource}} {
		switch {
		case part.ref == "":
		case !ident.IsRef(part.ref):
			w.And(`1 = 0`)
		default:
			w.And(part.cond, part.ref)
		}
	}
	return leases.Page(ctx, s.DB.Read(), w, f.Sort, page)
}

// First gives the lease that ends a resource's life first, its own or its
// environment's; ok is false when it has none. Its caller has asked access
// about the resource.
func (s *Service) First(ctx context.Context, resourceID, environmentID string) (l Lease, ok bool, err error) {
	own, env, err := s.store.openOf(ctx, s.DB.Read(), resourceID, environmentID)
	switch {
	case err != nil || own == nil && env == nil:
		return Lease{}, false, err
	case own == nil || env != nil && env.EndsAt.Before(own.EndsAt):
		return *env, true, nil
	}
	return *own, true, nil
}

// Can says in a sentence whether and how far a lease can be extended.
func (s *Service) Can(ctx context.Context, l Lease) (string, error) {
	if l.State != Active {
		return "it can not be extended any more", nil
	}
	r, err := s.ruleFor(ctx, s.DB.Read(), l.Kind, l.Class, l.TeamID, l.Template)
	if err != nil {
		return "", err
	}
	now, err := s.DB.Now(ctx)
	if err != nil {
		return "", err
	}
	ends, err := r.of(l).extended(l, now, 0)
	if err != nil {
		return "it is as long as the rules allow", nil
	}
	return "it can be extended by " + Text(ends.Sub(l.EndsAt)) + " at a time", nil
}
