package approval

import (
	"context"
	"database/sql"
	"errors"
	"slices"

	"fairlead/internal/access"
	"fairlead/internal/fault"
	"fairlead/internal/ident"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// Filter narrows a list of approvals; the zero value is all.
type Filter struct {
	Status      Status
	Mine        bool // pending, and for the caller to decide, who has not yet
	Requested   bool // by the caller
	NeedsReview bool // bypassed, and nobody has looked at it since
	Kind        string
	Subject     string // name or id: of a resource, say
	Environment string // name or id
	Project     string // name or id
	Sort        string // created, expires; with - before it the other way round
}

// List lists what the caller may see: what is about things that they see, what
// they asked for, what is theirs to decide. A page may be shorter than asked
// for while more follows.
func (s *Service) List(ctx context.Context, f Filter, page sqldb.Page) (items []Approval, next string, err error) {
	p, err := known(ctx)
	if err != nil {
		return nil, "", err
	}
	scope, err := s.access.Scope(ctx, access.ResourceView)
	if err != nil {
		return nil, "", err
	}
	now, err := s.db.Now(ctx)
	if err != nil {
		return nil, "", err
	}
	keys, err := s.keysOf(ctx, p)
	if err != nil {
		return nil, "", err
	}
	var w sqldb.Where
	s.seen(&w, scope, p, keys)
	if f.Status != "" {
		w.And(`a.status = ?`, string(f.Status))
	}
	for _, c := range []struct{ cond, value string }{
		{`a.kind = ?`, f.Kind}, {`(a.subject_id = ? OR a.title = ?)`, f.Subject},
		{`(e.id = ? OR e.name = ?)`, f.Environment}, {`(p.id = ? OR p.name = ?)`, f.Project}} {
		if c.value == "" {
			continue
		}
		if !ident.IsRef(c.value) {
			return []Approval{}, "", nil
		}
		w.And(c.cond, c.value)
	}
	if f.Mine {
		w.And(`a.status = 'pending' AND a.expires_at > ?`, now.UnixMicro())
		w.And(s.asks(), sqldb.Strings(keys))
		w.And(`a.barred NOT LIKE ?`, `%"`+p.ID+`"%`)
		w.And(`NOT EXISTS (SELECT 1 FROM approval_votes w WHERE w.approval_id = a.id AND w.voter_id = ?)`, p.ID)
	}
	if f.Requested {
		w.And(`a.requested_by = ?`, p.ID)
	}
	if f.NeedsReview {
		w.And(`a.status = 'bypassed' AND a.reviewed_at IS NULL`)
	}
	list, next, err := approvals.Page(ctx, s.db.Read(), w, f.Sort, page)
	if err != nil {
		return nil, "", err
	}
	items = []Approval{}
	for _, a := range list {
		err := error(nil)
		if !covered(scope, a) || f.Mine { // by its needs alone: access has the last word
			err = s.theirs(ctx, a, p, f.Mine)
		}
		switch {
		case err == nil:
			items = append(items, a)
		case fault.Is(err, fault.Internal) || fault.Is(err, fault.Unavailable):
			return nil, "", err
		}
	}
	return items, next, nil
}

// keysOf says what the caller counts as, also in others' names.
func (s *Service) keysOf(ctx context.Context, p principal.Principal) ([]string, error) {
	if p.Kind != principal.User || !access.ScopeAllows(p.Scopes, access.ApprovalDecide) {
		return nil, nil
	}
	now, err := s.db.Now(ctx)
	if err != nil {
		return nil, err
	}
	keys := keysOf(p)
	delegated, err := s.store.delegatedTo(ctx, s.db.Read(), p.ID, now)
	if err != nil {
		return nil, err
	}
	for _, d := range delegated {
		from, enabled, err := s.people.Person(ctx, s.db.Read(), d.FromID)
		if err != nil {
			return nil, err
		}
		if enabled {
			keys = append(keys, keysOf(from)...)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys), nil
}

// asks is the condition that an approval asks for one of some keys.
func (s *Service) asks() string {
	return `EXISTS (SELECT 1 FROM approval_needs k WHERE k.approval_id = a.id AND ` + s.db.InArray("k.need_key", "?") + `)`
}

// seen lets through what the caller may know of.
func (s *Service) seen(w *sqldb.Where, scope access.Scope, p principal.Principal, keys []string) {
	if scope.All {
		return
	}
	conds, args := `a.requested_by = ? OR `+s.asks(), []any{p.ID, sqldb.Strings(keys)}
	for _, part := range []struct {
		column string
		ids    []string
	}{{"a.environment_id", scope.EnvironmentIDs}, {"a.project_id", scope.ProjectIDs}, {"a.team_id", scope.TeamIDs}} {
		if len(part.ids) > 0 {
			conds += ` OR ` + s.db.InArray(part.column, "?")
			args = append(args, sqldb.Strings(part.ids))
		}
	}
	w.And(`(`+conds+`)`, args...)
}

func covered(s access.Scope, a Approval) bool {
	return s.All || slices.Contains(s.EnvironmentIDs, a.EnvironmentID) || slices.Contains(s.ProjectIDs, a.ProjectID) || slices.Contains(s.TeamIDs, a.TeamID)
}

// theirs is nil when a may be shown: to decide on, or at all.
func (s *Service) theirs(ctx context.Context, a Approval, p principal.Principal, decide bool) error {
	if !decide {
		return s.sees(ctx, a, p)
	}
	rights, err := s.rights(ctx, s.db.Read(), a, p)
	if err == nil && len(rights) == 0 {
		err = notFound()
	}
	return err
}

// Get gives an approval with all that it takes to decide on it.
func (s *Service) Get(ctx context.Context, id string) (Approval, error) {
	a, err := s.visible(ctx, id)
	if err != nil {
		return a, err
	}
	return s.fill(ctx, a)
}

// Open gives the approval that a resource waits for; ok is false when it waits
// for none, or for none that the caller may know of.
func (s *Service) Open(ctx context.Context, resourceID string) (a Approval, ok bool, err error) {
	p, err := known(ctx)
	if err != nil {
		return a, false, err
	}
	a, err = scan(s.db.Read().QueryRowContext(ctx, whole+` WHERE a.kind = $1 AND a.subject_id = $2 AND a.status = 'pending'`, KindResource, resourceID))
	if errors.Is(err, sql.ErrNoRows) {
		return a, false, nil
	}
	if err == nil {
		err = s.sees(ctx, a, p)
	}
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Denied) {
		return Approval{}, false, nil
	}
	if err != nil {
		return Approval{}, false, err
	}
	a, err = s.fill(ctx, a)
	return a, err == nil, err
}

// Visible is nil when the caller may know of an approval: whoever sees the
// resource, whoever asked for it, and whoever it is for to decide.
func (s *Service) Visible(ctx context.Context, id string) error {
	_, err := s.visible(ctx, id)
	return err
}

// visible gives an approval that the caller may know of: whoever sees the
// resource, whoever asked for it, and whoever it is for to decide.
func (s *Service) visible(ctx context.Context, id string) (Approval, error) {
	p, err := known(ctx)
	if err != nil {
		return Approval{}, err
	}
	if !ident.IsRef(id) {
		return Approval{}, notFound()
	}
	a, err := s.store.get(ctx, s.db.Read(), id, false)
	if errors.Is(err, sql.ErrNoRows) {
		return a, notFound()
	}
	if err != nil {
		return a, err
	}
	return a, s.sees(ctx, a, p)
}

// sees is nil when p may know of a.
func (s *Service) sees(ctx context.Context, a Approval, p principal.Principal) error {
	_, err := s.access.Check(ctx, access.ResourceView, a.Target())
	if err == nil || fault.Is(err, fault.Internal) {
		return err
	}
	if a.RequestedBy == p.ID && access.ScopeAllows(p.Scopes, access.ResourceView) {
		return nil
	}
	if access.ScopeAllows(p.Scopes, access.ApprovalDecide) {
		rights, err := s.rights(ctx, s.db.Read(), a, p)
		if err != nil || len(rights) > 0 {
			return err
		}
	}
	if fault.Is(err, fault.NotFound) {
		return notFound()
	}
	return err
}

// fill adds what lists have not: votes, how far the needs are met, who is
// needed still, what took its place.
func (s *Service) fill(ctx context.Context, a Approval) (Approval, error) {
	q := s.db.Read()
	var err error
	if a.Votes, err = s.store.votes(ctx, q, a.ID); err != nil {
		return a, err
	}
	if _, err = s.tally(ctx, q, &a); err != nil {
		return a, err
	}
	switch a.Status {
	case Pending:
		a.Who, _, err = s.wanted(ctx, q, a)
	case Void:
		a.Next, err = s.store.next(ctx, q, a)
	}
	return a, err
}
