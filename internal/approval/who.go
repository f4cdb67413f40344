package approval

import (
	"context"
	"slices"
	"strings"

	"fairlead/internal/access"
	"fairlead/internal/fault"
	"fairlead/internal/principal"
)

// Who is somebody with regard to an approval.
type Who struct {
	ID, Name   string
	Can        bool
	Why        string   // by what they can, or why they cannot
	OnBehalfOf []string // names of whom they stand in for
	Voted      Decision // "" when they have not
}

// WhoCould says who could decide on an approval and by what, and of those who
// would come into question, and of the caller, why they cannot.
func (s *Service) WhoCould(ctx context.Context, id string) ([]Who, error) {
	p, err := known(ctx)
	if err != nil {
		return nil, err
	}
	a, err := s.visible(ctx, id)
	if err != nil {
		return nil, err
	}
	q := s.db.Read()
	if a.Votes, err = s.store.votes(ctx, q, a.ID); err != nil {
		return nil, err
	}
	who := &askers{service: s, approval: a, by: map[string]*Who{}}
	for _, n := range a.Needs {
		if err := who.holders(ctx, n); err != nil {
			return nil, err
		}
	}
	if err := who.standIns(ctx); err != nil {
		return nil, err
	}
	for _, b := range a.Barred {
		if err := who.barred(ctx, b); err != nil {
			return nil, err
		}
	}
	if p.Kind == principal.User || p.Kind == principal.Robot {
		if err := who.caller(ctx, p); err != nil {
			return nil, err
		}
	}
	out := make([]Who, 0, len(who.by))
	for _, w := range who.by {
		for _, v := range a.Votes {
			if v.VoterID == w.ID {
				w.Voted = v.Decision
			}
		}
		out = append(out, *w)
	}
	slices.SortFunc(out, func(a, b Who) int {
		if a.Can != b.Can {
			if a.Can {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Name, b.Name)
	})
	return out, nil
}

// askers collects people.
type askers struct {
	service  *Service
	approval Approval
	by       map[string]*Who
}

// add notes somebody; a reason why not gives way to one why.
func (w *askers) add(id, name, why string, can bool) *Who {
	got := w.by[id]
	switch {
	case got == nil:
		got = &Who{ID: id, Name: name, Can: can, Why: why}
		w.by[id] = got
	case can && got.Can && !strings.Contains(got.Why, why):
		got.Why += ", " + why
	case can && !got.Can:
		got.Can, got.Why = true, why
	}
	return got
}

func (w *askers) holders(ctx context.Context, n Need) error {
	s, q := w.service, w.service.db.Read()
	var list []principal.Principal
	var err error
	if n.Role != "" && (n.TeamID != "" || n.Team == "") {
		if list, err = s.people.Holders(ctx, q, n.TeamID, covers(principal.Role(n.Role)), maxNamed); err != nil {
			return err
		}
	}
	for _, named := range n.People {
		p, enabled, err := s.people.Person(ctx, q, named.ID)
		switch {
		case named.ID == "" || fault.Is(err, fault.NotFound):
			w.add(named.Name, named.Name, "there is no such user", false)
		case err != nil:
			return err
		case !enabled:
			w.add(p.ID, p.Name, "is disabled", false)
		default:
			list = append(list, p)
		}
	}
	for _, p := range list {
		if why := w.approval.barred(p.ID); why != "" {
			w.add(p.ID, p.Name, why, false)
			continue
		}
		ok, err := s.counts(ctx, w.approval, n, p)
		if err != nil {
			return err
		}
		why := n.label()
		if !ok {
			why = "is " + why + ", but the access policies do not let them: fairlead access why"
		}
		w.add(p.ID, p.Name, why, ok)
	}
	return nil
}

// label names the group.
func (n Need) label() string {
	switch {
	case n.Role == "":
		return "named"
	case n.Team != "":
		return strings.ReplaceAll(n.Role, "-", " ") + " of team " + n.Team
	}
	return strings.ReplaceAll(n.Role, "-", " ")
}

func (w *askers) standIns(ctx context.Context) error {
	s := w.service
	now, err := s.db.Now(ctx)
	if err != nil {
		return err
	}
	var able []string
	for id, p := range w.by {
		if p.Can {
			able = append(able, id)
		}
	}
	list, err := s.store.standIns(ctx, s.db.Read(), able, now)
	if err != nil {
		return err
	}
	for _, d := range list {
		if why := w.approval.barred(d.ToID); why != "" {
			w.add(d.ToID, d.To, why, false)
			continue
		}
		got := w.add(d.ToID, d.To, "stands in for "+d.From, true)
		got.OnBehalfOf = append(got.OnBehalfOf, d.From)
	}
	return nil
}

func (w *askers) barred(ctx context.Context, b Barred) error {
	p, _, err := w.service.people.Person(ctx, w.service.db.Read(), b.ID)
	if fault.Is(err, fault.NotFound) {
		return nil // Fairlead itself
	}
	if err == nil {
		w.add(p.ID, p.Name, b.Why, false)
	}
	return err
}

// caller says to who asks why they cannot.
func (w *askers) caller(ctx context.Context, p principal.Principal) error {
	if w.by[p.ID] != nil {
		return nil
	}
	if p.Kind == principal.Robot {
		w.add(p.ID, p.Name, "a robot cannot agree to anything", false)
		return nil
	}
	if !access.ScopeAllows(p.Scopes, access.ApprovalDecide) {
		w.add(p.ID, p.Name, "this token is not for that", false)
		return nil
	}
	var groups []string
	for _, n := range w.approval.Needs {
		groups = append(groups, n.label())
	}
	w.add(p.ID, p.Name, "is none of: "+strings.Join(groups, "; "), false)
	return nil
}
