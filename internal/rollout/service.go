package rollout

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/event"
	"fairlead/internal/fault"
	"fairlead/internal/ident"
	"fairlead/internal/principal"
	"fairlead/internal/queue"
	"fairlead/internal/resource"
	"fairlead/internal/sqldb"
)

// The lanes of the queue in which rollouts are worked on.
const (
	Lane     = "rollouts"     // keys are rollouts
	PlanLane = "rollout-plan" // keys are members that are to be planned
)

// Resources are what rollouts change, as package resource has them.
type Resources interface {
	ByID(ctx context.Context, id string) (resource.Resource, error)
	PlanChange(ctx context.Context, w resource.Where, ch resource.Change) (resource.Preview, error)
	Change(ctx context.Context, w resource.Where, ch resource.Change) (resource.Resource, error)
	Rollback(ctx context.Context, w resource.Where, to int64, note string, ifMatch int64) (resource.Resource, error)
	// ObserveSoon has the observer look at a resource at its next turn.
	ObserveSoon(ctx context.Context, tx *sqldb.Tx, id string) error
}

// Names are resources by their names, for the principal in ctx.
type Names interface {
	Get(ctx context.Context, w resource.Where) (resource.Resource, error)
	Change(ctx context.Context, w resource.Where, ch resource.Change) (resource.Resource, error)
}

// Version is a template version that things are upgraded to.
type Version struct {
	Template, Version, Digest string
	Deprecated                string // why it should not be used any more; "" when it is well
	EndOfLife                 bool   // nothing new may be made of it
}

// Templates know versions.
type Templates interface {
	// Version gives one by number or constraint; "" is the newest stable. It
	// is for the principal in ctx.
	Version(ctx context.Context, name, version string) (Version, error)
}

// People finds principals with the roles that they have now.
type People interface {
	Lookup(ctx context.Context, idOrName string) (principal.Principal, error)
}

// Options is what the service stands on. Poll may be left out.
type Options struct {
	DB        *sqldb.DB
	Access    access.Authorizer
	Resources Resources
	Names     Names
	Templates Templates
	People    People
	Poll      time.Duration // between two looks at members that are on their way; default 1 s
	Log       *slog.Logger
}

// Service brings new versions to many. It is safe for concurrent use.
type Service struct {
	Options
	store store
}

// New makes the service.
func New(o Options) *Service {
	if o.Poll <= 0 {
		o.Poll = time.Second
	}
	return &Service{Options: o, store: store{o.DB}}
}

// Topic is woken when a rollout or a member of it goes on, for who shows it.
func Topic(id string) string { return topic(id) }

// topic is woken when a rollout or a member of it goes on.
func topic(id string) string { return "rollout:" + id }

// enqueue has a rollout looked at, now or later.
func enqueue(ctx context.Context, tx *sqldb.Tx, id string, after time.Duration) error {
	return queue.Enqueue(ctx, tx, queue.Work{Key: id, Lane: Lane, After: after})
}

func known(ctx context.Context) error {
	if p := principal.From(ctx); p.Kind == principal.Anonymous || p.ID == "" {
		return fault.New(fault.Unauthenticated, "unauthenticated", "sign in first").WithHint("use fairlead login, or send a token")
	}
	return nil
}

const maxText = 500 // characters of a note or a reason

// Create begins a rollout: its members are found now, and planned in the
// background. Those that the caller may see and must not change are members,
// too, that are left out and say why.
func (s *Service) Create(ctx context.Context, in Wanted) (Rollout, error) {
	if err := known(ctx); err != nil {
		return Rollout{}, err
	}
	if err := ident.CheckText("/note", in.Note, maxText); err != nil {
		return Rollout{}, err
	}
	if err := in.Selection.check(); err != nil {
		return Rollout{}, err
	}
	settings, err := in.Settings.check()
	if err != nil {
		return Rollout{}, err
	}
	from, err := parseFrom(in.Selection.From)
	if err != nil {
		return Rollout{}, err
	}
	to, err := s.Templates.Version(ctx, in.Template, in.To)
	if err != nil {
		return Rollout{}, err
	}
	if to.EndOfLife {
		return Rollout{}, endOfLife(to.Template, to.Version)
	}
	found, err := s.find(ctx, to, in.Selection, from)
	if err != nil {
		return Rollout{}, err
	}
	who := principal.From(ctx)
	r := Rollout{ID: ident.New("rol"), Template: to.Template, To: to.Version, Digest: to.Digest, Selection: in.Selection, Settings: settings, Note: in.Note, State: Planning,
		Starts: in.Start, CreatedBy: who.ID, CreatedByName: who.Name, Version: 1, acting: actingOf(who)}
	if to.Deprecated != "" {
		r.Message = "the version " + to.Version + " is deprecated: " + to.Deprecated
	}
	err = s.DB.Write(ctx, "rollout.create", func(tx *sqldb.Tx) error {
		r.CreatedAt, r.UpdatedAt = tx.Now(), tx.Now()
		if err := s.store.insertRollout(ctx, tx, r); err != nil {
			return err
		}
		plan := 0
		for _, m := range found.members {
			m.ID, m.RolloutID = ident.New("rom"), r.ID
			if err := s.store.insertMember(ctx, tx, m); err != nil {
				return err
			}
			if m.State != Unplanned {
				continue
			}
			plan++
			if err := queue.Enqueue(ctx, tx, queue.Work{Key: m.ID, Lane: PlanLane, Team: m.TeamID}); err != nil {
				return err
			}
		}
		audit.Append(ctx, tx, audit.Entry{Action: "rollout:create", Target: r.target(), Decision: found.decision, Details: map[string]any{
			"template": r.Template, "to": r.To, "digest": r.Digest, "selection": in.Selection, "waves": settings.Waves, "rollback": settings.Rollback,
			"members": plan, "excluded": len(found.members) - plan, "start": in.Start, "note": in.Note}})
		return enqueue(ctx, tx, r.ID, 0)
	})
	return r, err
}

// found is what a rollout would be about.
type found struct {
	members  []Member
	decision access.Decision
}

// find gives the resources that are meant, with what the caller may do to them.
func (s *Service) find(ctx context.Context, to Version, sel Selection, from fits) (found, error) {
	var out found
	scope, err := s.Access.Scope(ctx, access.ResourceView)
	if err != nil {
		return out, err
	}
	list, err := s.store.candidates(ctx, to.Template, sel, scope, maxMembers+1)
	if err != nil {
		return out, err
	}
	var refused error
	usable := false
	for _, c := range list {
		if c.version == to.Version || !from(c.version) {
			continue
		}
		m := Member{ResourceID: c.id, TeamID: c.teamID, State: Unplanned, From: c.version}
		// Nobody tries anything by this: what may not be is only left out.
		d, err := s.Access.Check(access.Wondering(ctx), access.RolloutManage, c.target())
		switch {
		case err == nil && newer(c.version, to.Version):
			m.State, m.Reason, m.Message = Excluded, "newer_version", "it is made from the newer version "+c.version
			m.Remedy = "to go back with it alone: fairlead upgrade " + c.name + " -e " + c.project + "/" + c.environment + " --to " + to.Version
		case err == nil:
			out.decision, usable = d, true
		case fault.Is(err, fault.Denied), fault.Is(err, fault.NotFound):
			m.State, m.Reason, m.Message = Excluded, "denied", "you may not upgrade it in a rollout"
			m.Remedy = "ask the team " + c.team + ", or whoever may do it for every team"
			refused = err
		default:
			return out, err
		}
		out.members = append(out.members, m)
	}
	switch {
	case len(list) > maxMembers:
		return out, fault.New(fault.Invalid, "rollout_too_large", "more than %d resources are made from %s", maxMembers, to.Template).WithHint("narrow it: by project, environment, class or team")
	case !usable && refused != nil:
		return out, refused
	case !usable:
		return out, fault.New(fault.NotFound, "nothing_to_upgrade", "no resource that you may see is made from another version of %s and meant by this", to.Template).
			WithHint("see what there is: fairlead get resources --template %s", to.Template)
	}
	return out, nil
}

func endOfLife(template, version string) error {
	return fault.New(fault.Conflict, "version_end_of_life", "the version %s of %s is at the end of its life", version, template).
		WithHint("choose a newer one: fairlead template show %s", template)
}

// see gives a rollout that the caller may know of: their own, or one with a
// member that they may see.
func (s *Service) see(ctx context.Context, id string) (Rollout, access.Scope, error) {
	if err := known(ctx); err != nil {
		return Rollout{}, access.Scope{}, err
	}
	if !ident.IsRef(id) {
		return Rollout{}, access.Scope{}, notFound()
	}
	scope, err := s.Access.Scope(ctx, access.ResourceView)
	if err != nil {
		return Rollout{}, scope, err
	}
	var w sqldb.Where
	w.And(`o.id = ?`, id)
	s.store.seen(&w, scope, principal.From(ctx).ID)
	where, args := w.SQL()
	r, err := scanRollout(s.DB.Read().QueryRowContext(ctx, `SELECT `+rolloutColumns+where, args...))
	if errors.Is(err, sql.ErrNoRows) {
		err = notFound()
	}
	return r, scope, err
}

// Get gives a rollout with its waves and groups; of their members those count
// that the caller may see.
func (s *Service) Get(ctx context.Context, id string) (Rollout, error) {
	r, scope, err := s.see(ctx, id)
	if err != nil {
		return r, err
	}
	return r, s.fill(ctx, &r, scope)
}

func (s *Service) fill(ctx context.Context, r *Rollout, scope access.Scope) error {
	var err error
	if r.Waves, err = s.store.waves(ctx, s.DB.Read(), r.ID); err != nil {
		return err
	}
	groups, err := s.store.groups(ctx, s.DB.Read(), r.ID)
	if err != nil {
		return err
	}
	counts, err := s.store.counts(ctx, s.DB.Read(), r.ID, scope)
	if err != nil {
		return err
	}
	r.Counts = map[MemberState]int64{}
	for i := range r.Waves {
		r.Waves[i].Counts = map[MemberState]int64{}
	}
	for i := range groups {
		groups[i].Counts = map[MemberState]int64{}
	}
	for _, c := range counts {
		r.Counts[c.state] += c.n
		if c.state == Excluded || c.state == Unplanned {
			continue
		}
		for i, w := range r.Waves {
			if w.Number == c.wave {
				r.Waves[i].Counts[c.state] += c.n
			}
		}
		for i, g := range groups {
			if g.Number == c.group {
				groups[i].Counts[c.state] += c.n
			}
		}
	}
	for _, g := range groups { // of what nothing may be seen nothing is shown
		if len(g.Counts) > 0 {
			r.Groups = append(r.Groups, g)
		}
	}
	return nil
}

// Wait is Get once the rollout's version differs from known or it is over, and
// after at most limit as it is then.
func (s *Service) Wait(ctx context.Context, id string, known int64, limit time.Duration) (Rollout, error) {
	r, scope, err := s.see(ctx, id)
	if err != nil {
		return r, err
	}
	wake, stop := s.DB.Subscribe(topic(r.ID))
	defer stop()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	poll := time.NewTicker(time.Second) // wake-ups can get lost
	defer poll.Stop()
	for r.Version == known && !r.State.Over() {
		select {
		case <-wake:
		case <-poll.C:
		case <-deadline.C:
			return r, s.fill(ctx, &r, scope)
		case <-ctx.Done():
			return r, ctx.Err()
		}
		if r, err = s.store.rollout(ctx, s.DB.Read(), r.ID); err != nil {
			return r, err
		}
	}
	return r, s.fill(ctx, &r, scope)
}

// Filter narrows a list of rollouts; empty fields do not.
type Filter struct {
	Search   string // part of the template's name, the version, the note or the author's name
	Template string
	Project  string // with a member in it that the caller may see; its name or id
	State    State
	Open     bool // only those that are not over
	Mine     bool // only those that the caller made
	Sort     string
}

// List lists the rollouts that the caller may know of, newest first.
func (s *Service) List(ctx context.Context, f Filter, p sqldb.Page) ([]Rollout, string, error) {
	if err := known(ctx); err != nil {
		return nil, "", err
	}
	scope, err := s.Access.Scope(ctx, access.ResourceView)
	if err != nil {
		return nil, "", err
	}
	var w sqldb.Where
	s.store.seen(&w, scope, principal.From(ctx).ID)
	if f.Template != "" {
		w.And(`o.template = ?`, f.Template)
	}
	if f.Search != "" {
		w.And(`(o.template LIKE ? ESCAPE '\' OR o.to_version LIKE ? ESCAPE '\' OR lower(o.note) LIKE ? ESCAPE '\' OR lower(c.name) LIKE ? ESCAPE '\')`, sqldb.Contains(f.Search))
	}
	if f.Project != "" {
		s.store.of(&w, scope, f.Project)
	}
	if f.State != "" {
		w.And(`o.state = ?`, string(f.State))
	}
	if f.Open {
		w.And(`o.finished_at IS NULL`)
	}
	if f.Mine {
		w.And(`o.created_by = ?`, principal.From(ctx).ID)
	}
	return rollouts.Page(ctx, s.DB.Read(), w, f.Sort, p)
}

// MemberFilter narrows a list of members; empty fields do not.
type MemberFilter struct {
	State MemberState
	Wave  int64
	Group int64
}

// Members lists the members that the caller may see, in the order of waves.
func (s *Service) Members(ctx context.Context, id string, f MemberFilter, p sqldb.Page) ([]Member, string, error) {
	r, scope, err := s.see(ctx, id)
	if err != nil {
		return nil, "", err
	}
	var w sqldb.Where
	w.And(`m.rollout_id = ?`, r.ID)
	if cond, args := s.store.within(scope); cond != "" {
		w.And(cond, args...)
	}
	if f.State != "" {
		w.And(`m.state = ?`, string(f.State))
	}
	if f.Wave != 0 {
		w.And(`m.wave = ?`, f.Wave)
	}
	if f.Group != 0 {
		w.And(`m.group_number = ?`, f.Group)
	}
	return memberList.Page(ctx, s.DB.Read(), w, "", p)
}

// emit tells what happened to a rollout. What is of one team alone is that
// team's to be told.
func (s *Service) emit(ctx context.Context, tx *sqldb.Tx, kind string, r Rollout, data map[string]any) error {
	all := map[string]any{"rollout": r.ID, "template": r.Template, "to": r.To, "state": string(r.State)}
	if r.Message != "" {
		all["message"] = r.Message
	}
	for k, v := range data {
		all[k] = v
	}
	teams, err := sqldb.Collect(ctx, tx, sqldb.Text, `SELECT DISTINCT r.team_id FROM rollout_members m JOIN resources r ON r.id = m.resource_id
		WHERE m.rollout_id = $1 AND m.state <> 'excluded' ORDER BY 1 LIMIT 2`, r.ID)
	if err != nil {
		return err
	}
	e := event.Event{Type: kind, Subject: r.ID, To: []string{r.CreatedBy}, Data: all}
	if len(teams) == 1 {
		e.TeamID = teams[0]
	}
	return event.Emit(ctx, tx, e)
}

func actingOf(p principal.Principal) acting {
	return acting{id: p.ID, token: p.TokenID, scopes: p.Scopes}
}

// as is a context with the rights that the rollout's changes are made with:
// those that who started it has now, and no more than their token had then.
func (s *Service) as(ctx context.Context, r Rollout) (context.Context, error) {
	p, err := s.People.Lookup(principal.With(ctx, principal.System), r.acting.id)
	if err != nil {
		return nil, err
	}
	p.TokenID, p.Scopes = r.acting.token, r.acting.scopes
	return audit.WithOrigin(principal.With(ctx, p), audit.Origin{RequestID: r.ID}), nil
}
