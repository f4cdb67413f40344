package rollout

import (
	"context"

	"fairlead/internal/access"
	"fairlead/internal/principal"
	"fairlead/internal/resource"
)

// May is what the caller may do with a rollout. Only what is shown hangs on
// it: whoever does something is asked anew, about every member.
type May struct {
	Steer  bool
	Decide map[int64]bool // on which groups
}

// May tells what the caller may do with a rollout that Get gave them.
func (s *Service) May(ctx context.Context, r Rollout) (May, error) {
	out := May{Decide: map[int64]bool{}}
	list, err := s.store.kinds(ctx, s.DB.Read(), r.ID)
	if err != nil {
		return out, err
	}
	ctx = access.Wondering(ctx)
	may := func(a access.Action, t access.Target) bool {
		_, err := s.Access.Check(ctx, a, t)
		return err == nil
	}
	who := principal.From(ctx)
	out.Steer = len(list) > 0 || r.CreatedBy == who.ID || may(access.RolloutManage, access.Organisation)
	refused := map[int64]bool{}
	for _, m := range list {
		out.Steer = out.Steer && may(access.RolloutManage, m.target(""))
		if m.Group > 0 && m.State != Excluded && !refused[m.Group] {
			ok := who.Kind == principal.User && may(access.RolloutApprove, m.target(r.CreatedBy))
			out.Decide[m.Group], refused[m.Group] = ok, !ok
		}
	}
	return out, nil
}

// MayPin tells whether the caller may pin a resource that they see. Only what
// is shown hangs on it.
func (s *Service) MayPin(ctx context.Context, r resource.Resource) bool {
	_, err := s.Access.Check(access.Wondering(ctx), access.ResourcePin, targetOf(r))
	return err == nil
}

func targetOf(r resource.Resource) access.Target {
	return access.Target{Kind: "resource", ID: r.ID, Name: r.Name, TeamID: r.TeamID, ProjectID: r.ProjectID,
		EnvironmentID: r.EnvironmentID, EnvironmentClass: r.Class, Template: r.Template}
}

// Look gives a rollout without its waves, groups and counts, in one question
// to the store: whoever watches it asks often, and its version tells whether
// there is anything new.
func (s *Service) Look(ctx context.Context, id string) (Rollout, error) {
	r, _, err := s.see(ctx, id)
	return r, err
}
